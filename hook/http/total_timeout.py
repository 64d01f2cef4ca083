"""A timeout for the whole of a call that cannot be interrupted."""

import queue
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from hook.deadline import SLICE_SECONDS, Deadline, heed_signals, start_thread

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise what it raises, TimeoutError after so many seconds, or Stopped at a signal.

    Raises UnavailableError, before anything is called, where no thread can be started. The timeout of requests starts
    anew with every byte and does not cover name resolution, and no signal interrupts it. A thread that is given up
    ends with the process.
    """
    heed_signals()
    outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # noqa: BLE001  raised again by the caller
            outcome.put((None, error))

    start_thread(run)
    limit = Deadline(seconds)
    while limit.remaining() > 0:
        heed_signals()
        with suppress(queue.Empty):
            result, error = outcome.get(timeout=min(SLICE_SECONDS, limit.remaining()))
            if error is not None:
                raise error
            return result  # type: ignore[return-value]
    raise TimeoutError
