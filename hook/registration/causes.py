"""Why a vector store does not work: the embedding model, its backend, or the whole server."""

from collections.abc import Mapping
from dataclasses import replace

from hook.deadline import Deadline
from hook.domain import Observation, Proof, Target, Verdict
from hook.errors import HookError, UnavailableError
from hook.llamastack import LlamaStack, Release
from hook.registration import remedies
from hook.registration.models import embedded


def explained(server: LlamaStack, seen: Observation, targets: Mapping[str, Target], deadline: Deadline) -> Observation:
    """Return the observation with the cause of what is dead.

    What cannot be told is dead, too, where its model is, and where a file of it was cut into chunks: then it is
    not fresh. Raises UnavailableError where the server itself does not answer any more.
    """
    proofs = dict(seen.proofs)
    asked = {
        store_id: target
        for store_id, target in targets.items()
        if store_id in proofs and proofs[store_id].verdict in (Verdict.DEAD, Verdict.UNDECIDED)
    }
    made = embedded(server, (target.model for target in asked.values()), deadline)
    if any(isinstance(each, UnavailableError) and each.timed_out for each in made.values()):
        # Not the model may have stopped answering, but the whole server.
        try:
            server.check_health()
        except UnavailableError as error:
            raise UnavailableError(f"LlamaStack stopped answering in the middle of the run: {error}") from error
    filled_ids = {store.id for store in seen.stores if store.files_completed > 0}
    for store_id, target in asked.items():
        proof = proofs[store_id]
        failure = made[target.model.id]
        if proof.verdict is Verdict.DEAD or isinstance(failure, UnavailableError) or store_id in filled_ids:
            detail = _cause(proof, target, failure, server.release)
            proofs[store_id] = replace(proof, verdict=Verdict.DEAD, detail=detail)
    return replace(seen, proofs=proofs)


def _cause(proof: Proof, target: Target, failure: int | HookError, release: Release | None) -> str:
    if isinstance(failure, UnavailableError):
        what = f"the embedding model '{target.model.id}' does not answer ({failure}); check its endpoint"
    elif isinstance(failure, HookError):
        what = f"whether the embedding model answers is unknown ({failure}); see LlamaStack's log"
    else:
        what = remedies.dead_backend(target, release)
    return f"inserts or queries fail ({proof.detail}): {what}"
