"""The collections, read from LlamaStack's own sections so that its ConfigMap can be the one source of truth.

`vector_dbs` is the section of releases up to 0.2.24, `registered_resources.vector_stores` that of 0.4.3 and newer.
Everything else in a run.yaml is somebody else's. Every problem is collected, so that one run shows them all.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hook import files
from hook.documents import declares, dig, find_document
from hook.domain import Collection, Finding, State
from hook.errors import ConfigError, one_line
from hook.substitution import has_substitution, substitute

DISABLED = "__disabled__"
"""The provider_id with which LlamaStack switches an entry off (core/stack.py `replace_env_vars`, 0.3.5)."""

MAX_CONFIG_BYTES = 2**20
"""What etcd, and so a ConfigMap, can hold."""


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


MISNAMED = {
    ("vector_databases",): "vector_dbs",
    ("registered_resources", "vector_dbs"): "vector_stores",
    ("registered_resources", "vector_databases"): "vector_stores",
}
"""What is written for a section by mistake, and what it should be called."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file declares."""

    collections: tuple[Collection, ...]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """The entries that LlamaStack would leave out, since their provider_id is `__disabled__` or expands to nothing: by
    name, the provider_id as it is written."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """The path of what stands beside the sections and only looks like one, and what to do about it."""
    names: tuple[str, ...] = ()
    """All that are declared, in their order, the disabled ones included."""

    def findings(self, state: State) -> dict[str, Finding]:
        """Return what is known of each before anything is asked: this state, or that it is disabled."""
        return {name: self._disabled(name) if name in self.disabled else Finding(name, state) for name in self.names}

    def _disabled(self, name: str) -> Finding:
        detail = (
            f"its provider_id {one_line(self.disabled[name], 80)} switches it off; if the server's own environment "
            "does not, give the hook the same variables"
        )
        return Finding(name, State.DISABLED, detail=detail)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the collections from a file. Raises ConfigError with every problem of it."""
    try:
        content = files.read(path, MAX_CONFIG_BYTES + 1)
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
    document = find_document(text, [section.path for section in SECTIONS], MISNAMED)
    ignored = document.ignored(MISNAMED)
    reader = _Reader(environ)
    collections = [
        collection
        for section in SECTIONS
        for collection in reader.read_section(section, dig(document.content, section.path), document.prefix)
    ]
    if not collections and not reader.problems:
        sections = " and ".join(
            document.prefix + ".".join(section.path) for section in SECTIONS if declares(document.content, section.path)
        )
        disabled = [f"disabled: {one_line(', '.join(reader.disabled))}"] if reader.disabled else []
        nothing = f"{sections}: no collection is declared, so there is nothing to register"
        reader.problems.append("; ".join([nothing, *disabled, *map(" ".join, ignored.items())]))
    if reader.problems:
        raise ConfigError(reader.problems)
    enabled = {collection.name for collection in collections}
    # One of two entries of a name may be switched off, as for two providers; then the other one counts.
    off = {name: provider_id for name, provider_id in reader.disabled.items() if name not in enabled}
    return Config(tuple(collections), off, ignored, tuple(reader.names))


class _Reader:
    """Reads entries into collections and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.disabled: dict[str, str] = {}
        self.names: dict[str, None] = {}
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
            if name is not None:
                self.disabled[name] = entry["provider_id"]
                self.names[name] = None
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
        self.names[name] = None
        return Collection(name, model, provider_id, dimension)

    def _is_disabled(self, value: Any) -> bool:
        """Tell whether LlamaStack would leave the entry out, as 0.3.5 does in core/stack.py."""
        if not isinstance(value, str) or not (value == DISABLED or has_substitution(value)):
            return False
        # What cannot be expanded is a problem, and told as one when the text is read.
        with suppress(ValueError):
            return substitute(value, self._environ) in ("", DISABLED)
        return False

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
            if value is not None and re.fullmatch(r"[1-9][0-9]{0,8}", value):
                value = int(value)
        if value is None or (type(value) is int and value > 0):
            return value
        self.problems.append(f"{path}: must be a whole number above 0 in plain digits, such as 768, not {_kind(value)}")
        return None

    def _substitute(self, text: str, path: str) -> str | None:
        """Return the expanded text, or None where that is a problem."""
        try:
            return substitute(text, self._environ)
        except ValueError as error:
            self.problems.append(f"{path}: {error}")
            return None


def _kind(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "empty" if value is None else one_line(repr(value), 80)
