"""Each request in the log, for `--log-level debug`."""

from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from hook.logs import log

T = TypeVar("T", bound=tuple[Any, bytes])


def logged(method: str, path: str, exchange: Callable[[], T]) -> T:
    """Return what `exchange` returns, the response and its body, and log its outcome.

    Headers, queries and texts of errors are not logged, since they may hold credentials.
    """
    start, request = monotonic(), {"method": method, "path": path}
    try:
        result = exchange()
    except Exception as error:
        log.debug("http.failed", **request, error=type(error).__name__, seconds=round(monotonic() - start, 3))
        raise
    log.debug("http.answered", **request, status=result[0].status_code, seconds=round(monotonic() - start, 3))
    return result
