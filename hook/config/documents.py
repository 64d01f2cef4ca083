"""Finds the one mapping that declares collections: a run.yaml, a part of one, or a manifest that holds one."""

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from hook.config.advice import DECLARES, deeper, has_collections, has_empty_list, mistaken_lists
from hook.config.places import Document, Origin, WrongError
from hook.config.sections import SECTIONS, is_servers_own, sections_of, value_at
from hook.config.yaml_text import MANIFEST_OF_SECRET, YamlReader
from hook.errors import MAX_PROBLEMS, one_line

_FIELDS = {
    "ConfigMap": (("binaryData", True), ("data", False)),
    "Secret": (("data", True), ("stringData", False)),
}
"""The kinds that hold texts, and under which keys, whether in base64; the last one takes precedence."""
_SERVERS = re.compile(rf"""{DECLARES.pattern}|\b(?:apis|providers)["']?\s*:""")
"""Found in each text that can be a server's own configuration."""
_MAX_DOCUMENTS = 1000
"""How many documents a text may have in which one that is no YAML is passed over."""
_NAMES = " or ".join(".".join(section.path) for section in SECTIONS)
_CHART_KEYS = {"image", "replicaCount", "nameOverride", "fullnameOverride", "serviceAccount", "podAnnotations"}
"""The values that `helm create` writes; no configuration of LlamaStack has two of them."""
_RENDER = "check what the chart renders: helm template CHART --values FILE | register-collections validate --config -"


def find_document(text: str, file: str, key: str | None = None) -> tuple[Document, list[Document]]:
    """Return the one mapping that declares collections, or one that a server has without any, and the others.

    Raises WrongError.

    A mapping without entries counts only if no other one has some: a server's own configuration often has none. `key`
    is the only key of a ConfigMap or Secret that is read; None for all.
    """
    search = _Search(file, key)
    candidates = [found for document in search.read(text) for found in search.within(document)]
    declaring = [each for each in candidates if any(value_at(each.content, s.path) for s in SECTIONS)]
    if len(declaring) > 1:
        raise WrongError([_choice(declaring)])
    found = declaring[0] if declaring else _without_entries(search, candidates, text)
    if found.duplicate_keys:
        raise WrongError(found.duplicate_keys)
    return found, [each for each in candidates if each is not found]


def _without_entries(search: "_Search", candidates: list[Document], text: str) -> Document:
    """Return a mapping that may be without collections. Raises WrongError with why nothing is declared."""
    advised = (f"{each.at(path)}: {advice}" for each in candidates for path, advice in mistaken_lists(each).items())
    problems = [*islice(advised, MAX_PROBLEMS), *search.broken]
    found = next((each for each in candidates if _is_empty(each.content)), None)
    if found is None:
        problems += [problem for each in candidates if DECLARES.search(each.text) for problem in each.duplicate_keys]
    if problems:
        raise WrongError([*dict.fromkeys(problems)])
    if found is None:
        problems = [*search.nothing_declared(candidates), *search.unread]
        is_elsewhere = search.seems_to_declare
        if search.key is not None and not is_elsewhere and _declares_something(text):
            is_elsewhere, problems = True, [search.another_key()]
        raise WrongError(problems, is_nothing=not is_elsewhere)
    return found


def _declares_something(text: str) -> bool:
    """Tell whether a text declares collections, or seems to, under any key of a ConfigMap or Secret."""
    try:
        return any(value_at(find_document(text, "")[0].content, section.path) for section in SECTIONS)
    except WrongError as error:
        return not error.is_nothing


def _may_declare(text: str) -> bool:
    """Tell whether a text that is not YAML could declare something. A Secret hides what it holds."""
    return bool(DECLARES.search(text) or MANIFEST_OF_SECRET.search(text))


def _choice(declaring: list[Document]) -> str:
    """Return the problem of several mappings that declare."""
    keys = sorted({each.key for each in declaring if each.key is not None})
    places = one_line(", ".join(each.place for each in declaring))
    text = f"{len(declaring)} parts declare collections: {places}; keep one of them"
    if len(keys) == len(declaring):
        shown = one_line(" or ".join(keys))
        text = f"{len(keys)} keys declare collections; choose one with --config-key or HOOK_CONFIG_KEY: {shown}"
    return declaring[1].problem(text)


def _is_empty(content: Any) -> bool:
    """Tell whether a mapping has an empty section, or is a server's own configuration without one."""
    is_server = is_servers_own(content) or isinstance(content.get("registered_resources"), dict)
    return is_server or bool(sections_of(content)) or has_empty_list(content)


class _Search:
    """Looks for mappings that could declare collections, and for why there is none."""

    def __init__(self, file: str, key: str | None) -> None:
        self.broken: list[str] = []
        """What is wrong with values of ConfigMaps that could declare."""
        self.unread: list[str] = []
        """Why other texts that name a section, such as scripts, are not YAML."""
        self.seems_to_declare = False
        """Whether there are collections in a place where nobody reads them."""
        self.key = key
        self._file = Origin(file)
        self._keys: dict[str, list[Any]] = {}
        """The keys that could declare something, by the ConfigMap that holds them."""
        self._reader = YamlReader()

    def read(self, text: str) -> list[Document]:
        """Return the documents of the file. One that is no YAML is passed over if it cannot declare anything."""
        try:
            return self._reader.read(text, self._file)
        except WrongError as error:
            chunks = re.split(r"(?m)^(?=---(?:\s|$))", text)
            if not 1 < len(chunks) <= _MAX_DOCUMENTS:
                raise WrongError(error.problems, is_nothing=not _may_declare(text)) from error
        found: list[Document] = []
        line = 0
        for chunk in chunks:
            try:
                found += self._reader.read(chunk, replace(self._file, line=line))
            except WrongError as error:
                if _may_declare(chunk):
                    raise
                self.unread += error.problems
            line += chunk.count("\n")
        return found

    def within(self, document: Document) -> Iterator[Document]:
        """Yield the mappings of a document that could declare collections."""
        content = document.content
        if not isinstance(content, dict):
            self.seems_to_declare |= has_collections(content)
            return
        kind = content.get("kind")
        kind = kind if isinstance(kind, str) else ""
        # `oc get -o yaml` writes a List, the API a ConfigMapList; OpenShift's templates hold manifests, too.
        holder = "items" if kind.endswith("List") else "objects" if kind == "Template" else ""
        if any(isinstance(content.get(field), dict) for field, _ in _FIELDS.get(kind, ())):
            yield from self._values(document, kind)
        elif isinstance(content.get(holder), list):
            for each in document.items(holder):
                yield from self.within(each)
        else:
            self._keys.setdefault("", []).extend(content)
            yield document

    def _values(self, manifest: Document, kind: str) -> Iterator[Document]:
        """Yield the mappings in the texts of a ConfigMap or Secret."""
        name = value_at(manifest.content, ("metadata", "name"))
        name = f"of {kind} '{one_line(name, 60)}' " if isinstance(name, str) else f"of the {kind} "
        values: dict[Any, tuple[str, Any, bool]] = {}
        for field, is_encoded in _FIELDS[kind]:
            data = manifest.content.get(field)
            values |= {key: (field, text, is_encoded) for key, text in data.items()} if isinstance(data, dict) else {}
        self._keys.setdefault(name, []).extend(values)
        found: list[Document] = []
        broken: list[str] = []
        for key, (field, text, is_encoded) in values.items():
            if self.key not in (None, key) or not (isinstance(text, str) or sections_of(text)):
                continue
            path = f"{manifest.prefix}{field}[{one_line(str(key), 60)}]"
            place = f"{path.removeprefix(manifest.prefix)} of {manifest.place}"
            origin = manifest.value_origin(field, key, path, is_plain=not is_encoded, is_secret=kind == "Secret")
            if not isinstance(text, str):
                raise WrongError([origin.problem(None, "must be text; write `|` after the key")])
            try:
                documents = self._read_value(text, is_encoded, origin)
            except WrongError as error:
                # A broken YAML file may be the current copy of the one that is found. Another value may be a script.
                (broken if str(key).endswith((".yaml", ".yml", ".json")) else self.unread).extend(error.problems)
                continue
            found += [
                replace(each, place=f"{each.place} of {place}", prefix=f"{path}.", key=str(key))
                for each in documents
                if isinstance(each.content, dict)
            ]
        self.broken += broken
        shared = [*manifest.doubled, *((0, problem) for problem in broken[:MAX_PROBLEMS])]
        yield from (replace(each, doubled=[*shared, *each.doubled]) for each in found)

    def _read_value(self, text: str, is_encoded: bool, origin: Origin) -> list[Document]:
        """Return the documents of a value; none where it can be no configuration of LlamaStack. Raises WrongError."""
        plain = text
        if is_encoded:
            try:
                plain = b64decode("".join(text.split()), validate=True).decode()
            except ValueError:
                if not DECLARES.search(text):
                    return []
                raise WrongError([origin.problem(None, "is not base64; put plain text under stringData")]) from None
        if not _SERVERS.search(plain):
            return []
        try:
            return self._reader.read(plain, origin)
        except WrongError:
            if DECLARES.search(plain):
                raise
            return []

    def nothing_declared(self, candidates: list[Document]) -> Iterator[str]:
        """Yield where nothing is declared, which keys are there, and what may be meant, which comes first."""
        is_chart = False
        for each in candidates:
            entries = each.content.get("collections")
            path = next(deeper(each.content, each.prefix.rstrip(".")), "")
            self.seems_to_declare |= bool(path) or has_collections(entries)
            if isinstance(entries, list):
                is_chart = True
                text = f"is a value of the chart, and no section of LlamaStack; {_RENDER}; or rename it to vector_dbs"
                yield f"{each.at(f'{each.prefix}collections')}: {text}"
            elif path:
                text = f"is too deep: {_NAMES} has to be at the top; if this is a chart's values file, {_RENDER}"
                yield f"{each.at(path)}: {text}"
            elif len(_CHART_KEYS & each.content.keys()) > 1:
                is_chart = True
                yield each.problem(f"looks like a chart's values file; {_RENDER}")
        if not self._keys:
            yield self._file.problem(None, f"is empty, or not a mapping; declare collections under {_NAMES}")
        elif not is_chart or self.key is not None:  # its keys would be a second text for the same mistake
            parts = [
                f"no key {of_manifest}declares {_NAMES} (keys: {one_line(', '.join(map(str, keys))) or 'none'})"
                for of_manifest, keys in self._keys.items()
            ]
            chosen = f"--config-key is '{self.key}'; " if self.key is not None else ""
            yield self._file.problem(None, one_line(chosen + "; ".join(parts), 1000))

    def another_key(self) -> str:
        """Return the problem that another key declares than the one that is read."""
        keys = one_line(", ".join(str(key) for keys in self._keys.values() for key in keys))
        remedy = f"choose that one, or rename it to '{self.key}'"
        text = f"--config-key is '{self.key}', but another key declares collections (keys: {keys}); {remedy}"
        return self._file.problem(None, text)
