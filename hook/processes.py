"""One question to every process behind the URL: workers and replicas keep lists of their own."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TypeVar

from hook.backoff import retry
from hook.deadline import Deadline, sleep
from hook.domain import Life, Look, Proof, Target, VectorStore
from hook.errors import UnavailableError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.logs import log
from hook.plan import in_order
from hook.proof import Prover, united

PAUSE_SECONDS = 0.03
"""Between two connections, so that what answered before is asleep again."""

FULLY_PROVEN = 20
"""Up to so many vector stores are proven on each connection; of more, each on fewer."""
FEWEST_PROOFS = 3
"""On how many connections a vector store is proven at least, where there are so many."""
LOST_SECONDS = 10.0
"""How long what seems lost is proven on as many connections as what works, though each answer is an error: one process
that knows it is enough. The rich log of 0.7.3 and newer takes seconds for an error."""
MANY_TURNS = 3
"""From so many changes between being listed and not being listed on, processes list different vector stores."""
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
        sweep = _Sweep(self.connections)
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


class _Sweep:
    """What was heard so far, and who has to be asked next."""

    def __init__(self, connections: int) -> None:
        self.turn = 0
        self.stores: dict[str, VectorStore] = {}
        self.proofs: dict[str, list[Proof]] = {}
        self.hung: dict[tuple[str, str], Proof] = {}
        """By provider and model: a request that was not answered in time is not repeated for the next one."""
        self._connections = connections
        self._lists: list[dict[str, int]] = []
        self._wanted: Sequence[str] = ()
        self._lost = Deadline(LOST_SECONDS)
        self._missed: Counter[str] = Counter()

    def heard(self, stores: Sequence[VectorStore]) -> None:
        """Add a list."""
        for store in stores:
            self.stores.setdefault(store.id, store)
        self._lists.append({store.id: place for place, store in enumerate(stores)})

    def proven(self, store_id: str, target: Target, proof: Proof) -> None:
        """Add a proof."""
        self.proofs.setdefault(store_id, []).append(proof)
        if proof.timed_out:
            self.hung[target.provider.id, target.model.id] = proof

    def due(self, wanted: Mapping[str, Target]) -> list[str]:
        """Return the vector stores to prove on this connection, in any order.

        Each is proven on the first that shows it, and its other proofs are spread over the rest; in any order, for the
        reason that `renew` has.
        """
        self._wanted = tuple(wanted)
        costly = sum(self._is_costly(store_id) for store_id in wanted)
        due = [store_id for store_id in wanted if self._is_due(store_id, len(wanted), costly)]
        random.shuffle(due)
        return due

    def is_over(self) -> bool:
        """Tell whether each list and each proof was taken as often as it has to be."""
        if self.turn < self._connections:
            return False
        costly = sum(self._is_costly(store_id) for store_id in self._wanted)
        return all(self._left(store_id, len(self._wanted), costly) <= 0 for store_id in self._wanted)

    def look(self) -> Look:
        """Return what all of it says."""
        proofs = {store_id: self._united(store_id) for store_id in self.proofs}
        asked = {store_id: len(proofs) for store_id, proofs in self.proofs.items()}
        log.debug("processes.asked", connections=self._connections, vector_stores=len(self.stores), proofs=asked)
        shown = Counter(store_id for ids in self._lists for store_id in ids)
        grown = any(store_id in self._wanted and self._appeared(store_id) for store_id in proofs)
        stores = in_order(self.stores.values(), self._lists)
        return Look(self._connections, stores, dict(shown), proofs, has_grown=grown)

    def _appeared(self, store_id: str) -> bool:
        """Tell whether the first lists did not show a vector store, and all later ones do."""
        return [each for each, _ in groupby(store_id in ids for ids in self._lists)] == [False, True]

    def _united(self, store_id: str) -> Proof:
        """Return what all proofs of a vector store say, and the lists, which are more.

        What the lists take turns to show is not lost but divided, though each proof met a process without it.
        """
        proof = united(self.proofs[store_id])
        shown = [store_id in ids for ids in self._lists]
        # Whatever is made or deleted meanwhile changes the lists once.
        if proof.life is not Life.LOST or len(list(groupby(shown))) < MANY_TURNS:
            return proof
        return Proof(Life.DIVIDED, f"{sum(shown)} of {len(shown)} connections list it: {proof.detail}")

    def _is_due(self, store_id: str, wanted: int, costly: int) -> bool:
        if store_id not in self.proofs:
            return True
        # Of many, each is proven on few connections, which may all be of those that know it.
        is_missed = self.turn < self._connections and store_id not in self._lists[-1]
        self._missed[store_id] += is_missed
        if is_missed and self._missed[store_id] <= FEWEST_PROOFS and not self._is_decided(store_id):
            return True
        # As many as there are connections left for them.
        return random.random() * max(1, self._connections - self.turn) < self._left(store_id, wanted, costly)

    def _left(self, store_id: str, wanted: int, costly: int) -> int:
        """Return how many more proofs a vector store needs."""
        done = self.proofs.get(store_id, [])
        if self._is_decided(store_id):
            return 0
        share = self._connections * FULLY_PROVEN // wanted
        if self._is_costly(store_id) and not (done[-1].life is Life.LOST and self._lost.remaining()):
            share = self._connections // costly
            if done[-1].life is Life.UNDECIDED and all(store_id in ids for ids in self._lists):
                share = 0
        return min(self._connections, max(FEWEST_PROOFS, share)) - len(done)

    def _is_decided(self, store_id: str) -> bool:
        done = self.proofs.get(store_id)
        return done is not None and (done[-1].life in (Life.DEAD, Life.REFUSED) or done[-1].timed_out)

    def _is_costly(self, store_id: str) -> bool:
        done = self.proofs.get(store_id)
        return done is not None and done[-1].costly
