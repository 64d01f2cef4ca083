"""The collections, read from LlamaStack's own sections so that its ConfigMap can be the one source of truth.

`vector_dbs` is the section of releases up to 0.2.24, `registered_resources.vector_stores` that of 0.4.3 and newer.
Everything else in a run.yaml is somebody else's. Every problem is collected, so that one run shows them all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from hook.domain import Collection
from hook.errors import ConfigError, one_line

DISABLED = "__disabled__"
"""The provider_id with which LlamaStack switches an entry off (core/stack.py `replace_env_vars`, 0.3.5)."""

MAX_CONFIG_BYTES = 2**20
"""What etcd, and so a ConfigMap, can hold."""
_MAX_MERGED_KEYS = 1000

_SUBSTITUTION = re.compile(r"\$\{env\.([A-Z0-9_]+)(?::([=+])([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class _Section:
    """Where a release keeps its collections, and what it calls the fields of one."""

    path: tuple[str, ...]
    id_key: str
    ignored_keys: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.id_key, "embedding_model", "embedding_dimension", "provider_id", *self.ignored_keys)


SECTIONS = (
    _Section(("vector_dbs",), "vector_db_id", ("provider_vector_db_id",)),
    _Section(
        ("registered_resources", "vector_stores"), "vector_store_id", ("provider_vector_store_id", "vector_store_name")
    ),
)


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file declares."""

    collections: tuple[Collection, ...]
    disabled: tuple[str, ...] = ()
    """Ids of the entries that LlamaStack would leave out: their provider_id is `__disabled__` or expands to nothing."""


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the collections from a file. Raises ConfigError with every problem of it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; mount it there, or set HOOK_CONFIG"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    if len(content) > MAX_CONFIG_BYTES:
        raise ConfigError([f"{path}: is larger than {MAX_CONFIG_BYTES // 2**20} MiB, which no ConfigMap can be"])
    try:
        return parse(text, environ)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error


def parse(text: str, environ: Mapping[str, str]) -> Config:
    """Read the collections from the text of a run.yaml, of a part of one, or of a ConfigMap that holds one.

    Raises ConfigError with every problem, each with its path, such as `vector_dbs[2].embedding_dimension`.
    """
    prefix, document = _find_document(text)
    reader = _Reader(environ)
    collections = [
        collection
        for section in SECTIONS
        for collection in reader.read_section(section, _dig(document, section.path), prefix)
    ]
    if not collections and not reader.problems:
        sections = " and ".join(prefix + ".".join(section.path) for section in SECTIONS if _declares(document, section))
        disabled = f"; disabled: {one_line(', '.join(reader.disabled))}" if reader.disabled else ""
        reader.problems.append(f"{sections}: no collection is declared, so there is nothing to register{disabled}")
    if reader.problems:
        raise ConfigError(reader.problems)
    return Config(tuple(collections), tuple(reader.disabled))


def _find_document(text: str) -> tuple[str, dict[str, Any]]:
    """Return the one mapping that has a section, and the path to it within the text."""
    candidates = list(_documents(text))
    found = [(prefix, document) for prefix, document in candidates if any(_declares(document, s) for s in SECTIONS)]
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


def _dig(document: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _declares(document: dict[str, Any], section: _Section) -> bool:
    parent = _dig(document, section.path[:-1]) if section.path[:-1] else document
    return isinstance(parent, dict) and section.path[-1] in parent


class _Reader:
    """Reads entries into collections and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.disabled: list[str] = []
        self._environ = environ
        self._paths: dict[str, str] = {}

    def read_section(self, section: _Section, entries: Any, prefix: str) -> Iterator[Collection]:
        path = prefix + ".".join(section.path)
        if entries is None:
            return
        if not isinstance(entries, list):
            self.problems.append(f"{path}: must be a list of collections, not {_kind(entries)}")
            return
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self.problems.append(f"{path}[{index}]: must be a mapping, not {_kind(entry)}")
                continue
            collection = self._read_entry(section, entry, f"{path}[{index}]")
            if collection is not None:
                yield collection

    def _read_entry(self, section: _Section, entry: dict[Any, Any], path: str) -> Collection | None:
        before = len(self.problems)
        for key in entry:
            if key not in section.keys:
                near = get_close_matches(str(key), section.keys, n=1)
                hint = f"did you mean {near[0]}?" if near else f"the known keys are {', '.join(section.keys)}"
                self.problems.append(f"{path}.{one_line(str(key), 60)}: unknown key; {hint}")
        name = self._text(entry, section.id_key, path, required=True)
        if "provider_id" in entry and self._is_disabled(entry["provider_id"]):
            self.disabled.append(name or path)
            return None
        model = self._text(entry, "embedding_model", path, required=True)
        provider_id = self._text(entry, "provider_id", path)
        dimension = self._dimension(entry, path)
        for key in section.ignored_keys:
            self._text(entry, key, path)
        if name is not None and self._paths.setdefault(name, path) != path:
            self.problems.append(
                f"{path}.{section.id_key}: '{one_line(name, 100)}' is declared already at {self._paths[name]}"
            )
        if name is None or model is None or len(self.problems) > before:
            return None
        return Collection(name, model, provider_id, dimension)

    def _is_disabled(self, value: Any) -> bool:
        """Tell whether LlamaStack would leave the entry out, as 0.3.5 does in core/stack.py."""
        if not isinstance(value, str) or not (value == DISABLED or _SUBSTITUTION.search(value)):
            return False
        return self._substitute(value, None) in ("", DISABLED)

    def _text(self, entry: dict[Any, Any], key: str, path: str, *, required: bool = False) -> str | None:
        value = entry.get(key)
        if value is None:
            if required:
                self.problems.append(f"{path}.{key}: is missing")
            return None
        if not isinstance(value, str):
            self.problems.append(f"{path}.{key}: must be text, not {_kind(value)}; quote it")
            return None
        resolved = self._substitute(value, f"{path}.{key}")
        if resolved is None:
            return None
        if not resolved.strip():
            self.problems.append(f"{path}.{key}: is empty")
        elif resolved != resolved.strip() or not resolved.isprintable():
            self.problems.append(f"{path}.{key}: has space around it, or a character that cannot be printed")
        return resolved

    def _dimension(self, entry: dict[Any, Any], path: str) -> int | None:
        value = entry.get("embedding_dimension")
        path = f"{path}.embedding_dimension"
        if isinstance(value, str):
            value = self._substitute(value, path)
            if value is not None and re.fullmatch(r"[0-9]{1,9}", value):
                value = int(value)
        if value is None or (type(value) is int and value > 0):
            return value
        self.problems.append(f"{path}: must be a whole number above 0, not {_kind(value)}")
        return None

    def _substitute(self, text: str, path: str | None) -> str | None:
        """Expand `${env.NAME}`, `${env.NAME:=default}` and `${env.NAME:+value}` as LlamaStack does.

        As there, a variable that is set but empty counts as unset. None where one is unset without a default.
        """
        unset: list[str] = []

        def expand(match: re.Match[str]) -> str:
            name, operator, operand = match.groups()
            value = self._environ.get(name)
            if operator == "+":
                return str(operand) if value else ""
            if value:
                return value
            if operator is None:
                unset.append(name)
            return operand or ""

        result = _SUBSTITUTION.sub(expand, text)
        problem = ""
        if unset:
            problem = f"the environment variable {unset[0]} is not set, and has no default (${{env.{unset[0]}:=…}})"
        elif "${" in _SUBSTITUTION.sub("", text):
            problem = f"'{one_line(text, 80)}' has a substitution that LlamaStack does not know; it knows ${{env.NAME}}"
        if problem and path is not None:
            self.problems.append(f"{path}: {problem}")
        return None if problem else result


def _kind(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    try:
        return "empty" if value is None else one_line(repr(value), 80)
    except ValueError:
        return "a number of thousands of digits"
