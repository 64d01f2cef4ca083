"""Carries out what was decided, and notes in the journal what came of it. It decides nothing."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from hook.deadline import Deadline
from hook.domain import Target, VectorStore
from hook.errors import HookError, RefusedError, UnavailableError
from hook.llamastack import MAX_FAILURES, LlamaStack, is_own_failure
from hook.logs import log
from hook.registration.candidates import as_listed
from hook.registration.decide import Action, Create, Repeat, Try, Withdraw
from hook.registration.deletion import delete
from hook.registration.journal import Created, Journal, Kept, Refused, Repeated, Sent, Tried, Unclear, Withdrawn
from hook.registration.trial import try_out
from hook.retry import retry
from hook.survey import Survey


@dataclass
class Performer:
    """Withdraws, repeats, tries and creates, each as it was decided."""

    _server: LlamaStack
    _survey: Survey
    _deadline: Deadline
    _listed: tuple[int, Sequence[VectorStore]] = (0, ())
    """What the server listed after so many creates without a clear answer, in this round."""

    def carry_out(self, actions: Sequence[Action], journal: Journal) -> None:
        """Carry out all of it. Raises UnavailableError where the server is not there at all."""
        self._listed = (0, ())
        self._repeat([action for action in actions if isinstance(action, Repeat)], journal)
        for action in actions:
            target = action.target
            if isinstance(action, Withdraw):
                self._withdraw(action, journal)
            elif isinstance(action, Try):
                proof = try_out(self._server, target, self._deadline)
                journal.add(Tried(target.name, (target.provider.id, target.model.id), proof))
            elif isinstance(action, Create):
                self._create(target, journal)

    def _withdraw(self, action: Withdraw, journal: Journal) -> None:
        name, store = action.target.name, action.store
        # What cannot be deleted is reported as a duplicate.
        with suppress(HookError):
            # At the last moment, since somebody may have begun to use it.
            empty = self._survey.prove_once(store.id, as_listed(action.target, store)).empty
            claim = replace(action.claim, empty=empty)
            if delete(self._server, store, claim, self._deadline, max_failures=MAX_FAILURES):
                journal.add(Withdrawn(name, store))
                log.info("collection.withdrawn", collection=name, vector_store_id=store.id, kept=claim.older.id)
                return
        journal.add(Kept(name, store))

    def _repeat(self, repeats: Sequence[Repeat], journal: Journal) -> None:
        if not repeats:
            return
        everywhere = any(action.on_each_connection for action in repeats)
        for turn in range(self._survey.connections if everywhere else 1):
            retry(self._survey.shift, self._deadline, "request.retry_scheduled")
            for action in [each for each in repeats if turn == 0 or each.on_each_connection]:
                # Under the id that it has, which may be the alias: another one would be a second one.
                there = replace(action.target, name=action.store_id)
                with suppress(HookError):
                    self._send(there)
        for action in repeats:
            journal.add(Repeated(action.target.name))
        log.info("collections.registered_anew", collections=[action.target.name for action in repeats])

    def _create(self, target: Target, journal: Journal) -> None:
        """Create a vector store, once. Raises UnavailableError where the server is not there at all."""
        # What fails may leave something behind, so it is not tried again for the next one.
        unclear = sum(isinstance(event, Unclear) for event in journal.events)
        if unclear != self._listed[0]:
            self._listed = unclear, self._survey.stores()
        failures = journal.unresolved(self._listed[1]).values() if unclear else ()
        if any(failure.provider_id in (None, target.provider.id) for failure in failures):
            return
        journal.add(Sent(target.name))
        try:
            store = self._send(target)
        except RefusedError as error:
            if error.status is not None and error.status >= 300:
                journal.add(Refused(target.name, str(error)))
                return
            # An answer of 2xx that cannot be read says that something took place.
            journal.add(Unclear(target.name, str(error), self._until(timed_out=True), None))
        except UnavailableError as error:
            is_own = is_own_failure(error) and error.in_json and not error.timed_out
            # A 500 that is not JSON is a gateway's, and the server behind it may still be working on the create.
            is_open = error.in_flight or (error.status == 500 and not error.in_json)
            if not is_own and not is_open:
                raise UnavailableError(f"'{target.name}' is not registered: {error}") from error
            is_over = not is_open or self._server.replaces
            until = 0.0 if is_over else self._until(timed_out=error.timed_out)
            journal.add(Unclear(target.name, str(error), until, target.provider.id if is_own else None))
        else:
            journal.add(Created(target.name, store))
            log.info("collection.registered", collection=target.name, vector_store_id=store.id)

    def _send(self, target: Target) -> VectorStore:
        """Send a create; one that was never sent, or that the server put off, is sent again.

        Up to 0.2.24 so is one that was answered by 5xx: a second one changes nothing there (POST /v1/vector-dbs).
        """
        most = MAX_FAILURES if self._server.replaces else 1
        create = partial(self._server.create_vector_store, target)
        return retry(create, self._deadline, "create.retry_scheduled", max_failures=most)

    def _until(self, *, timed_out: bool) -> float:
        """Return until when a create may still take place; one that is still being worked on may take any time."""
        late, half = self._deadline.timings.late_seconds, self._deadline.remaining() / 2
        return self._deadline.elapsed() + (max(late, half) if timed_out else late)
