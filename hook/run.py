"""The use-case: wait, compare, register what is missing, and verify it."""

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from hook.backoff import retry
from hook.deadline import Deadline, sleep
from hook.domain import Collection, Finding, Life, Proof, State, Target, VectorStore
from hook.errors import RefusedError, UnavailableError
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.plan import candidates, earlier_ones, plan, resolve
from hook.settings import COMMANDS, Settings

MAX_FAILURES = 3
"""Answers of 5xx to one write before giving up: ogx 1.5.0 without its Milvus answers 500 to each create, and keeps an
orphan of each that can stop its next start (POST /v1/vector_stores)."""

WATCH_SECONDS = 5.0
"""How long to look for a vector store whose create lost its connection, before another try."""

RACE_SECONDS = 30.0
"""How long runs that started at the same instant may take to agree on one vector store a name."""
RACE_PAUSE_SECONDS = (0.1, 0.6)


@dataclass
class Progress:
    """What is known so far, so that a run can tell it whenever it ends."""

    command: str = COMMANDS[0]
    server_url: str | None = None
    server_version: str | None = None
    findings: dict[str, Finding] = field(default_factory=dict)


class Run:
    """One run against one server."""

    def __init__(self, asked: Settings, server: LlamaStack, deadline: Deadline, progress: Progress) -> None:
        self._asked = asked
        self._server = server
        self._deadline = deadline
        self._progress = progress
        self._proofs: dict[str, Proof] = {}
        self._created: dict[str, str] = {}
        """By name, the ids of the vector stores that this run certainly made itself."""
        self._found_ids: set[str] = set()
        """The ids that were there before; whatever the server answers to a create, they are not ours."""

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Wait, compare, register what is missing, and verify it by a fresh list and a proof of life."""
        stores = self._wait_until_ready()
        targets = self._resolve(collections)
        self._found_ids = {store.id for store in stores}
        findings = self._progress.findings
        findings |= self._settle(targets, stores)
        if self._asked.command != "register":
            return
        wanted = {State.MISSING, State.LOST} if self._asked.recreate_lost else {State.MISSING}
        registered: dict[str, str] = {}
        for target in targets:
            name = target.name
            if findings[name].state in wanted:
                lost_ids = findings[name].lost_ids
                findings[name] = Finding(name, State.UNKNOWN, detail="its registration was begun")
                findings[name] = self._register(target, lost_ids)
                if findings[name].state is State.UNKNOWN:
                    registered[name] = str(findings[name].id)
        if registered:
            for store_id in registered.values():
                self._proofs.pop(store_id, None)
            accepted = [target for target in targets if findings[target.name].state is not State.REJECTED]
            verified = self._settle(accepted, self._list())
            findings |= {name: _verified(finding, registered.get(name)) for name, finding in verified.items()}

    def _wait_until_ready(self) -> tuple[VectorStore, ...]:
        """Return the list of vector stores as soon as the server is healthy and answers that very call."""

        def ready() -> tuple[VectorStore, ...]:
            self._server.check_health()
            return self._server.vector_stores()

        try:
            stores = retry(ready, self._deadline, "health.retry_scheduled")
        except UnavailableError as error:
            raise UnavailableError(
                f"The server was not ready within {self._asked.timeout_seconds:g} s: {error}"
            ) from error
        self._progress.server_version = self._server.version()
        log.info(
            "health.ready",
            server_version=self._progress.server_version,
            vector_stores=len(stores),
            elapsed_seconds=round(self._deadline.elapsed(), 2),
        )
        return stores

    def _resolve(self, collections: Sequence[Collection]) -> list[Target]:
        """Return what to ask the server for, and note the collections for which it has no right answer."""
        models = retry(self._server.embedding_models, self._deadline, "request.retry_scheduled")
        provider_ids = retry(self._server.vector_io_provider_ids, self._deadline, "request.retry_scheduled")
        targets = []
        for collection in collections:
            try:
                targets.append(resolve(collection, models, provider_ids))
            except RefusedError as error:
                self._progress.findings[collection.name] = Finding(collection.name, State.REJECTED, detail=str(error))
        return targets

    def _settle(self, targets: Sequence[Target], stores: Sequence[VectorStore]) -> dict[str, Finding]:
        """Compare, as soon as runs that started at the same instant have agreed on one vector store a name.

        Each run takes its own one back where another came first; then one is left, and all of them find it. That is
        decided before the proofs, of which twenty runs with twenty vector stores of a name would need too many.
        """
        patience = Deadline(min(RACE_SECONDS, self._deadline.remaining() / 2))
        while True:
            found = candidates(targets, stores)
            for name in found:
                self._take_back(name, found[name])
            raced = [name for name in found if self._is_raced(name, found[name])]
            if not raced or patience.remaining() == 0:
                return self._compare(targets, stores)
            log.info("race.found", collections=len(raced), remaining_seconds=round(patience.remaining(), 2))
            # Not all at once: the others poll, too.
            sleep(random.uniform(*RACE_PAUSE_SECONDS))  # noqa: S311
            stores = self._list()

    def _is_raced(self, name: str, found: Sequence[VectorStore]) -> bool:
        """Tell whether several vector stores are so new that another run may be about to take its own one back."""
        if len(found) < 2:
            return False
        # One that a restart has lost is in no race; the oldest is proven in any case.
        self._prove(min(found, key=lambda store: store.created_at))
        alive = [s for s in found if s.id not in self._proofs or self._proofs[s.id].life is not Life.LOST]
        own = next((store for store in alive if store.id == self._created.get(name)), None)
        now = time.time() if own is None else own.created_at
        return sum(abs(now - store.created_at) < RACE_SECONDS for store in alive) > 1

    def _take_back(self, name: str, found: Sequence[VectorStore]) -> None:
        """Delete the vector store that this run made, if another live one of the name was there before it."""
        own_id = self._created.get(name, "")
        # However the server answered the create: what is older than this run, but for the clocks, is not its own.
        began = time.time() - self._deadline.elapsed() - RACE_SECONDS
        if not any(store.id == own_id and store.created_at > began for store in found):
            return
        if all(self._prove(each).life is Life.LOST for each in earlier_ones(found, own_id)):
            return
        retry(partial(self._server.delete_vector_store, own_id), self._deadline, "request.retry_scheduled")
        del self._created[name]
        log.info("collection.taken_back", collection=name, vector_store_id=own_id)

    def _compare(self, targets: Sequence[Target], stores: Sequence[VectorStore]) -> dict[str, Finding]:
        """Prove the vector stores of the targets, and compare them with what is wanted."""
        for store in chain.from_iterable(candidates(targets, stores).values()):
            self._prove(store)
        return plan(targets, stores, self._proofs, accept_oldest=self._asked.accept_oldest)

    def _prove(self, store: VectorStore) -> Proof:
        """Return the proof of life of a vector store, asking the server once."""
        if store.id not in self._proofs:
            prove = partial(self._server.prove, store.id)
            self._proofs[store.id] = retry(prove, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)
        return self._proofs[store.id]

    def _list(self) -> tuple[VectorStore, ...]:
        return retry(self._server.vector_stores, self._deadline, "request.retry_scheduled")

    def _register(self, target: Target, lost_ids: Sequence[str]) -> Finding:
        """Create the vector store of a collection, whose state stays unknown until the list was read again.

        Raises UnavailableError if the server stops answering.
        """
        try:
            store = self._create(target, lost_ids)
        except RefusedError as error:
            return Finding(target.name, State.REJECTED, detail=str(error))
        except UnavailableError as error:
            raise UnavailableError(f"'{target.name}' is not registered: {error}") from error
        log.info("collection.registered", collection=target.name, vector_store_id=store.id)
        return Finding(target.name, State.UNKNOWN, store.id, "it was registered, but not verified any more")

    def _create(self, target: Target, lost_ids: Sequence[str]) -> VectorStore:
        """Create a vector store; where nobody knows what came of that, the list decides whether it took place.

        Every create makes another store. A server that did not answer in time may carry it out whenever it likes: then
        the run only looks for the store, and leaves the next try to the next run.
        """
        tried = False

        def look() -> VectorStore | None:
            listed = candidates([target], self._server.vector_stores())[target.name]
            return next((store for store in listed if store.id not in lost_ids), None)

        def look_and_create() -> VectorStore:
            nonlocal tried
            found = look() if tried else None
            tried = True
            if found is None:
                found = create()
                if found.id not in self._found_ids:
                    self._created[target.name] = found.id
            return found

        def create() -> VectorStore:
            try:
                return self._server.create_vector_store(target)
            except RefusedError as error:
                # An answer of 2xx that cannot be read says that something took place.
                if error.status is None or error.status < 300:
                    raise UnavailableError(str(error), in_flight=True, timed_out=True) from error
                raise

        def look_again() -> VectorStore:
            found = look()
            if found is None:
                raise failure
            return found

        for _ in range(MAX_FAILURES):
            try:
                return retry(look_and_create, self._deadline, "create.retry_scheduled", max_failures=MAX_FAILURES)
            except UnavailableError as error:
                if not error.in_flight:
                    raise
                failure = UnavailableError(f"{error}; the list does not show it, and another try could make it twice")
                timed_out = error.timed_out
            half = self._deadline.remaining() / 2
            patience = Deadline(half if timed_out else min(WATCH_SECONDS, half))
            with suppress(UnavailableError):
                return retry(look_again, patience, "create.lookup_scheduled")
            if timed_out:
                break
        raise failure


def _verified(found: Finding, registered_id: str | None) -> Finding:
    """Return the finding of the fresh list, for a collection that this run registered under this id."""
    if registered_id is None or found.state not in (State.PRESENT, State.MISSING):
        return found
    if found.state is State.MISSING:
        detail = f"the server answered that it was created as '{registered_id}', but does not list it; see its log"
        return replace(found, id=registered_id, detail=detail)
    return replace(found, state=State.REGISTERED) if found.id == registered_id else found
