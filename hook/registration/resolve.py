"""What a collection means on this server: its provider, its model and its dimension, or why there is no one answer.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hook.domain import Collection, Finding, Model, Provider, State, Target, VectorStore
from hook.errors import RefusedError, one_line
from hook.llamastack import Release, releases
from hook.tables import sharing

_ADD = "add one to LlamaStack's own configuration"
_SWITCH = re.compile(r"\$\{env\.(\w+):\+([^}]*)\}")
"""What expands to nothing where the variable is not set (core/stack.py `replace_env_vars`, 0.3.5)."""
_DEFAULT_PROVIDER, _DEFAULT_MODEL = "vector_stores.default_provider_id", "vector_stores.default_embedding_model"


def resolve_all(
    collections: Iterable[Collection], models: Sequence[Model], providers: Sequence[Provider]
) -> tuple[list[Target], dict[str, Finding]]:
    """Return what to ask the server for, and the findings of the collections that have no one right answer."""
    targets, rejected = [], {}
    for collection in collections:
        try:
            targets.append(resolve(collection, usable(collection, models), providers))
        except RefusedError as error:
            rejected[collection.name] = Finding(collection.name, State.REJECTED, detail=str(error))
    return targets, rejected


def resolve(collection: Collection, models: Sequence[Model], providers: Sequence[Provider]) -> Target:
    """Return what to ask the server for, so that it cannot choose another model, provider or dimension itself.

    What a collection leaves open is what the server's own create would take: the only provider, else the default one;
    the default model; the dimension that the file gives that model (POST /v1/vector_stores, 0.7.3 and ogx 1.5.0).
    No release checks the dimension against the model, and releases up to 0.2.24 take the first provider and the
    first model where one is not given (POST /v1/openai/v1/vector_stores).

    Raises RefusedError, naming the collection and what the server has, where there is no one right answer.
    """
    provider = _resolve_provider(collection, providers)
    model = _resolve_model(collection, models)
    other_ids = tuple(each.id for each in models if each != model and _is_same(each, model))
    key, wanted, own = "embedding_dimension", collection.embedding_dimension, model.embedding_dimension
    if wanted is None and _matching(collection.default_embedding_model, models) == [model]:
        # The server takes it for other models, too, whose vectors then do not fit.
        key, wanted = f"{_DEFAULT_MODEL}.embedding_dimensions", collection.default_embedding_dimension
    if wanted is not None and own is not None and wanted != own:
        raise RefusedError(
            f"{key} is {wanted}, but the model '{model.id}' makes vectors of {own}: "
            f"every insert would fail; configure {own}, or another model"
        )
    dimension = own if wanted is None else wanted
    if dimension is None:
        raise RefusedError(f"the server does not say the dimension of '{model.id}': configure embedding_dimension")
    return Target(
        collection.name,
        provider,
        replace(model, other_ids=other_ids),
        dimension,
        alias=collection.alias,
        metadata=collection.metadata,
        chunking_strategy=collection.chunking_strategy,
        declared=collection.declared,
        labels=collection.labels,
        providers={each.id: each for each in providers},
    )


def usable(collection: Collection, models: Sequence[Model]) -> list[Model]:
    """Return the embedding models; or else, where the entry names one of them, those that are listed as `llm`.

    An endpoint's embedding models can be listed so (0.3.5 with vLLM, GET /v1/models).
    """
    embedding, others = ([each for each in models if each.kind == kind] for kind in ("embedding", "llm"))
    named = collection.embedding_model
    return others if not _matching(named, embedding) and _matching(named, others) else embedding


def may_come(collection: Collection, models: Sequence[Model], providers: Iterable[Provider]) -> bool:
    """Tell whether the model of a collection may be listed later.

    A provider whose endpoint starts after the server has no model until the server asks it again, each 300 s unless it
    is told otherwise (ogx 1.5.0, GET /v1/models).
    """
    wanted, found = collection.embedding_model or collection.default_embedding_model, usable(collection, models)
    ids = [provider.id for provider in providers if provider.api == "inference"]
    ready = {model.provider_id for model in models}
    if wanted is None:
        return not found and None not in ready and not ready.issuperset(ids)
    # Up to 0.2.15 some do not say whose they are.
    if _matching(wanted, found) or None in ready:
        return False
    owners = [provider_id for provider_id in ids if wanted.startswith(f"{provider_id}/")]
    return not ready.issuperset(owners or ids)


def switched_off(disabled: Mapping[str, str], providers: Iterable[Provider]) -> list[str]:
    """Return a warning for each entry that a variable switches off here, and whose provider the server has.

    `disabled` has, by name, the key that does it, and its value as it is written.
    """
    ids = {provider.id for provider in providers if provider.api == "vector_io"}
    warnings = []
    for name, written in disabled.items():
        key, _, provider_id = _SWITCH.sub(r"\2", written).partition(" ")
        if "${" in written and key == "provider_id" and provider_id in ids:
            variable = _SWITCH.findall(written)[0][0]
            warnings.append(
                f"'{name}' is switched off, since {variable} is not set for the hook; the server has its provider "
                f"'{provider_id}', so give the hook the server's variables too"
            )
    return warnings


def sharing_tables(
    targets: Sequence[Target], stores: Iterable[VectorStore], release: Release | None, *, names_are_ids: bool
) -> dict[str, Finding]:
    """Return the findings of the targets that share a table with another vector store, by name.

    `names_are_ids` says that each name becomes an id (up to 0.2.24). On newer releases that holds for what the server's
    own configuration declares, which is listed under its name.
    """
    found, ids = {}, {store.id: store.provider_id for store in stores}
    for provider in {target.provider for target in targets}:
        named = [each.name for each in targets if each.provider == provider and (names_are_ids or each.name in ids)]
        listed = [store_id for store_id, provider_id in ids.items() if provider_id == provider.id]
        is_unquoted = provider.kind == "pgvector" and release is not None and release < releases.FIRST_OGX
        shared = sharing([*named, *listed], provider.kind, folds_case=names_are_ids or is_unquoted)
        for name in shared.keys() & set(named):
            detail = (
                f"it has the same table as '{one_line(shared[name], 100)}' on {provider.kind}: a query of one finds "
                "the chunks of the other; rename one of them"
            )
            found[name] = Finding(name, State.REJECTED, detail=detail)
    return found


def _resolve_provider(collection: Collection, providers: Sequence[Provider]) -> Provider:
    ids = [provider.id for provider in providers]
    if not ids:
        raise RefusedError(f"the server has no vector_io provider; {_ADD}")
    wanted, origin = collection.provider_id, ""
    if wanted is None:
        if len(ids) == 1:
            return providers[0]
        wanted, origin = collection.default_provider_id, f", the file's {_DEFAULT_PROVIDER}"
    if wanted is None:
        where = f"set provider_id, here or as {_DEFAULT_PROVIDER}"
        raise RefusedError(f"{where}: the server has {len(ids)} vector_io providers ({quoted(ids)})")
    found = next((provider for provider in providers if provider.id == wanted), None)
    if found is None:
        raise RefusedError(f"the server has no vector_io provider '{wanted}'{origin}; set one of {quoted(ids)}")
    return found


def _resolve_model(collection: Collection, models: Sequence[Model]) -> Model:
    wanted, origin = collection.embedding_model, ""
    if wanted is None:
        wanted, origin = collection.default_embedding_model, f", the file's {_DEFAULT_MODEL}"
    ids = quoted([model.id for model in models])
    if not models:
        raise RefusedError(f"the server has no embedding model; {_ADD}")
    matches = models if wanted is None else _matching(wanted, models)
    if not matches:
        raise RefusedError(f"the server has no embedding model '{wanted}'{origin}; set one of {ids}")
    first = next((model for model in matches if model.embedding_dimension is not None), matches[0])
    if all(_is_same(model, first) for model in matches):
        return first
    if wanted is None:
        where = f"set embedding_model, here or as {_DEFAULT_MODEL}"
        raise RefusedError(f"{where}: the server has {len(models)} embedding models ({ids})")
    raise RefusedError(
        f"the embedding model '{wanted}' could be any of {quoted([model.id for model in matches])}: "
        "configure the whole id"
    )


def _is_same(one: Model, other: Model) -> bool:
    """Tell whether two entries of the list are one model at one provider, whose vectors are of one length."""
    names, others = ((each.provider_id, each.resource_id) for each in (one, other))
    lengths = {one.embedding_dimension, other.embedding_dimension} - {None}
    return one == other or (None not in names and names == others and len(lengths) < 2)


def _matching(wanted: str | None, models: Sequence[Model]) -> list[Model]:
    """Return the models that a configured name means: those that have it as their id, else as a part of it."""
    tests: tuple[Callable[[Model], bool], ...] = (
        lambda model: model.id == wanted,
        lambda model: model.resource_id == wanted,
        # Up to 0.2.15 an id has no prefix, with which newer ones begin.
        lambda model: bool(model.provider_id) and f"{model.provider_id}/{model.id}" == wanted,
        lambda model: model.id.endswith(f"/{wanted}"),
    )
    return next((found for test in tests if wanted is not None and (found := list(filter(test, models)))), [])


def quoted(names: Iterable[str]) -> str:
    """Return names as a list for a person, in one line."""
    return one_line(", ".join(f"'{name}'" for name in names))
