"""What all connections have said so far: their lists and proofs, which vector store to prove next, and the end."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from hook.deadline import Deadline
from hook.domain import Life, Look, Proof, Target, VectorStore
from hook.logs import log
from hook.plan import SHOWN_FIELDS, in_order
from hook.proof import united

FULLY_PROVEN = 20
"""Up to so many vector stores are proven on each connection; of more, each on fewer."""
FEWEST_PROOFS = 3
"""On how many connections a vector store is proven at least, where there are so many."""
LOST_SECONDS = 10.0
"""How long what seems lost is proven on as many connections as what works, though each answer is an error: one process
that knows it is enough. The rich log of 0.7.3 and newer takes seconds for an error."""
MANY_TURNS = 3
"""From so many changes between being listed and not being listed on, processes list different vector stores."""


class Sweep:
    """What was heard so far, and who has to be asked next."""

    def __init__(self, connections: int) -> None:
        self.turn = 0
        self.stores: dict[str, VectorStore] = {}
        self.proofs: dict[str, list[Proof]] = {}
        self.hung: dict[tuple[str, str], Proof] = {}
        """By provider and model: a request that was not answered in time is not repeated for the next one."""
        self._connections = connections
        self._lists: list[dict[str, int]] = []
        self._versions: dict[str, dict[tuple[str | None, ...], VectorStore]] = {}
        """By id, what the processes show differently of one vector store."""
        self._wanted: Sequence[str] = ()
        self._lost = Deadline(LOST_SECONDS)
        self._missed: Counter[str] = Counter()

    def heard(self, stores: Sequence[VectorStore]) -> None:
        """Add a list."""
        for store in stores:
            self.stores.setdefault(store.id, store)
            shown = tuple(getattr(store, name) for name in SHOWN_FIELDS)
            self._versions.setdefault(store.id, {}).setdefault(shown, store)
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
        versions = {store_id: tuple(some.values()) for store_id, some in self._versions.items()}
        return Look(self._connections, stores, dict(shown), proofs, versions, has_grown=grown)

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
