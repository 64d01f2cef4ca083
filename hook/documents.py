"""The one mapping that declares collections, wherever it stands: a run.yaml, a part of one, a ConfigMap with one."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from hook.errors import ConfigError, one_line

_MAX_MERGED_KEYS = 1000


def find_document(text: str, sections: Sequence[tuple[str, ...]]) -> tuple[str, dict[str, Any]]:
    """Return the one mapping that has one of these sections, and the path to it within the text.

    Raises ConfigError with every problem that stands in the way.
    """
    candidates = list(_documents(text))
    found = [
        (prefix, document) for prefix, document in candidates if any(declares(document, path) for path in sections)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            [f"more than one part declares collections: {', '.join(p.rstrip('.') or 'top level' for p, _ in found)}"]
        )
    keys = ", ".join(prefix + one_line(str(key), 60) for prefix, document in candidates for key in document) or "none"
    problem = f"has neither vector_dbs nor registered_resources.vector_stores; its keys are: {one_line(keys)}"
    if any("vector_databases" in document for _, document in candidates):
        problem += "; vector_databases is read by no LlamaStack release: rename it to vector_dbs"
    raise ConfigError([problem])


def _documents(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each mapping that could hold a section: every YAML document, and every value of a ConfigMap's data."""
    problems: list[str] = []
    mappings = 0
    for document in _parse_yaml(text):
        if not isinstance(document, dict):
            continue
        if document.get("kind") != "ConfigMap" or not isinstance(document.get("data"), dict):
            mappings += 1
            yield "", document
            continue
        for key, value in ((one_line(str(key), 60), value) for key, value in document["data"].items()):
            try:
                values = _parse_yaml(value) if isinstance(value, str) else []
            except ConfigError as error:
                problems += [f"data[{key}]: {problem}" for problem in error.problems]
                if key.endswith((".yaml", ".yml", ".json")):
                    raise ConfigError(problems) from error
                # Another key of the ConfigMap may be a script, so this matters only if no value is the one.
                continue
            for inner in values:
                if isinstance(inner, dict):
                    mappings += 1
                    yield f"data[{key}].", inner
    if not mappings:
        raise ConfigError(problems or ["is empty or no mapping; it needs vector_dbs: with at least one collection"])


def _parse_yaml(text: str) -> list[Any]:
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([f"{where}not valid YAML: {one_line(error.problem or str(error))}"]) from error
    except Exception as error:  # PyYAML's constructors raise whatever a value makes them (`!!bool maybe`)
        raise ConfigError([f"not valid YAML: {one_line(str(error))}"]) from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which besides refuses the second of two equal keys instead of losing the first.

    Merge keys are bounded, since those of merged mappings multiply. It is the slow loader of pure Python: the one in C
    ends the process at a nesting of 100,000.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.flattened: set[yaml.Node] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Only at the first time the keys are those that were written; merging changes the node.
        if node not in self.flattened:
            self.flattened.add(node)
            self._check_keys(node)
        super().flatten_mapping(node)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen, merged = set(), 0
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                merged += sum(len(source.value) for source in sources) * max(1, len(sources) // 10)
            elif isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key '{key.value}' stands twice in one mapping"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        if merged > _MAX_MERGED_KEYS:
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


def dig(document: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None where there is none."""
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def declares(document: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Tell whether a section is there, be it empty."""
    parent = dig(document, path[:-1]) if path[:-1] else document
    return isinstance(parent, dict) and path[-1] in parent
