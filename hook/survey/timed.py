"""Answers with the time of their requests, since those of overlapping connections have no order of their own."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=Container[str])


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """One answer. The server made it at some moment while its request was under way."""

    said: T
    began: float
    """When the request was sent, in seconds since any moment that all share."""
    ended: float
    """When its answer was there."""


def may_precede(first: Iterable[Timed[T]], then: Iterable[Timed[T]]) -> bool:
    """Tell whether there can be a moment before which all of the first answers were made, and after it all others.

    So what a server forgot or learned meanwhile is told apart from what its workers take turns to say.
    """
    return max((each.began for each in first), default=0.0) <= min((each.ended for each in then), default=float("inf"))


def by_store(lists: Iterable[Timed[C]], store_id: str) -> tuple[list[Timed[C]], list[Timed[C]]]:
    """Return the lists that show a vector store, and those that do not."""
    parted: tuple[list[Timed[C]], list[Timed[C]]] = ([], [])
    for answer in lists:
        parted[store_id not in answer.said].append(answer)
    return parted


def comes_back(answers: Sequence[Timed[str]]) -> bool:
    """Tell whether the same answer was given before another one and again after it."""
    said = {each.said for each in answers}
    return any(
        surround([each for each in answers if each.said == one], [each for each in answers if each.said != one])
        for one in said
    )


def surround(some: Iterable[Timed[T]], others: Iterable[Timed[T]]) -> bool:
    """Tell whether one of the others was made after one of these and before another one of them."""
    first_ended = min((each.ended for each in some), default=float("inf"))
    last_began = max((each.began for each in some), default=0.0)
    return any(first_ended < each.began and each.ended < last_began for each in others)
