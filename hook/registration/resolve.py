"""What a collection means on this server: its provider, its model and its dimension, or why there is no one answer.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence

from hook.domain import Collection, Finding, Model, Provider, State, Target
from hook.errors import RefusedError, one_line


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
    has = _choice([provider.id for provider in providers])
    if collection.provider_id is None:
        raise RefusedError(
            f"no provider_id is configured and there is no only vector_io provider: the server has {has}"
        )
    raise RefusedError(f"the server has no vector_io provider '{collection.provider_id}': it has {has}")


def _resolve_model(collection: Collection, models: Sequence[Model]) -> Model:
    wanted = collection.embedding_model
    if wanted is None:
        if len(models) == 1:
            return models[0]
        wanted = collection.default_embedding_model
    if wanted is None:
        raise RefusedError(
            "no embedding_model is configured and there is no only one: the server has "
            f"{_choice([model.id for model in models], ', here or as vector_stores.default_embedding_model')}"
        )
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
    raise RefusedError(f"the server has no embedding model '{wanted}': it has {_choice([m.id for m in models])}")


def _choice(ids: Sequence[str], where: str = "") -> str:
    """Return what there is to choose from, and the next step."""
    return f"{quoted(ids)}; configure one of them{where}" if ids else "none; add one to LlamaStack's own configuration"


def quoted(names: Iterable[str]) -> str:
    """Return names as a list for a person, in one line."""
    return one_line(", ".join(f"'{name}'" for name in names))
