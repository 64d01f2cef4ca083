"""What to do next, in one sentence, for what is wrong with a vector store on this kind of provider and release."""

from collections.abc import Iterable

from hook.domain import Target, VectorStore
from hook.errors import one_line
from hook.llamastack import Release, releases
from hook.registration.candidates import is_server_made
from hook.registration.resolve import quoted

NOT_CREATED = (
    "not created: the server's workers disagree about which stores exist; restart LlamaStack, all pods at once"
)


def lost(target: Target, release: Release | None) -> str:
    """Return why a listed vector store is unknown to its provider, and what helps on this release."""
    kind, first = target.provider.kind, releases.keeps_from(target.provider.kind, release)
    kept = releases.keeps(kind, release)
    if kept:
        cause = f"{kind} keeps its vector stores on this release, so its storage was replaced: give it a persistent one"
    elif first is None or release is None:
        cause = "a restart of the server lost it, as Milvus before ogx 1.2.4 does"
    else:
        cause = f"a restart of the server lost it, as {kind} before {releases.named(first)} does"
    remedies = [_declare(release)]
    if not kept:
        remedies.append("upgrade" if first is None else f"upgrade to {releases.named(first)} or newer")
    if is_server_made(target.name):
        remedies.append(f"or {_OWN_NAME}: nothing takes the place of an id that a server made")
    else:
        remedies.append(
            "or set HOOK_ON_LOST=recreate, which creates an empty one and leaves the data of the lost one behind"
        )
    return f"{cause}; {', '.join(remedy for remedy in remedies if remedy)}"


_OWN_NAME = "give the collection a name of your own"


def server_made(target: Target, stores: Iterable[VectorStore]) -> str:
    """Return what to do where the server has no vector store of an id that only a server makes up."""
    labels = {target.name, target.alias} - {None}
    others = [store.id for store in stores if not labels.isdisjoint((store.name, store.declared_as))]
    hint = f"; the server has {quoted(others)} for that name: if one of them is meant, declare its id" if others else ""
    return (
        f"{one_line(target.name, 100)} is an id that a server made, and this server does not have it: restore it, "
        f"declare it in the server's own configuration (0.4.3 and newer), or {_OWN_NAME}{hint}"
    )


NO_FILES = "inserts and queries work, but attached files will fail, since it refuses `dimensions`"
"""What is said of a model that makes vectors of its own length, and cannot be asked for it."""


NO_FILE_PROCESSOR = (
    "inserts and queries work, but attached files will fail: the server has no provider of file_processors; add one to "
    "its configuration (inline::pypdf, and file_processors to its `apis`), or insert chunks"
)
"""What is said of an ogx server that keeps files, and cannot cut them."""


def no_files(refusal: str) -> str:
    """Return why no file can be attached by a model that has refused `dimensions` so, and what helps."""
    # vLLM's page on pooling models has it for models that can make shorter vectors; here the length is their own.
    vllm = "vLLM: --hf-overrides '{\"is_matryoshka\": true}'"
    return f"{NO_FILES} ({refusal}): let the model's server take it ({vllm}), or insert chunks"


def divided(target: Target, release: Release | None) -> str:
    """Return why only some workers know a vector store, and what helps on this release."""
    remedies, kind = [_declare(release)], target.provider.kind
    if releases.keeps(kind, release) is not False and not releases.breaks_at_restart(kind, release):
        remedies.append("restart all of its pods, so that each reads the list anew")
    remedies.append("or run LlamaStack with one worker and one replica")
    return (
        "LlamaStack keeps its vector stores in the memory of each worker and replica, so that inserts fail wherever "
        f"another one answers: {', '.join(remedy for remedy in remedies if remedy)}"
    )


def unshared(target: Target) -> str:
    """Return why workers find different chunks in one vector store, and what helps."""
    return (
        f"{target.provider.kind} keeps inserted chunks in the worker that took them: run LlamaStack with one worker "
        "and one replica, or use a provider that its workers share, such as pgvector; then ingest the documents again"
    )


def _declare(release: Release | None) -> str | None:
    if release is not None and release < releases.FIRST_STORES:
        return "declare it in vector_dbs of the server's configuration"
    if release is not None and release < releases.FIRST_DECLARED:
        return None
    since = " (0.4.3 and newer)" if release is None else ""
    return f"declare it in registered_resources.vector_stores{since}"


def dead_backend(target: Target, release: Release | None) -> str:
    """Return what to do where the embedding model answers and the vector store does not."""
    kind = target.provider.kind
    if kind == "sqlite-vec" and release is not None and release < releases.FIRST_STORES:
        return (
            "a restart of LlamaStack makes sqlite-vec up to 0.2.24 forget it: run `register`, which makes it known "
            "again with its chunks; if that does not help, see LlamaStack's log"
        )
    remedy = failed_backend(target, release)
    if releases.breaks_at_restart(kind, release):
        remedy += "; if it answers, upgrade: pgvector of ogx 1.1 fails after each restart of PostgreSQL or LlamaStack"
    elif kind == "pgvector":
        remedy += "; if its table is gone, restart LlamaStack, which makes an empty one, and ingest the documents again"
    return f"the backend of the provider '{target.provider.id}' does not answer, or its table is gone: {remedy}"


def failed_backend(target: Target, release: Release | None) -> str:
    """Return how a backend is brought back, also for a collection that was never registered."""
    if target.provider.kind == "pgvector" and (release is None or release < releases.FIRST_OGX):
        return "once its PostgreSQL is back, restart LlamaStack, which up to 0.7.3 never connects again"
    return "look at that backend and at LlamaStack's log"
