"""Where things stand in a file: the position of each value, also in a text that a ConfigMap holds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from hook.errors import one_line


class Position(NamedTuple):
    """A place in a file, as editors count: from 1."""

    line: int = 1
    column: int = 1


class Problem(NamedTuple):
    """What is wrong, and where."""

    position: Position
    text: str
    """One line, which begins with the path of the value if there is one."""


class WrongError(Exception):
    """A text is not YAML, or does not declare collections as it should."""

    def __init__(self, problems: Sequence[Problem], *, is_nothing: bool = False) -> None:
        self.problems = problems
        self.is_nothing = is_nothing
        """Whether nothing is declared, and nothing looks as if it should be."""
        super().__init__(problems)


class Origin:
    """Where a text stands in its file: it is the whole file, or a part of it."""

    def __init__(self, first_line: int = 0) -> None:
        self._first_line = first_line

    def at(self, line: int, column: int) -> Position:
        """Return the position in the file of one in the text, where both count from 0."""
        return Position(self._first_line + line + 1, column + 1)

    def of(self, mark: Any) -> Position:
        """Return the position in the file of PyYAML's mark."""
        return self.at(mark.line, mark.column)


class BlockOrigin(Origin):
    """The origin of a scalar, such as a value of a ConfigMap. Only a literal block has lines of its own in the file."""

    def __init__(self, outer: "Document", scalar: Any, *, is_plain: bool) -> None:
        self._outer = outer
        self._start = scalar.start_mark
        self._lines = scalar.value.splitlines() if is_plain and getattr(scalar, "style", None) == "|" else []

    def at(self, line: int, column: int) -> Position:
        """Return the position in the file, which is that of the whole scalar unless it is a literal block."""
        if not self._lines:
            return self._outer.origin.of(self._start)
        if line >= len(self._lines):
            line, column = len(self._lines) - 1, len(self._lines[-1])
        whole = self._start.line + 1 + line
        indent = len(self._outer.lines[whole]) - len(self._lines[line])
        return self._outer.origin.at(whole, max(indent, 0) + column)


@dataclass(frozen=True)
class Document:
    """One document of a YAML text, or a part of one."""

    place: str
    """Where it is in the file, for a person."""
    content: Any
    node: Any
    """PyYAML's node, with its mark."""
    lines: list[str]
    """Those of the text that it stands in."""
    origin: Origin
    duplicate_keys: tuple[Problem, ...] = ()
    """In the order of their places."""
    prefix: str = ""
    """What stands before each path in it."""
    key: str | None = None
    """The key of the ConfigMap or Secret that holds it."""
    is_secret: bool = False

    def position(self, path: str) -> Position:
        """Return the position of what a path names, or of the nearest thing around it that is in the file."""
        while path and path not in self._positions:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._positions.get(path) or self.origin.of(self.node.start_mark)

    @property
    def text(self) -> str:
        """Return the lines that it stands on."""
        return "\n".join(self.lines[self.node.start_mark.line : self.node.end_mark.line + 1])

    def parts(self, field: str) -> dict[str, Any]:
        """Return the nodes of the values of a mapping in this mapping."""
        return {key.value: value for key, value in _child(self.node, field).value}

    def items(self, field: str) -> Iterator["Document"]:
        """Yield the items of a list in this mapping, each with the duplicate keys that are in it."""
        nodes = _child(self.node, field).value
        for index, (content, node) in enumerate(zip(self.content[field], nodes, strict=True)):
            low = bisect_left(self.duplicate_keys, self.origin.of(node.start_mark), key=_position)
            high = bisect_right(self.duplicate_keys, self.origin.of(node.end_mark), key=_position)
            yield replace(
                self,
                place=f"{field}[{index}] of {self.place}",
                content=content,
                node=node,
                duplicate_keys=self.duplicate_keys[low:high],
                prefix=f"{self.prefix}{field}[{index}].",
            )

    @cached_property
    def _positions(self) -> dict[str, Position]:
        marks = _marks(self.node, self.node.start_mark, self.prefix.rstrip("."))
        return {path: self.origin.of(mark) for path, mark in marks}


def _marks(node: Any, mark: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each path with the mark of its key, or of the list's item. What is merged comes before the rest."""
    yield path, mark
    if node.id == "sequence":
        for index, each in enumerate(node.value):
            yield from _marks(each, each.start_mark, f"{path}[{index}]")
    elif node.id == "mapping":
        for key, value in node.value:
            yield from _marks(value, key.start_mark, f"{path}.{one_line(key.value, 60)}".lstrip("."))


def _child(node: Any, key: str) -> Any:
    """Return the node of a key's value. The last one counts, as for PyYAML."""
    return next(value for name, value in reversed(node.value) if name.value == key)


def _position(problem: Problem) -> Position:
    return problem.position
