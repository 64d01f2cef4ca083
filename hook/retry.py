"""Trying again: exponential backoff with full jitter, inside the budget, and only for what may work later."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from hook.deadline import Deadline, sleep
from hook.errors import BudgetError, UnavailableError
from hook.logs import log

T = TypeVar("T")


def retry(call: Callable[[], T], deadline: Deadline, event: str, *, max_failures: int | None = None) -> T:
    """Return what `call` returns, and call it again while it raises an UnavailableError that is not in flight.

    Each retry is one log event called `event`. Raises the last UnavailableError when the budget is used up, when
    `Retry-After` is longer than that, and at the `max_failures`th answer of 5xx; any other error at once.
    """
    failures = 0
    cause: UnavailableError | None = None
    timings = deadline.timings
    reserve = min(timings.last_try_seconds, deadline.seconds / 10)
    backoff = tenacity.wait_random_exponential(timings.first_wait_seconds, timings.most_wait_seconds)

    def attempt() -> T:
        nonlocal cause, failures
        try:
            return call()
        except UnavailableError as error:
            failures += (error.status or 0) >= 500
            pause, left = error.retry_after_seconds or 0.0, deadline.remaining()
            if pause > left:
                error.args = (f"{error}; Retry-After is {pause:g} s, more than the {left:.0f} s that are left",)
            if cause is None or error.in_flight or not isinstance(error, BudgetError):
                cause = error
            raise cause from (None if cause is error else error)

    def retry_after() -> float:
        return (cause and cause.retry_after_seconds) or 0.0

    def wait(state: tenacity.RetryCallState) -> float:
        return max(retry_after(), min(backoff(state), deadline.remaining() - reserve))

    def stop(_: tenacity.RetryCallState) -> bool:
        has_failed = max_failures is not None and failures >= max_failures
        return has_failed or deadline.remaining() <= max(reserve, retry_after())

    def log_retry(state: tenacity.RetryCallState) -> None:
        log.info(
            event,
            cause=str(cause),
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 2),
            elapsed_seconds=round(deadline.elapsed(), 2),
            remaining_seconds=round(deadline.remaining(), 2),
        )

    is_unavailable = tenacity.retry_if_exception(lambda error: error is cause and not cause.in_flight)
    return tenacity.Retrying(
        retry=is_unavailable, wait=wait, stop=stop, before_sleep=log_retry, sleep=sleep, reraise=True
    )(attempt)
