"""The entries of a section, read into collections."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from hook.config import chunking
from hook.config.sections import Section, value_at
from hook.config.substitution import with_all_set
from hook.config.values import Values, kind_of
from hook.config.yaml_text import template_hint
from hook.domain import Collection
from hook.errors import MAX_PROBLEMS, one_line

DISABLED = "__disabled__"
"""The provider_id with which LlamaStack switches an entry off (core/stack.py `replace_env_vars`, 0.3.5)."""
_SERVER_METADATA = frozenset(
    {"created_by", "declared_as", "embedding_model", "embedding_dimension", "provider_id", "provider_vector_store_id"}
)
"""The metadata of a vector store by which this program and LlamaStack know it: nobody else writes them."""
_ALIAS, _METADATA, _CHUNKING = "vector_store_name", "metadata", "chunking_strategy"
_MODEL, _DIMENSIONS = "default_embedding_model", "embedding_dimensions"
_similar = lru_cache(MAX_PROBLEMS)(get_close_matches)


class Disabled(NamedTuple):
    """An entry that is switched off."""

    name: str
    alias: str | None
    key: str
    """The key that does it: the provider's or the collection's id."""
    value: str
    """The key's value, as the file has it."""


class Claim(NamedTuple):
    """A name or an alias of an entry."""

    path: str
    """Where the entry is."""
    name: str
    """The entry's name."""
    is_off: bool

    def is_compatible(self, other: "Claim") -> bool:
        """Tell whether both may be: of two entries of one name, as for two providers, one may be switched off."""
        return self.name == other.name and (self.is_off or other.is_off)


class Reader(Values):
    """Reads entries into collections, and gathers all problems and warnings."""

    def __init__(
        self, environ: Mapping[str, str], *, allow_unset: bool = False, in_servers_own_file: bool = False
    ) -> None:
        """Take the variables to expand; `allow_unset` makes an unset one a warning."""
        super().__init__(environ, allow_unset=allow_unset)
        self.names: dict[str, None] = {}
        """All of them in their order, also the disabled ones."""
        self.disabled: list[Disabled] = []
        """The entries that are switched off."""
        self._in_servers_own_file = in_servers_own_file
        self.claims: dict[str, Claim] = {}
        """By name and alias, whose it is. Of entries with one name, the one that is not switched off counts."""
        self._unknown_keys: set[str] = set()

    def read_section(self, section: Section, entries: Any, prefix: str) -> Iterator[Collection]:
        """Yield what a section declares; `prefix` stands before its path."""
        path = prefix + ".".join(section.path)
        if entries is None or not self.has_type(list, entries, path, "a list of collections"):
            return
        for index, entry in enumerate(entries):
            if self.has_type(dict, entry, f"{path}[{index}]", "a mapping"):
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
            provider_id = self.text(settings, "default_provider_id", path) or None
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
        if not self.has_type(dict, value, path, "a mapping with provider_id and model_id"):
            return None, None
        names = [str(self.text(value, key, path, required=True)) for key in ("provider_id", "model_id")]
        return "/".join(names), self.dimension(value.get(_DIMENSIONS), f"{path}.{_DIMENSIONS}")

    def _read_entry(self, section: Section, entry: dict[Any, Any], path: str) -> Iterator[Collection]:
        problems_before = len(self.problems)
        for key in entry:
            if key not in section.keys:
                self._note_unknown_key(str(key), section, path)
        alias = self.text(entry, _ALIAS, path) if _ALIAS in section.keys else None
        name = self._name(section, entry, alias, path)
        provider_id = self.text(entry, "provider_id", path)
        off = section.id_key if name == "" else "provider_id" if provider_id in ("", DISABLED) else None
        if name == "":
            # As it is where the variable is set, so that nothing else gets this name.
            name = with_all_set(entry[section.id_key]) or entry[section.id_key]
        name = name or ""
        self.names[name] = None
        alias = alias if alias != name else None
        self._claim(name, f"{path}.{section.id_key}", Claim(path, name, off is not None))
        self._claim(alias, f"{path}.{_ALIAS}", Claim(f"{path}.{_ALIAS}", name, off is not None))
        if off is not None:
            self.disabled.append(Disabled(name, alias or None, off, entry[off]))
            return
        model = self.text(entry, "embedding_model", path)
        dimension = self.dimension(entry.get("embedding_dimension"), f"{path}.embedding_dimension")
        self._note_table(section, entry, path, name)
        metadata = self._metadata(entry.get(_METADATA), f"{path}.{_METADATA}") if _METADATA in section.keys else {}
        strategy = self._chunking_strategy(entry.get(_CHUNKING), f"{path}.{_CHUNKING}")
        if len(self.problems) == problems_before:
            found = Collection(name, model or None, provider_id, dimension, alias or None, metadata)
            yield replace(found, chunking_strategy=strategy)

    def _name(self, section: Section, entry: dict[Any, Any], alias: str | None, path: str) -> str | None:
        """Return the collection's name, empty where its id expands to nothing, and None for a problem.

        LlamaStack leaves an entry of such an id out (core/stack.py `RESOURCE_ID_FIELDS`, 0.4.7).
        """
        if alias and entry.get(section.id_key) is None and not self._in_servers_own_file:
            return alias
        needed = f"{path}.{section.id_key}"
        if entry.get(section.id_key) is None:
            starts = ", and LlamaStack does not start without it" if self._in_servers_own_file else ""
            self.problems.append(f"{needed}: is missing{starts}")
            return None
        problems_before = len(self.problems)
        name = self.text(entry, section.id_key, path)
        return name if len(self.problems) == problems_before else None

    def _note_table(self, section: Section, entry: dict[Any, Any], path: str, name: str) -> None:
        """Warn of an id at the provider that is not the collection's own: a table that is there already."""
        key = f"provider_{section.id_key}"
        table = self.text(entry, key, path)
        if table and table != name and not {f"{path}.{key}", f"{path}.{section.id_key}"} & self.warnings.keys():
            self.warnings[f"{path}.{key}"] = (
                f"'{one_line(table, 100)}' is not the collection's id, so it names a table that exists already: no "
                "create through the API can use that table; remove the key for a new one"
            )

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

    def _claim(self, label: str | None, where: str, claim: Claim) -> None:
        """Note that a name or alias belongs to one collection."""
        first = self.claims.setdefault(label, claim) if label else claim
        if first is not claim and not first.is_compatible(claim):
            self.problems.append(f"{where}: '{one_line(str(label), 100)}' is already declared at {first.path}")
        elif label and first.is_off:
            self.claims[label] = claim

    def _metadata(self, value: Any, path: str) -> dict[str, str | float | bool]:
        """Return what LlamaStack takes. It ignores all metadata of a configuration, so the rest is only a warning."""
        found: dict[str, str | float | bool] = {}
        if value is None or not self.has_type(dict, value, path, "a mapping"):
            return found
        for key, each in value.items():
            where = f"{path}.{one_line(str(key), 60)}"
            if key in _SERVER_METADATA:
                self.warnings[where] = "ignored: LlamaStack or this program writes this key"
            elif not isinstance(key, str):
                self.warnings[where] = "ignored: the key must be a string; quote it"
            elif isinstance(each, str):
                # A description may hold braces, which nobody expands.
                text = self.substituted(each, where) if "${env." in each and not template_hint(each) else each
                found |= {} if text is None else {key: text}
            elif isinstance(each, bool | int | float) and math.isfinite(each):
                found[key] = each
            else:
                self.warnings[where] = f"ignored: must be a string, a number or a boolean, not {kind_of(each)}"
        return found

    def _chunking_strategy(self, value: Any, path: str) -> dict[str, Any] | None:
        if value is None or not self.has_type(dict, value, path, "a mapping with a type"):
            return None
        strategy: dict[str, Any] = self.expanded(value, path)
        if not any(noted.startswith(path) for noted in self.warnings):
            self.problems += [f"{path}{key}: {problem}" for key, problem in chunking.problems(strategy)]
        return strategy
