"""What all connections have said so far: their lists and proofs, which vector store to prove next, and the end."""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from threading import RLock

from hook.deadline import Deadline, Stopwatch
from hook.domain import Observation, Proof, Target, VectorStore, Verdict
from hook.llamastack import INSERT, PAGE_SIZE, PROCESS_LOCAL_PROVIDERS
from hook.logs import log
from hook.survey.order import SHOWN_FIELDS, in_order
from hook.survey.proof import united
from hook.survey.timed import Timed, by_store, may_precede, surround
from hook.timings import Timings

FULLY_PROVEN = 20
"""Up to so many vector stores are proven on each connection; of more, each on fewer."""
FEWEST_PROOFS = 3
"""On how many connections a vector store is proven at least, where there are so many."""


class Answers:
    """What was answered so far, and who has to be asked next; connections in threads of their own may share it."""

    def __init__(self, connections: int, queries: int, timings: Timings) -> None:
        """Begin with nothing; `queries` is how often a vector store is queried, where an empty insert tells as much."""
        self.is_void = False
        """Whether nobody waits for more answers."""
        self.connections = connections
        """On how many the list is asked for."""
        self._queries = queries
        self._opened = 0
        self._clock = Stopwatch()
        self._lost = Deadline(timings.lost_seconds)
        self._lock = RLock()
        self._lists: list[Timed[dict[str, int]]] = []
        self._versions: dict[str, dict[tuple[str | None, ...], VectorStore]] = {}
        """By id, what the workers show differently of each vector store that any list has shown."""
        self._hidden: Collection[str] = ()
        """The ids that some lists show and others do not."""
        self._proofs: dict[str, list[Timed[Proof]]] = {}
        self._begun: Counter[str] = Counter()
        """By id, how many proofs were begun, answered or not."""
        self._asked: Counter[str] = Counter()
        """By id, how many of them were sent."""
        self._queried: Counter[str] = Counter()
        """By id, how many of them ask the query."""
        self._missed: Counter[str] = Counter()
        """By id, how many connections have proven a vector store because their list does not show it."""
        self._failed: dict[tuple[str, str], Proof] = {}
        """By provider and model, a proof that failed: one that got no answer in time, if there was one."""
        self._wanted: Sequence[str] = ()

    @property
    def stores(self) -> tuple[VectorStore, ...]:
        """Return each vector store that any list has shown."""
        with self._lock:
            return tuple(next(iter(some.values())) for some in self._versions.values())

    def now(self) -> float:
        """Return the time at which a request begins, in seconds since the start."""
        return self._clock.elapsed()

    def progress(self) -> dict[str, float]:
        """Return how many vector stores the proofs so far make, of how many: all are proven side by side."""
        with self._lock:
            wanted = self._wanted
            each = min(self.connections, max(FEWEST_PROOFS, self.connections * FULLY_PROVEN // max(1, len(wanted))))
            taken = sum(len(self._proofs.get(store_id, ())) for store_id in wanted)
            left = sum(max(0, self._left(store_id)) if store_id in self._proofs else each for store_id in wanted)
            return {"done": len(wanted) * taken // max(1, taken + left), "of": len(wanted)}

    def wants_nothing(self) -> bool:
        """Tell whether there is nothing to prove, as far as the lists show."""
        return not self._wanted

    def open(self, wanted: Mapping[str, Target]) -> tuple[bool, list[str]]:
        """Begin one more connection: tell whether it has to ask for the list, and which vector stores it has to prove.

        Each is proven on the first that can, and its other proofs are spread over the rest.
        """
        with self._lock:
            self._wanted = tuple(wanted)
            due = [store_id for store_id in wanted if self._is_due(store_id)]
            self._begun.update(due)
            asks_list = self.wants_lists()
            self._opened += 1
            return asks_list, due

    def wants_lists(self) -> bool:
        """Tell whether one more connection has to ask for the list.

        What seems to have vanished is looked for on twice as many, which costs less than to ask all anew.
        """
        with self._lock:
            times = 2 if any(map(self._seems_vanished, self._wanted)) else 1
            return self._opened < self.connections * times

    def due_by_list(self, wanted: Mapping[str, Target], shown: Collection[str], proven: Collection[str]) -> list[str]:
        """Return what else to prove on a connection whose list has `shown` these ids, and which has `proven` those.

        That is what nobody has proven yet, and what it does not show: of many, each is proven on few connections, which
        may all be of those that know it. And it is what seems to have vanished, though it is shown here.
        """
        with self._lock:
            self._wanted = tuple(wanted)
            due = [store_id for store_id in wanted if store_id not in self._begun]
            due += [store_id for store_id in shown if store_id in wanted and self._seems_vanished(store_id)]
            for store_id in self._begun.keys() & wanted.keys() - {*shown, *proven}:
                self._missed[store_id] += 1
                if self._missed[store_id] <= FEWEST_PROOFS and not self.is_decided(store_id):
                    due.append(store_id)
            self._begun.update(due)
            return due

    def is_decided(self, store_id: str) -> bool:
        """Tell whether no further proof of a vector store can change what all of them say together."""
        with self._lock:
            done = self._proofs.get(store_id)
            if done is None:
                return False
            if any(answer.said.verdict in (Verdict.DEAD, Verdict.REFUSED) or answer.said.timed_out for answer in done):
                return True
            together = self._united(store_id)
            return together.verdict is Verdict.DIVIDED and not together.vanished

    def is_asked_enough(self, store_id: str) -> bool:
        """Tell whether no more proofs of what is lost are needed, though connections that overlap have begun some."""
        with self._lock:
            done = self._proofs.get(store_id)
            is_lost = done is not None and done[-1].said.verdict is Verdict.LOST
            return is_lost and not self._lost.remaining() and self._asked[store_id] >= self._share_of_errors()

    def question(self, store_id: str, target: Target) -> tuple[Proof | None, bool]:
        """Return the last proof of a vector store, and whether the next one has to ask the query, too.

        The query costs an embedding: it is asked a few times, but again and again where nothing else tells workers
        apart, and where a question has failed once.
        """
        with self._lock:
            done = [answer.said for answer in self._proofs.get(store_id, [])]
            asks = (
                not done
                or INSERT not in done[-1].next_questions
                or target.provider.kind in PROCESS_LOCAL_PROVIDERS
                or any(proof.failure for proof in done)
                or self._queried[store_id] < self._queries
            )
            self._asked[store_id] += 1
            self._queried[store_id] += asks
            return done[-1] if done else None, asks

    def failed(self, target: Target) -> Proof | None:
        """Return the failed proof of another vector store of this provider and model, or None.

        One that got no answer in time is returned before any other, since it would take as long for the next one.
        """
        return self._failed.get((target.provider.id, target.model.id))

    def add_list(self, stores: Sequence[VectorStore], began: float) -> None:
        """Add a list."""
        with self._lock:
            for store in stores:
                shown = tuple(getattr(store, name) for name in SHOWN_FIELDS)
                self._versions.setdefault(store.id, {}).setdefault(shown, store)
            places = {store.id: place for place, store in enumerate(stores)}
            self._lists.append(Timed(places, began, self.now()))
            shown_by = Counter(store_id for answer in self._lists for store_id in answer.said)
            self._hidden = {store_id for store_id, count in shown_by.items() if count < len(self._lists)}

    def add_proof(self, store_id: str, target: Target, proof: Proof, began: float) -> None:
        """Add a proof."""
        with self._lock:
            self._proofs.setdefault(store_id, []).append(Timed(proof, began, self.now()))
            if proof.timed_out or (proof.verdict is Verdict.DEAD and self.failed(target) is None):
                self._failed[target.provider.id, target.model.id] = proof

    def is_over(self) -> bool:
        """Tell whether each list and each proof was taken as often as it has to be."""
        with self._lock:
            return not self.wants_lists() and all(self._left(store_id) <= 0 for store_id in self._wanted)

    def together(self, *, in_pages: bool = True) -> Observation:
        """Return what all of it says. Of lists `in_pages`, each page may be another worker's."""
        proofs = {store_id: self._united(store_id) for store_id in self._proofs}
        asked = {store_id: len(some) for store_id, some in self._proofs.items()}
        log.debug("processes.asked", connections=self.connections, vector_stores=len(self._versions), proofs=asked)
        lists = [answer.said for answer in self._lists]
        shown = Counter(store_id for places in lists for store_id in places)
        changed = any(proof.vanished for proof in proofs.values())
        changed |= any(store_id in self._wanted and self._appeared(store_id) for store_id in proofs)
        stores = in_order(self.stores, lists)
        versions = {store_id: tuple(some.values()) for store_id, some in self._versions.items()}
        in_pages &= len(stores) >= PAGE_SIZE
        # What somebody makes and deletes meanwhile is there once, and not again.
        is_partial = in_pages and any(surround(*by_store(self._lists, each)) for each in self._hidden)
        return Observation(
            len(lists), stores, dict(shown), proofs, versions, has_changed=changed, is_partial=is_partial
        )

    def _appeared(self, store_id: str) -> bool:
        """Tell whether the first lists did not show a vector store, and all later ones do."""
        shown, hidden = by_store(self._lists, store_id)
        return bool(shown and hidden) and may_precede(hidden, shown)

    def _united(self, store_id: str) -> Proof:
        return united(self._proofs[store_id], *by_store(self._lists, store_id))

    def _seems_vanished(self, store_id: str) -> bool:
        """Tell whether all that know a vector store said so before the few that do not: of many more it is certain."""
        lost = sum(answer.said.verdict is Verdict.LOST for answer in self._proofs.get(store_id, []))
        return 0 < lost <= 2 * FEWEST_PROOFS and self._united(store_id).vanished

    def _is_due(self, store_id: str) -> bool:
        # As many as there are connections left for them.
        is_drawn = random.random() * max(1, self.connections - self._opened) < self._left(store_id)
        return store_id not in self._begun or is_drawn

    def _left(self, store_id: str) -> int:
        """Return how many more proofs a vector store needs."""
        done = self._proofs.get(store_id)
        if done is None or self.is_decided(store_id) or self._seems_vanished(store_id):
            return 0
        last = done[-1].said
        # What lists differ on may be what one worker of many does not know.
        among = self._hidden if store_id in self._hidden else self._wanted
        share, fewest = self.connections * FULLY_PROVEN // len(among), FEWEST_PROOFS
        if last.costly and not (last.verdict is Verdict.LOST and self._lost.remaining()):
            share = self._share_of_errors()
            if last.verdict is Verdict.UNDECIDED and not by_store(self._lists, store_id)[1]:
                # Of many, some meet each worker.
                many = sum(some[-1].said.verdict is Verdict.UNDECIDED for some in self._proofs.values())
                share, fewest = 0, FEWEST_PROOFS - (many > FULLY_PROVEN)
        # Where the query may be what fails on one worker of several, those without it say nothing of that.
        begun = self._queried if any(answer.said.failure for answer in done) else self._begun
        return min(self.connections, max(fewest, share)) - begun[store_id]

    def _share_of_errors(self) -> int:
        """Return on how many connections each is proven that errors answer: each of them costs the server a log."""
        costly = sum(done[-1].said.costly for done in self._proofs.values())
        return max(FEWEST_PROOFS, self.connections // max(1, costly))
