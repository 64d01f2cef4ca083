"""What the tables of real servers have in common: columns that are filled a few at a time, and how a run ends."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from servers import REPOSITORY, close_all_on_signals, say

AT_ONCE = 3
"""One more than there are cores: each waits for much of its time."""
TRIES = 4
"""Milvus Lite 3 runs inside of the server, and ends it in native code now and then; up to 2.5 it is a process."""
MOST_PROBLEMS = 20
PAGE = "docs/maintainers/proofs.md"
"""Where the tables are."""


class Column(Protocol):
    """A part of a table, which fills itself."""

    cells: dict[Any, str]
    """By the place in the table."""
    problems: list[str]


C = TypeVar("C", bound=Column)


def until_it_lives(column: Column, fill: Callable[[], bool]) -> None:
    """Call `fill`, which says whether a server ended by itself, again until none does: such a run says nothing.

    The last of a few tries stands, whatever it found.
    """
    for _ in range(TRIES):
        column.cells.clear()
        column.problems.clear()
        if not fill():
            return
        say(f"{column}: the server ended by itself in the middle, which says nothing about the hook")


def print_table(
    columns: Sequence[C],
    fill: Callable[[C], None],
    render: Callable[[], str],
    *,
    whole: bool,
    at_once: int = AT_ONCE,
) -> int:
    """Fill all, print the table and what is wrong, and return the exit code: 0 if nothing is.

    A whole table has to be the one that `PAGE` shows.
    """
    close_all_on_signals()
    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(fill, columns))
    table = render()
    print(table)
    problems = [problem for column in columns for problem in column.problems]
    if whole and table not in (REPOSITORY / PAGE).read_text():
        problems.append(f"{PAGE} shows another table: put this one between its marks")
    say(f"{len(columns)} columns in {(time.monotonic() - started) / 60:.1f} minutes, {len(problems)} problems")
    for problem in problems[:MOST_PROBLEMS]:
        say(f"\n{problem}")
    return 1 if problems else 0
