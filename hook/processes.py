"""One question to every process behind the URL: workers and replicas keep lists of their own."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from hook.backoff import retry
from hook.deadline import Deadline, sleep
from hook.domain import Life, Look, Proof, Target, VectorStore
from hook.errors import UnavailableError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.proof import Prover
from hook.sweep import Sweep

PAUSE_SECONDS = 0.03
"""Between two connections, so that what answered before is asleep again."""

MOST_SWEEPS = 3
"""How often all is asked anew because another run made something wanted in the middle of it."""
PATIENT_AFTER = 3
"""After so many looks that something broke into, the next is patient: it may be a gateway that always fails some."""

T = TypeVar("T")
Wanted = Callable[[Sequence[VectorStore]], Mapping[str, Target]]
"""Which of the listed vector stores are to be proven, by id."""


class Processes:
    """Asks on fresh connections, one after the other, and unites what they say."""

    def __init__(self, server: LlamaStack, prover: Prover, deadline: Deadline, connections: int) -> None:
        self._server = server
        self._prover = prover
        self._deadline = deadline
        self.connections = connections
        self._first_list: Sequence[VectorStore] | None = None

    def heard_already(self, stores: Sequence[VectorStore]) -> None:
        """Take what a first connection listed just now for the first answer of the next look."""
        self._first_list = stores

    def stores(self) -> tuple[VectorStore, ...]:
        """Return each vector store that any process lists. Raises as the server's API does."""
        return self.look(lambda _: {}).stores

    def prove_once(self, store_id: str, target: Target) -> Proof:
        """Return what the process that answers now says of a vector store. Raises as the server's API does."""
        ask = partial(self._prover.prove, store_id, target, None)
        return retry(ask, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)

    def look(self, wanted: Wanted) -> Look:
        """Return the union of the lists and the proofs. Raises as the server's API does.

        Whatever may be a server that restarts voids what was heard before it, and all is asked anew; so is it where a
        vector store answers nothing but failures: a few times, since each of them costs the server a log.
        """
        heard: Look | None = None
        sweeps = 0

        def sweep() -> Look:
            nonlocal sweeps
            sweeps += 1
            return self._sweep(wanted, patient=sweeps > PATIENT_AFTER)

        def attempt() -> Look:
            nonlocal heard
            for _ in range(MOST_SWEEPS):
                heard = None
                heard = found = retry(sweep, self._deadline, "request.retry_scheduled")
                if not found.has_grown:
                    break
            dead = next((proof for proof in found.proofs.values() if proof.life is Life.DEAD), None)
            # The last silence was waited for already, and another one has to leave time for the rest.
            if dead is not None and not (dead.timed_out and self._deadline.remaining() < self._deadline.seconds / 2):
                raise UnavailableError(dead.detail, status=500)
            return found

        try:
            return retry(attempt, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)
        except UnavailableError:
            if heard is None:
                raise
            # The others' proofs stand, whatever one backend does.
            return heard

    def renew(self) -> None:
        """Let the next request meet another process.

        Every other time, at random, another request goes before it. What balances each request in turn would else
        answer the same question from the same process each time, where the number of questions is a multiple of that
        of the processes (seen with HAProxy before two replicas of 0.3.5: `lost`, where one of them knew all).
        """
        sleep(PAUSE_SECONDS)
        self._server.renew()
        if random.random() < 0.5:
            self._server.check_health()

    def _sweep(self, wanted: Wanted, *, patient: bool) -> Look:
        """Ask once around. A patient one repeats each request that fails, and at its end proves all once more."""
        sweep = Sweep(self.connections)
        disturbed = False

        def ask(question: Callable[[], T]) -> T:
            nonlocal disturbed
            try:
                return question()
            except UnavailableError as error:
                if not patient or error.in_flight:
                    raise
                disturbed = True
            return retry(question, self._deadline, "request.retry_scheduled")

        def prove(store_id: str) -> None:
            target, before = targets[store_id], sweep.proofs.get(store_id, [None])[-1]
            hung = sweep.hung.get((target.provider.id, target.model.id))
            sweep.proven(store_id, target, hung or ask(partial(self._prover.prove, store_id, target, before)))

        while not sweep.is_over():
            if sweep.turn:
                ask(self.renew)
            if sweep.turn < self.connections:
                sweep.heard(ask(self._list))
            targets = wanted(tuple(sweep.stores.values()))
            for store_id in sweep.due(targets):
                prove(store_id)
            sweep.turn += 1
        for store_id in targets if disturbed else ():
            prove(store_id)
        return sweep.look()

    def _list(self) -> Sequence[VectorStore]:
        stores, self._first_list = self._first_list, None
        return self._server.vector_stores() if stores is None else stores
