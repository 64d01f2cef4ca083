"""What comes before the first question about a collection: a server that is ready, and what it is asked for."""

from collections.abc import Sequence

from hook.deadline import Deadline
from hook.domain import Collection, Finding, Target, VectorStore
from hook.errors import UnavailableError
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.registration.models import file_warnings, vector_lengths
from hook.registration.resolve import mismatched, resolve_all
from hook.retry import retry


def wait_until_ready(server: LlamaStack, deadline: Deadline) -> tuple[tuple[VectorStore, ...], str | None]:
    """Return the server's list and its version, as soon as it is healthy. Raises UnavailableError and RefusedError."""

    def ready() -> tuple[VectorStore, ...]:
        server.check_health()
        return server.vector_stores()

    try:
        stores = retry(ready, deadline, "health.retry_scheduled")
    except UnavailableError as error:
        raise UnavailableError(f"The server was not ready within {deadline.seconds:g} s: {error}") from error
    version = server.version()
    elapsed_seconds = round(deadline.elapsed(), 2)
    log.info("health.ready", server_version=version, vector_stores=len(stores), elapsed_seconds=elapsed_seconds)
    return stores, version


def resolve_on(
    server: LlamaStack, collections: Sequence[Collection], deadline: Deadline, is_register: bool
) -> tuple[list[Target], dict[str, Finding], tuple[str, ...]]:
    """Return what to ask the server for, the collections for which it has no right answer, and warnings.

    Raises UnavailableError and RefusedError.
    """
    models = retry(server.embedding_models, deadline, "request.retry_scheduled")
    providers = retry(server.vector_io_providers, deadline, "request.retry_scheduled")
    targets, rejected = resolve_all(collections, models, providers)
    lengths = vector_lengths(server, (target.model for target in targets), deadline)
    rejected |= mismatched(targets, lengths)
    targets = [target for target in targets if target.name not in rejected]
    able = [target for target in targets if is_register and target.model.id in lengths]
    return targets, rejected, file_warnings(server, able, deadline)
