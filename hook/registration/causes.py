"""Why a vector store does not work: the embedding model, its backend, or the whole server."""

from collections.abc import Mapping
from dataclasses import replace

from hook.deadline import Deadline
from hook.domain import Observation, Proof, Target, Verdict
from hook.errors import HookError, UnavailableError
from hook.llamastack import LlamaStack, Release
from hook.registration import remedies


def explained(server: LlamaStack, seen: Observation, targets: Mapping[str, Target], deadline: Deadline) -> Observation:
    """Return the observation with the cause of what is dead.

    What cannot be told is dead, too, where its model is, and where a file of it was cut into chunks: then it is
    not fresh. Raises UnavailableError where the server itself does not answer any more.
    """
    failures: dict[str, HookError | None] = {}
    proofs = dict(seen.proofs)
    filled_ids = {store.id for store in seen.stores if store.files_completed > 0}
    for store_id, target in targets.items():
        proof = proofs[store_id]
        if proof.verdict not in (Verdict.DEAD, Verdict.UNDECIDED):
            continue
        if target.model.id not in failures:
            failures[target.model.id] = _failure_of(server, target, deadline)
            _check_server(server, failures[target.model.id])
        failure = failures[target.model.id]
        if proof.verdict is Verdict.DEAD or isinstance(failure, UnavailableError) or store_id in filled_ids:
            proofs[store_id] = replace(
                proof, verdict=Verdict.DEAD, detail=_cause(proof, target, failure, server.release)
            )
    return replace(seen, proofs=proofs)


def _check_server(server: LlamaStack, failure: HookError | None) -> None:
    """Raise UnavailableError where not the model but the whole server has stopped answering, as its health says."""
    if isinstance(failure, UnavailableError) and failure.timed_out:
        try:
            server.check_health()
        except UnavailableError as error:
            raise UnavailableError(f"LlamaStack stopped answering in the middle of the run: {error}") from error


def _cause(proof: Proof, target: Target, failure: HookError | None, release: Release | None) -> str:
    if isinstance(failure, UnavailableError):
        what = f"the embedding model '{target.model.id}' does not answer ({failure}); check its endpoint"
    elif failure is not None:
        what = f"whether the embedding model answers is unknown ({failure}); see LlamaStack's log"
    else:
        what = remedies.dead_backend(target, release)
    return f"inserts or queries fail ({proof.detail}): {what}"


def _failure_of(server: LlamaStack, target: Target, deadline: Deadline) -> HookError | None:
    """Return what the embedding model answers where it fails, or None where it makes a vector."""
    try:
        server.embed(target.model, min(deadline.timings.embed_seconds, deadline.remaining() / 2))
    except HookError as error:
        return error
    return None
