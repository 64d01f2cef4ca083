"""Finds the one mapping that declares collections: a run.yaml, a part of one, or a manifest that holds one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from hook.config.yaml_text import Document, YamlReader
from hook.errors import MAX_PROBLEMS, ConfigError, one_line

_HOLDERS = (("List", "items"), ("Template", "objects"))
"""The kinds that hold other manifests (`oc get -o yaml`, and OpenShift's templates), and under which key."""
_MISTAKEN = {
    ("vector_databases",): "is unknown to LlamaStack; rename it to vector_dbs",
    ("registered_resources", "vector_dbs"): "is unknown to LlamaStack; rename it to vector_stores",
    ("registered_resources", "vector_databases"): "is unknown to LlamaStack; rename it to vector_stores",
    ("vector_stores",): "belongs under registered_resources:",
}
"""The lists that people write in place of a section, and what to do about each."""


class NothingDeclaredError(ConfigError):
    """No part of a text declares collections, and nothing in it looks as if it should."""


class Section(NamedTuple):
    """Where a release keeps its collections, and the keys of one."""

    path: tuple[str, ...]
    id_key: str
    keys: tuple[str, ...]


_COMMON = ("embedding_model", "embedding_dimension", "provider_id", "chunking_strategy")
SECTIONS = (
    Section(("vector_dbs",), "vector_db_id", ("vector_db_id", *_COMMON, "provider_vector_db_id")),  # up to 0.2.24
    Section(
        ("registered_resources", "vector_stores"),  # 0.4.3 and newer
        "vector_store_id",
        ("vector_store_id", *_COMMON, "provider_vector_store_id", "vector_store_name", "metadata"),
    ),
)


def value_at(content: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def sections_of(content: Any) -> list[Section]:
    """Return the sections that a mapping has, also empty ones."""
    parents = [(section, value_at(content, section.path[:-1])) for section in SECTIONS]
    return [section for section, parent in parents if isinstance(parent, dict) and section.path[-1] in parent]


def is_servers_own(content: Any) -> bool:
    """Tell whether a mapping is a server's own configuration, and not just a list of collections."""
    is_marked = isinstance(content, dict) and ("apis" in content or "providers" in content)
    return is_marked or bool(value_at(content, ("registered_resources", "models")))


def mistaken(document: Document) -> dict[str, str]:
    """Return the path of each list that only looks like a section, and what to do about it."""
    found = {path: hint for path, hint in _MISTAKEN.items() if isinstance(value_at(document.content, path), list)}
    return {document.prefix + ".".join(path): hint for path, hint in found.items()}


def find_document(text: str, key: str | None = None) -> Document:
    """Return the one mapping that declares collections. Raises ConfigError with all problems.

    `key` is the only key of a ConfigMap that is read; None for all.

    A mapping with empty sections counts only if no other one has entries: a server's own configuration often has them.
    """
    search = _Search(key)
    candidates = [found for document in search.reader.read(text) for found in search.within(document)]
    declaring = [each for each in candidates if sections_of(each.content)]
    declaring = [each for each in declaring if any(value_at(each.content, s.path) for s in SECTIONS)] or declaring
    if len(declaring) > 1:
        places = one_line(", ".join(each.place for each in declaring))
        keys = {str(each.key) for each in declaring if each.key is not None}
        choice = f"choose a key with --config-key or HOOK_CONFIG_KEY: {one_line(' or '.join(sorted(keys)))}"
        remedy = choice if len(keys) == len(declaring) else "keep one of them"
        raise ConfigError([f"{len(declaring)} parts declare collections: {places}; {remedy}"])
    problems = [problem for each in declaring or candidates for problem in each.problems]
    if not declaring and not (problems := problems + search.broken):
        is_mistake = any(mistaken(each) for each in candidates)
        kind = ConfigError if is_mistake or search.unread else NothingDeclaredError
        raise kind([search.nothing_declared(candidates), *search.unread])
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))  # the documents of one ConfigMap share some
    return declaring[0]


class _Search:
    """Looks for mappings that could declare collections, and for why there is none."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self.broken: list[str] = []
        """What is wrong with ConfigMaps, and with YAML files in them."""
        self.unread: list[str] = []
        """Why other values of ConfigMaps, such as scripts, are not YAML."""
        self._keys: dict[str, list[Any]] = {}
        """The keys that could declare something, by the ConfigMap that holds them."""
        self.reader = YamlReader()

    def nothing_declared(self, candidates: list[Document]) -> str:
        """Say where nothing is declared, which keys are there, and which of them may be mistakes."""
        names = " or ".join(".".join(section.path) for section in SECTIONS)
        if not self._keys:
            return f"is empty, or not a mapping; declare collections under {names}"
        parts = [
            f"no key {of_configmap}declares {names} (keys: {one_line(', '.join(map(str, keys))) or 'none'})"
            for of_configmap, keys in self._keys.items()
        ]
        hints = [f"{path} {hint}" for each in candidates for path, hint in mistaken(each).items()]
        return one_line("; ".join([*parts, *hints]), 1000)

    def within(self, document: Document) -> Iterator[Document]:
        content = document.content
        if not isinstance(content, dict):
            return
        kind, data = content.get("kind"), content.get("data")
        key = next((key for holder, key in _HOLDERS if holder == kind and isinstance(content.get(key), list)), None)
        if kind == "ConfigMap" and isinstance(data, dict):
            yield from self._values(document, data)
        elif key is not None:
            for index, each in enumerate(content[key]):
                place, prefix = f"{key}[{index}] of {document.place}", f"{document.prefix}{key}[{index}]."
                yield from self.within(replace(document, place=place, prefix=prefix, content=each))
        else:
            self._keys.setdefault("", []).extend(content)
            yield document

    def _values(self, manifest: Document, data: dict[Any, Any]) -> Iterator[Document]:
        name = value_at(manifest.content, ("metadata", "name"))
        name = f"of ConfigMap '{one_line(name, 60)}' " if isinstance(name, str) else "of the ConfigMap "
        self._keys.setdefault(name, []).extend(data)
        found: list[Document] = []
        broken = list(manifest.problems)
        for key, text in data.items():
            if not isinstance(text, str) or self._key not in (None, key):
                continue
            where = f"data[{one_line(str(key), 60)}]"
            path, place = f"{manifest.prefix}{where}", f"{where} of {manifest.place}"
            try:
                documents = self.reader.read(text)
            except ConfigError as error:
                # A broken YAML file may be the current copy of the one that is found. Another value may be a script.
                problems = broken if str(key).endswith((".yaml", ".yml", ".json")) else self.unread
                problems += [f"{path}: {problem}" for problem in error.problems]
                continue
            for each in documents:
                if isinstance(each.content, dict):
                    own = tuple(f"{path}: {problem}" for problem in each.problems)
                    found.append(Document(f"{each.place} of {place}", each.content, own, f"{path}.", str(key)))
        self.broken += broken
        shared = tuple(broken[:MAX_PROBLEMS])
        yield from (replace(each, problems=shared + each.problems) for each in found)
