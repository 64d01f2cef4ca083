"""What comes before the first question about a collection: a server that is ready, and what it is asked for."""

from collections.abc import Mapping, Sequence

from hook.deadline import Deadline
from hook.domain import Collection, Finding, Model, Provider, State, Target, VectorStore
from hook.errors import UnavailableError
from hook.heartbeat import doing
from hook.llamastack import LlamaStack
from hook.logs import log
from hook.registration import models
from hook.registration.resolve import may_come, quoted, resolve_all, sharing_tables, switched_off
from hook.retry import retry


def wait_until_ready(server: LlamaStack, url: str, deadline: Deadline) -> tuple[tuple[VectorStore, ...], str | None]:
    """Return the server's list and its version, as soon as it is healthy. Raises UnavailableError and RefusedError."""

    def ready() -> tuple[VectorStore, ...]:
        server.check_health()
        return server.vector_stores()

    try:
        with doing("health.waiting"):
            stores = retry(ready, deadline, "health.retry_scheduled")
    except UnavailableError as error:
        raise UnavailableError(f"The server {url} was not ready within {deadline.seconds:g} s: {error}") from error
    version = server.version(deadline.timings.version_seconds)
    elapsed_seconds = round(deadline.elapsed(), 2)
    log.info("health.ready", server_version=version, vector_stores=len(stores), elapsed_seconds=elapsed_seconds)
    return stores, version


def resolve_on(
    server: LlamaStack,
    collections: Sequence[Collection],
    stores: Sequence[VectorStore],
    deadline: Deadline,
    is_register: bool,
    disabled: Mapping[str, str],
) -> tuple[list[Target], dict[str, Finding], tuple[str, ...]]:
    """Return what to ask the server for, the findings of the collections for which there is nothing, and warnings.

    `disabled` has, by name, the key that switches an entry off, and its value as it is written.
    Raises UnavailableError and RefusedError.
    """
    providers = retry(server.providers, deadline, "request.retry_scheduled")
    listed, late = _wait_for_models(server, collections, providers, deadline)
    found = [each for each in collections if each.name not in late]
    targets, failed = resolve_all(found, listed, [each for each in providers if each.api == "vector_io"])
    made = models.embedded(server, (target.model for target in targets), deadline)
    failed |= late | models.unfit(targets, made)
    failed |= sharing_tables(targets, stores, server.release, names_are_ids=server.replaces)
    targets = [target for target in targets if target.name not in failed]
    off = switched_off(disabled, providers)
    for hint in off:
        log.warning("config.switched_off_here", hint=hint)
    warnings = (*off, *models.kind_warnings(targets))
    if is_register:
        able = [target for target in targets if isinstance(made[target.model.id], int)]
        warnings += models.file_warnings(server, able, providers, deadline)
    return targets, failed, warnings


def _wait_for_models(
    server: LlamaStack, collections: Sequence[Collection], providers: Sequence[Provider], deadline: Deadline
) -> tuple[Sequence[Model], dict[str, Finding]]:
    """Return the models, and the findings of the collections whose own did not come before the budget ended.

    Raises UnavailableError and RefusedError.
    """
    listed: Sequence[Model] = ()
    late: list[Collection] = []

    def ask() -> None:
        nonlocal listed, late
        listed = server.models()
        late = [each for each in collections if may_come(each, listed, providers)]
        if late:
            names = quoted(each.name for each in late)
            raise UnavailableError(f"GET /v1/models does not list the embedding model of {names} yet")

    # The other half is for the collections whose models are there.
    limit = deadline.part(deadline.remaining() / 2)
    try:
        retry(ask, limit, "model.retry_scheduled")
    except UnavailableError:
        if not late:
            raise
    return listed, {each.name: _late(each) for each in late}


def _late(collection: Collection) -> Finding:
    wanted = collection.embedding_model or collection.default_embedding_model
    what = "lists no embedding model" if wanted is None else f"does not list the embedding model '{wanted}'"
    detail = (
        f"the server {what} (GET /v1/models), and an inference provider has no model yet: check that provider's "
        "endpoint and run it again; LlamaStack refreshes its list only now and then"
    )
    return Finding(collection.name, State.UNAVAILABLE, detail=detail)
