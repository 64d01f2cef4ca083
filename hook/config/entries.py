"""The entries of a document's sections, read into collections."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hook.config import chunking
from hook.config.places import Document
from hook.config.sections import Section, is_servers_own, sections_of, value_at
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
_VALUE = re.compile(r"""(['"]).*\1|(?<=, not )[^;]*""")
"""What a problem quotes of a file."""


class Claim(NamedTuple):
    """Whose a name or an alias is, and where it was declared."""

    document: Document
    path: str
    name: str
    alias: str | None
    off: tuple[str, str] | None
    """The key that switches the entry off, the provider's or the collection's id, and its value in the file."""


class Reader(Values):
    """Reads the entries of a document into collections, and gathers all problems and warnings."""

    def __init__(
        self, document: Document, claims: dict[str, Claim], environ: Mapping[str, str], *, allow_unset: bool
    ) -> None:
        """Take the `claims` of all documents so far, by name and alias, to which those of this one are added."""
        super().__init__(environ, allow_unset=allow_unset)
        self.paths: dict[str, str] = {}
        """By name, where a collection is declared."""
        self._document = document
        self._claims = claims
        self._is_servers_own = is_servers_own(document.content)
        self._unknown_keys: set[str] = set()

    def collections(self) -> list[Collection]:
        """Return what all sections declare, with the file's defaults (`vector_stores`), read where one needs them.

        The server's own create takes them: provider and model from 0.3.0 on, the dimension from 0.5 on
        (core/routers/vector_io.py `openai_create_vector_store`).
        """
        content, path = self._document.content, f"{self._document.prefix}vector_stores"
        found = [each for section in sections_of(content) for each in self._read_section(section)]
        defaults: dict[str, Any] = {}
        settings = value_at(content, ("vector_stores",))
        model = value_at(settings, (_MODEL,))
        needs_dimension = value_at(model, (_DIMENSIONS,)) and any(c.embedding_dimension is None for c in found)
        if model is not None and (needs_dimension or any(c.embedding_model is None for c in found)):
            defaults |= self._default_model(model, f"{path}.{_MODEL}")
        if isinstance(settings, dict) and any(c.provider_id is None for c in found):
            defaults["default_provider_id"] = self.text(settings, "default_provider_id", path) or None
        return [replace(each, **defaults) for each in found]

    def mask(self) -> None:
        """Leave out all values of a Secret."""
        self.problems = [(path, _VALUE.sub("***", problem)) for path, problem in self.problems]
        self.warnings = {path: _VALUE.sub("***", hint) for path, hint in self.warnings.items()}

    def _read_section(self, section: Section) -> Iterator[Collection]:
        entries, path = value_at(self._document.content, section.path), self._document.prefix + ".".join(section.path)
        if entries is None or not self.has_type(list, entries, path, "a list of collections"):
            return
        for index, entry in enumerate(entries):
            if self.has_type(dict, entry, f"{path}[{index}]", "a mapping"):
                yield from self._read_entry(section, entry, f"{path}[{index}]")

    def _default_model(self, value: Any, path: str) -> dict[str, Any]:
        """Return the server's id of the default model, and how long its vectors are."""
        if not self.has_type(dict, value, path, "a mapping with provider_id and model_id"):
            return {}
        names = [str(self.text(value, key, path, required=True)) for key in ("provider_id", "model_id")]
        dimension = self.dimension(value.get(_DIMENSIONS), f"{path}.{_DIMENSIONS}")
        return {"default_embedding_model": "/".join(names), "default_embedding_dimension": dimension}

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
        name, alias = name or "", alias if alias != name else None
        value = entry[off] if off else ""
        value = "***" if self._document.origin.is_secret and value != DISABLED else value
        claim = Claim(self._document, path, name, alias or None, (off, value) if off else None)
        self._claim(name, f"{path}.{section.id_key}", claim)
        self._claim(alias, f"{path}.{_ALIAS}", claim._replace(path=f"{path}.{_ALIAS}"))
        if off:
            return
        model = self.text(entry, "embedding_model", path)
        dimension = self.dimension(entry.get("embedding_dimension"), f"{path}.embedding_dimension")
        self._note_table(section, entry, path, name)
        metadata = self._metadata(entry.get(_METADATA), f"{path}.{_METADATA}") if _METADATA in section.keys else {}
        strategy = self._chunking_strategy(entry.get(_CHUNKING), f"{path}.{_CHUNKING}")
        if len(self.problems) == problems_before:
            self.paths[name] = path
            yield Collection(
                name,
                model or None,
                provider_id,
                dimension,
                alias=alias or None,
                metadata=metadata,
                chunking_strategy=strategy,
            )

    def _name(self, section: Section, entry: dict[Any, Any], alias: str | None, path: str) -> str | None:
        """Return the collection's name, empty where its id expands to nothing, and None for a problem.

        LlamaStack leaves an entry of such an id out (core/stack.py `RESOURCE_ID_FIELDS`, 0.4.7).
        """
        if entry.get(section.id_key) is None:
            if alias and not self._is_servers_own:
                return alias
            starts = ", and LlamaStack does not start without it" if self._is_servers_own else ""
            self.problems.append((f"{path}.{section.id_key}", f"is missing{starts}"))
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
                f"'{one_line(table, 100)}' is not the collection's id. The API cannot attach an existing table; "
                "remove this key, and the server makes a new table"
            )

    def _note_unknown_key(self, key: str, section: Section, path: str) -> None:
        """Note a key that LlamaStack ignores: a problem if it looks like a typing mistake, else a warning."""
        path = f"{path}.{one_line(key, 60)}"
        self._unknown_keys.add(key[:60])
        if len(self._unknown_keys) > MAX_PROBLEMS:
            self.problems.append((path, f"unknown key, one of more than {MAX_PROBLEMS} different ones"))
        elif near := section.key_like(key):
            self.problems.append((path, f"unknown key; did you mean {near}?"))
        else:
            self.warnings[path] = f"unknown key, ignored; valid keys: {', '.join(section.keys)}"

    def _claim(self, label: str | None, where: str, claim: Claim) -> None:
        """Note that a name or alias belongs to one collection.

        Of several entries of one name, as for several providers, all but one may be switched off; that one counts.
        """
        if not label:
            return
        first = self._claims.setdefault(label, claim)
        if first is not claim and not (first.name == claim.name and (first.off or claim.off)):
            place = first.document.at(first.path)
            self.problems.append((where, f"'{one_line(label, 100)}' is already declared at {place}"))
        # Of those that are off, one whose variable may be missing only here counts.
        elif first.off and (not claim.off or first.off[1] == DISABLED):
            self._claims[label] = claim

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
            self.problems += [(f"{path}{key}", problem) for key, problem in chunking.problems(strategy)]
        return strategy
