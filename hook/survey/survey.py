"""One question to every worker behind the URL: workers and replicas keep lists of their own."""

import random
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from hook.deadline import Deadline, sleep
from hook.domain import Observation, Proof, Target, VectorStore, Verdict
from hook.errors import UnavailableError
from hook.heartbeat import doing
from hook.llamastack import MAX_FAILURES, LlamaStack
from hook.retry import retry
from hook.survey.answers import Answers
from hook.survey.connections import AT_ONCE, overlap
from hook.survey.proof import Prover
from hook.survey.turns import Turns, Wanted

MOST_ROUNDS = 3
"""How often all is asked anew because another run made or deleted something wanted in the middle of it."""
PATIENT_AFTER = 3
"""After so many observations that failed, the next is patient: a gateway may always fail some."""
QUERIES = 5
"""How often a run queries a vector store, where an empty insert tells its workers apart as well: each query costs an
embedding, and 60 of them are too many for 0.2.16."""
QUERIES_BEFORE_A_WRITE = 2
"""How many of those go before a write, after which all is proven anew."""
LISTS_EACH = 2
"""How many times as many connections ask for the list where there is nothing to prove: with 20, observations of lists
missed one of four workers in 3 of 150, with 40 in 0 of 200 (uvicorn)."""
_LIMITED = (429, 503)
"""What a gateway answers that limits requests or connections."""


class Survey:
    """Asks on fresh connections, some at once, and unites what they say."""

    def __init__(self, server: LlamaStack, prover: Prover, deadline: Deadline, connections: int) -> None:
        self._server = server
        self._prover = prover
        self._deadline = deadline
        self.connections = max(1, connections)
        self._at_once = AT_ONCE
        self._first_list: Sequence[VectorStore] | None = None
        self._answers = Answers(self.connections, 0, deadline.timings)

    def know_first_list(self, stores: Sequence[VectorStore]) -> None:
        """Take what a first connection listed just now for the first answer of the next observation."""
        self._first_list = stores

    def stores(self) -> tuple[VectorStore, ...]:
        """Return each vector store that any worker lists. Raises as the server's API does."""
        return self.observe(lambda _: {}, 0).stores

    def prove_once(self, store_id: str, target: Target) -> Proof:
        """Return what the worker that answers now says of a vector store. Raises as the server's API does."""
        ask = partial(self._prover.prove, self._server, store_id, target, None)
        return retry(ask, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)

    def observe(self, wanted: Wanted, queries: int) -> Observation:
        """Return the union of the lists and the proofs. Raises as the server's API does.

        `queries` is how often each vector store is queried where an empty insert tells as much. Whatever may be a
        server that restarts voids what was answered before it, and all is asked anew; so is it where a vector store
        answers nothing but failures: a few times, since each of them costs the server a log.
        """
        latest: Observation | None = None
        attempts = rounds = 0

        def ask_all() -> Observation:
            nonlocal rounds
            rounds += 1
            # What has failed may do so on one worker of many, and is queried on each connection.
            most = queries if attempts == 1 else self.connections
            return self._ask_all(wanted, most, patient=rounds > PATIENT_AFTER)

        def attempt() -> Observation:
            nonlocal attempts, latest
            attempts += 1
            for _ in range(MOST_ROUNDS):
                latest = None
                latest = found = retry(ask_all, self._deadline, "request.retry_scheduled")
                if not found.has_changed:
                    break
            dead = next((proof for proof in found.proofs.values() if proof.verdict is Verdict.DEAD), None)
            # The last silence was waited for already, and another one has to leave time for the rest.
            if dead is not None and not (dead.timed_out and self._deadline.remaining() < self._deadline.seconds / 2):
                raise UnavailableError(dead.detail, status=500)
            return found

        try:
            with doing("survey.progress", lambda: self._answers.progress()):
                return retry(attempt, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)
        except UnavailableError:
            if latest is None:
                raise
            # The others' proofs stand, whatever one backend does.
            return latest

    def shift(self) -> None:
        """Let another worker take the next request of each connection, as where a balancer gives each one its turn."""
        sleep(self._deadline.timings.shift_seconds)
        if random.random() < 0.5:
            with closing(self._server.another()) as other:
                other.check_health()

    def _ask_all(self, wanted: Wanted, queries: int, *, patient: bool) -> Observation:
        """Ask once around: first for one proof of each vector store, since it says what to ask the others."""
        answers = self._answers = Answers(self.connections, queries, self._deadline.timings)
        turns = Turns(self._server, self._prover, self._deadline, wanted, answers, patient)
        first_list, self._first_list = self._first_list, None
        try:
            one_at_a_time = patient or self._server.is_flooded_easily or self.connections == 1
            at_once = 1 if one_at_a_time else self._at_once
            if first_list is not None:
                answers.add_list(first_list, answers.now())
            turns.take_first(self._server, at_once, asks_list=first_list is None)
            if self.connections > 1 and answers.wants_nothing():
                answers.connections *= LISTS_EACH
            apart = self._deadline.timings.apart_seconds
            overlap(range(1, answers.connections), turns.take_another, at_once, apart)
            if answers.wants_lists():
                overlap(range(answers.connections), turns.take_another, at_once, apart)
            while not answers.is_over():
                turns.take_another()
            turns.prove_what_was_disturbed()
        except UnavailableError as error:
            if error.status in _LIMITED:
                self._at_once = 1
            raise
        finally:
            answers.is_void = True
        return answers.together(in_pages=not self._server.replaces)
