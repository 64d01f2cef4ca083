"""YAML, read without ever taking long or losing what is written: the safe subset, within bounds, each key once."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from hook.errors import ConfigError, one_line

MAX_DEPTH = 100
"""Ten times what a run.yaml has; what follows nesting by recursion is safe up to there."""
_MAX_EVENTS = 250_000
"""More values than fit into a ConfigMap, unless they are of one character each."""
_MAX_MERGED_KEYS = 1000
_MAX_MERGED_KEYS_OF_ALL = 100_000


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


def parse_yaml(text: str) -> list[Parsed]:
    """Return each document of the text, which need not be a mapping. Raises ConfigError where it is no YAML."""
    documents: list[Parsed] = []
    try:
        _check_size(text)
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


def _check_size(text: str) -> None:
    """Refuse what is too deep or too much, by events, which are made one at a time and without recursion.

    What makes values of them follows the nesting by recursion, and in C that ends the process at some depth.
    """
    depth = 0
    event: Any
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        if number > _MAX_EVENTS:
            raise yaml.MarkedYAMLError(problem="too many values up to here", problem_mark=event.start_mark)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, which besides notes the second of two equal keys instead of losing the first in silence.

    Merge keys are bounded, since those of merged mappings multiply. It is the loader in C where there is one: that of
    pure Python takes ten seconds for a large ConfigMap.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.flattened: set[yaml.Node] = set()
        self.merged = 0
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
        seen, merged = set(), 0
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(source, yaml.MappingNode):
                        # First, so that what it merges itself is counted, too.
                        self.flatten_mapping(source)
                    merged += 1 + len(source.value)
            elif isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = one_line(f"the key '{key.value}' stands twice in one mapping")
                self.doubled.append(f"{_where(key.start_mark)}not valid YAML: {problem}")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        self.merged += merged
        if merged > _MAX_MERGED_KEYS or self.merged > _MAX_MERGED_KEYS_OF_ALL:
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
