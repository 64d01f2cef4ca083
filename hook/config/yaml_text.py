"""YAML as plain values: PyYAML's safe subset, within a bound on its size, with the place of every value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer

from hook.config.places import Document, Origin, WrongError
from hook.errors import one_line

_MAX_DEPTH = 100
"""Ten times the depth of a run.yaml."""
_MAX_VALUES = 50_000
"""A run.yaml with four thousand collections, or half a second of work."""
_CHARACTERS_PER_VALUE = 100
"""A longer text counts as several values, because aliases can repeat it."""
_MAX_TAG_DIRECTIVES = 100
"""libyaml compares each of them with all earlier ones."""
_BASES: Any = (Composer, yaml.CSafeLoader) if yaml.__with_libyaml__ else (yaml.SafeLoader,)
"""It reads the text in C if possible: the parser in Python takes ten seconds for a large ConfigMap."""
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
        try:
            loader = _Loader(text, self._values, origin)
            documents = list(_documents(loader, text.splitlines(), origin))
        except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
            raise WrongError([_explain(error, text, origin)]) from error
        self._values = loader.values
        return documents


def _documents(loader: "_Loader", lines: list[str], origin: Origin) -> Iterator[Document]:
    number = 0
    while loader.check_node():
        number += 1
        loader.doubled = []
        node = loader.get_node()
        place = f"document {number} (line {origin.line_and_column(node.start_mark)[0]})"
        yield Document(place, loader.construct_document(node), node, lines, origin, sorted(loader.doubled))


def _refuse(problem: str, mark: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _explain(error: Exception, text: str, origin: Origin) -> str:
    """Return the parser's own words, without those that it quotes of a Secret, and what to do."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark and text[mark.index : mark.index + 1] == "\t":
        return origin.problem(mark, "a tab; YAML indents with spaces")
    # PyYAML says of an anchor that is there twice only "second occurrence".
    cause = str(getattr(error, "problem", None) or error).replace(
        "second occurrence", "an anchor of this name is above"
    )
    hint = template_hint(text)
    if MANIFEST_OF_SECRET.search(text):
        cause = re.sub(r"""(['"]).*\1""", "***", cause, flags=re.DOTALL)
    problem = f"not valid YAML: {one_line(cause)}" + (f"; it {hint}" if hint else "")
    return origin.problem(mark, "not valid YAML" if origin.is_secret else problem)


class _Loader(*_BASES):  # type: ignore[misc]
    """PyYAML's safe loader, which refuses what is too large while it makes the nodes, before anything is made of them.

    Each alias counts as what it stands for: a few lines of aliases could fill the memory.
    """

    def __init__(self, text: str, values: int, origin: Origin) -> None:
        """Take how many values the texts before this one have."""
        if text.count("%TAG") > _MAX_TAG_DIRECTIVES:
            _refuse(f"more than {_MAX_TAG_DIRECTIVES} %TAG directives", None)
        _BASES[-1].__init__(self, text)
        self.anchors: dict[str, yaml.Node] = {}
        self.values = values
        self.doubled: list[tuple[int, str]] = []
        """By its index, each key that stands in its mapping a second time, as a problem."""
        self._origin = origin
        self._depth = 0
        """How many lists and mappings the node that is made stands in."""
        self._height = 0
        """How deep those are nested that stand beside it, so far."""
        self._sizes: dict[yaml.Node, tuple[int, int]] = {}
        """How many values a node stands for, and how deep it is, once its end is reached."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, before, beside = self.peek_event(), self.values, self._height
        is_nested = isinstance(event, yaml.CollectionStartEvent)
        self.values += 1 + (len(event.value) // _CHARACTERS_PER_VALUE if isinstance(event, yaml.ScalarEvent) else 0)
        self._depth += is_nested
        self._height = 0
        self._check(event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            size = self._sizes.get(node) or _refuse("an alias of what contains it", event.start_mark)
            self.values, self._height = before + size[0], size[1]
            self._check(event.start_mark)
        else:
            self._height += is_nested
            self._sizes[node] = self.values - before, self._height
        self._depth -= is_nested
        self._height = max(self._height, beside)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            if key.value in seen:
                text = "not valid YAML: " + one_line(f"duplicate key '{key.value}'")
                self.doubled.append((key.start_mark.index, self._origin.problem(key.start_mark, text)))
            seen.add(key.value)
        return node

    def _check(self, mark: Any) -> None:
        if self._depth + self._height > _MAX_DEPTH:
            _refuse(f"nested deeper than {_MAX_DEPTH}", mark)
        if self.values > _MAX_VALUES:
            _refuse(f"more than {_MAX_VALUES:,} values, with each alias expanded", mark)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | OddNumber:
        text = str(self.construct_scalar(node))
        if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", text):
            return int(text)
        if not re.search(r"[0-9]", text):
            raise yaml.constructor.ConstructorError(None, None, "not a number", node.start_mark)
        return OddNumber(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
