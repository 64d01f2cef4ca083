"""Where things stand in a file: the place of each value, also in a text that a ConfigMap holds."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hook.errors import one_line


class WrongError(Exception):
    """A text is not YAML, or does not declare collections as it should."""

    def __init__(self, problems: Sequence[str], *, is_nothing: bool = False) -> None:
        self.problems = problems
        """Each as compilers print it, `file:line:column: text`, so that editors and CI find the place."""
        self.is_nothing = is_nothing
        """Whether nothing is declared, and nothing looks as if it should be."""
        super().__init__(problems)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a text begins: a file, a document of one, or a value of a manifest. Lines and columns count from 0."""

    file: str
    line: int = 0
    column: int = 0
    """Of the first character of each of its lines."""
    end: tuple[int, int] | None = None
    """The last line and column in it that a message names; None where each has a place of its own in the file."""
    path: str = ""
    """Of the value in its manifest, and a colon."""
    is_secret: bool = False

    def line_and_column(self, mark: Any) -> tuple[int, int]:
        """Return the place in the file of PyYAML's mark, or of the text's begin for None, as editors count."""
        line, column = (mark.line, mark.column) if mark else (0, 0)
        if self.end is not None:
            line, column = min((line, column), self.end)
        return self.line + line + 1, self.column + column + 1

    def at(self, mark: Any) -> str:
        """Return that place with the file's name."""
        line, column = self.line_and_column(mark)
        return f"{self.file}:{line}:{column}"

    def problem(self, mark: Any, text: str) -> str:
        """Return what is wrong at a mark, or with the whole text for None."""
        return f"{self.at(mark)}: {self.path}{text}"


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
    doubled: Sequence[tuple[int, str]] = ()
    """A problem for each key that a mapping has twice, by its index in the text."""
    prefix: str = ""
    """What stands before each path in it."""
    key: str | None = None
    """The key of the ConfigMap or Secret that holds it."""

    def at(self, path: str) -> str:
        """Return the place of what a path names, or of the nearest thing around it in the file, and the path."""
        known = path
        while known and known not in self._marks:
            known = known[: max(known.rfind("."), known.rfind("["), 0)]
        return f"{self.origin.at(self._marks.get(known, self.node.start_mark))}: {path}"

    def problem(self, text: str) -> str:
        """Return what is wrong with the whole document."""
        return f"{self.origin.at(self.node.start_mark)}: {text}"

    @property
    def duplicate_keys(self) -> list[str]:
        """Return the problem of each duplicate key."""
        return [text for _, text in self.doubled]

    @property
    def text(self) -> str:
        """Return the lines that it stands on."""
        return "\n".join(self.lines[self.node.start_mark.line : self.node.end_mark.line + 1])

    def items(self, field: str) -> Iterator["Document"]:
        """Yield the items of a list in this mapping, each with the duplicate keys that are in it."""
        for index, (content, node) in enumerate(zip(self.content[field], self._child(field).value, strict=True)):
            low, high = (bisect_left(self.doubled, (mark.index,)) for mark in (node.start_mark, node.end_mark))
            place, prefix = f"{field}[{index}] of {self.place}", f"{self.prefix}{field}[{index}]."
            yield replace(self, place=place, content=content, node=node, doubled=self.doubled[low:high], prefix=prefix)

    def value_origin(self, field: str, key: Any, path: str, *, is_plain: bool, is_secret: bool) -> Origin:
        """Return the origin of a text in a mapping of this one; only a literal block has lines of its own."""
        values = {name.value: value for name, value in self._child(field).value}
        node = values.get(str(key), self.node)
        line, column = self.origin.line + node.start_mark.line, self.origin.column + node.start_mark.column
        end, path = (0, 0), f"{path}: "
        if is_plain and getattr(node, "style", None) == "|" and (block := node.value.splitlines()):
            outer = self.lines[node.start_mark.line + 1 :]
            column = next((len(o) - len(line) for o, line in zip(outer, block, strict=False) if line), 0)
            line, end = line + 1, (len(block) - 1, len(block[-1]))
        return Origin(self.origin.file, line, column, end, path, is_secret)

    def _child(self, field: str) -> Any:
        """Return the node of a key's value. The last one counts, as for PyYAML."""
        return next(value for name, value in reversed(self.node.value) if name.value == field)

    @cached_property
    def _marks(self) -> dict[str, Any]:
        return dict(_marks(self.node, self.node.start_mark, self.prefix.rstrip(".")))


def _marks(node: Any, mark: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each path with the mark of its key, or of the list's item. What is merged comes before the rest."""
    yield path, mark
    if node.id == "sequence":
        for index, each in enumerate(node.value):
            yield from _marks(each, each.start_mark, f"{path}[{index}]")
    elif node.id == "mapping":
        for key, value in node.value:
            yield from _marks(value, key.start_mark, f"{path}.{one_line(key.value, 60)}".lstrip("."))
