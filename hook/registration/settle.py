"""Asks until the answer stands: what this run made is listed, and the runs of the same instant have agreed."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from hook.deadline import Deadline, sleep
from hook.domain import Observation, Proof, Target, VectorStore, Verdict
from hook.errors import HookError
from hook.llamastack import LlamaStack
from hook.logs import log
from hook.registration.candidates import as_candidates, as_listed, candidates, unsettled
from hook.registration.deletion import Duplicate, delete
from hook.registration.journal import Journal, Sent, Withdrawn
from hook.survey import QUERIES_BEFORE_A_WRITE, Survey

Stores = Sequence[VectorStore]


@dataclass
class Settler:
    """Observes the server until nothing is about to change, and withdraws what this run made too many."""

    _server: LlamaStack
    _survey: Survey
    _deadline: Deadline
    _journal: Journal
    _lost: dict[str, Proof] = field(default_factory=dict)
    """By id, what is lost: each further proof is an error in the server's log."""
    _asked_as: dict[str, Target] = field(default_factory=dict)
    """By id, what the last observation asked for."""

    def observe(self, targets: Sequence[Target], queries: int) -> Observation:
        """Return what all workers say of the targets. Raises as the server's API does.

        `queries` is how often each vector store is queried where an empty insert tells as much.
        """
        self._wait_for_late_creates(targets)
        # The last observation needs time, too, so that the message can say what is missing.
        lag = Deadline(min(self._deadline.timings.lag_seconds, self._deadline.remaining() / 2))
        settled: frozenset[str] = frozenset()

        lost = self._still_lost()

        def provable(stores: Stores) -> dict[str, Target]:
            # All but those that may be withdrawn, and those that are still lost.
            found = as_candidates(targets, stores, without=unsettled(targets, stores, settled))
            return {store_id: target for store_id, target in found.items() if store_id not in lost}

        while True:
            observation = self._survey.observe(provable, queries)
            observation = replace(observation, proofs={**lost, **observation.proofs})
            self._lost |= {key: each for key, each in observation.proofs.items() if each.verdict is Verdict.LOST}
            self._asked_as = as_candidates(targets, observation.stores)
            if unsettled(targets, observation.stores, settled):
                settled |= self._agree(targets, observation.stores)
            elif self._is_behind(targets, observation.stores) and lag.remaining():
                sleep(self._deadline.timings.lag_pause_seconds)
            else:
                return observation

    def _still_lost(self) -> dict[str, Proof]:
        """Return what is lost as before, and need not be observed again.

        A restart may revive it, so it is asked for once more before this run creates anything. Up to 0.2.24 the create
        itself revives it.
        """
        if self._server.replaces:
            return {}
        if not self._journal.names(Sent):
            for store_id in [each for each in self._lost if each in self._asked_as]:
                if self._survey.prove_once(store_id, self._asked_as[store_id]).verdict is not Verdict.LOST:
                    del self._lost[store_id]
        return dict(self._lost)

    def _is_behind(self, targets: Sequence[Target], stores: Stores) -> bool:
        """Tell whether a list lacks what this run has made, or that in whose favour it has withdrawn it."""
        found = candidates(targets, stores)
        is_gone = any(not found[name] for name in self._journal.names(Withdrawn))
        return is_gone or bool(self._journal.unlisted_ids(stores))

    def give_way(self, targets: Sequence[Target]) -> None:
        """Withdraw what this run made too many, as far as the server still answers: no observation comes any more."""
        if self._journal.names(Sent):
            with suppress(HookError):
                self._withdraw_surplus(targets, self._survey.stores(), dict(self._lost))

    def _wait_for_late_creates(self, targets: Sequence[Target]) -> None:
        """Let each create without a clear answer have its time, up to half of the budget that is left.

        What is too many is withdrawn meanwhile, since the other runs of this instant wait for that.
        """
        limit = Deadline(self._deadline.remaining() / 2)
        proofs = dict(self._lost)
        stores: Stores = ()
        while limit.remaining() and self._has_late_creates(stores):
            stores = self._survey.stores()
            self._withdraw_surplus(targets, stores, proofs)
            if self._has_late_creates(stores):
                sleep(self._deadline.timings.late_pause_seconds)

    def _has_late_creates(self, stores: Stores) -> bool:
        unresolved = self._journal.unresolved(stores).values()
        return any(each.until_seconds > self._deadline.elapsed() for each in unresolved)

    def _agree(self, targets: Sequence[Target], stores: Stores) -> frozenset[str]:
        """Return the ids that stay, as soon as no run of this instant is about to change what the server lists.

        Each run withdraws its own where another one came first; then one is left, and all of them find it. Only the
        vector stores that decide that are proven, since twenty runs with twenty of a name would need too many.
        """
        timings = self._deadline.timings
        limit = Deadline(self._deadline.remaining() / 2)
        quiet = Deadline(timings.race_seconds)
        began = _server_time(stores)
        seen: list[set[str]] = []
        proofs = dict(self._lost)
        while True:
            found = candidates(targets, stores)
            self._withdraw_surplus(targets, stores, proofs)
            raced = [each for each in targets if self._is_raced(each, found[each.name], began, proofs)]
            racing = [store for target in raced for store in found[target.name]]
            # What workers show by turns is no change, so only what was never there before is one.
            if (now := {store.id for store in racing}) not in seen:
                has_own = any(map(self._journal.is_ours, racing))
                quiet = Deadline(timings.race_seconds if has_own else timings.bystander_seconds)
                seen.append(now)
            remaining = min(limit.remaining(), quiet.remaining())
            if not raced or remaining == 0:
                return frozenset(store.id for store in stores)
            log.info("race.found", collections=len(raced), remaining_seconds=round(remaining, 2))
            # Not all at once: the others ask, too.
            sleep(random.uniform(*timings.race_pause_seconds))
            stores = self._survey.stores()

    def _is_raced(self, target: Target, found: Stores, began: float | None, proofs: dict[str, Proof]) -> bool:
        """Tell whether another run had made one of several so lately that it may be about to withdraw it.

        Lately is what was made near this run's own one, or else near when this race `began`, by the server's clock. It
        may be any where its answers tell no time.
        """
        own = self._journal.made_at(target.name, found)
        now = began if own is None else own
        others = [store for store in found if store.made_by not in (None, self._journal.run_id)]
        seconds = self._deadline.timings.recent_seconds
        recent = {store.id for store in others if now is None or abs(now - store.created_at) < seconds}
        if len(found) < 2 or not recent:
            return False
        # One that a restart has lost is in no race; the oldest is proven in any case.
        self._prove(found[0], target, proofs)
        alive = [store for store in found if store.id not in proofs or proofs[store.id].verdict is not Verdict.LOST]
        if any(store.id in proofs and proofs[store.id].verdict is Verdict.DIVIDED for store in alive):
            # What only some workers know is withdrawn by nobody.
            return False
        return len(alive) > 1 and any(store.id in recent for store in alive)

    def _withdraw_surplus(self, targets: Sequence[Target], stores: Stores, proofs: dict[str, Proof]) -> None:
        """Delete what this run made, if another one of the name was there before, and is usable.

        Usable by every worker: where only some know it, consumers may depend on either, and both stay. A gateway that
        sends a create twice makes one more; of this run's own, the one that the answer named stays.
        """
        journal = self._journal
        ids_before = frozenset(map(str.casefold, journal.preexisting_ids))
        found = candidates(targets, stores)
        for target in targets:
            listed = found[target.name]
            own = [store for store in listed if journal.is_ours(store)]
            before = listed[: listed.index(own[0])] if own else ()
            verdicts = (self._prove(store, target, proofs).verdict for store in before)
            first = next((each for each in verdicts if each is not Verdict.LOST), Verdict.LOST)
            if first not in (Verdict.ALIVE, Verdict.UNDECIDED, Verdict.REFUSED):
                answered = journal.created().get(target.name)
                own.sort(key=lambda store: answered is None or store.id != answered.id)
                del own[:1]
            for store in own:
                # Somebody may use it already.
                empty = self._survey.prove_once(store.id, as_listed(target, store)).empty
                claim = Duplicate(target.name, journal.run_id, ids_before, empty)
                if delete(self._server, store, claim, self._deadline):
                    journal.add(Withdrawn(target.name, store))
                    log.info("collection.taken_back", collection=target.name, vector_store_id=store.id)

    def _prove(self, store: VectorStore, target: Target, proofs: dict[str, Proof]) -> Proof:
        """Return the proof of a vector store that is old enough to decide, taken once for the race."""
        if store.id not in proofs:
            wanted = {store.id: as_listed(target, store)}
            proofs |= self._survey.observe(lambda _: wanted, QUERIES_BEFORE_A_WRITE).proofs
        return proofs[store.id]


def _server_time(stores: Stores) -> float | None:
    """Return when these were listed, by the server's clock; None where its answer does not tell."""
    times = (store.created_at + store.age_seconds for store in stores if store.age_seconds is not None)
    return next(times, None)
