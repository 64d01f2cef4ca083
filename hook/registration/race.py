"""Runs at one instant agree on one vector store a name: each takes its own one back where another came first."""

import random
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace

from hook.deadline import Deadline, sleep
from hook.domain import Finding, Life, Look, Proof, Target, VectorStore
from hook.errors import HookError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.logs import log
from hook.registration.candidates import by_age, candidates, earlier_ones
from hook.registration.create import Creator
from hook.registration.deletion import Deleter, Duplicate, Withdrawn, may_delete
from hook.survey.processes import QUERIES_BEFORE_A_WRITE, Processes

RACE_SECONDS = 30.0
"""How long a run that keeps what it made waits while the others of this instant change nothing."""
BYSTANDER_SECONDS = 10.0
"""The same of a run that has made nothing, or has taken it back."""
RACE_PAUSE_SECONDS = (0.1, 0.6)
RECENT_SECONDS = 60.0
"""How lately another run must have made a vector store to be still about to take it back."""

Stores = Sequence[VectorStore]


class Race:
    """Waits until the runs of one instant have agreed, and takes back what this one made too many."""

    def __init__(self, server: LlamaStack, processes: Processes, deadline: Deadline, creator: Creator) -> None:
        self._server = server
        self._processes = processes
        self._deadline = deadline
        self._creator = creator
        self._deleter = Deleter(server, deadline)
        self._proofs: dict[str, Proof] = {}
        self._made_at: dict[str, int] = {}
        """By name, when this run made its own, by the server's clock; taken back or not."""

    def know_lost(self, proofs: Mapping[str, Proof]) -> None:
        """Take what these proofs call lost for lost: nothing revives it, and each further proof is an error there."""
        self._proofs |= {store_id: proof for store_id, proof in proofs.items() if proof.life is Life.LOST}

    def settle(self, targets: Sequence[Target], stores: Stores) -> frozenset[str]:
        """Return the ids that stay, as soon as no run of this instant is about to change what the server lists.

        Each run takes its own one back where another came first; then one is left, and all of them find it. Only the
        vector stores that decide that are proven, since twenty runs with twenty of a name would need too many.
        """
        patience = Deadline(self._deadline.remaining() / 2)
        quiet = Deadline(RACE_SECONDS)
        began = time.time()
        seen: list[set[str]] = []
        while True:
            proven_before = frozenset(self._proofs)
            found = candidates(targets, stores)
            self._take_back_all(targets, found)
            raced = [each.name for each in targets if self._is_raced(each, found[each.name], began, proven_before)]
            racing = [store for name in raced for store in found[name]]
            # What processes show by turns is no change, so only what was never there before is one.
            if (now := {store.id for store in racing}) not in seen:
                has_own = any(self._creator.is_own(store) for store in racing)
                quiet = Deadline(RACE_SECONDS if has_own else BYSTANDER_SECONDS)
                seen.append(now)
            remaining = min(patience.remaining(), quiet.remaining())
            if not raced or remaining == 0:
                return frozenset(store.id for store in stores)
            log.info("race.found", collections=len(raced), remaining_seconds=round(remaining, 2))
            # Not all at once: the others poll, too.
            sleep(random.uniform(*RACE_PAUSE_SECONDS))
            stores = self._processes.stores()

    def give_way(self, targets: Sequence[Target]) -> None:
        """Take back what this run made too many, and wait for nobody. Raises as the server's API does."""
        self._take_back_all(targets, candidates(targets, self._processes.stores()))

    def withdraw(self, targets: Sequence[Target], look: Look, _: Mapping[str, Finding]) -> bool:
        """Delete what a run made too many that was killed before it took that back; return whether there was any.

        The oldest vector store of a collection stays, if it is usable and this program made all that there are.
        """
        gone = 0
        found = candidates(targets, look.stores)
        for target in targets:
            live = [store for store in by_age(found[target.name]) if look.proofs[store.id].life is not Life.LOST]
            for store in live[1:] if all(store.made_by is not None for store in live) else ():
                claim = Withdrawn(live[0], look.proofs[live[0].id].life, look.proofs[store.id].empty)
                # What cannot be deleted is told as a duplicate.
                with suppress(HookError):
                    gone += may_delete(store, claim) and self._withdraw(store, target, claim)
        return gone > 0

    def _withdraw(self, store: VectorStore, target: Target, claim: Withdrawn) -> bool:
        # At the last moment, since somebody may have begun to use it.
        claim = replace(claim, empty=self._processes.prove_once(store.id, target).empty)
        if not self._deleter.delete(store, claim, max_failures=MAX_FAILURES):
            return False
        self._creator.deleted_ids.add(store.id)
        log.info("collection.withdrawn", collection=target.name, vector_store_id=store.id, kept=claim.older.id)
        return True

    def _is_raced(self, target: Target, found: Stores, began: float, proven_before: AbstractSet[str]) -> bool:
        """Tell whether another run had made one of several so lately that it may be about to take it back.

        Lately is what was made near this run's own one, by the server's clock, or else near when this race `began`.
        What vanished in the middle of its proof is divided only where that was `proven_before` this list.
        """
        now = self._made_at.get(target.name, began)
        others = [store for store in found if store.made_by not in (None, self._server.run_id)]
        recent = {store.id for store in others if abs(now - store.created_at) < RECENT_SECONDS}
        if len(found) < 2 or not recent:
            return False
        # One that a restart has lost is in no race; the oldest is proven in any case.
        self._prove(by_age(found)[0].id, target)
        known = self._proofs
        alive = [store for store in found if store.id not in known or known[store.id].life is not Life.LOST]
        # What is known to some processes only is taken back by nobody.
        divided = {store.id for store in alive if store.id in known and known[store.id].life is Life.DIVIDED}
        if any(store_id in proven_before or not known[store_id].vanished for store_id in divided):
            return False
        return len(alive) > 1 and any(store.id in recent for store in alive)

    def _take_back_all(self, targets: Sequence[Target], found: Mapping[str, Stores]) -> None:
        for target in targets:
            self._take_back(target, found[target.name])

    def _take_back(self, target: Target, found: Stores) -> None:
        """Delete what this run made too many: all of it, if another one of the name was there before, and is usable.

        Usable by every process: where only some know it, consumers may depend on either, and both stay. A create whose
        answer was lost may have made one more; of this run's own, the one that it was told of stays.
        """
        own = by_age(store for store in found if self._creator.is_own(store))
        if own:
            self._made_at.setdefault(target.name, own[0].created_at)
        before = earlier_ones(found, {store.id for store in own})
        if self._creator.own_ids.get(target.name) in self._creator.deleted_ids:
            # It gave way already, and what came first then may be in use, though a late create of its own is older.
            gone = self._creator.deleted_ids
            before = by_age(store for store in found if store not in own and store.id not in gone)
        lives = (self._prove(store.id, target).life for store in before)
        first = next((life for life in lives if life is not Life.LOST), Life.LOST)
        if first not in (Life.ALIVE, Life.UNDECIDED, Life.REFUSED):
            own.sort(key=lambda store: store.id != self._creator.own_ids.get(target.name))
            del own[:1]
        ids_before = frozenset(map(str.casefold, self._creator.found_ids))
        for store in own:
            # Somebody may use it already.
            empty = self._processes.prove_once(store.id, target).empty
            if self._deleter.delete(store, Duplicate(target.name, self._server.run_id, ids_before, empty)):
                self._creator.deleted_ids.add(store.id)
                log.info("collection.taken_back", collection=target.name, vector_store_id=store.id)

    def _prove(self, store_id: str, target: Target) -> Proof:
        """Return the proof of a vector store that is old enough to decide, taken once for the race."""
        if store_id not in self._proofs:
            self._proofs |= self._processes.look(lambda _: {store_id: target}, QUERIES_BEFORE_A_WRITE).proofs
        return self._proofs[store_id]
