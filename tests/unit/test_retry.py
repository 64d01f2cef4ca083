"""When a call is tried again, when not, and how long the pauses are: on a clock of its own."""

import random
import time
from collections.abc import Callable

import pytest
import structlog

from hook import logs
from hook.deadline import Deadline, sleep
from hook.errors import BudgetError, RefusedError, UnavailableError
from hook.retry import retry


class Time:
    """A clock that only sleeping and calling move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        monkeypatch.setattr("hook.retry.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline on this clock."""
        return Deadline(seconds, lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Return a clock, with the longest jitter that there can be."""
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    logs.configure("info", "json", {})
    return Time(monkeypatch)


def failing(times: float, error: UnavailableError | None = None) -> Callable[[], str]:
    """Return a call that fails so many times before it succeeds."""
    left = [times]

    def call() -> str:
        if left[0] > 0:
            left[0] -= 1
            raise error or UnavailableError("not yet")
        return "done"

    return call


def test_pauses_double_up_to_a_cap(clock: Time) -> None:
    """The first is at most 0.5 s, none is longer than 5 s."""
    assert retry(failing(6), clock.deadline(300), "e") == "done"
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause is drawn from 0 to its ceiling, so that hooks that start together do not stay together."""
    drawn: list[tuple[float, float]] = []
    clock = Time(monkeypatch)

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.0

    monkeypatch.setattr(random, "uniform", draw)

    retry(failing(3), clock.deadline(300), "e")

    assert drawn == [(0, 0.5), (0, 1.0), (0, 2.0)]


def test_the_budget_ends_it(clock: Time) -> None:
    """The last error is raised, and no pause goes beyond the budget."""
    with pytest.raises(UnavailableError, match="not yet"):
        retry(failing(float("inf")), clock.deadline(10), "e")

    assert sum(clock.pauses) == pytest.approx(9), "and the last try has a second to be answered"


def test_the_server_s_wish_is_honoured(clock: Time) -> None:
    """`Retry-After` makes a pause longer, not shorter."""
    retry(failing(2, UnavailableError("busy", retry_after_seconds=20)), clock.deadline(300), "e")

    assert clock.pauses == [20, 20]


def test_a_wish_beyond_the_budget_ends_it_at_once(clock: Time) -> None:
    """The server itself says that waiting would not help."""
    with pytest.raises(UnavailableError, match="busy; Retry-After is 3600 s, more than the 300 s that are left"):
        retry(failing(1, UnavailableError("busy", retry_after_seconds=3600)), clock.deadline(300), "e")

    assert clock.pauses == []


def test_the_end_of_the_budget_does_not_hide_the_cause(clock: Time) -> None:
    """What failed before is said, unless a write may still happen."""
    ends = [UnavailableError("503"), BudgetError("no answer within 0.01 s")]

    def call() -> str:
        raise ends[min(len(clock.pauses), 1)]

    with pytest.raises(UnavailableError, match="503"):
        retry(call, clock.deadline(10), "e")
    ends[1] = BudgetError("no answer to the POST", in_flight=True)
    with pytest.raises(UnavailableError, match="no answer to the POST"):
        retry(call, clock.deadline(10), "e")


def test_other_errors_are_not_retried(clock: Time) -> None:
    """A refusal, and a write that may still happen, end the tries at once."""

    def refused() -> str:
        raise RefusedError("never")

    with pytest.raises(RefusedError, match="never"):
        retry(refused, clock.deadline(300), "e")
    with pytest.raises(UnavailableError, match="maybe"):
        retry(failing(1, UnavailableError("maybe", in_flight=True)), clock.deadline(300), "e")
    assert clock.pauses == []


def test_failures_of_the_server_itself_can_be_limited(clock: Time) -> None:
    """Answers of 500 count, a refused connection does not."""
    errors = iter([None, 500, None, 500, None])

    def call() -> str:
        raise UnavailableError("no", status=next(errors))

    with pytest.raises(UnavailableError):
        retry(call, clock.deadline(300), "e", max_failures=2)

    assert len(clock.pauses) == 3


def test_each_retry_is_one_event(clock: Time) -> None:
    """It has the cause, the next pause, and how much of the budget is gone and left."""
    with structlog.testing.capture_logs() as events:
        retry(failing(1), clock.deadline(300), "health.retry_scheduled")

    assert events == [
        {
            "event": "health.retry_scheduled",
            "log_level": "info",
            "cause": "not yet",
            "attempt": 1,
            "wait_seconds": 0.5,
            "elapsed_seconds": 0.0,
            "remaining_seconds": 300.0,
        }
    ]


def test_sleep_is_cut_into_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of them a signal is heeded."""
    slices: list[float] = []
    monkeypatch.setattr(time, "sleep", slices.append)

    sleep(0.25)

    assert slices == [0.1, 0.1, pytest.approx(0.05)]
