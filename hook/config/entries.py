"""The entries of a section, read into collections, with what is wrong and what is remarkable about them."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hook.config.substitution import MAX_LENGTH, UnsetError, has_substitution, substitute
from hook.config.yaml_text import OddNumber, template_hint
from hook.domain import SERVER_METADATA, Collection
from hook.errors import MAX_PROBLEMS, one_line

DISABLED = "__disabled__"
"""The provider_id with which LlamaStack switches an entry off (core/stack.py `replace_env_vars`, 0.3.5)."""

_ALIAS, _METADATA = "vector_store_name", "metadata"
_LONG_NUMBER = r"-?[1-9][0-9]{0,14}"
"""Such as a date in seconds."""
_MAX_KEY_LENGTH = 60
"""More than twice as long as any known key."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a release keeps its collections, and what it calls the fields of one."""

    path: tuple[str, ...]
    id_key: str
    more_keys: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that an entry may have; what is near to one of them is a mistake."""
        return (self.id_key, "embedding_model", "embedding_dimension", "provider_id", *self.more_keys)


SECTIONS = (
    Section(("vector_dbs",), "vector_db_id", ("provider_vector_db_id",)),
    Section(
        ("registered_resources", "vector_stores"),
        "vector_store_id",
        ("provider_vector_store_id", _ALIAS, _METADATA),
    ),
)


class Reader:
    """Reads entries into collections and gathers what is wrong with them, and what is only to be told."""

    def __init__(self, environ: Mapping[str, str], *, lenient: bool = False) -> None:
        """Take the variables to expand; `lenient` says that one which is unset is only to be told."""
        self.problems: list[str] = []
        self.warnings: dict[str, str] = {}
        """By path, what is left out or cannot be known here."""
        self.disabled: dict[str, str] = {}
        """By name, the provider_id as it is written."""
        self.names: dict[str, None] = {}
        """All of them in their order, the disabled ones included."""
        self.aliases: dict[str, str] = {}
        """By name, the second one."""
        self.disabled_aliases: dict[str, str] = {}
        """Those of what is switched off, which may have the name of another entry."""
        self._environ = environ
        self._lenient = lenient
        self._paths: dict[str, str] = {}
        self._near: dict[tuple[str, Section], list[str]] = {}
        """By unknown key, the known one that it may be meant for."""

    def read_section(self, section: Section, entries: Any, prefix: str) -> Iterator[Collection]:
        """Yield the collections of a section whose path begins with this prefix."""
        path = prefix + ".".join(section.path)
        if entries is None:
            return
        if not isinstance(entries, list):
            hint = template_hint(entries) if isinstance(entries, str) else ""
            it = f"; it {hint}" if hint else ""
            self.problems.append(f"{path}: must be a list of collections, not {_kind(entries)}{it}")
            return
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self.problems.append(f"{path}[{index}]: must be a mapping, not {_kind(entry)}")
                continue
            collection = self._read_entry(section, entry, f"{path}[{index}]")
            if collection is not None:
                yield collection

    def default_model(self, value: Any, path: str) -> str | None:
        """Return the id that a model has on the server which LlamaStack's `default_embedding_model` names, if any."""
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problems.append(f"{path}: must be a mapping with provider_id and model_id, not {_kind(value)}")
            return None
        provider, model = (self._text(value, key, path, required=True) for key in ("provider_id", "model_id"))
        return f"{provider}/{model}"

    def _read_entry(self, section: Section, entry: dict[Any, Any], path: str) -> Collection | None:
        before = len(self.problems)
        for key in entry:
            if key not in section.keys:
                self._unknown(str(key), section, path)
        name = self._text(entry, section.id_key, path, required=True)
        if "provider_id" in entry and self._is_disabled(entry["provider_id"]):
            if name is not None:
                self.disabled[name] = entry["provider_id"]
                self.names[name] = None
                alias = self._text(entry, _ALIAS, path) if _ALIAS in section.more_keys else None
                self.disabled_aliases |= {} if alias is None else {name: alias}
            return None
        model = self._text(entry, "embedding_model", path)
        provider_id = self._text(entry, "provider_id", path)
        dimension = self._dimension(entry, path)
        texts = {key: self._text(entry, key, path) for key in section.more_keys if key != _METADATA}
        alias = texts.get(_ALIAS) if texts.get(_ALIAS) != name else None
        metadata = self._metadata(entry, path) if _METADATA in section.more_keys else {}
        if name is not None:
            self._claim(name, path, f"{path}.{section.id_key}")
        if alias is not None:
            self._claim(alias, f"{path}.{_ALIAS}", f"{path}.{_ALIAS}")
        if name is None or len(self.problems) > before:
            return None
        self.names[name] = None
        if alias is not None:
            self.aliases[name] = alias
        return Collection(name, model, provider_id, dimension, alias, metadata)

    def _unknown(self, key: str, section: Section, path: str) -> None:
        """Note a key that is none of LlamaStack's, which ignores it, unless it must be meant for one."""
        path = f"{path}.{one_line(key, 60)}"
        if len(self._near) < MAX_PROBLEMS and (key, section) not in self._near:
            # What is longer is near to none, and to compare takes long.
            is_short = len(key) < _MAX_KEY_LENGTH
            self._near[key, section] = get_close_matches(key, section.keys, n=1) if is_short else []
        near = self._near.get((key, section))
        if near is None:
            self.problems.append(f"{path}: unknown key, one of more than {MAX_PROBLEMS} different ones")
        elif near:
            self.problems.append(f"{path}: unknown key; did you mean {near[0]}?")
        else:
            self.warnings[path] = f"is not used, neither here nor by LlamaStack; known are {', '.join(section.keys)}"

    def _claim(self, name: str, path: str, where: str) -> None:
        """Note by what a collection is known, which has to be its alone."""
        if self._paths.setdefault(name, path) != path:
            self.problems.append(f"{where}: '{one_line(name, 100)}' is declared already at {self._paths[name]}")

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
        if resolved is None or (resolved == "" != value and not required):
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
            if path in self.warnings:
                return None
            if value is not None and re.fullmatch(r"[1-9][0-9]{0,8}", value):
                value = int(value)
        if value is None or (type(value) is int and value > 0):
            return value
        self.problems.append(f"{path}: must be a whole number above 0 in plain digits, such as 768, not {_kind(value)}")
        return None

    def _metadata(self, entry: dict[Any, Any], path: str) -> dict[str, str | float | bool]:
        """Return what can be passed on of it. LlamaStack ignores all of it, so that what cannot be is only told."""
        value, path = entry.get(_METADATA), f"{path}.{_METADATA}"
        if not isinstance(value, dict):
            if value is not None:
                self.problems.append(f"{path}: must be a mapping, not {_kind(value)}")
            return {}
        found: dict[str, str | float | bool] = {}
        for key, each in value.items():
            where = f"{path}.{one_line(str(key), 60)}"
            if key in SERVER_METADATA:
                self.warnings[where] = "is not passed on, since this program or LlamaStack writes it itself"
            elif isinstance(key, str) and isinstance(each, str):
                # Whatever else stands in a description is no business of ours.
                text = self._substitute(each, where) if "${env." in each and not template_hint(each) else each
                found |= {} if text is None else {key: text}
            elif isinstance(key, str) and isinstance(each, bool | int | float) and math.isfinite(each):
                found[key] = each
            elif isinstance(key, str) and isinstance(each, OddNumber) and re.fullmatch(_LONG_NUMBER, each.text):
                found[key] = int(each.text)
            elif not isinstance(key, str):
                self.warnings[where] = "is not passed on, since its key is no text; quote it"
            else:
                self.warnings[where] = f"is not passed on, since it is no text, plain number or truth: {_kind(each)}"
        return found

    def _substitute(self, text: str, path: str) -> str | None:
        """Return the expanded text, or None where that is a problem; as it is written where that is only to be told."""
        hint = template_hint(text)
        if hint:
            self.problems.append(f"{path}: '{one_line(text, 80)}' {hint}")
            return None
        try:
            return substitute(text, self._environ)
        except UnsetError as error:
            if self._lenient:
                self.warnings[path] = f"{error}; the server may know it, and a run needs it, too"
                return text
            self.problems.append(f"{path}: {error}")
        except ValueError as error:
            self.problems.append(f"{path}: {error}")
        return None


def _kind(value: object) -> str:
    """Return what a value is, and as text only what is short: a list may hold another one a billion times."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, str | bytes) and len(value) > MAX_LENGTH:
        return f"text of {len(value)} characters" if isinstance(value, str) else "binary data"
    return "empty" if value is None else one_line(repr(value), 80)
