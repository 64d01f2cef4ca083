"""The entries of a section, read into collections."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from hook.config.documents import Section, value_at
from hook.config.substitution import MAX_LENGTH, UnsetError, substitute
from hook.config.yaml_text import template_hint
from hook.domain import Collection
from hook.errors import MAX_PROBLEMS, one_line

DISABLED = "__disabled__"
"""The provider_id with which LlamaStack switches an entry off (core/stack.py `replace_env_vars`, 0.3.5)."""
_SERVER_METADATA = frozenset(
    {"created_by", "declared_as", "embedding_model", "embedding_dimension", "provider_id", "provider_vector_store_id"}
)
"""The metadata of a vector store by which this program and LlamaStack know it: nobody else writes them."""
_ALIAS, _METADATA = "vector_store_name", "metadata"
_MODEL, _DIMENSIONS = "default_embedding_model", "embedding_dimensions"
_similar = lru_cache(MAX_PROBLEMS)(get_close_matches)


class Reader:
    """Reads entries into collections, and gathers all problems and warnings."""

    def __init__(self, environ: Mapping[str, str], *, allow_unset: bool = False) -> None:
        """Take the variables to expand; `allow_unset` makes an unset one a warning."""
        self.problems: list[str] = []
        self.warnings: dict[str, str] = {}
        """By path, what is ignored or cannot be known here."""
        self.names: dict[str, None] = {}
        """All of them in their order, also the disabled ones."""
        self.disabled: list[Collection] = []
        """The entries that their provider_id switches off, which is as the file has it."""
        self._environ = environ
        self._allow_unset = allow_unset
        self.paths: dict[str, str] = {}
        """By name and alias, where it is declared."""
        self._unknown_keys: set[str] = set()

    def read_section(self, section: Section, entries: Any, prefix: str) -> Iterator[Collection]:
        """Yield what a section declares; `prefix` stands before its path."""
        path = prefix + ".".join(section.path)
        if entries is None or not self._is(list, entries, path, "a list of collections"):
            return
        for index, entry in enumerate(entries):
            if self._is(dict, entry, f"{path}[{index}]", "a mapping"):
                yield from self._read_entry(section, entry, f"{path}[{index}]")

    def with_defaults(self, collections: Sequence[Collection], content: Any, prefix: str) -> list[Collection]:
        """Return the collections with the file's defaults (`vector_stores`), which are read where one needs them.

        The server's own create takes them: provider and model from 0.3.0 on, the dimension from 0.5 on
        (core/routers/vector_io.py `openai_create_vector_store`).
        """
        path = f"{prefix}vector_stores"
        settings, model, dimension, provider_id = value_at(content, ("vector_stores",)), None, None, None
        default = value_at(settings, (_MODEL,))
        needs_dimension = value_at(default, (_DIMENSIONS,)) and any(c.embedding_dimension is None for c in collections)
        if default is not None and (needs_dimension or any(c.embedding_model is None for c in collections)):
            model, dimension = self._default_model(default, f"{path}.{_MODEL}")
        if isinstance(settings, dict) and any(c.provider_id is None for c in collections):
            provider_id = self._text(settings, "default_provider_id", path) or None
        return [
            replace(
                collection,
                default_embedding_model=model,
                default_embedding_dimension=dimension,
                default_provider_id=provider_id,
            )
            for collection in collections
        ]

    def _default_model(self, value: Any, path: str) -> tuple[str | None, int | None]:
        """Return the server's id of the default model, and how long its vectors are."""
        if not self._is(dict, value, path, "a mapping with provider_id and model_id"):
            return None, None
        names = [str(self._text(value, key, path, required=True)) for key in ("provider_id", "model_id")]
        return "/".join(names), self._dimension(value.get(_DIMENSIONS), f"{path}.{_DIMENSIONS}")

    def _read_entry(self, section: Section, entry: dict[Any, Any], path: str) -> Iterator[Collection]:
        problems_before = len(self.problems)
        for key in entry:
            if key not in section.keys:
                self._note_unknown_key(str(key), section, path)
        name = self._text(entry, section.id_key, path, required=True) or ""
        self.names[name] = None
        alias = self._text(entry, _ALIAS, path) if _ALIAS in section.keys else None
        alias = alias if alias != name else None
        provider_id = self._text(entry, "provider_id", path)
        if provider_id in ("", DISABLED):
            self.disabled.append(Collection(name, provider_id=entry["provider_id"], alias=alias or None))
            return
        model = self._text(entry, "embedding_model", path)
        dimension = self._dimension(entry.get("embedding_dimension"), f"{path}.embedding_dimension")
        self._text(entry, f"provider_{section.id_key}", path)
        metadata = self._metadata(entry.get(_METADATA), f"{path}.{_METADATA}") if _METADATA in section.keys else {}
        self._claim(name, path, f"{path}.{section.id_key}")
        self._claim(alias, f"{path}.{_ALIAS}", f"{path}.{_ALIAS}")
        if len(self.problems) == problems_before:
            yield Collection(name, model or None, provider_id, dimension, alias or None, metadata)

    def _note_unknown_key(self, key: str, section: Section, path: str) -> None:
        """Note a key that LlamaStack ignores: a problem if it looks like a typing mistake, else a warning."""
        # A longer key resembles none.
        key, path = key[:60], f"{path}.{one_line(key, 60)}"
        self._unknown_keys.add(key)
        if len(self._unknown_keys) > MAX_PROBLEMS:
            self.problems.append(f"{path}: unknown key, one of more than {MAX_PROBLEMS} different ones")
        elif near := _similar(key, section.keys, n=1):
            self.problems.append(f"{path}: unknown key; did you mean {near[0]}?")
        else:
            self.warnings[path] = f"unknown key, ignored; valid keys: {', '.join(section.keys)}"

    def _claim(self, name: str | None, path: str, where: str) -> None:
        """Note that a name or alias belongs to one collection."""
        if name and self.paths.setdefault(name, path) != path:
            self.problems.append(f"{where}: '{one_line(name, 100)}' is already declared at {self.paths[name]}")

    def _is(self, kind: type[Any], value: Any, path: str, wanted: str) -> bool:
        """Tell whether a value has its type, and note a problem if not."""
        if isinstance(value, kind):
            return True
        template = template_hint(value) if isinstance(value, str) else ""
        hint = f"; it {template}" if template else "; quote it" if kind is str else ""
        self.problems.append(f"{path}: must be {wanted}, not {_kind(value)}{hint}")
        return False

    def _text(self, entry: dict[Any, Any], key: str, path: str, *, required: bool = False) -> str | None:
        """Return the expanded text, which is empty only if an optional one expands to nothing; None without one."""
        value, path = entry.get(key), f"{path}.{key}"
        if value is None and required:
            self.problems.append(f"{path}: is missing")
        if value is None or not self._is(str, value, path, "a string"):
            return None
        resolved = self._substitute(value, path)
        if resolved is None or (resolved == "" != value and not required):
            return resolved
        if not resolved.strip():
            self.problems.append(f"{path}: is empty")
        elif resolved != resolved.strip() or not resolved.isprintable():
            self.problems.append(f"{path}: has a space at its start or end, or a character that cannot be printed")
        return resolved

    def _dimension(self, value: Any, path: str) -> int | None:
        if isinstance(value, str):
            value = self._substitute(value, path)
            if path in self.warnings:
                return None
            if value is not None and re.fullmatch(r"[1-9][0-9]{0,8}", value):
                value = int(value)
        if value is None or (type(value) is int and 0 < value < 10**9):
            return value
        self.problems.append(f"{path}: must be a whole number above 0 in plain digits, such as 768, not {_kind(value)}")
        return None

    def _metadata(self, value: Any, path: str) -> dict[str, str | float | bool]:
        """Return what LlamaStack takes. It ignores all metadata of a configuration, so the rest is only a warning."""
        found: dict[str, str | float | bool] = {}
        if value is None or not self._is(dict, value, path, "a mapping"):
            return found
        for key, each in value.items():
            where = f"{path}.{one_line(str(key), 60)}"
            if key in _SERVER_METADATA:
                self.warnings[where] = "ignored: LlamaStack or this program writes this key"
            elif not isinstance(key, str):
                self.warnings[where] = "ignored: the key must be a string; quote it"
            elif isinstance(each, str):
                # A description may hold braces, which nobody expands.
                text = self._substitute(each, where) if "${env." in each and not template_hint(each) else each
                found |= {} if text is None else {key: text}
            elif isinstance(each, bool | int | float) and math.isfinite(each):
                found[key] = each
            else:
                self.warnings[where] = f"ignored: must be a string, a number or a boolean, not {_kind(each)}"
        return found

    def _substitute(self, text: str, path: str) -> str | None:
        """Return the expanded text, None for a problem, or the text itself for an unset variable that is allowed."""
        try:
            if hint := template_hint(text):
                raise ValueError(f"'{one_line(text, 80)}' {hint}")
            return substitute(text, self._environ)
        except ValueError as error:
            if self._allow_unset and isinstance(error, UnsetError):
                self.warnings[path] = f"{error}; every other command needs it"
                return text
            self.problems.append(f"{path}: {error}")
        return None


def _kind(value: object) -> str:
    """Return what a value is; its text only if it is short, because aliases can make a list very long."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, str | bytes) and len(value) > MAX_LENGTH:
        return f"text of {len(value)} characters" if isinstance(value, str) else "binary data"
    return "empty" if value is None else one_line(repr(value), 80)
