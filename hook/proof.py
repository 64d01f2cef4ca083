"""What proves a vector store: an empty insert into it, and a query of it, on one connection."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from hook import remedies
from hook.deadline import Deadline
from hook.domain import Life, Look, Proof, Target
from hook.errors import HookError, UnavailableError
from hook.llamastack.api import LlamaStack
from hook.llamastack.verdicts import INSERT, QUERY

FIRST_QUERY_SECONDS = 60.0
"""How long the first query of an embedding model may take, which has to load it; half of the budget if that is less."""
EMBED_SECONDS = 10.0
"""How long the embedding model may take to answer when a query has failed."""


class Prover:
    """Asks one process of the server after one vector store."""

    def __init__(self, server: LlamaStack, deadline: Deadline, request_seconds: float, *, write: bool) -> None:
        self._server = server
        self._deadline = deadline
        self._request_seconds = request_seconds
        self._questions = frozenset({INSERT, QUERY} if write else {QUERY})
        self._queried_models: set[str] = set()

    def prove(self, store_id: str, target: Target, before: Proof | None) -> Proof:
        """Return the proof of a vector store on this connection, where `before` is one of another connection.

        Raises UnavailableError where the server is not there at all.
        """
        questions = (before.next_questions if before is not None else self._questions) or self._questions
        limit = None
        if QUERY in questions and target.model.id not in self._queried_models:
            self._queried_models.add(target.model.id)
            limit = max(self._request_seconds, min(FIRST_QUERY_SECONDS, self._deadline.remaining() / 2))
        return self._server.prove(store_id, target.provider.kind, sorted(questions), limit)

    def explained(self, look: Look, targets: Mapping[str, Target]) -> Look:
        """Return the look with the cause of what is dead, and as dead what cannot be told where its model is."""
        failures: dict[str, HookError | None] = {}
        proofs = dict(look.proofs)
        for store_id, target in targets.items():
            proof = proofs[store_id]
            if proof.life not in (Life.DEAD, Life.UNDECIDED):
                continue
            if target.model.id not in failures:
                failures[target.model.id] = self._failure_of(target)
            failure = failures[target.model.id]
            if proof.life is Life.DEAD or isinstance(failure, UnavailableError):
                proofs[store_id] = replace(proof, life=Life.DEAD, detail=self._cause(proof, target, failure))
        return replace(look, proofs=proofs)

    def _cause(self, proof: Proof, target: Target, failure: HookError | None) -> str:
        if isinstance(failure, UnavailableError):
            what = f"the embedding model '{target.model.id}' does not answer ({failure}): look at it"
        elif failure is not None:
            what = f"nobody can tell whether the embedding model answers ({failure}): look at LlamaStack's log"
        else:
            what = remedies.dead_backend(target, self._server.release)
        return f"inserts or queries fail ({proof.detail}): {what}"

    def _failure_of(self, target: Target) -> HookError | None:
        """Return what the embedding model answers where it fails, or None where it makes a vector."""
        try:
            self._server.embed(target.model, min(EMBED_SECONDS, self._deadline.remaining() / 2))
        except HookError as error:
            return error
        return None


def united(proofs: Sequence[Proof]) -> Proof:
    """Return what the proofs of all connections say together of one vector store.

    Dead or refused anywhere is dead or refused, since some inserts fail; lost is only what all of them have lost. Where
    two answers to the same query take turns, processes hold different chunks.
    """
    for life in (Life.DEAD, Life.REFUSED):
        found = next((proof for proof in proofs if proof.life is life), None)
        if found is not None:
            return found
    lost = [proof for proof in proofs if proof.life is Life.LOST]
    if lost and len(lost) < len(proofs):
        return Proof(Life.DIVIDED, f"{len(proofs) - len(lost)} of {len(proofs)} connections: {lost[0].detail}")
    answers = [answer for answer, _ in groupby(proof.found for proof in proofs if proof.found is not None)]
    # What is inserted meanwhile changes the answer too, but never back to what it was.
    if len(answers) > len(set(answers)):
        return Proof(Life.DIVIDED, "queries of it find something else on another connection", found=answers[0])
    undecided = next((proof for proof in proofs if proof.life is Life.UNDECIDED), None)
    if lost or undecided is not None:
        return lost[-1] if undecided is None else undecided
    told = next((proof for proof in proofs if proof.embedding_dimension is not None), proofs[0])
    empty = {proof.empty for proof in proofs}
    return replace(told, empty=False if False in empty else None if None in empty else True)
