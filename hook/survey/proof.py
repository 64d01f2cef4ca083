"""What proves a vector store: an empty insert into it, and a query of it, on one connection."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hook.deadline import Deadline
from hook.domain import Proof, Target, Verdict
from hook.llamastack import INSERT, QUERY, LlamaStack
from hook.survey.timed import Timed, comes_back, may_precede

FIRST_QUERY_SECONDS = 60.0
"""How long the first query of an embedding model may take, which has to load it; half of the budget if that is less."""
FAILURES = 2
"""On how many connections something has to fail, though it worked when it was repeated, to count as a failure."""


class Prover:
    """Asks one worker of the server after one vector store."""

    def __init__(self, deadline: Deadline, request_seconds: float, *, write: bool) -> None:
        self._deadline = deadline
        self._request_seconds = request_seconds
        self._questions = frozenset({INSERT, QUERY} if write else {QUERY})
        self._queried_models: set[str] = set()
        self._filled_ids: set[str] = set()
        """What a query has found a chunk in, so that it is not fresh any more."""

    def prove(
        self, server: LlamaStack, store_id: str, target: Target, before: Proof | None, *, asks_query: bool = True
    ) -> Proof:
        """Return the proof of a vector store on this server's connection, where `before` is one of another connection.

        Without `asks_query` the empty insert is enough, where it is one of the questions. Raises UnavailableError where
        the server is not there at all.
        """
        questions = (before.next_questions if before is not None else self._questions) or self._questions
        if not asks_query:
            questions = questions - {QUERY} or questions
        limit = None
        if QUERY in questions and target.model.id not in self._queried_models:
            limit = max(self._request_seconds, min(FIRST_QUERY_SECONDS, self._deadline.remaining() / 2))
        proof = server.prove(store_id, target.provider.kind, sorted(questions), limit)
        if limit is not None and proof.verdict not in (Verdict.LOST, Verdict.REFUSED):
            # Else the insert may have ended it, and the model was not asked.
            self._queried_models.add(target.model.id)
        if proof.empty is False:
            self._filled_ids.add(store_id)
        is_filled = proof.verdict is Verdict.UNDECIDED and store_id in self._filled_ids
        return replace(proof, verdict=Verdict.DEAD) if is_filled else proof


def united(
    proofs: Sequence[Timed[Proof]], shown: Sequence[Timed[Any]] = (), hidden: Sequence[Timed[Any]] = ()
) -> Proof:
    """Return what the proofs of all connections say together of one vector store, and the lists with and without it.

    Dead or refused anywhere is dead or refused, since some inserts fail. Lost is only what all of them have lost. What
    failed on one connection alone, and not when it was repeated, is only a note. Where two answers to the same query
    take turns, workers hold different chunks. What lists take turns to show is divided, though each proof met a worker
    without it: lists are more.
    """
    said = [answer.said for answer in proofs]
    for worst in (Verdict.DEAD, Verdict.REFUSED):
        found = next((proof for proof in said if proof.verdict is worst), None)
        if found is not None:
            return found
    failures = [proof.failure for proof in said if proof.failure]
    if len(failures) >= FAILURES:
        return Proof(Verdict.DEAD, failures[0])
    lost = [proof for proof in said if proof.verdict is Verdict.LOST]
    if lost and len(lost) < len(said):
        detail = f"{len(said) - len(lost)} of {len(said)} connections know it; on the others: {lost[0].detail}"
        known, unknown = (
            [answer for answer in proofs if (answer.said.verdict is Verdict.LOST) is it] for it in (False, True)
        )
        return Proof(Verdict.DIVIDED, detail, vanished=may_precede(known, unknown))
    # What is inserted meanwhile changes the answer too, but never back to what it was.
    answers = [Timed(each.said.found, each.began, each.ended) for each in proofs if each.said.found is not None]
    if comes_back(answers):
        detail = "workers return different chunks for the same query"
        return Proof(Verdict.DIVIDED, detail, found=answers[0].said)
    # What is made or deleted meanwhile changes the lists once.
    if lost and not may_precede(shown, hidden) and not may_precede(hidden, shown):
        share = f"{len(shown)} of {len(shown) + len(hidden)} connections list it"
        return Proof(Verdict.DIVIDED, f"{share}; on the others: {lost[-1].detail}")
    undecided = next((proof for proof in said if proof.verdict is Verdict.UNDECIDED), None)
    if lost or undecided is not None:
        return lost[-1] if undecided is None else undecided
    measured = next((proof for proof in said if proof.embedding_dimension is not None), said[0])
    # An empty insert alone says nothing of it.
    empty = {proof.empty for proof in said if proof.queried}
    is_empty = False if False in empty else None if None in empty or not empty else True
    blind = any(proof.blind for proof in said) and is_empty is not False
    reads_only = next((proof.reads_only for proof in said if proof.reads_only), "")
    failure = next(iter(failures), "")
    return replace(measured, empty=is_empty, blind=blind, failure=failure, reads_only=reads_only)
