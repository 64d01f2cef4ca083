"""Collections in places where nobody reads them, and the one step from there to the right form."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

from hook.config.places import Document, Origin, WrongError
from hook.config.sections import SECTIONS, Section, mappings, sections_of, value_at
from hook.config.yaml_text import YamlReader, template_hint
from hook.errors import one_line

_OLDER, _NEWER = SECTIONS
_SECTION_PATHS = {section.path for section in SECTIONS}
_NAMES = ("vector_dbs", "vector_stores", "vector_databases")
_OTHER_IDS = ("identifier", "id", "name")
DECLARES = re.compile(r"""(?i)\b(?:vector[-_]?(?:db|store|database)s?|registered_resources)["']?\s*:""")
"""Found in each text that can hold a section. What lacks it is somebody else's, and may be no YAML."""
_KEYS = {key for section in SECTIONS for key in section.keys} - {"metadata", "provider_id"}
"""Those that entries of other lists do not have."""
_MOST_ENTRIES, _MOST_KEYS = 100, 30
"""So many entries of a list, and keys of each, are looked at."""


def mistaken_lists(document: Document) -> dict[str, str]:
    """Return what to do about each list that looks like a section, is not read and has entries, by its path."""
    found = [path for path in _mistaken(document.content) if value_at(document.content, path)]
    shown = {path: document.prefix + ".".join(one_line(key, 60) for key in path) for path in found}
    return {shown[path]: f"LlamaStack does not read this list: {_advice(document.content, path)}" for path in found}


def has_empty_list(content: Any) -> bool:
    """Tell whether such a list is there, and empty, as in Red Hat's own configuration."""
    return any(not value_at(content, path) for path in _mistaken(content))


def _is_like_a_section(key: Any) -> bool:
    """Tell whether a key is one of a section, or one that people write in its place."""
    text = key.lower() if isinstance(key, str) and len(key) < 30 else ""
    return "vector" in text and bool(get_close_matches(text, _NAMES, 1, 0.8))


def has_collections(value: Any) -> bool:
    """Tell whether a value is a list, and one of its entries has a key of a collection."""
    return any(_KEYS & each.keys() for each in mappings(value))


def deeper(content: Any, path: str) -> Iterator[str]:
    """Yield the path of each list that looks like a section, and of each text that seems to hold one."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, each in items:
        where = f"{path}.{one_line(str(key), 60)}".lstrip(".") if isinstance(content, dict) else f"{path}[{key}]"
        is_text = isinstance(each, str) and DECLARES.search(each) and _is_structured(each)
        if is_text or (isinstance(each, list) and each and _is_like_a_section(key)):
            yield where
        elif isinstance(each, dict | list):
            yield from deeper(each, where)


def _is_structured(text: str) -> bool:
    """Tell whether a text is a mapping or a list, or a template of one, and not a script."""
    try:
        documents = YamlReader().read(text, Origin(""))
    except WrongError:
        return bool(template_hint(text))
    return any(isinstance(each.content, dict | list) for each in documents)


def _mistaken(content: Any) -> Iterator[tuple[str, ...]]:
    """Yield the path of each list that looks like a section, and that no release reads."""
    for parent in ((), _NEWER.path[:-1]):
        mapping = value_at(content, parent)
        for key, value in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(value, list) and _is_like_a_section(key) and (*parent, key) not in _SECTION_PATHS:
                yield (*parent, key)


def _advice(content: Any, path: tuple[str, ...]) -> str:
    whole = value_at(content, path)[:_MOST_ENTRIES]
    entries = [dict(islice(each.items(), _MOST_KEYS)) if isinstance(each, dict) else {} for each in whole]
    section = _section_for(content, path, entries)
    changed = [_Changed(entry, section) for entry in entries]
    known = [(each.get(s.id_key), s) for s in SECTIONS for each in mappings(value_at(content, s.path))]
    declared = {name: ".".join(s.path) for name, s in known if isinstance(name, str)}
    ids = [each.keys.get(section.id_key) for each in changed]
    twice = [each for each in ids if isinstance(each, str) and each in declared]
    if twice and len(twice) == len(entries):
        places = " and ".join(dict.fromkeys(declared[name] for name in twice))
        return f"delete it, since {places} declares its collections"
    steps = [_move(content, path, section)]
    if renamed := {one_line(old, 60): new for each in changed for old, new in each.renamed.items()}:
        steps.append(
            f"in its entries rename {', '.join(f'{old} to {new}' for old, new in islice(renamed.items(), 10))}"
        )
    removed = {one_line(old, 60): new for each in changed for old, new in each.removed.items()}
    steps += [f"remove {old} where {new} is there" for old, new in islice(removed.items(), 10)]
    if not all(section.id_key in each.keys for each in changed):
        steps.append(f"give each entry a {section.id_key}")
    if twice:
        steps.append(f"leave out {one_line(', '.join(twice), 100)}, declared in {declared[twice[0]]} already")
    return "; ".join(steps)


def _section_for(content: Any, path: tuple[str, ...], entries: list[dict[Any, Any]]) -> Section:
    """Return the section that the list is meant for: by its own place, by its entries, else by what else is there."""
    keys = {key for entry in entries for key in entry}
    is_newer = len(path) > 1 or "store" in path[0].lower() or bool(keys & (set(_NEWER.keys) - set(_OLDER.keys)))
    is_newer = is_newer or (_NEWER in sections_of(content) and _OLDER not in sections_of(content))
    return _NEWER if is_newer else _OLDER


def _move(content: Any, path: tuple[str, ...], section: Section) -> str:
    target = ".".join(section.path)
    if section in sections_of(content):
        return f"move its entries to {target}"
    if path[:-1] == section.path[:-1]:
        return f"rename it to {section.path[-1]}"
    return f"move it to {target}"


class _Changed:
    """An entry as a section takes it, and what has to be changed for that."""

    def __init__(self, entry: dict[Any, Any], section: Section) -> None:
        self.keys = {key: value for key, value in entry.items() if key in section.keys}
        self.renamed: dict[str, str] = {}
        self.removed: dict[str, str] = {}
        for key, value in entry.items():
            if (new := _new_key(key, entry, section)) is not None:
                (self.removed if new in self.keys else self.renamed)[key] = new
                self.keys.setdefault(new, value)


def _new_key(key: Any, entry: dict[Any, Any], section: Section) -> str | None:
    """Return what a key of an entry is called in a section, or None where nothing has to change."""
    if not isinstance(key, str) or key in section.keys:
        return None
    new = re.sub("vector_(db|store|database)", section.id_key.removesuffix("_id"), key)
    if new in section.keys:
        return new
    ids = [each for each in _OTHER_IDS if each in entry]
    if key in ids:
        return section.id_key if key == ids[0] and not any(s.id_key in entry for s in SECTIONS) else None
    return section.key_like(key)
