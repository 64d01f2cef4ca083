"""YAML as plain values: PyYAML's safe subset, within a bound on its size, with the place of every value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from hook.config.places import Document, Origin, Problem, WrongError
from hook.errors import one_line

_MAX_DEPTH = 100
"""Ten times the depth of a run.yaml. The parser recurses in C, where a file that is too deep crashes the process."""
_MAX_VALUES = 50_000
"""A run.yaml with four thousand collections, or half a second of work."""
_CHARACTERS_PER_VALUE = 100
"""A longer text counts as several values, because aliases can repeat it."""
_MAX_TAG_DIRECTIVES = 100
"""libyaml compares each of them with all earlier ones."""
MANIFEST_OF_SECRET = re.compile(r"""kind["']?\s*:\s*["']?Secret""")
"""Found in a text that may hold a Secret, whose values no message repeats."""


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A whole number that is not in plain digits: YAML 1.1 reads 01400, 0x300 and 12:48 as 768, people do not."""

    text: str

    def __repr__(self) -> str:
        """Return it as the file has it."""
        return self.text


def template_hint(text: str) -> str:
    """Return what to do with a text that is an unrendered template, or nothing for any other text."""
    found = re.search(r"(\$?)\{\{[^{}]*\}\}", text)
    openshift = "looks like an OpenShift Template; process it first (oc process --local)"
    helm = "looks like a Helm template; render it first (helm template)"
    return "" if found is None else openshift if found[1] else helm


class YamlReader:
    """Reads the YAML texts of one file. One bound holds for all of them together."""

    def __init__(self) -> None:
        self._values = 0
        """How many values are read so far, keys included, with each alias expanded."""

    def read(self, text: str, origin: Origin) -> list[Document]:
        """Return the documents of a text. Raises WrongError, also if it is too large."""
        before = self._values
        try:
            self._check_events(text)
            return list(self._documents(text, origin))
        except yaml.MarkedYAMLError as error:
            self._values = before
            raise WrongError([_explain(error, text, origin)]) from error
        except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
            self._values = before
            raise WrongError([Problem(origin.at(0, 0), f"not valid YAML: {_cause(str(error), text)}")]) from error

    def _check_events(self, text: str) -> None:
        """Raise MarkedYAMLError for what the parser in C would crash at, or make too many nodes of."""
        if text.count("%TAG") > _MAX_TAG_DIRECTIVES:
            raise yaml.MarkedYAMLError(problem=f"more than {_MAX_TAG_DIRECTIVES} %TAG directives")
        depth, values = 0, self._values
        for event in yaml.parse(text, Loader=_Loader):
            mark: Any = event.start_mark
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            values += isinstance(event, yaml.NodeEvent)
            _check(values, depth, mark)

    def _documents(self, text: str, origin: Origin) -> Iterator[Document]:
        loader, lines = _Loader(text), text.splitlines()
        number = 0
        while loader.check_node():
            number += 1
            node = loader.get_node()
            size = _Size(self._values, origin)
            self._values += size.of(node)[0]
            place = f"document {number} (line {origin.of(node.start_mark).line})"
            yield Document(
                place, loader.construct_document(node), node, lines, origin, tuple(sorted(size.duplicate_keys))
            )


def _check(values: int, depth: int, mark: Any) -> None:
    if depth > _MAX_DEPTH:
        _refuse(f"nested deeper than {_MAX_DEPTH}", mark)
    if values > _MAX_VALUES:
        _refuse(f"more than {_MAX_VALUES:,} values, with each alias expanded", mark)


class _Size:
    """Measures nodes. Each alias counts as what it stands for: a few lines of aliases could fill the memory."""

    def __init__(self, values_before: int, origin: Origin) -> None:
        self.duplicate_keys: list[Problem] = []
        self._values_before = values_before
        self._origin = origin
        self._known: dict[yaml.Node, tuple[int, int] | None] = {}
        """None before the end of the node is reached."""

    def of(self, node: Any) -> tuple[int, int]:
        """Return how many values a node stands for, and how deep it is. Raises MarkedYAMLError beyond the bounds."""
        if node in self._known:
            return self._known[node] or _refuse("an alias of what contains it", node.start_mark)
        self._known[node] = None
        values, depth = 1, 0
        if isinstance(node, yaml.ScalarNode):
            values += len(node.value) // _CHARACTERS_PER_VALUE
        else:
            if isinstance(node, yaml.MappingNode):
                self._note_duplicates(node)
            children = [part for pair in node.value for part in pair] if node.id == "mapping" else node.value
            for each in children:
                size = self.of(each)
                values, depth = values + size[0], max(depth, size[1])
                _check(self._values_before + values, depth + 1, each.start_mark)
            depth += 1
        self._known[node] = values, depth
        return values, depth

    def _note_duplicates(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    text = "not valid YAML: " + one_line(f"duplicate key '{key.value}'")
                    self.duplicate_keys.append(Problem(self._origin.of(key.start_mark), text))
                seen.add(key.value)


def _refuse(problem: str, mark: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _explain(error: yaml.MarkedYAMLError, text: str, origin: Origin) -> Problem:
    mark: Any = error.problem_mark or error.context_mark
    position = origin.of(mark) if mark else origin.at(0, 0)
    if mark and text[mark.index : mark.index + 1] == "\t":
        return Problem(position, "a tab; YAML indents with spaces")
    hint = template_hint(text)
    problem = _cause(error.problem or str(error), text) + (f"; it {hint}" if hint else "")
    return Problem(position, f"not valid YAML: {problem}")


def _cause(problem: str, text: str) -> str:
    """Return the parser's own words, without those that it quotes of a Secret."""
    is_secret = MANIFEST_OF_SECRET.search(text)
    return one_line(re.sub(r"""(['"]).*\1""", "***", problem, flags=re.DOTALL) if is_secret else problem)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, in C if possible: the one in Python takes ten seconds for a large ConfigMap."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | OddNumber:
        text = str(self.construct_scalar(node))
        if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", text):
            return int(text)
        if not re.search(r"[0-9]", text):
            raise yaml.constructor.ConstructorError(None, None, "not a number", node.start_mark)
        return OddNumber(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
