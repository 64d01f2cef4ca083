"""What the embedding models do: how long their vectors are, and whether files can be attached with them."""

from collections.abc import Iterable
from contextlib import suppress

from hook.deadline import Deadline
from hook.domain import Model, Target
from hook.errors import HookError, RefusedError
from hook.llamastack.api import LlamaStack
from hook.llamastack.releases import FIRST_SIZED
from hook.logs import log
from hook.registration import remedies

EMBED_SECONDS = 10.0
"""How long the embedding model may take to make a vector: to compare its length, and when a query has failed."""


def vector_lengths(server: LlamaStack, models: Iterable[Model], deadline: Deadline) -> dict[str, int]:
    """Return, by its id, how long a vector is that a model makes; a model that makes none now is left out.

    What the server tells of that length is what its own configuration says.
    """
    lengths = {}
    for model in {model.id: model for model in models}.values():
        with suppress(HookError):
            lengths[model.id] = len(server.embed(model, min(EMBED_SECONDS, deadline.remaining() / 4)))
    return lengths


def file_warnings(server: LlamaStack, targets: Iterable[Target], deadline: Deadline) -> tuple[str, ...]:
    """Return a warning for each model by which no file can be attached, while inserts and queries work.

    From 0.5.0 on the server then asks it for vectors of the vector store's length, also where that is the only one
    that it makes; the request succeeds, and the file is `failed` (POST /v1/vector_stores/ID/files, 0.7.3 and ogx
    1.5.0). vLLM refuses that of each model that is not said to be able to (ogx-ai/ogx#5109).
    """
    if server.release is None or server.release < FIRST_SIZED:
        return ()
    warnings = []
    for model, target in {target.model.id: target for target in targets}.items():
        limit = min(EMBED_SECONDS, deadline.remaining() / 4)
        try:
            server.embed(target.model, limit, target.embedding_dimension)
        except RefusedError as error:
            hint = remedies.no_files(str(error))
            log.warning("model.refuses_dimensions", model=model, hint=hint)
            warnings.append(f"model '{model}': {hint}")
        except HookError:
            continue
    return tuple(warnings)
