"""The use-case: wait, compare, register what is missing, and verify it."""

from collections.abc import Sequence
from functools import partial

from hook.cli.settings import Settings
from hook.deadline import Deadline
from hook.domain import Collection, Finding, Look, Target, VectorStore
from hook.errors import UnavailableError
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.progress import Progress
from hook.registration import consumer
from hook.registration.candidates import provable, unsettled
from hook.registration.causes import explained
from hook.registration.create import Creator
from hook.registration.models import file_warnings, vector_lengths
from hook.registration.plan import plan
from hook.registration.race import Race
from hook.registration.register import Registrar
from hook.registration.resolve import misfits, resolve_all
from hook.retry import retry
from hook.survey.processes import QUERIES, QUERIES_BEFORE_A_WRITE, Processes
from hook.survey.proof import Prover


class Run:
    """One run against one server, and the same server with the credentials of the consumers, where they have some."""

    def __init__(
        self,
        asked: Settings,
        server: LlamaStack,
        consumer_server: LlamaStack | None,
        deadline: Deadline,
        progress: Progress,
    ) -> None:
        self._asked = asked
        self._server = server
        self._consumer_server = consumer_server
        self._deadline = deadline
        self._progress = progress
        self._prover = Prover(server, deadline, asked.request_timeout_seconds, write=asked.prove_write)
        self._processes = Processes(server, self._prover, deadline, asked.connections)
        self._creator = Creator(server, self._processes, deadline)
        self._race = Race(server, self._processes, deadline, self._creator)
        self._registrar = Registrar(server, self._processes, self._creator, deadline, asked)

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Wait, compare, register what is missing, and verify all of it anew after the last write."""
        self._wait_until_ready()
        targets = self._resolve(collections)
        findings = self._progress.findings
        may_write = self._asked.command == "register"
        look = self._look(targets, QUERIES_BEFORE_A_WRITE if may_write else QUERIES)
        self._race.know_lost(look.proofs)
        findings |= self._plan(targets, look)
        acts = (
            self._race.withdraw,
            self._registrar.repeat_creates,
            self._registrar.create,
            self._registrar.repeat_creates,
        )
        for act in acts if may_write else ():
            try:
                has_sent = act(targets, look, findings)
            except UnavailableError:
                self._registrar.leave_none_too_many(partial(self._race.give_way, targets))
                raise
            if has_sent:
                # Whatever was proven before may be over: the server may have restarted since.
                accepted = [target for target in targets if not self._registrar.has_failed(target)]
                give_way = partial(self._race.give_way, accepted)
                look_again = partial(self._look, accepted, QUERIES - QUERIES_BEFORE_A_WRITE)
                look = self._registrar.look_until_listed(look_again, give_way)
                findings |= self._registrar.verified(self._plan(accepted, look))
        if self._consumer_server is not None:
            self._consumer_server.release = self._server.release
            prover = self._prover.with_server(self._consumer_server)
            processes = Processes(self._consumer_server, prover, self._deadline, self._asked.connections)
            findings |= consumer.check(processes, self._consumer_server, targets, findings, self._deadline)

    def _wait_until_ready(self) -> None:
        """Return as soon as the server is healthy and answers with its list of vector stores."""

        def ready() -> tuple[VectorStore, ...]:
            self._server.check_health()
            return self._server.vector_stores()

        try:
            stores = retry(ready, self._deadline, "health.retry_scheduled")
        except UnavailableError as error:
            raise UnavailableError(
                f"The server was not ready within {self._asked.timeout_seconds:g} s: {error}"
            ) from error
        self._processes.heard_already(stores)
        self._progress.server_version = self._server.version()
        log.info(
            "health.ready",
            server_version=self._progress.server_version,
            vector_stores=len(stores),
            elapsed_seconds=round(self._deadline.elapsed(), 2),
        )

    def _resolve(self, collections: Sequence[Collection]) -> list[Target]:
        """Return what to ask the server for, and note the collections for which it has no right answer."""
        models = retry(self._server.embedding_models, self._deadline, "request.retry_scheduled")
        providers = retry(self._server.vector_io_providers, self._deadline, "request.retry_scheduled")
        targets, rejected = resolve_all(collections, models, providers)
        lengths = vector_lengths(self._server, (target.model for target in targets), self._deadline)
        rejected |= misfits(targets, lengths)
        self._progress.findings |= rejected
        targets = [target for target in targets if target.name not in rejected]
        if self._asked.command == "register":
            able = (each for each in targets if each.model.id in lengths)
            self._progress.warnings += file_warnings(self._server, able, self._deadline)
        return targets

    def _look(self, targets: Sequence[Target], queries: int) -> Look:
        """Return what all processes say of the targets, when all runs of this instant agree."""
        settled: frozenset[str] = frozenset()
        while True:
            look = self._processes.look(partial(provable, targets, settled), queries)
            if not unsettled(targets, look.stores, settled):
                wanted = provable(targets, settled, look.stores)
                return explained(self._server, look, wanted, self._deadline)
            settled |= self._race.settle(targets, look.stores)

    def _plan(self, targets: Sequence[Target], look: Look) -> dict[str, Finding]:
        look = self._registrar.with_canaries(look)
        return plan(targets, look, accept_oldest=self._asked.accept_oldest, release=self._server.release)
