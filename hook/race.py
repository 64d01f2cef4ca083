"""Runs at one instant agree on one vector store a name: each takes its own one back where another came first."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from hook.backoff import retry
from hook.create import Creator
from hook.deadline import Deadline, sleep
from hook.domain import Life, Target, VectorStore
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.plan import candidates, earlier_ones
from hook.proof import Proofs

RACE_SECONDS = 30.0
"""How long runs that started at the same instant may take to agree on one vector store a name."""
RACE_PAUSE_SECONDS = (0.1, 0.6)

Stores = Sequence[VectorStore]


class Race:
    """Waits until the runs of one instant have agreed, and takes back what this one made too many."""

    def __init__(self, server: LlamaStack, deadline: Deadline, creator: Creator, proofs: Proofs) -> None:
        self._server = server
        self._deadline = deadline
        self._creator = creator
        self._proofs = proofs

    def settled(self, targets: Sequence[Target], stores: Stores, look_again: Callable[[], Stores]) -> Stores:
        """Return the list as soon as no run of this instant is about to change it.

        Each run takes its own one back where another came first; then one is left, and all of them find it. That is
        decided before the proofs, of which twenty runs with twenty vector stores of a name would need too many.
        """
        patience = Deadline(min(RACE_SECONDS, self._deadline.remaining() / 2))
        while True:
            found = candidates(targets, stores)
            for name in found:
                self._take_back(name, found[name])
            raced = self._raced(found)
            if not raced or patience.remaining() == 0:
                return stores
            log.info("race.found", collections=len(raced), remaining_seconds=round(patience.remaining(), 2))
            # Not all at once: the others poll, too.
            sleep(random.uniform(*RACE_PAUSE_SECONDS))
            stores = look_again()

    def _raced(self, found: Mapping[str, Stores]) -> list[str]:
        """Return the names of which several stores are so new that a run may be about to take its own one back."""
        return [name for name in found if self._is_raced(name, found[name])]

    def _is_raced(self, name: str, found: Stores) -> bool:
        if len(found) < 2:
            return False
        # One that a restart has lost is in no race; the oldest is proven in any case.
        self._proofs.of(min(found, key=lambda store: store.created_at).id)
        known = self._proofs.by_id
        alive = [store for store in found if store.id not in known or known[store.id].life is not Life.LOST]
        own = next((store for store in alive if store.id == self._creator.own_ids.get(name)), None)
        now = time.time() if own is None else own.created_at
        return sum(abs(now - store.created_at) < RACE_SECONDS for store in alive) > 1

    def _take_back(self, name: str, found: Stores) -> None:
        """Delete the vector store that this run made, if another live one of the name was there before it."""
        own_id = self._creator.own_ids.get(name, "")
        # However the server answered the create: what is older than this run, but for the clocks, is not its own.
        began = time.time() - self._deadline.elapsed() - RACE_SECONDS
        if not any(store.id == own_id and store.created_at > began for store in found):
            return
        if all(self._proofs.of(each.id).life is Life.LOST for each in earlier_ones(found, own_id)):
            return
        retry(partial(self._server.delete_vector_store, own_id), self._deadline, "request.retry_scheduled")
        del self._creator.own_ids[name]
        log.info("collection.taken_back", collection=name, vector_store_id=own_id)
