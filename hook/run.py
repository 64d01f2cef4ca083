"""The use-case: wait, compare, register what is missing, and verify it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from hook.backoff import retry
from hook.create import Creator
from hook.deadline import Deadline
from hook.domain import Collection, Finding, State, Target, VectorStore
from hook.errors import RefusedError, UnavailableError
from hook.flags import COMMANDS
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.plan import candidates, plan, resolve
from hook.proof import Proofs
from hook.race import Race
from hook.settings import Settings


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
        self._proofs = Proofs(server, deadline)
        self._creator = Creator(server, deadline)
        self._race = Race(server, deadline, self._creator, self._proofs)

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Wait, compare, register what is missing, and verify it by a fresh list and a proof of life."""
        stores = self._wait_until_ready()
        targets = self._resolve(collections)
        self._creator.found_ids = {store.id for store in stores}
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
                self._proofs.by_id.pop(store_id, None)
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
        """Compare the targets with the list, when all runs of this instant agree, each candidate being proven."""
        stores = self._race.settled(targets, stores, self._list)
        for store in chain.from_iterable(candidates(targets, stores).values()):
            self._proofs.of(store.id)
        return plan(targets, stores, self._proofs.by_id, accept_oldest=self._asked.accept_oldest)

    def _list(self) -> tuple[VectorStore, ...]:
        return retry(self._server.vector_stores, self._deadline, "request.retry_scheduled")

    def _register(self, target: Target, lost_ids: Sequence[str]) -> Finding:
        """Create the vector store of a collection, whose state stays unknown until the list was read again.

        Raises UnavailableError if the server stops answering.
        """
        try:
            store = self._creator.create(target, lost_ids)
        except RefusedError as error:
            return Finding(target.name, State.REJECTED, detail=str(error))
        except UnavailableError as error:
            raise UnavailableError(f"'{target.name}' is not registered: {error}") from error
        log.info("collection.registered", collection=target.name, vector_store_id=store.id)
        return Finding(target.name, State.UNKNOWN, store.id, "it was registered, but not verified any more")


def _verified(found: Finding, registered_id: str | None) -> Finding:
    """Return the finding of the fresh list, for a collection that this run registered under this id."""
    if registered_id is None or found.state not in (State.PRESENT, State.MISSING):
        return found
    if found.state is State.MISSING:
        detail = f"the server answered that it was created as '{registered_id}', but does not list it; see its log"
        return replace(found, id=registered_id, detail=detail)
    return replace(found, state=State.REGISTERED) if found.id == registered_id else found
