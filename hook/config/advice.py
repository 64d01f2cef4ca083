"""Lists that people write in place of a section, and the one step from there to the right form."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any

from hook.config.places import Document
from hook.config.sections import SECTIONS, Section, ids_of, sections_of, value_at
from hook.errors import MAX_PROBLEMS, one_line

_OLDER, _NEWER = SECTIONS
_SECTION_PATHS = {section.path for section in SECTIONS}
_NAMES = ("vector_dbs", "vector_stores", "vector_databases")
_OTHER_IDS = ("identifier", "id", "name")
_similar = lru_cache(MAX_PROBLEMS)(get_close_matches)
_MOST_ENTRIES, _MOST_KEYS = 100, 30
"""So many entries of a list, and keys of each, are looked at."""


def mistaken_lists(document: Document) -> dict[str, str]:
    """Return what to do about each list that looks like a section, is not read and has entries, by its path."""
    return {
        document.prefix + ".".join(path): f"LlamaStack does not read this list: {_advice(document.content, path)}"
        for path in _mistaken(document.content)
        if value_at(document.content, path)
    }


def has_empty_list(content: Any) -> bool:
    """Tell whether such a list is there, and empty, as in Red Hat's own configuration."""
    return any(not value_at(content, path) for path in _mistaken(content))


def is_like_a_section(key: Any) -> bool:
    """Tell whether a key is one of a section, or one that people write in its place."""
    text = key.lower() if isinstance(key, str) and len(key) < 30 else ""
    return "vector" in text and bool(get_close_matches(text, _NAMES, 1, 0.8))


def _mistaken(content: Any) -> Iterator[tuple[str, ...]]:
    """Yield the path of each list that looks like a section, and that no release reads."""
    for parent in ((), _NEWER.path[:-1]):
        mapping = value_at(content, parent)
        for key, value in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(value, list) and is_like_a_section(key) and (*parent, key) not in _SECTION_PATHS:
                yield (*parent, key)


def _advice(content: Any, path: tuple[str, ...]) -> str:
    whole = value_at(content, path)[:_MOST_ENTRIES]
    entries = [dict(islice(each.items(), _MOST_KEYS)) if isinstance(each, dict) else each for each in whole]
    section = _section_for(content, path, entries)
    declared = {name: ".".join(s.path) for s in SECTIONS for name in ids_of(value_at(content, s.path))}
    twice = [name for entry in entries if (name := _id(entry, section)) in declared]
    if twice and len(twice) == len(entries):
        places = " and ".join(dict.fromkeys(declared[name] for name in twice))
        return f"delete it, since {places} declares its collections"
    steps = [_move(content, path, section), *_changes(entries, section)]
    if twice:
        steps.append(f"leave out {one_line(', '.join(twice), 100)}, declared in {declared[twice[0]]} already")
    return "; ".join(steps)


def _id(entry: Any, section: Section) -> str:
    """Return the id that an entry has in a section, or nothing."""
    keys = entry if isinstance(entry, dict) else {}
    found = (entry[key] for key in keys if section.id_key in (key, _new_key(key, entry, section)))
    return next((value for value in found if isinstance(value, str)), "")


def _section_for(content: Any, path: tuple[str, ...], entries: list[Any]) -> Section:
    """Return the section that the list is meant for: by its own place, by its entries, else by what else is there."""
    keys = {key for entry in entries if isinstance(entry, dict) for key in entry}
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


def _changes(entries: list[Any], section: Section) -> list[str]:
    """Return what to change in the entries, so that the section takes them."""
    renamed: dict[str, str] = {}
    removed: dict[str, str] = {}
    has_id = True
    for entry in entries:
        keys = {key for key in entry if key in section.keys} if isinstance(entry, dict) else set()
        for key in entry if isinstance(entry, dict) else ():
            new = _new_key(key, entry, section)
            if new is not None:
                (removed if new in keys else renamed)[key] = new
                keys.add(new)
        has_id &= section.id_key in keys
    steps = []
    if renamed:
        pairs = (f"{one_line(old, 60)} to {new}" for old, new in islice(renamed.items(), 10))
        steps.append(f"in its entries rename {', '.join(pairs)}")
    steps += [f"remove {one_line(old, 60)} where {new} is there" for old, new in islice(removed.items(), 10)]
    return steps if has_id else [*steps, f"give each entry a {section.id_key}"]


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
    return next(iter(_similar(key[:60], section.keys, 1)), None)
