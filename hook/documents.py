"""The one mapping that declares collections, wherever it stands: a run.yaml, a part of one, a ConfigMap with one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from hook.errors import ConfigError, one_line

_MAX_DEPTH = 100
"""Ten times what a run.yaml has; what follows nesting by recursion is safe up to there."""
_MAX_EVENTS = 250_000
"""More values than fit into a ConfigMap, unless they are of one character each."""
_MAX_MERGED_KEYS = 1000
_MAX_MERGED_KEYS_OF_ALL = 100_000


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping that could declare collections."""

    prefix: str
    """What stands before the path of everything in it."""
    place: str
    """Where it is in the file, for a person."""
    content: dict[Any, Any]

    def ignored(self, misnamed: Mapping[tuple[str, ...], str]) -> dict[str, str]:
        """Return the path of each section that only looks like one, and what to do about it.

        `misnamed` says what each should be called.
        """
        return {
            f"{self.prefix}{'.'.join(path)}": f"is read by no LlamaStack release: rename it to {right}"
            for path, right in misnamed.items()
            if declares(self.content, path)
        }


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A whole number that is not written in plain digits, so that people and YAML 1.1 may read it differently.

    To YAML 01400 and 0x300 and 12:48 are 768.
    """

    text: str

    def __repr__(self) -> str:
        """Return it as it is written."""
        return self.text


def find_document(text: str, sections: Sequence[tuple[str, ...]], misnamed: Mapping[tuple[str, ...], str]) -> Document:
    """Return the one mapping that has one of these sections.

    Raises ConfigError with every problem that stands in the way.
    """
    candidates = list(_documents(text))
    found = [document for document in candidates if any(declares(document.content, path) for path in sections)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            [f"more than one part declares collections: {', '.join(each.place for each in found)}; keep one of them"]
        )
    keys = ", ".join(each.prefix + one_line(str(key), 60) for each in candidates for key in each.content) or "none"
    problem = f"has neither {' nor '.join('.'.join(path) for path in sections)}; its keys are: {one_line(keys)}"
    hints = [f"{path} {hint}" for each in candidates for path, hint in each.ignored(misnamed).items()]
    raise ConfigError(["; ".join([problem, *hints])])


def _documents(text: str) -> Iterator[Document]:
    """Yield each mapping that could hold a section: every YAML document, and every value of a ConfigMap's data."""
    problems: list[str] = []
    mappings = 0
    for place, document in _parse_yaml(text):
        if not isinstance(document, dict):
            continue
        if document.get("kind") != "ConfigMap" or not isinstance(document.get("data"), dict):
            mappings += 1
            yield Document("", place, document)
            continue
        values = [(one_line(str(key), 60), each) for key, each in document["data"].items() if isinstance(each, str)]
        if sum(len(value) for _, value in values) > len(text):
            raise ConfigError([f"{place}: its data is larger than the file, by aliases; write it out"])
        for key, value in values:
            try:
                inner = _parse_yaml(value)
            except ConfigError as error:
                problems += [f"data[{key}]: {problem}" for problem in error.problems]
                if key.endswith((".yaml", ".yml", ".json")):
                    raise ConfigError(problems) from error
                # Another key of the ConfigMap may be a script, so this matters only if no value is the one.
                continue
            for inner_place, content in inner:
                if isinstance(content, dict):
                    mappings += 1
                    yield Document(f"data[{key}].", f"data[{key}] of {place}, there {inner_place}", content)
    if not mappings:
        raise ConfigError(problems or ["is empty or no mapping; it needs vector_dbs: with at least one collection"])


def _parse_yaml(text: str) -> list[tuple[str, Any]]:
    """Return where each document of the text is, and what it says."""
    documents: list[tuple[str, Any]] = []
    try:
        _check_size(text)
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            place = f"document {len(documents) + 1} (line {node.start_mark.line + 1})"
            documents.append((place, loader.construct_document(node)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([f"{where}not valid YAML: {one_line(error.problem or str(error))}"]) from error
    except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
        raise ConfigError([f"not valid YAML: {one_line(str(error))}"]) from error
    return documents


def _check_size(text: str) -> None:
    """Refuse what is too deep or too much, by events, which are made one at a time and without recursion.

    What makes values of them follows the nesting by recursion, and in C that ends the process at some depth.
    """
    depth = 0
    event: Any
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {_MAX_DEPTH}", problem_mark=event.start_mark)
        if number > _MAX_EVENTS:
            raise yaml.MarkedYAMLError(problem="too many values up to here", problem_mark=event.start_mark)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, which besides refuses the second of two equal keys instead of losing the first.

    Merge keys are bounded, since those of merged mappings multiply. It is the loader in C where there is one: that of
    pure Python takes ten seconds for a large ConfigMap.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.flattened: set[yaml.Node] = set()
        self.merged = 0

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
                problem = f"the key '{key.value}' stands twice in one mapping"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        self.merged += merged
        if merged > _MAX_MERGED_KEYS or self.merged > _MAX_MERGED_KEYS_OF_ALL:
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def dig(document: dict[Any, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None where there is none."""
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def declares(document: dict[Any, Any], path: tuple[str, ...]) -> bool:
    """Tell whether a section is there, be it empty."""
    parent = dig(document, path[:-1]) if path[:-1] else document
    return isinstance(parent, dict) and path[-1] in parent
