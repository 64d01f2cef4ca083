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


def take_turns(some: Sequence[Timed[T]], others: Sequence[Timed[T]]) -> bool:
    """Tell whether neither may precede the other: what is made or deleted meanwhile changes the answers once."""
    return not (may_precede(some, others) or may_precede(others, some))


def by_store(lists: Iterable[Timed[C]], store_id: str) -> tuple[list[Timed[C]], list[Timed[C]]]:
    """Return the lists that show a vector store, and those that do not."""
    parted: tuple[list[Timed[C]], list[Timed[C]]] = ([], [])
    for answer in lists:
        parted[store_id not in answer.said].append(answer)
    return parted


def comes_back(answers: Sequence[Timed[str]]) -> bool:
    """Tell whether the same answer was given before another one and again after it."""
    for said in {each.said for each in answers}:
        same = [each for each in answers if each.said == said]
        first_ended, last_began = min(each.ended for each in same), max(each.began for each in same)
        if any(each.said != said and first_ended < each.began and each.ended < last_began for each in answers):
            return True
    return False
