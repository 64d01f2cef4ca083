"""A create takes place at most once, whatever becomes of its answer."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from hook.deadline import Deadline, sleep
from hook.domain import Target, VectorStore
from hook.errors import RefusedError, UnavailableError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.registration.candidates import candidates
from hook.retry import retry
from hook.survey.processes import Processes

WATCH_SECONDS = 5.0
"""How long to look for a vector store whose create lost its connection, before another try."""
LATE_SECONDS = 15.0
"""How long a create without a clear answer may still take place: a gateway gives it up while its server goes on."""
LATE_PAUSE_SECONDS = 1.0
"""Between two looks at what such a create made: so long at most do other runs see a duplicate."""


class Creator:
    """Creates vector stores, and knows which ones this run certainly made itself."""

    def __init__(self, server: LlamaStack, processes: Processes, deadline: Deadline) -> None:
        self._server = server
        self._processes = processes
        self._deadline = deadline
        self.found_ids: set[str] = set()
        """The ids that were there before; whatever the server answers to a create, they are not ours."""
        self.own_ids: dict[str, str] = {}
        """By name, what the server answered to this run's creates."""
        self.deleted_ids: set[str] = set()
        """What this run made too many and took back."""
        self._late: dict[str, Deadline] = {}
        """By name, until when a create may still take place that got no clear answer."""
        self._unclear: Counter[str] = Counter()
        """By name, how many creates got none."""

    def create(self, target: Target, lost_ids: Sequence[str]) -> VectorStore:
        """Create a vector store; where nobody knows what came of that, the list decides whether it took place.

        Every create makes another store. A server that did not answer in time may carry it out whenever it likes: then
        the run only looks for the store, and leaves the next try to the next run.

        Raises UnavailableError where nobody knows, or the server does not answer, and RefusedError.
        """
        tried = False

        def look_and_create() -> VectorStore:
            nonlocal tried
            found = self._look(target, lost_ids) if tried else None
            tried = True
            if found is None:
                found = self._send(target)
                if found.id not in self.found_ids:
                    self.own_ids[target.name] = found.id
            return found

        def look_again() -> VectorStore:
            found = self._look(target, lost_ids)
            if found is None:
                raise failure
            return found

        for _ in range(MAX_FAILURES):
            try:
                return retry(look_and_create, self._deadline, "create.retry_scheduled", max_failures=MAX_FAILURES)
            except UnavailableError as error:
                if not error.in_flight:
                    raise
                said = f"{error}; the list does not show it, and another try could make it twice"
                failure = UnavailableError(said, status=error.status, in_json=error.in_json)
                timed_out = error.timed_out
            half = self._deadline.remaining() / 2
            patience = Deadline(half if timed_out else min(WATCH_SECONDS, half))
            with suppress(UnavailableError):
                return retry(look_again, patience, "create.lookup_scheduled")
            if timed_out:
                break
        raise failure

    def is_own(self, store: VectorStore) -> bool:
        """Tell whether this run certainly made a vector store: its metadata say so, and it was not there before."""
        return store.made_by == self._server.run_id and store.id not in self.found_ids | self.deleted_ids

    def wait_for_late_ones(self, names: Iterable[str], meanwhile: Callable[[], None]) -> None:
        """Let each create of these names that got no clear answer have its time, before its success may be told.

        Each second of that begins with a call of `meanwhile`. Raises UnavailableError where the budget has less.
        """
        for name in names:
            patience = self._late.pop(name, Deadline(0.0))
            while patience.remaining():
                meanwhile()
                if patience.remaining() > self._deadline.remaining():
                    raise UnavailableError(
                        f"'{name}': a create got no clear answer and may still take place, for longer than the budget"
                    )
                sleep(min(LATE_PAUSE_SECONDS, patience.remaining()))

    def _look(self, target: Target, lost_ids: Sequence[str]) -> VectorStore | None:
        listed = candidates([target], self._processes.stores())[target.name]
        shown = sum(store.made_by == self._server.run_id for store in listed)
        # Each of them answers for one create, and this comes before another one is sent.
        if shown >= self._unclear[target.name]:
            self._late.pop(target.name, None)
        return next((store for store in listed if store.id not in lost_ids), None)

    def _send(self, target: Target) -> VectorStore:
        try:
            return self._server.create_vector_store(target)
        except RefusedError as error:
            # An answer of 2xx that cannot be read says that something took place.
            if error.status is not None and error.status >= 300:
                raise
            self._note_unclear(target)
            raise UnavailableError(str(error), in_flight=True, timed_out=True) from error
        except UnavailableError as error:
            if error.in_flight or error.status == 500:
                self._note_unclear(target)
            raise

    def _note_unclear(self, target: Target) -> None:
        """Remember that a create may take place later than its answer; where it replaces, that makes no other one."""
        if not self._server.replaces:
            self._late[target.name] = Deadline(LATE_SECONDS)
            self._unclear[target.name] += 1
