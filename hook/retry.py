"""Trying again: exponential backoff with full jitter, inside the budget, and only for what may work later."""

import random
from collections.abc import Callable
from typing import TypeVar

import tenacity

from hook.deadline import Deadline, sleep
from hook.errors import BudgetError, UnavailableError
from hook.logs import log

FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 5.0
LAST_TRY_SECONDS = 1.0
"""What every try has left of the budget to be answered in; a tenth of it if the budget is short."""

T = TypeVar("T")


def retry(call: Callable[[], T], deadline: Deadline, event: str, *, max_failures: int | None = None) -> T:
    """Return what `call` returns, and call it again while it raises an UnavailableError that is not in flight.

    Each retry is one log event called `event`. Raises the last UnavailableError when the budget is used up, when
    `Retry-After` is longer than that, and at the `max_failures`th answer of 5xx; any other error at once.
    """
    failures = 0
    cause: UnavailableError | None = None
    reserve = min(LAST_TRY_SECONDS, deadline.seconds / 10)

    def attempt() -> T:
        nonlocal cause
        try:
            return call()
        except UnavailableError as error:
            pause, left = error.retry_after_seconds or 0.0, deadline.remaining()
            if pause > left:
                error.args = (f"{error}; Retry-After is {pause:g} s, more than the {left:.0f} s that are left",)
            if cause is None or error.in_flight or not isinstance(error, BudgetError):
                cause = error
            raise cause from (None if cause is error else error)

    def worth_another_try(state: tenacity.RetryCallState) -> bool:
        nonlocal failures
        error = state.outcome.exception() if state.outcome else None
        failures += isinstance(error, UnavailableError) and (error.status or 0) >= 500
        return isinstance(error, UnavailableError) and not error.in_flight

    def wait(state: tenacity.RetryCallState) -> float:
        ceiling = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(state.attempt_number - 1, 10))
        return max(_retry_after(state), min(random.uniform(0, ceiling), deadline.remaining() - reserve))

    def stop(state: tenacity.RetryCallState) -> bool:
        over = max_failures is not None and failures >= max_failures
        return over or deadline.remaining() <= max(reserve, _retry_after(state))

    def log_retry(state: tenacity.RetryCallState) -> None:
        log.info(
            event,
            cause=str(state.outcome.exception()) if state.outcome else None,
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 2),
            elapsed_seconds=round(deadline.elapsed(), 2),
            remaining_seconds=round(deadline.remaining(), 2),
        )

    retrying = tenacity.Retrying(
        retry=worth_another_try, wait=wait, stop=stop, before_sleep=log_retry, sleep=sleep, reraise=True
    )
    return retrying(attempt)


def _retry_after(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after_seconds or 0.0) if isinstance(error, UnavailableError) else 0.0
