"""The values: what is configured, what the server has, what was proven of it, and what is found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hook.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Declared:
    """What a collection is called, and what a vector store that is created for it gets."""

    name: str
    """`vector_db_id` or `vector_store_id`: what consumers know it by."""
    alias: str | None = field(default=None, kw_only=True)
    """`vector_store_name`: a second name, under which a release that makes up the ids gets it."""
    metadata: Mapping[str, str | float | bool] = field(default_factory=dict, hash=False, kw_only=True)
    chunking_strategy: Mapping[str, Any] | None = field(default=None, hash=False, kw_only=True)
    """It is given where the release has a place for it; of a vector store that is there it is not compared."""
    declared: frozenset[str] = field(default=frozenset(), repr=False, compare=False, kw_only=True)
    """The names of all collections of the file: what has one of them as its id is that collection's alone."""
    labels: frozenset[str] = field(default=frozenset(), repr=False, compare=False, kw_only=True)
    """Those names, and all aliases of the file, also of what is disabled: what has one of them is nobody's leftover."""


@dataclass(frozen=True, slots=True)
class Collection(Declared):
    """One configured entry: what shall be registered."""

    embedding_model: str | None = None
    """The model as configured, with or without the provider's prefix, or None for the default."""
    provider_id: str | None = None
    """The vector_io provider, or None for the only one that the server has, or the default."""
    embedding_dimension: int | None = None
    """The length of a vector, or None for the default model's, or the model's own."""
    default_embedding_model: str | None = None
    default_embedding_dimension: int | None = None
    default_provider_id: str | None = None
    """What the same file's `vector_stores` names for entries without one; the model has its provider's prefix."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of `GET /v1/models`."""

    id: str
    """What the server wants to be called with: `identifier` up to 0.3.5, `id` from 0.4.0."""
    resource_id: str | None
    """The model's name at its provider, which configurations often use."""
    embedding_dimension: int | None
    """The length of its vectors, where the server says it."""
    provider_id: str | None = None
    """Its provider, which configurations may put before its name on releases that do not (up to 0.2.15)."""
    kind: str = "embedding"
    """Its `model_type`, as `llm`; what has none is taken for an embedding model."""
    other_ids: tuple[str, ...] = ()
    """What else the server calls it, where it lists it twice (ogx 1.2.2: registered, and listed by its provider)."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider of `GET /v1/providers`."""

    id: str
    kind: str = ""
    """`faiss`, `milvus`, `pgvector` …: its `provider_type` without `inline::` or `remote::`; empty where not shown."""
    api: str = "vector_io"
    """What it provides; `vector_io` are those that can hold vector stores."""


@dataclass(frozen=True, slots=True)
class Target(Declared):
    """A collection as this server must be asked for it."""

    provider: Provider
    model: Model
    embedding_dimension: int
    providers: Mapping[str, Provider] = field(default_factory=dict, hash=False, repr=False, compare=False)
    """By id, the vector_io providers of the server, on any of which a vector store of that name may be."""


@dataclass(frozen=True, slots=True)
class VectorStore:
    """One entry of the server's list. None where the release does not show a field."""

    id: str
    name: str | None
    status: str | None = None
    created_at: int = 0
    """Seconds since the epoch."""
    age_seconds: float | None = None
    """How old it is by the server's own clock; None where the answer that listed it does not tell."""
    provider_id: str | None = None
    embedding_model: str | None = None
    embedding_dimension: str | None = None
    """As text: releases from 0.4.0 send it as a string."""
    files: int = 0
    """How many files are attached to it."""
    files_completed: int = 0
    files_failed: int = 0
    """How many of those were cut into chunks and inserted, and how many could not be."""
    declared_as: str | None = None
    """The collection that this program made it for, whatever its name is, where its metadata say so."""
    made_by: str | None = None
    """The run of this program that made it, where its metadata says so; anybody can change those."""


class Verdict(StrEnum):
    """What an empty insert and a query proved of a vector store."""

    ALIVE = "alive"
    LOST = "lost"
    """The list shows it, but its provider does not know it: every insert fails."""
    DIVIDED = "divided"
    """Some workers of the server know it, and others do not."""
    REFUSED = "refused"
    DEAD = "dead"
    """It is known, but what stands behind it does not answer: its backend, its table or the embedding model."""
    UNDECIDED = "undecided"
    """This release answers the same of a fresh store as of a dead one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a listed vector store takes inserts and queries."""

    verdict: Verdict
    detail: str = ""
    """The server's words, where it is not alive."""
    embedding_dimension: int | None = None
    """The real dimension, where the answer tells it."""
    next_questions: frozenset[str] = frozenset()
    """Which of `insert` and `query` tell another connection's answer apart from this one."""
    costly: bool = False
    """Whether those are answered by an error, which takes a server a tenth of a second or more to log."""
    timed_out: bool = False
    """Whether there was no answer in time."""
    empty: bool | None = None
    """Whether there is no chunk in it; None where the answer does not tell."""
    blind: bool = False
    """Whether a query found nothing, on a release and provider where a full store may answer the same."""
    found: str | None = None
    """What the query found first, empty for nothing; None where another worker may as well find something else."""
    vanished: bool = False
    """Whether the first connections knew it and all later ones did not, as where it is deleted meanwhile."""
    queried: bool = False
    """Whether the query was one of the questions."""
    reads_only: str = ""
    """The server's words for an insert, where its provider takes none: then a query alone proves it."""
    failure: str = ""
    """What it failed with at first, where the same question worked when it was repeated."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What all connections together say: the union of their lists, and of their proofs."""

    connections: int
    """On how many fresh connections the list was asked for."""
    stores: tuple[VectorStore, ...]
    shown: Mapping[str, int] = field(default_factory=dict)
    """By id, how many of the lists showed a vector store."""
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    """By id, what was proven of a vector store."""
    versions: Mapping[str, tuple[VectorStore, ...]] = field(default_factory=dict)
    """By id, what the workers list differently of a vector store: each version once, as one of them shows it."""
    has_changed: bool = False
    """Whether somebody made one of those meanwhile, which the first lists could not show, or deleted one."""
    is_partial: bool = False
    """Whether there may be more than any list shows: workers list different ones, and may each have given a page."""

    @property
    def workers_disagree(self) -> bool:
        """Whether some workers know a vector store that others do not."""
        return self.is_partial or any(proof.verdict is Verdict.DIVIDED for proof in self.proofs.values())


class State(StrEnum):
    """What is known of one configured collection; `Verdict` has what some of the words mean."""

    VALID = "valid"
    PRESENT = "present"
    REGISTERED = "registered"
    PLANNED = "planned"
    """`plan` alone: `register` would create it."""
    MISSING = "missing"
    DRIFTED = "drifted"
    DUPLICATED = "duplicated"
    LOST = "lost"
    DIVIDED = "divided"
    HIDDEN = "hidden"
    """It works for the hook, and the consumers' token does not see it."""
    UNAVAILABLE = "unavailable"
    """It is dead, or the server itself does not answer."""
    REJECTED = "rejected"
    UNPUBLISHED = "unpublished"
    ORPHANED = "orphaned"
    DELETED = "deleted"
    """`prune` alone: this program made it, and no collection needed it any more."""
    UNKNOWN = "unknown"
    DISABLED = "disabled"
    """Its own provider_id switches it off, so it is neither checked nor registered."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one collection, as it stands in the report."""

    name: str
    state: State
    id: str | None = None
    """The vector store's id on the server."""
    detail: str = ""
    """What is wrong or remarkable, and what to do next."""
    lost_ids: tuple[str, ...] = ()
    """The vector stores of this name that are listed and dead."""
    unverified: bool = False
    """Whether the server's answers cannot tell if inserts and queries work."""
    alias: str | None = None
    """The collection's second name."""

    @property
    def addressed_by(self) -> str | None:
        """Return what consumers put into `/v1/vector-io/insert`: the `name`, or only the `id` (0.3.0 and newer)."""
        if self.id is None or self.state not in {State.PRESENT, State.REGISTERED, State.UNPUBLISHED}:
            return None
        return "name" if self.id == self.name else "id"


_MISMATCHES = (State.MISSING, State.DRIFTED, State.DUPLICATED, State.LOST, State.DIVIDED, State.HIDDEN)
_EXIT_CODES = {
    State.REJECTED: ExitCode.REFUSED,
    **dict.fromkeys(_MISMATCHES, ExitCode.MISMATCH),
    State.UNPUBLISHED: ExitCode.UNPUBLISHED,
    State.UNAVAILABLE: ExitCode.UNAVAILABLE,
    State.UNKNOWN: ExitCode.UNAVAILABLE,
    State.PLANNED: ExitCode.CHANGES,
}
GOOD_STATES = frozenset(State) - _EXIT_CODES.keys() | {State.PLANNED}
"""The states with which a run may end with exit code 0."""


def exit_code(findings: Iterable[Finding], *, tells_changes: bool = False) -> ExitCode:
    """Return the code of a finished run: refusals first, since they cause mismatches; plans if it `tells_changes`."""
    codes = {_EXIT_CODES.get(finding.state, ExitCode.OK) for finding in findings}
    order = [ExitCode.REFUSED, ExitCode.MISMATCH, ExitCode.UNAVAILABLE, ExitCode.UNPUBLISHED]
    order += [ExitCode.CHANGES] * tells_changes
    return next((code for code in order if code in codes), ExitCode.OK)
