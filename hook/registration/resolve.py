"""What a collection means on this server: its provider, its model and its dimension, or why there is no one answer.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence

from hook.domain import Collection, Finding, Model, Provider, State, Target
from hook.errors import RefusedError, one_line

_ADD = "add one to LlamaStack's own configuration"


def resolve_all(
    collections: Iterable[Collection], models: Sequence[Model], providers: Sequence[Provider]
) -> tuple[list[Target], dict[str, Finding]]:
    """Return what to ask the server for, and the findings of the collections that have no one right answer."""
    targets, rejected = [], {}
    for collection in collections:
        try:
            targets.append(resolve(collection, models, providers))
        except RefusedError as error:
            rejected[collection.name] = Finding(collection.name, State.REJECTED, detail=str(error))
    return targets, rejected


def resolve(collection: Collection, models: Sequence[Model], providers: Sequence[Provider]) -> Target:
    """Return what to ask the server for, so that it cannot choose another model, provider or dimension itself.

    No release checks the dimension against the model, and releases up to 0.2.24 take the first provider and the
    first model where one is not given (POST /v1/openai/v1/vector_stores).

    Raises RefusedError, naming the collection and what the server has, where there is no one right answer.
    """
    provider = _resolve_provider(collection, providers)
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
    declared, labels = collection.declared, collection.labels
    return Target(collection.name, provider, model, dimension, collection.alias, collection.metadata, declared, labels)


def mismatched(targets: Iterable[Target], lengths: Mapping[str, int]) -> dict[str, Finding]:
    """Return the findings of the targets whose model makes other vectors than they want, by name.

    `lengths` has, by the model's id, how long a vector was that it has made.
    """
    found = {}
    for target in targets:
        wanted, real = target.embedding_dimension, lengths.get(target.model.id, target.embedding_dimension)
        if real != wanted:
            detail = (
                f"embedding_dimension is {wanted}, but the model '{target.model.id}' has just made a vector of {real}: "
                f"inserts or queries would fail; configure {real}, here and in LlamaStack"
            )
            found[target.name] = Finding(target.name, State.REJECTED, detail=detail)
    return found


def _resolve_provider(collection: Collection, providers: Sequence[Provider]) -> Provider:
    wanted = [provider for provider in providers if collection.provider_id in (None, provider.id)]
    if len(wanted) == 1 or (wanted and collection.provider_id is not None):
        return wanted[0]
    ids = [provider.id for provider in providers]
    if not ids:
        raise RefusedError(f"the server has no vector_io provider; {_ADD}")
    if collection.provider_id is None:
        raise RefusedError(f"set provider_id: the server has {len(ids)} vector_io providers ({quoted(ids)})")
    raise RefusedError(f"the server has no vector_io provider '{collection.provider_id}'; set one of {quoted(ids)}")


def _resolve_model(collection: Collection, models: Sequence[Model]) -> Model:
    wanted = collection.embedding_model
    if wanted is None:
        if len(models) == 1:
            return models[0]
        wanted = collection.default_embedding_model
    ids = quoted([model.id for model in models])
    if not models:
        raise RefusedError(f"the server has no embedding model; {_ADD}")
    if wanted is None:
        where = "set embedding_model, here or as vector_stores.default_embedding_model"
        raise RefusedError(f"{where}: the server has {len(models)} embedding models ({ids})")
    for matches in (
        [model for model in models if model.id == wanted],
        [model for model in models if model.resource_id == wanted],
        # Up to 0.2.15 an id has no prefix, with which newer ones begin.
        [model for model in models if model.provider_id and f"{model.provider_id}/{model.id}" == wanted],
        [model for model in models if model.id.endswith(f"/{wanted}")],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise RefusedError(
                f"the embedding model '{wanted}' could be any of {quoted([model.id for model in matches])}: "
                "configure the whole id"
            )
    raise RefusedError(f"the server has no embedding model '{wanted}'; set one of {ids}")


def quoted(names: Iterable[str]) -> str:
    """Return names as a list for a person, in one line."""
    return one_line(", ".join(f"'{name}'" for name in names))
