"""YAML, read without ever taking long or losing what is written: the safe subset, within bounds, each key once."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from hook.errors import ConfigError, one_line

_MAX_DEPTH = 100
"""Ten times what a run.yaml has; what follows nesting by recursion is safe up to there."""
_MAX_VALUES = 50_000
"""Those of a run.yaml with four thousand collections, and half a second of work."""
_MAX_CHARACTERS = 4 * 2**20
"""Four times what a ConfigMap holds: the text of one, its values read once more as YAML, and a few aliases."""
_UP_TO_HERE = "up to here, each alias counted as all that it stands for"
_MAX_TAG_DIRECTIVES = 100
"""libyaml compares each with all before it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document of a text."""

    place: str
    """Where it is in the text, for a person."""
    content: Any
    doubled: tuple[str, ...]
    """The keys that stand twice in one mapping of it, each a problem with its place."""


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A whole number that is not written in plain digits, so that people and YAML 1.1 may read it differently.

    To YAML 01400 and 0x300 and 12:48 are 768.
    """

    text: str

    def __repr__(self) -> str:
        """Return it as it is written."""
        return self.text


def template_hint(text: str) -> str:
    """Return what to do first with a text that is a template, which nobody here would carry out; nothing if it is none.

    OpenShift's templates have two kinds of parameters; the other one, `${NAME}`, is no YAML of its own.
    """
    found = re.search(r"(\$?)\{\{[^{}]*\}\}", text)
    if found is None:
        return ""
    if found[1]:
        return "looks like an OpenShift Template; process it first (oc process --local)"
    return "looks like a Helm template; render it first (helm template)"


@dataclass
class Size:
    """How much was read so far of one file, each alias counted as all that it stands for."""

    values: int = 0
    """Scalars, lists and mappings, keys included."""
    characters: int = 0
    """Those of all scalars."""


def parse_yaml(text: str, size: Size) -> list[Parsed]:
    """Return each document of the text, which need not be a mapping, and add to `size` how much that is.

    Raises ConfigError where it is no YAML, or more than any configuration, before anything is made of it.
    """
    documents: list[Parsed] = []
    try:
        _check_size(text, size)
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            place = f"document {len(documents) + 1} (line {node.start_mark.line + 1})"
            loader.doubled = []
            content = loader.construct_document(node)
            documents.append(Parsed(place, content, tuple(loader.doubled)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = _where(mark) if mark else ""
        # A prompt may have braces as well.
        hint = template_hint(text)
        it = f"; it {hint}" if hint else ""
        raise ConfigError([f"{where}not valid YAML: {one_line(error.problem or str(error))}{it}"]) from error
    except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
        raise ConfigError([f"not valid YAML: {one_line(str(error))}"]) from error
    return documents


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: "


def _check_size(text: str, size: Size) -> None:
    """Refuse what is too deep or too much, by events, which are made one at a time and without recursion.

    What makes values of them follows the nesting by recursion, and in C that ends the process at some depth. An alias
    counts as all that it stands for, since whoever follows the values later, to print or to merge them, meets it again
    at each: a few lines could stand for more than any memory holds.
    """
    if text.count("%TAG") > _MAX_TAG_DIRECTIVES:
        raise yaml.MarkedYAMLError(problem=f"more than {_MAX_TAG_DIRECTIVES} %TAG directives")
    anchored: dict[str, tuple[int, int, int] | None] = {}
    """By anchor, values, characters and height; None while it is read."""
    opened: list[tuple[str | None, int, int]] = []
    """Of each collection that is open, its anchor, and how much was read before it."""
    deepest = [0]
    """Of each collection that is open, and of the document, the depth of what is in it."""
    for event in yaml.parse(text, Loader=_Loader):
        mark: Any = event.start_mark
        height, problem = 0, ""
        if isinstance(event, yaml.ScalarEvent):
            size.values += 1
            size.characters += len(event.value)
            if event.anchor is not None:
                anchored[event.anchor] = (1, len(event.value), 0)
        elif isinstance(event, yaml.AliasEvent):
            # One that is not there is told when the values are made.
            found = anchored.get(str(event.anchor), (1, 0, 0))
            if found is None:
                raise yaml.MarkedYAMLError(problem="an alias of what it stands in", problem_mark=mark)
            values, characters, height = found
            size.values += values
            size.characters += characters
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, size.values, size.characters))
            deepest.append(len(opened))
            size.values += 1
            if event.anchor is not None:
                anchored[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values, characters = opened.pop()
            height = deepest.pop() - len(opened)
            if anchor is not None:
                anchored[anchor] = (size.values - values, size.characters - characters, height)
        deepest[-1] = max(deepest[-1], len(opened) + height)
        if deepest[-1] > _MAX_DEPTH:
            problem = f"nested deeper than {_MAX_DEPTH}"
        elif size.values > _MAX_VALUES:
            problem = f"more than {_MAX_VALUES:,} values {_UP_TO_HERE}"
        elif size.characters > _MAX_CHARACTERS:
            problem = f"more than {_MAX_CHARACTERS >> 20} MiB of text {_UP_TO_HERE}"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, which besides notes the second of two equal keys instead of losing the first in silence.

    It is the loader in C where there is one: that of pure Python takes ten seconds for a large ConfigMap.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.flattened: set[yaml.Node] = set()
        self.doubled: list[str] = []
        """The keys of the document that stand twice in one mapping."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Only at the first time the keys are those that were written; merging changes the node.
        if node in self.flattened:
            return
        self.flattened.add(node)
        self._check_keys(node)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | OddNumber:
        text = str(self.construct_scalar(node))
        if re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
            return int(text)
        if not re.search(r"[0-9]", text):
            raise yaml.constructor.ConstructorError(None, None, "no number", node.start_mark)
        return OddNumber(text)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    problem = one_line(f"the key '{key.value}' stands twice in one mapping")
                    self.doubled.append(f"{_where(key.start_mark)}not valid YAML: {problem}")
                seen.add(key.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
