"""What the embedding models do: how long their vectors are, and whether files can be attached with them."""

from collections.abc import Iterable, Mapping

from hook.deadline import Deadline
from hook.domain import Finding, Model, Provider, State, Target
from hook.errors import HookError, RefusedError
from hook.llamastack import LlamaStack, releases
from hook.logs import log
from hook.registration import remedies


def embedded(server: LlamaStack, models: Iterable[Model], deadline: Deadline) -> dict[str, int | HookError]:
    """Return, by id, how long a vector is that each model makes, or why it makes none now.

    What the server tells of that length is what its own configuration says.
    """
    found: dict[str, int | HookError] = {}
    for model in {model.id: model for model in models}.values():
        try:
            found[model.id] = len(server.embed(model, min(deadline.timings.embed_seconds, deadline.remaining() / 4)))
        except HookError as error:
            found[model.id] = error
    return found


def unfit(targets: Iterable[Target], made: Mapping[str, int | HookError]) -> dict[str, Finding]:
    """Return the findings of the targets whose model makes vectors of another length, or is an `llm` and makes none.

    What is listed as an embedding model may only be down, as a proof will tell.
    """
    found = {}
    for target in targets:
        model, wanted, real = target.model, target.embedding_dimension, made[target.model.id]
        if isinstance(real, HookError) and model.kind != "embedding":
            state = State.REJECTED if isinstance(real, RefusedError) else State.UNAVAILABLE
            what = f"the server lists '{model.id}' as {model.kind}, and it makes no vector: {real}"
            detail = f"{what}; if it is an embedding model, register it with model_type: embedding in LlamaStack"
            found[target.name] = Finding(target.name, state, detail=detail)
        elif isinstance(real, int) and real != wanted:
            detail = (
                f"embedding_dimension is {wanted}, but the model '{model.id}' has just made a vector of {real}: "
                f"inserts or queries would fail; configure {real}, here and in LlamaStack"
            )
            found[target.name] = Finding(target.name, State.REJECTED, detail=detail)
    return found


def kind_warnings(targets: Iterable[Target]) -> tuple[str, ...]:
    """Return a warning for each model that has made a vector and is not listed as an embedding model."""
    found = {target.model.id: target.model.kind for target in targets if target.model.kind != "embedding"}
    hint = "it makes vectors; register it with model_type: embedding in LlamaStack's own configuration"
    for model, kind in found.items():
        log.warning("model.listed_otherwise", model=model, model_type=kind, hint=hint)
    return tuple(f"model '{model}': the server lists it as {kind}, and {hint}" for model, kind in found.items())


def file_warnings(
    server: LlamaStack, targets: Iterable[Target], providers: Iterable[Provider], deadline: Deadline
) -> tuple[str, ...]:
    """Return why files that are attached will fail, while inserts and queries work: the server, and each such model.

    From 0.5.0 on the server asks the model for vectors of the vector store's own length, also where that is the only
    one that it makes; the request succeeds, and the file is `failed` (POST /v1/vector_stores/ID/files, 0.7.3 and ogx
    1.5.0). vLLM refuses that of each model that is not said to be able to (ogx-ai/ogx#5109). ogx also needs a provider
    of `file_processors`, which 0.7.3 does not (1.0.4 to 1.5.0).
    """
    if server.release is None or server.release < releases.FIRST_SIZED:
        return ()
    warnings = []
    apis = {provider.api for provider in providers}
    if server.release >= releases.FIRST_OGX and "files" in apis and "file_processors" not in apis:
        log.warning("files.no_processor", hint=remedies.NO_FILE_PROCESSOR)
        warnings.append(remedies.NO_FILE_PROCESSOR)
    for model, target in {target.model.id: target for target in targets}.items():
        limit = min(deadline.timings.embed_seconds, deadline.remaining() / 4)
        try:
            server.embed(target.model, limit, target.embedding_dimension)
        except RefusedError as error:
            hint = remedies.no_files(str(error))
            log.warning("model.refuses_dimensions", model=model, hint=hint)
            warnings.append(f"model '{model}': {hint}")
        except HookError:
            continue
    return tuple(warnings)
