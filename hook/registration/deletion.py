"""What deletes vector stores, and the one rule that says which: nothing else in this program deletes anything."""

import re
from dataclasses import dataclass
from functools import partial
from unicodedata import normalize

from hook.deadline import Deadline
from hook.domain import VectorStore, Verdict
from hook.llamastack import TRIAL_TEXT, LlamaStack
from hook.retry import retry

TRIAL_PREFIX = "register-collections-canary-"
TRIAL_NAME = re.compile(re.escape(TRIAL_PREFIX) + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LEFTOVER_SECONDS = 3600
"""The age from which a vector store is none that a run of this moment is about to make, use or delete."""
TOGETHER_SECONDS = 60
"""How far apart two vector stores of a collection were made at most that runs of the same instant have made."""
DECIDED_SECONDS = 60
"""The age from which no run takes a vector store any more for one that its own run may be about to take back."""
CLOCKS_SECONDS = 60
"""How old this run's own trial, made a moment ago, may look. What is more, or less, comes of two clocks: that of a
gateway, which wrote the `Date`, and that of the server, which wrote `created_at`."""

MAX_WORKERS = 10
"""On how many connections a request is repeated at most, where other workers do not know the vector store (0.3.5)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The claim that a vector store is this run's throw-away one."""

    name: str
    """The one that this run drew for it."""
    run_id: str
    ids_before: frozenset[str]
    """What was listed before the create, in lower case."""
    keeps_metadata: bool
    """Whether the release keeps metadata, and gives ids of its own; else the id is the name (up to 0.2.24)."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The claim that this run made a vector store for a collection, and another one of it is to stay."""

    name: str
    """The collection's."""
    run_id: str
    ids_before: frozenset[str]
    """What was listed before the create, in lower case."""
    empty: bool | None
    """Whether there is no chunk in it; None where the server does not tell."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """The claim that a vector store is a throw-away one of an earlier run, which could not delete it."""

    labels: frozenset[str]
    """The names and aliases of all declared collections."""
    contents: tuple[str, ...] | None
    """What a query for two chunks found in it; None where its answer does not tell."""
    trial_age_seconds: float | None
    """How old this run's own trial looked when it was made; None where the server does not tell."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """The claim that a killed run left this younger duplicate, which it would have withdrawn."""

    older: VectorStore
    verdict: Verdict
    """That of the older one, which stays."""
    empty: bool | None
    """Whether there is no chunk in the younger one; None where the server does not tell."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """The claim that this program made a vector store for a collection that nobody declares any more."""

    labels: frozenset[str]
    """The names and aliases of all declared collections, the disabled ones included."""
    now_seconds: float
    """Our own clock, in seconds since the epoch: it must agree with the server's that the vector store is old."""
    empty: bool | None
    """Whether there is no chunk in it; None where the server does not tell."""
    with_data: bool
    """Whether what it holds goes, too, as somebody asked for."""


@dataclass(frozen=True, slots=True)
class Spare:
    """The claim that an empty vector store is a duplicate of another one of its collection, which stays."""

    name: str
    """The collection's."""
    kept: VectorStore
    verdict: Verdict
    """That of the one that stays."""
    now_seconds: float
    """As above."""
    empty: bool | None
    """As above."""


Claim = Trial | Duplicate | Leftover | Surplus | Orphan | Spare


def may_delete(store: VectorStore, claim: Claim) -> bool:
    """Tell whether a vector store, as the server shows it now, may be deleted by this claim.

    Only the server's own clock counts. What cannot be told is a no, and what has a file is in use.
    """
    if store.files and not (isinstance(claim, Orphan) and claim.with_data):
        return False
    match claim:
        case Trial():
            by_this_run = store.made_by == claim.run_id if claim.keeps_metadata else store.id == claim.name
            return by_this_run and store.name == claim.name and store.id.casefold() not in claim.ids_before
        case Duplicate():
            by_this_run = store.made_by == claim.run_id and store.id.casefold() not in claim.ids_before
            return by_this_run and claim.name in (store.name, store.declared_as) and claim.empty is not False
        case Leftover():
            contents, trial_age = claim.contents, claim.trial_age_seconds
            unused = contents is not None and len(contents) < 2 and all(TRIAL_TEXT in each for each in contents)
            is_ours = store.made_by is not None and looks_left_over(store, claim.labels)
            has_clock = trial_age is not None and abs(trial_age) < CLOCKS_SECONDS
            return is_ours and has_clock and _is_older(store, LEFTOVER_SECONDS) and unused
        case Orphan():
            is_ours = _is_old_and_ours(store, claim.now_seconds) and not _is_declared(store, claim.labels)
            return is_ours and (claim.empty is True or claim.with_data)
        case Spare():
            is_ours = _is_old_and_ours(store, claim.now_seconds) and store.declared_as == claim.name
            others = {claim.kept.id.casefold(), claim.name.casefold()}
            is_younger = store.created_at > claim.kept.created_at
            is_other = claim.verdict is Verdict.ALIVE and is_younger and store.id.casefold() not in others
            return is_ours and is_other and claim.empty is True
    older = claim.older
    is_ours = store.made_by is not None and older.made_by is not None and store.id != older.id
    together = is_ours and 0 <= store.created_at - older.created_at <= TOGETHER_SECONDS
    is_over = _is_older(store, DECIDED_SECONDS) and claim.verdict is Verdict.ALIVE
    return together and is_over and claim.empty is True and not _names(store).isdisjoint(_names(older))


def looks_left_over(store: VectorStore, labels: frozenset[str]) -> bool:
    """Tell whether a vector store has the name of a throw-away one, and is no declared collection by any name."""
    is_named = TRIAL_NAME.fullmatch(store.name or "") is not None and store.declared_as in (None, store.name)
    return is_named and not _is_declared(store, labels)


def _is_declared(store: VectorStore, labels: frozenset[str]) -> bool:
    """Tell whether a vector store has the name of a declared collection, in whatever case and form of characters."""
    names = labels, {store.id, *_names(store)}
    declared, shown = ({normalize("NFKC", name.casefold()) for name in some} for some in names)
    return not declared.isdisjoint(shown)


def _is_old_and_ours(store: VectorStore, now_seconds: float) -> bool:
    """Tell whether a run of this program made a vector store, long ago by two clocks."""
    is_ours = store.made_by is not None and store.declared_as is not None
    return is_ours and _is_older(store, LEFTOVER_SECONDS) and now_seconds - store.created_at > LEFTOVER_SECONDS


def _names(store: VectorStore) -> set[str]:
    return {name for name in (store.name, store.declared_as) if name is not None}


def _is_older(store: VectorStore, seconds: float) -> bool:
    return store.age_seconds is not None and store.age_seconds > seconds


def delete(
    server: LlamaStack, store: VectorStore, claim: Claim, deadline: Deadline, *, max_failures: int | None = None
) -> bool:
    """Delete a vector store if it may be deleted by this claim, and return whether it may.

    Raises UnavailableError, at the `max_failures`th answer of 5xx or where the budget ends, and RefusedError.
    """
    if not may_delete(store, claim):
        return False
    call = partial(server.delete_vector_store, store.id)
    for _ in range(MAX_WORKERS):
        if retry(call, deadline, "request.retry_scheduled", max_failures=max_failures):
            break
        # It is gone, or another worker knows it.
        server.close()
    return True
