"""What each connection asks of the worker that answers it."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from hook.deadline import Deadline, sleep
from hook.domain import Target, VectorStore, Verdict
from hook.errors import UnavailableError
from hook.llamastack import LlamaStack, is_own_failure
from hook.logs import log
from hook.retry import retry
from hook.survey.answers import Answers
from hook.survey.connections import in_any_order, overlap
from hook.survey.proof import Prover

QUESTIONS = 3
"""How many requests each connection but the first one sends at least: with one alone, fast workers are done before the
next connection is opened, and one of four was missed in every tenth observation (uvicorn)."""
QUESTIONS_OF_LISTS = 2
"""The same where there is nothing to prove, and more connections are opened instead."""
QUICK_SECONDS = 1.0
"""A failure that took longer is not repeated at once: the server has tried again itself, as with a model's endpoint."""
EARLY = 8
"""Among so many first questions of a connection is that for the list, since what lists take turns to show needs few
proofs more; at a place that is drawn, since what balances each request in turn would otherwise answer all lists from
the same replica (HAProxy)."""
LISTS_BEFORE = 8
"""So many more lists are asked for where a first proof is `lost`: of what they take turns to show, one proof that fails
tells enough, and each costs a server 0.1 s and more to log (0.3.5, four workers, 16 collections: 35 in place of 50)."""

T = TypeVar("T")
Wanted = Callable[[Sequence[VectorStore]], Mapping[str, Target]]
"""Which of the listed vector stores are to be proven, by id."""


@dataclass
class Turns:
    """What each connection asks."""

    _server: LlamaStack
    _prover: Prover
    _deadline: Deadline
    _wanted: Wanted
    _answers: Answers
    _is_patient: bool
    """Whether to repeat each request that fails, and at the end to prove all once more."""
    _is_disturbed: bool = False
    _has_lost: bool = False
    """Whether a worker did not know one of them."""

    def take_first(self, server: LlamaStack, at_once: int, *, asks_list: bool) -> None:
        """Ask for the list, unless that was asked just now, and for the first proof of each vector store.

        The first of those goes alone, since it may load the embedding model. The others are shared by up to `at_once`
        connections. Where one of them is lost, more lists tell whether workers disagree.
        """
        if asks_list:
            self._list(server, [])
        wanted = self._wanted(self._answers.stores)
        _, due = self._answers.open(wanted)
        alone = due if at_once == 1 else due[:1]
        self._ask(self._proofs(server, wanted, alone))
        others = due[len(alone) :]

        def take_share(number: int) -> None:
            with closing(self._server.another()) as other:
                self._ask(self._proofs(other, wanted, others[number::at_once]))

        def take_list(_: int) -> None:
            with closing(self._server.another()) as other:
                self._list(other, [])

        apart = self._deadline.timings.apart_seconds
        overlap(range(min(at_once, len(others))), take_share, at_once, apart)
        if at_once > 1 and self._has_lost:
            overlap(range(LISTS_BEFORE), take_list, at_once, apart)

    def take_another(self, _: int = 0) -> None:
        """Ask on a connection of its own for the list and for the proofs that are due.

        Where that is too little to keep the worker busy, it is asked for its health besides.
        """
        with closing(self._server.another()) as server:
            shown: list[str] = []
            wanted = self._wanted(self._answers.stores)
            asks_list, due = self._answers.open(wanted)
            questions = self._proofs(server, wanted, due)
            least = QUESTIONS if wanted else QUESTIONS_OF_LISTS
            questions += [partial(self._patiently, server.check_health)] * (least - asks_list - len(questions))
            questions = in_any_order(questions)
            if asks_list:
                place = random.randrange(min(EARLY, len(questions) + 1))
                questions.insert(place, partial(self._list, server, shown))
            self._ask(questions)
            if asks_list:
                wanted = self._wanted(self._answers.stores)
                due = self._answers.due_by_list(wanted, shown, due)
                self._ask(in_any_order(self._proofs(server, wanted, due)))

    def prove_what_was_disturbed(self) -> None:
        """Prove each once more where a request had to be repeated: the server may have restarted meanwhile."""
        if self._is_disturbed:
            wanted = self._wanted(self._answers.stores)
            for store_id, target in wanted.items():
                self._prove(self._server, store_id, target, anew=True)

    def _ask(self, questions: Sequence[Callable[[], None]]) -> None:
        for question in questions:
            if not self._answers.is_void:
                question()

    def _list(self, server: LlamaStack, shown: list[str]) -> None:
        began = self._answers.now()
        stores = self._patiently(partial(_repeated, server.vector_stores))
        self._answers.add_list(stores, began)
        shown += [store.id for store in stores]

    def _proofs(
        self, server: LlamaStack, wanted: Mapping[str, Target], store_ids: Iterable[str]
    ) -> list[Callable[[], None]]:
        return [partial(self._prove, server, store_id, wanted[store_id]) for store_id in store_ids]

    def _prove(self, server: LlamaStack, store_id: str, target: Target, *, anew: bool = False) -> None:
        """Add the proof of one connection. A failure counts where it is one again, or on another connection too."""
        if self._answers.is_decided(store_id) or (not anew and self._answers.is_asked_enough(store_id)):
            return
        before, asks_query = self._answers.question(store_id, target)
        ask = partial(self._prover.prove, server, store_id, target, before, asks_query=asks_query)
        began = self._answers.now()
        failed = self._answers.failed(target)
        proof = failed if failed is not None and failed.timed_out else self._patiently(ask)
        is_quick = self._answers.now() - began < QUICK_SECONDS and not proof.timed_out
        if proof.verdict is Verdict.DEAD and is_quick and self._answers.failed(target) is None:
            again = self._patiently(ask)
            if again.verdict is not Verdict.DEAD:
                log.info("request.failed_once", vector_store_id=store_id, cause=proof.detail)
                again = replace(again, failure=proof.detail)
            proof = again
        self._answers.add_proof(store_id, target, proof, began)
        if proof.verdict is Verdict.LOST and not self._has_lost:
            self._has_lost = True
            # Another release in the server's place knows none of them, and may not have this list any more.
            self._patiently(server.vector_stores)
        if server.is_flooded_easily:
            sleep(self._deadline.timings.flooded_pause_seconds)

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
