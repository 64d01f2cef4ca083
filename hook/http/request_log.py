"""What was asked and answered, request by request, for whoever looks with `--log-level debug`."""

from collections.abc import Callable
from typing import Any, TypeVar

from hook.deadline import Deadline
from hook.logs import log

T = TypeVar("T", bound=tuple[Any, bytes])


def traced(method: str, path: str, exchange: Callable[[], T]) -> T:
    """Return what `exchange` returns, the response and its body, and log how it went.

    No header, no query and no text of an error is logged, since those may hold credentials.
    """
    clock = Deadline(0.0)
    asked = {"method": method, "path": path}
    try:
        answered = exchange()
    except Exception as error:
        log.debug("http.failed", **asked, error=type(error).__name__, seconds=round(clock.elapsed(), 3))
        raise
    log.debug("http.answered", **asked, status=answered[0].status_code, seconds=round(clock.elapsed(), 3))
    return answered
