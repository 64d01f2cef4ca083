"""The one mapping that declares collections, wherever it stands: a run.yaml, a part of one, a manifest with one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hook.config.yaml_text import Size, parse_yaml
from hook.errors import MAX_PROBLEMS, TEXT_LIMIT, ConfigError, one_line

_HOLDERS = (("List", "items"), ("Template", "objects"))
"""The kinds that hold other documents (`oc get -o yaml`, and OpenShift's templates), and where they do."""
_MAX_LISTS = 10
_MAX_DATA_VALUES = 1000
"""More than a ConfigMap has; each is read as YAML of its own."""
_MAX_HINTS = 10
"""How many sections of a wrong name are told; more come from one cause."""


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping that could declare collections."""

    prefix: str
    """What stands before the path of everything in it."""
    place: str
    """Where it is in the file, for a person."""
    content: dict[Any, Any]
    problems: tuple[str, ...] = ()
    """What is wrong with it, or with what it stands in, each with its place: a key that stands twice in one mapping, or
    another value of its ConfigMap that cannot be read."""

    def ignored(self, misnamed: Mapping[tuple[str, ...], str]) -> dict[str, str]:
        """Return the path of each section that only looks like one, and what to do about it.

        `misnamed` says what each should be called.
        """
        return {
            f"{self.prefix}{'.'.join(path)}": f"is read by no LlamaStack release: rename it to {right}"
            for path, right in misnamed.items()
            if declares(self.content, path)
        }


def find_document(text: str, sections: Sequence[tuple[str, ...]], misnamed: Mapping[tuple[str, ...], str]) -> Document:
    """Return the one mapping that has one of these sections.

    One that is empty counts only where no other one has entries, as in a stream with a server's own configuration and
    the list of this program. Raises ConfigError with every problem that stands in the way; a problem of a document is
    one only where it declares, or where none does.
    """
    candidates = list(_documents(text))
    found = [document for document in candidates if any(declares(document.content, path) for path in sections)]
    filled = [document for document in found if any(dig(document.content, path) for path in sections)]
    found = filled or found
    if len(found) > 1:
        places = one_line(", ".join(each.place for each in found))
        raise ConfigError([f"more than one part declares collections: {places}; keep one of them"])
    # Each group once, which a thousand documents may share.
    groups = {id(each.problems): each.problems for each in found or candidates}.values()
    problems = list(dict.fromkeys(problem for group in groups for problem in group))
    if problems:
        raise ConfigError(problems)
    if found:
        return found[0]
    all_keys = (each.prefix + one_line(str(key), 60) for each in candidates for key in each.content)
    keys = one_line(", ".join(islice(all_keys, TEXT_LIMIT))) or "none"
    problem = f"has neither {' nor '.join('.'.join(path) for path in sections)}; its keys are: {keys}"
    hints = (f"{path} {hint}" for each in candidates for path, hint in each.ignored(misnamed).items())
    raise ConfigError(["; ".join([problem, *islice(hints, _MAX_HINTS)])])


def _documents(text: str) -> Iterator[Document]:
    """Yield each mapping that could hold a section: every document, and every value of a ConfigMap's data."""
    search = _Search()
    mappings = 0
    for document in parse_yaml(text, search.size):
        for each in search.within(document.content, "", document.place, document.doubled):
            mappings += 1
            yield each
    if not mappings:
        nothing = "is empty or no mapping; it needs vector_dbs: with at least one collection"
        raise ConfigError(search.problems or [nothing])


class _Search:
    """Looks for mappings in documents, and in what holds documents, each of which it enters once.

    Aliases may name one again and again.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.size = Size()
        self._values_left = _MAX_DATA_VALUES
        self._entered: set[int] = set()

    def within(self, content: Any, prefix: str, place: str, doubled: tuple[str, ...]) -> Iterator[Document]:
        """Yield what could hold a section. Raises ConfigError."""
        if not isinstance(content, dict) or not self._enters(content):
            return
        if prefix.count("[") > _MAX_LISTS:
            raise ConfigError([f"{place}: lists within lists, deeper than {_MAX_LISTS}"])
        kind, data = content.get("kind"), content.get("data")
        key = next((key for holder, key in _HOLDERS if holder == kind), None)
        held = None if key is None else content.get(key)
        if kind == "ConfigMap" and isinstance(data, dict):
            yield from self._values(data, prefix, place, doubled) if self._enters(data) else ()
        elif isinstance(held, list):
            for index, each in enumerate(held if self._enters(held) else ()):
                where = f"{key}[{index}]"
                yield from self.within(each, f"{prefix}{where}.", f"{where} of {place}", doubled)
        else:
            yield Document(prefix, place, content, doubled)

    def _enters(self, value: object) -> bool:
        is_new = id(value) not in self._entered
        self._entered.add(id(value))
        return is_new

    def _values(self, data: dict[Any, Any], prefix: str, place: str, doubled: tuple[str, ...]) -> Iterator[Document]:
        values = [(one_line(str(key), 60), each) for key, each in data.items() if isinstance(each, str)]
        self._values_left -= len(values)
        if self._values_left < 0:
            raise ConfigError(
                [f"{place}: more than {_MAX_DATA_VALUES} values of ConfigMaps up to here; leave some out"]
            )
        problems, found = list(doubled), list[Document]()
        for key, value in values:
            where = f"{prefix}data[{key}]"
            try:
                inner = parse_yaml(value, self.size)
            except ConfigError as error:
                unread = [f"{where}: {problem}" for problem in error.problems]
                self.problems += unread
                # Another key of the ConfigMap may be a script; but beside one that is broken, an old copy is not taken.
                problems += unread if key.endswith((".yaml", ".yml", ".json")) else []
                continue
            for document in inner:
                if isinstance(document.content, dict):
                    own = tuple(f"{where}: {problem}" for problem in document.doubled)
                    there = f"data[{key}] of {place}, there {document.place}"
                    found.append(Document(f"{where}.", there, document.content, own))
        shared = tuple(problems)
        nothing = [Document(prefix, place, {})] if shared else []
        for each in found or nothing:
            yield replace(each, problems=(*shared[:MAX_PROBLEMS], *each.problems) if each.problems else shared)


def dig(document: dict[Any, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None where there is none."""
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def declares(document: dict[Any, Any], path: tuple[str, ...]) -> bool:
    """Tell whether a section is there, be it empty."""
    parent = dig(document, path[:-1]) if path[:-1] else document
    return isinstance(parent, dict) and path[-1] in parent
