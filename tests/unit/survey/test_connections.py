"""Connections that overlap, and the order of what was heard on them."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hook import deadline, signals
from hook.errors import Stopped, UnavailableError
from hook.survey import connections
from hook.survey.connections import AT_ONCE, in_any_order, overlap
from hook.survey.timed import Timed, comes_back, may_precede
from tests.fake_llamastack import FakeLlamaStack, answer, reset
from tests.unit.conftest import Run, entries

APART_SECONDS = 0.001

LIST = "GET /v1/vector_stores"
ONE = entries("red_hat_docs")


class Crowd:
    """Counts who is under way at once; each waits until as many are as are to be expected."""

    def __init__(self, expected: int) -> None:
        self.most = 0
        self.turns: list[int] = []
        self._under_way = 0
        self._lock = threading.Lock()
        self._full = threading.Event()
        self._expected = expected

    def ask(self, turn: int) -> None:
        """Be one of them."""
        with self._lock:
            self.turns.append(turn)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            if self._under_way == self._expected:
                self._full.set()
        assert self._full.wait(10)
        with self._lock:
            self._under_way -= 1


def test_some_are_under_way_at_once_and_no_more() -> None:
    """The next is opened when one of them has ended."""
    crowd = Crowd(AT_ONCE)

    overlap(range(3 * AT_ONCE), crowd.ask, AT_ONCE, APART_SECONDS)

    assert crowd.most == AT_ONCE
    assert sorted(crowd.turns) == [*range(3 * AT_ONCE)]


def test_one_at_once_needs_no_thread() -> None:
    """They come one after the other, in the thread that asked for them."""
    threads: list[threading.Thread] = []

    overlap(range(3), lambda _: threads.append(threading.current_thread()), 1, APART_SECONDS)

    assert threads == [threading.main_thread()] * 3


@pytest.mark.parametrize("at_once", [1, AT_ONCE])
def test_the_first_error_ends_it(at_once: int) -> None:
    asked: list[int] = []

    def fail(turn: int) -> None:
        asked.append(turn)
        raise UnavailableError(f"turn {turn}")

    with pytest.raises(UnavailableError, match=r"turn \d"):
        overlap(range(100), fail, at_once, APART_SECONDS)

    assert len(asked) <= at_once


@pytest.mark.usefixtures("listening")
def test_a_signal_ends_it_while_all_are_waiting() -> None:
    """What they have asked is not waited for."""
    silence = threading.Event()

    def note_and_wait(turn: int) -> None:
        if turn == AT_ONCE - 1:
            signals._note(15, None)
        silence.wait(10)

    with pytest.raises(Stopped):
        overlap(range(100), note_and_wait, AT_ONCE, APART_SECONDS)
    silence.set()


@pytest.mark.usefixtures("listening")
def test_only_the_main_thread_heeds_a_signal() -> None:
    """It is heeded once, and the run has to end by it."""
    signals._note(15, None)
    errors: list[BaseException] = []

    def heed() -> None:
        try:
            deadline.heed_signals()
        except Stopped as error:
            errors.append(error)

    thread = threading.Thread(target=heed)
    thread.start()
    thread.join()

    assert errors == []
    with pytest.raises(Stopped):
        deadline.heed_signals()


def test_each_connection_asks_in_an_order_of_its_own() -> None:
    """A balancer of requests answers each question by another process then."""
    questions: list[Callable[[], None]] = [partial(print, number) for number in range(6)]

    orders = {tuple(map(questions.index, in_any_order(questions))) for _ in range(50)}

    assert len(orders) > 1
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(6))}


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_limits_requests_gets_one_at_a_time(
    run: Run, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """From its answer to the end of the run."""
    at_once: list[int] = []

    def noted(turns: range, ask: Callable[[int], None], count: int, apart_seconds: float) -> None:
        at_once.append(count)
        overlap(turns, ask, count, apart_seconds)

    monkeypatch.setattr("hook.survey.survey.overlap", noted)
    with FakeLlamaStack() as fake:
        fake.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=3)
        fake.fault(LIST, answer(status), times=1)
        outcome = run(fake.url, "register", "--connections", "12", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert at_once == [AT_ONCE, 1, 1]


def test_a_gateway_that_resets_what_is_too_many_needs_patience(run: Run) -> None:
    """After some looks that it broke into, there is one connection at a time."""
    with FakeLlamaStack(most_connections=3) as fake:
        fake.add("red_hat_docs")
        outcome = run(fake.url, "check", "--connections", "12", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_a_connection_that_fails_voids_what_the_others_say(run: Run) -> None:
    """The server may have restarted; all is asked anew."""
    with FakeLlamaStack() as fake:
        fake.add("red_hat_docs")
        fake.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=5)
        fake.fault(LIST, reset, times=1)
        outcome = run(fake.url, "check", "--connections", "12", collections=ONE)

    assert outcome.exit_code == 0
    assert outcome.event_names().count("request.retry_scheduled") == 1


@pytest.mark.parametrize("count", ["1", "8"])
def test_a_limit_of_threads_is_named(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """As pids.max of a container; nothing is made, and the next run may have room."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    outcome = run(server.url, "--connections", count, "--timeout", "1")

    assert outcome.exit_code == 3
    assert "this container is at its limit of processes (pids) or of memory" in outcome.report["message"]
    assert server.stores == []


def answers(*said: tuple[Any, float, float]) -> list[Timed[Any]]:
    """Return answers with the times of their requests."""
    return [Timed(*each) for each in said]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ([("a", 0, 1)], [("b", 2, 3)], True),
        ([("a", 0, 2)], [("b", 1, 3)], True),
        ([("a", 1, 3)], [("b", 0, 2)], True),
        ([("a", 2, 3)], [("b", 0, 1)], False),
        ([("a", 0, 1), ("a", 4, 5)], [("b", 2, 3)], False),
        ([], [("b", 0, 1)], True),
        ([("a", 0, 1)], [], True),
    ],
)
def test_answers_may_precede_others_where_their_requests_overlap(first: Any, then: Any, expected: bool) -> None:
    """Nobody knows when in between the server made them."""
    assert may_precede(answers(*first), answers(*then)) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("a", 0, 1), ("b", 2, 3), ("a", 4, 5)], True),
        ([("a", 0, 1), ("b", 2, 3), ("b", 4, 5)], False),
        ([("a", 0, 3), ("b", 2, 5), ("a", 4, 7)], False),
        ([("a", 0, 1), ("b", 2, 3), ("c", 4, 5)], False),
        ([], False),
    ],
)
def test_an_answer_comes_back_only_after_another_one(said: Any, expected: bool) -> None:
    """Where their requests overlap, the server may have made them in another order."""
    assert comes_back(answers(*said)) is expected


def test_the_next_is_opened_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the worker that took the one before is busy with it."""
    slept: list[float] = []
    monkeypatch.setattr(connections, "sleep", slept.append)

    overlap(range(3), lambda _: None, AT_ONCE, APART_SECONDS)

    assert slept == [APART_SECONDS] * 3


def test_a_gateway_that_fails_every_third_needs_patience(run: Run) -> None:
    """Also where only the health is asked, so that a worker is busy."""
    with FakeLlamaStack() as fake:
        asked: list[int] = []

        def every_third(handler: Any) -> None:
            asked.append(1)
            handler.reply(*((503, None) if len(asked) % 3 == 0 else (200, {"status": "OK"})))

        fake.fault("GET /v1/health", every_third)
        outcome = run(fake.url, "--connections", "12", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
