"""The story of a run: wait, resolve, observe, decide, carry out, and judge."""

from collections.abc import Sequence

from hook.cli import Settings
from hook.deadline import Deadline
from hook.domain import Collection, Observation, Target
from hook.errors import UnavailableError
from hook.llamastack import LlamaStack
from hook.progress import Progress
from hook.registration import consumer
from hook.registration.candidates import as_candidates
from hook.registration.carry_out import Performer
from hook.registration.causes import explained
from hook.registration.decide import Action, decide
from hook.registration.journal import Journal
from hook.registration.judge import Judge, unfinished
from hook.registration.plan import planned
from hook.registration.ready import resolve_on, wait_until_ready
from hook.registration.settle import Settler
from hook.survey import QUERIES, QUERIES_BEFORE_A_WRITE, Prover, Survey


class Run:
    """One run against one server, and the same server with the consumers' credentials, where they have some."""

    def __init__(
        self,
        settings: Settings,
        server: LlamaStack,
        consumer_server: LlamaStack | None,
        deadline: Deadline,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._server = server
        self._consumer_server = consumer_server
        self._deadline = deadline
        self._progress = progress
        self._prover = Prover(deadline, settings.request_timeout_seconds, write=settings.prove_write)
        self._survey = Survey(server, self._prover, deadline, settings.connections)
        self._journal = Journal(server.run_id)
        self._settler = Settler(server, self._survey, deadline, self._journal)
        self._performer = Performer(server, self._survey, deadline)

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Leave the findings in the progress, whatever ends the run. Raises UnavailableError and RefusedError."""
        is_register = self._settings.command == "register"
        url = self._settings.server.url
        stores, self._progress.server_version = wait_until_ready(self._server, url, self._deadline)
        self._survey.know_first_list(stores)
        targets, rejected, warnings = resolve_on(
            self._server, collections, stores, self._deadline, is_register, self._progress.disabled
        )
        self._progress.findings |= rejected
        self._progress.warnings += warnings
        try:
            observation = self._observe(targets, QUERIES_BEFORE_A_WRITE if is_register else QUERIES)
            self._judge(targets, observation)
            plan = self._decide(targets, observation) if self._settings.command == "plan" else []
            self._journal.preexisting_ids = frozenset(store.id for store in observation.stores)
            while is_register and (actions := self._decide(targets, observation)):
                self._performer.carry_out(actions, self._journal)
                # Whatever was proven before may be over: the server may have restarted since.
                observation = self._observe(targets, QUERIES - QUERIES_BEFORE_A_WRITE)
                self._judge(targets, observation)
        except BaseException as error:
            self._progress.findings = unfinished(self._progress.findings, self._journal)
            if isinstance(error, UnavailableError):
                self._settler.give_way(targets)
            raise
        if self._consumer_server is not None:
            self._consumer_server.release = self._server.release
            survey = Survey(self._consumer_server, self._prover, self._deadline, self._settings.connections)
            findings = self._progress.findings
            findings |= consumer.check(survey, self._consumer_server, targets, findings, self._deadline)
        self._progress.findings |= planned(plan, self._progress.findings)

    def _observe(self, targets: Sequence[Target], queries: int) -> Observation:
        observation = self._settler.observe(targets, queries)
        return explained(self._server, observation, as_candidates(targets, observation.stores), self._deadline)

    def _judge(self, targets: Sequence[Target], observation: Observation) -> None:
        given, is_register = self._settings, self._settings.command == "register"
        fails = given.prove_write if is_register else given.fail_unverified
        options = given.on_duplicate, fails, self._deadline.elapsed(), given.recreate_lost, is_register
        self._progress.findings |= Judge(self._server.release, *options).findings(targets, observation, self._journal)

    def _decide(self, targets: Sequence[Target], observation: Observation) -> list[Action]:
        return decide(
            targets,
            observation,
            self._progress.findings,
            self._journal,
            release=self._server.release,
            may_recreate=self._settings.recreate_lost,
            may_insert=self._settings.prove_write and self._settings.command == "register",
            replaces=self._server.replaces,
        )
