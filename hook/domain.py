"""The decisions: what a collection means on this server, and how it compares with what the server has.

Everything here is a frozen value or a pure function of such values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hook.errors import ExitCode, RefusedError, one_line


@dataclass(frozen=True, slots=True)
class Collection:
    """One configured entry: what shall be registered."""

    name: str
    """`vector_db_id` or `vector_store_id`: what consumers know it by."""
    embedding_model: str
    """The model as configured, with or without the provider's prefix."""
    provider_id: str | None = None
    """The vector_io provider, or None for the only one that the server has."""
    embedding_dimension: int | None = None
    """The length of a vector, or None for the model's own."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of `GET /v1/models`."""

    id: str
    """What the server wants to be called with: `identifier` up to 0.3.5, `id` from 0.4.0."""
    resource_id: str | None
    """The model's name at its provider, which configurations often use."""
    embedding_dimension: int | None
    """The length of its vectors, where the server says it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A collection as this server must be asked for it."""

    name: str
    provider_id: str
    model: Model
    embedding_dimension: int


@dataclass(frozen=True, slots=True)
class VectorStore:
    """One entry of the server's list. None where the release does not show a field."""

    id: str
    name: str | None
    status: str | None = None
    created_at: int = 0
    """Seconds since the epoch."""
    provider_id: str | None = None
    embedding_model: str | None = None
    embedding_dimension: str | None = None
    """As text: releases from 0.4.0 send it as a string."""


class State(StrEnum):
    """What is known of one configured collection."""

    VALID = "valid"
    PRESENT = "present"
    REGISTERED = "registered"
    MISSING = "missing"
    DRIFTED = "drifted"
    DUPLICATED = "duplicated"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one collection, as it stands in the report."""

    name: str
    state: State
    id: str | None = None
    """The vector store's id on the server."""
    detail: str = ""
    """What is wrong or remarkable, and what to do next."""


_EXIT_CODES = {
    State.REJECTED: ExitCode.REFUSED,
    State.MISSING: ExitCode.MISMATCH,
    State.DRIFTED: ExitCode.MISMATCH,
    State.DUPLICATED: ExitCode.MISMATCH,
    State.UNKNOWN: ExitCode.UNAVAILABLE,
}


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return the code for a run that came to its end: the refusals first, since they cause the mismatches."""
    codes = {_EXIT_CODES.get(finding.state, ExitCode.OK) for finding in findings}
    order = (ExitCode.REFUSED, ExitCode.MISMATCH, ExitCode.UNAVAILABLE)
    return next((code for code in order if code in codes), ExitCode.OK)


def resolve(collection: Collection, models: Sequence[Model], provider_ids: Sequence[str]) -> Target:
    """Return what to ask the server for, so that it cannot choose another model, provider or dimension itself.

    No release checks the dimension against the model, and releases up to 0.2.24 take the first provider and the
    first model where one is not given (POST /v1/openai/v1/vector_stores).

    Raises RefusedError, naming the collection and what the server has, where there is no one right answer.
    """
    provider_id = _resolve_provider(collection, provider_ids)
    model = _resolve_model(collection, models)
    wanted, own = collection.embedding_dimension, model.embedding_dimension
    if wanted is not None and own is not None and wanted != own:
        raise RefusedError(
            f"embedding_dimension is {wanted}, but the model '{model.id}' makes vectors of {own}: "
            f"every insert would fail; configure {own}, or another model"
        )
    dimension = own if wanted is None else wanted
    if dimension is None:
        raise RefusedError(f"the server does not say the dimension of '{model.id}': configure embedding_dimension")
    return Target(collection.name, provider_id, model, dimension)


def _resolve_provider(collection: Collection, provider_ids: Sequence[str]) -> str:
    if collection.provider_id in provider_ids:
        return str(collection.provider_id)
    if collection.provider_id is None and len(provider_ids) == 1:
        return provider_ids[0]
    has = f"the server has {_names(provider_ids)}"
    if collection.provider_id is None:
        raise RefusedError(f"no provider_id is configured and there is no only vector_io provider: {has}")
    raise RefusedError(f"the server has no vector_io provider '{collection.provider_id}': {has}")


def _resolve_model(collection: Collection, models: Sequence[Model]) -> Model:
    wanted = collection.embedding_model
    for matches in (
        [model for model in models if model.id == wanted],
        [model for model in models if model.resource_id == wanted],
        [model for model in models if model.id.endswith(f"/{wanted}")],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise RefusedError(
                f"the embedding model '{wanted}' could be any of {_names([model.id for model in matches])}: "
                "configure the whole id"
            )
    raise RefusedError(f"the server has no embedding model '{wanted}': it has {_names([model.id for model in models])}")


def _names(names: Iterable[str]) -> str:
    return one_line(", ".join(f"'{name}'" for name in names)) or "none"


def plan(
    targets: Iterable[Target], stores: Iterable[VectorStore], *, accept_oldest: bool = False
) -> dict[str, Finding]:
    """Compare each target with the vector stores of its name or id: present, missing, drifted or duplicated.

    With `accept_oldest`, the oldest of several stores of one name stands for the collection. Anything that the
    release does not show cannot differ; the detail of a present collection says so.
    """
    by_name: dict[str, list[VectorStore]] = {}
    for store in stores:
        for key in {store.id, store.name}:
            if key is not None:
                by_name.setdefault(key, []).append(store)
    return {target.name: _compare(target, by_name.get(target.name, []), accept_oldest) for target in targets}


def _compare(target: Target, stores: list[VectorStore], accept_oldest: bool) -> Finding:
    if not stores:
        return Finding(target.name, State.MISSING, detail="the server does not list it; run `register`")
    oldest, *others = sorted(stores, key=lambda store: (store.created_at, store.id))
    if others and not accept_oldest:
        return Finding(
            target.name,
            State.DUPLICATED,
            detail=f"{len(stores)} vector stores have this name: {_names([store.id for store in (oldest, *others)])}; "
            "delete all but the one that holds your data, or run with --on-duplicate oldest",
        )
    differences = _differences(target, oldest)
    if differences:
        return Finding(
            target.name,
            State.DRIFTED,
            oldest.id,
            f"{'; '.join(differences)}; correct the configuration, or delete the vector store and run `register`",
        )
    notes = []
    if others:
        notes.append(f"the oldest of {len(stores)}; the others are {_names([store.id for store in others])}")
    if oldest.embedding_model is None or oldest.embedding_dimension is None:
        notes.append("the server does not show its embedding model and dimension")
    return Finding(target.name, State.PRESENT, oldest.id, "; ".join(notes))


def _differences(target: Target, store: VectorStore) -> list[str]:
    """Compare what the server shows; its metadata can be replaced by anyone, but a difference is always a fault."""
    models = (target.model.id, target.model.resource_id)
    shown: Mapping[str, tuple[object, str | None, bool]] = {
        "status": ("completed", store.status, store.status == "completed"),
        "provider_id": (target.provider_id, store.provider_id, store.provider_id == target.provider_id),
        "embedding_model": (target.model.id, store.embedding_model, store.embedding_model in models),
        "embedding_dimension": (
            target.embedding_dimension,
            store.embedding_dimension,
            store.embedding_dimension == str(target.embedding_dimension),
        ),
    }
    return [
        f"{field} is '{one_line(found, 100)}', not '{wanted}'"
        for field, (wanted, found, same) in shown.items()
        if found is not None and not same
    ]
