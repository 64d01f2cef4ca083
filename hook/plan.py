"""The decisions: what a collection means on this server, and how it compares with what the server has.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence

from hook.domain import Collection, Finding, Life, Model, Proof, State, Target, VectorStore
from hook.errors import RefusedError, one_line


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


def candidates(targets: Iterable[Target], stores: Iterable[VectorStore]) -> dict[str, list[VectorStore]]:
    """Return, for each target's name, the vector stores that have it as their name or id, in the order of the list."""
    targets = tuple(targets)
    names = {target.name for target in targets}
    by_key: dict[str, list[VectorStore]] = {}
    for store in stores:
        # What is one collection by its id is not another one by its name.
        for key in {store.id} if store.id in names else {store.name}:
            by_key.setdefault(str(key), []).append(store)
    return {target.name: by_key.get(target.name, []) for target in targets}


def plan(
    targets: Iterable[Target],
    stores: Iterable[VectorStore],
    proofs: Mapping[str, Proof],
    *,
    accept_oldest: bool = False,
) -> dict[str, Finding]:
    """Compare each target with the vector stores of its name: present, missing, lost, drifted or duplicated.

    `proofs` has one entry for each candidate, by id. A dead vector store counts only where there is no live one.
    With `accept_oldest`, the oldest of several live ones stands for the collection. What the release does not show
    cannot differ; the detail of a present collection says so.
    """
    targets = tuple(targets)
    found = candidates(targets, stores)
    return {target.name: _compare(target, found[target.name], proofs, accept_oldest) for target in targets}


def earlier_ones(found: Sequence[VectorStore], own_id: str) -> list[VectorStore]:
    """Return the candidates that came before the one that this run made; none if that is in use.

    The server's list is sorted by second, and within one by the order of insertion (every release,
    GET /v1/vector_stores), so all runs that look at it agree on the first.
    """
    order = sorted(found, key=lambda store: store.created_at)
    own = next((index for index, store in enumerate(order) if store.id == own_id and store.files == 0), 0)
    return order[:own]


def _compare(
    target: Target, stores: Sequence[VectorStore], proofs: Mapping[str, Proof], accept_oldest: bool
) -> Finding:
    stores = sorted(stores, key=lambda store: (store.created_at, store.id))
    live = [store for store in stores if proofs[store.id].life is not Life.LOST]
    lost_ids = tuple(store.id for store in stores if proofs[store.id].life is Life.LOST)
    replaced = [difference for store in stores if store.id == target.name for difference in _differences(target, store)]
    if not live and replaced:
        # In the older dialect a create would silently replace it.
        detail = f"it is lost, and {'; '.join(replaced)}; correct the configuration, or delete the vector store"
        return Finding(target.name, State.DRIFTED, target.name, detail, lost_ids)
    if not live and lost_ids:
        detail = f"the server lists it, but every insert fails ({proofs[lost_ids[-1]].detail}): {LOST_REMEDY}"
        return Finding(target.name, State.LOST, lost_ids[-1], detail, lost_ids)
    if not live:
        return Finding(target.name, State.MISSING, detail="the server does not list it; run `register`")
    if len(live) > 1 and not accept_oldest:
        detail = (
            f"{len(live)} vector stores have this name: {_names([store.id for store in live])}; "
            "delete all but the one that holds your data, or run with --on-duplicate oldest"
        )
        return Finding(target.name, State.DUPLICATED, None, detail, lost_ids)
    store, proof = live[0], proofs[live[0].id]
    if proof.life is Life.REFUSED:
        return Finding(target.name, State.REJECTED, store.id, f"an empty insert is refused: {proof.detail}", lost_ids)
    differences = _differences(target, store)
    if proof.embedding_dimension not in (None, target.embedding_dimension):
        differences.append(f"inserts want vectors of {proof.embedding_dimension}, not {target.embedding_dimension}")
    if differences:
        detail = f"{'; '.join(differences)}; correct the configuration, or delete the vector store and run `register`"
        return Finding(target.name, State.DRIFTED, store.id, detail, lost_ids)
    notes = "; ".join(_notes(store, proof, live[1:], lost_ids))
    return Finding(target.name, State.PRESENT, store.id, notes, lost_ids, unproven=proof.life is Life.INCONCLUSIVE)


LOST_REMEDY = (
    "a restart of the server lost it (Milvus before ogx 1.2.4); declare it in registered_resources.vector_stores "
    "(0.4.3 and newer), upgrade, or run with --on-lost recreate, which leaves the data of the lost one behind"
)


def _notes(store: VectorStore, proof: Proof, others: Sequence[VectorStore], lost_ids: Sequence[str]) -> list[str]:
    """Return what is remarkable about a vector store that is accepted."""
    notes = []
    if others:
        notes.append(f"the oldest of {len(others) + 1}; the others are {_names([other.id for other in others])}")
    if lost_ids:
        notes.append(f"lost and left alone: {_names(lost_ids)}")
    if proof.life is Life.INCONCLUSIVE:
        notes.append("this release cannot tell whether inserts work")
    hidden = [
        name for name in ("provider_id", "embedding_model", "embedding_dimension") if getattr(store, name) is None
    ]
    if hidden:
        notes.append(f"the server does not show its {', '.join(hidden)}")
    return notes


def _differences(target: Target, store: VectorStore) -> list[str]:
    """Compare what the server shows; its metadata can be replaced by anyone, but a difference is always a fault."""
    models = [name for name in (target.model.id, target.model.resource_id) if name is not None]
    wanted = {
        "status": ["completed"],
        "provider_id": [target.provider_id],
        "embedding_model": models,
        "embedding_dimension": [str(target.embedding_dimension)],
    }
    found = {field: getattr(store, field) for field in wanted}
    return [
        f"{field} is '{one_line(found[field], 100)}', not '{right[0]}'"
        for field, right in wanted.items()
        if found[field] is not None and found[field] not in right
    ]
