"""One question to every process behind the URL: workers and replicas keep lists of their own."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from hook.deadline import Deadline, sleep
from hook.domain import Observation, Proof, Target, VectorStore, Verdict
from hook.errors import UnavailableError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.llamastack.verdicts import is_own_failure
from hook.logs import log
from hook.retry import retry
from hook.survey.answers import Answers
from hook.survey.connections import AT_ONCE, in_any_order, overlap
from hook.survey.proof import Prover

PAUSE_SECONDS = 0.03
"""Before a create that another process shall take."""
MOST_ROUNDS = 3
"""How often all is asked anew because another run made something wanted in the middle of it."""
PATIENT_AFTER = 3
"""After so many looks that something broke into, the next is patient: it may be a gateway that always fails some."""
QUERIES = 5
"""How often a run queries a vector store, where an empty insert tells its processes apart as well: each query costs an
embedding, and 60 of them are too many for 0.2.16."""
QUERIES_BEFORE_A_WRITE = 2
"""How many of those go before a write, after which all is proven anew."""
QUESTIONS = 3
"""How many requests each connection but the first one sends at least: with one alone, fast workers are done before the
next connection is opened, and one of four was missed in every tenth look (uvicorn)."""
FLOODED_PAUSE_SECONDS = 0.1
"""After each proof where the server is flooded easily: it writes a few hundred events of its telemetry a second."""
QUICK_SECONDS = 1.0
"""A failure that took longer is not repeated at once: the server has tried again itself, as with a model's endpoint."""
EARLY = 3
"""Among so many first questions of a connection is that for the list."""
_LIMITED = (429, 503)
"""What a gateway answers that limits requests or connections."""

T = TypeVar("T")
Wanted = Callable[[Sequence[VectorStore]], Mapping[str, Target]]
"""Which of the listed vector stores are to be proven, by id."""


class Survey:
    """Asks on fresh connections, some at once, and unites what they say."""

    def __init__(self, server: LlamaStack, prover: Prover, deadline: Deadline, connections: int) -> None:
        self._server = server
        self._prover = prover
        self._deadline = deadline
        self.connections = max(1, connections)
        self._at_once = AT_ONCE
        self._first_list: Sequence[VectorStore] | None = None

    def know_first_list(self, stores: Sequence[VectorStore]) -> None:
        """Take what a first connection listed just now for the first answer of the next look."""
        self._first_list = stores

    def stores(self) -> tuple[VectorStore, ...]:
        """Return each vector store that any process lists. Raises as the server's API does."""
        return self.observe(lambda _: {}, 0).stores

    def prove_once(self, store_id: str, target: Target) -> Proof:
        """Return what the process that answers now says of a vector store. Raises as the server's API does."""
        ask = partial(self._prover.prove, self._server, store_id, target, None)
        return retry(ask, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)

    def observe(self, wanted: Wanted, queries: int) -> Observation:
        """Return the union of the lists and the proofs. Raises as the server's API does.

        `queries` is how often each vector store is queried where an empty insert tells as much. Whatever may be a
        server that restarts voids what was heard before it, and all is asked anew; so is it where a vector store
        answers nothing but failures: a few times, since each of them costs the server a log.
        """
        heard: Observation | None = None
        attempts = rounds = 0

        def ask_all() -> Observation:
            nonlocal rounds
            rounds += 1
            # What has failed may do so on one process of many, and is queried on each connection.
            most = queries if attempts == 1 else self.connections
            return self._ask_all(wanted, most, patient=rounds > PATIENT_AFTER)

        def attempt() -> Observation:
            nonlocal attempts, heard
            attempts += 1
            for _ in range(MOST_ROUNDS):
                heard = None
                heard = found = retry(ask_all, self._deadline, "request.retry_scheduled")
                if not found.has_grown:
                    break
            dead = next((proof for proof in found.proofs.values() if proof.verdict is Verdict.DEAD), None)
            # The last silence was waited for already, and another one has to leave time for the rest.
            if dead is not None and not (dead.timed_out and self._deadline.remaining() < self._deadline.seconds / 2):
                raise UnavailableError(dead.detail, status=500)
            return found

        try:
            return retry(attempt, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)
        except UnavailableError:
            if heard is None:
                raise
            # The others' proofs stand, whatever one backend does.
            return heard

    def shift(self) -> None:
        """Let another process take the next request of each connection, as where a balancer gives each one its turn."""
        sleep(PAUSE_SECONDS)
        if random.random() < 0.5:
            self._server.check_health()

    def _ask_all(self, wanted: Wanted, queries: int, *, patient: bool) -> Observation:
        """Ask once around: the first connection alone, since its answers say what to ask the others."""
        answers = Answers(self.connections, queries)
        turns = _Turns(self._server, self._prover, self._deadline, wanted, answers, patient=patient)
        first_list, self._first_list = self._first_list, None
        try:
            turns.take(self._server, first_list)
            one_at_a_time = patient or self._server.is_flooded_easily
            overlap(range(1, self.connections), turns.take_another, 1 if one_at_a_time else self._at_once)
            while not answers.is_over():
                turns.take_another()
            turns.prove_what_was_disturbed()
        except UnavailableError as error:
            if error.status in _LIMITED:
                self._at_once = 1
            raise
        finally:
            answers.is_void = True
        return answers.together()


class _Turns:
    """What each connection asks."""

    def __init__(
        self, server: LlamaStack, prover: Prover, deadline: Deadline, wanted: Wanted, answers: Answers, *, patient: bool
    ) -> None:
        """Take what to ask; a patient one repeats each request that fails, and at its end proves all once more."""
        self._server = server
        self._prover = prover
        self._deadline = deadline
        self._wanted = wanted
        self._answers = answers
        self._is_patient = patient
        self._is_disturbed = False

    def take_another(self, _: int = 0) -> None:
        """Ask on a connection of its own."""
        server = self._server.another()
        try:
            self.take(server, None, at_least=QUESTIONS)
        finally:
            server.close()

    def take(self, server: LlamaStack, first_list: Sequence[VectorStore] | None, *, at_least: int = 0) -> None:
        """Ask for the list, unless that was asked just now, and for the proofs that are due, in any order.

        Where that is too little to keep the worker busy, it is asked for its health besides.
        """
        shown: list[str] = []
        if first_list is not None:
            self._heard(first_list, self._answers.now(), shown)
        wanted = self._wanted(self._answers.stores)
        asks_list, proven = self._answers.open(wanted)
        questions = in_any_order(self._proofs(server, wanted, proven))
        if asks_list and first_list is None:
            # Early, since what lists take turns to show needs few proofs more.
            questions.insert(random.randrange(EARLY), partial(self._list, server, shown))
        questions += [partial(self._patiently, server.check_health)] * (at_least - len(questions))
        self._ask(questions)
        if asks_list:
            wanted = self._wanted(self._answers.stores)
            due = self._answers.due_by_list(wanted, shown, proven)
            self._ask(in_any_order(self._proofs(server, wanted, due)))

    def prove_what_was_disturbed(self) -> None:
        """Prove each once more where a request had to be repeated: the server may have restarted meanwhile."""
        if self._is_disturbed:
            wanted = self._wanted(self._answers.stores)
            self._ask(self._proofs(self._server, wanted, wanted))

    def _ask(self, questions: Sequence[Callable[[], None]]) -> None:
        for question in questions:
            if not self._answers.is_void:
                question()

    def _list(self, server: LlamaStack, shown: list[str]) -> None:
        began = self._answers.now()
        self._heard(self._patiently(partial(_repeated, server.vector_stores)), began, shown)

    def _heard(self, stores: Sequence[VectorStore], began: float, shown: list[str]) -> None:
        self._answers.add_list(stores, began)
        shown += [store.id for store in stores]

    def _proofs(
        self, server: LlamaStack, wanted: Mapping[str, Target], store_ids: Iterable[str]
    ) -> list[Callable[[], None]]:
        return [partial(self._prove, server, store_id, wanted[store_id]) for store_id in store_ids]

    def _prove(self, server: LlamaStack, store_id: str, target: Target) -> None:
        """Add the proof of one connection. A failure counts where it is one again, or on another connection too."""
        if self._answers.is_decided(store_id):
            return
        before, asks_query = self._answers.question(store_id, target)
        ask = partial(self._prover.prove, server, store_id, target, before, asks_query=asks_query)
        began = self._answers.now()
        proof = self._answers.hung(target) or self._patiently(ask)
        is_quick = self._answers.now() - began < QUICK_SECONDS and not proof.timed_out
        if proof.verdict is Verdict.DEAD and is_quick and self._answers.is_first_failure(target):
            again = self._patiently(ask)
            if again.verdict is not Verdict.DEAD:
                log.info("request.failed_once", vector_store_id=store_id, cause=proof.detail)
                again = replace(again, failure=proof.detail)
            proof = again
        self._answers.add_proof(store_id, target, proof, began)
        if server.is_flooded_easily:
            sleep(FLOODED_PAUSE_SECONDS)

    def _patiently(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except UnavailableError as error:
            if not self._is_patient or error.in_flight:
                raise
            self._is_disturbed = True
        return retry(question, self._deadline, "request.retry_scheduled")


def _repeated(ask: Callable[[], T]) -> T:
    """Ask once more where the server itself fails: now and then one does, and nothing is wrong with it."""
    try:
        return ask()
    except UnavailableError as error:
        if error.timed_out or not is_own_failure(error):
            raise
        log.info("request.failed_once", cause=str(error))
    return ask()
