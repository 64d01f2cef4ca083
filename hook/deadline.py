"""The one wall-clock budget that every wait and every request of a run stays inside."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from hook import signals
from hook.errors import Stopped, UnavailableError
from hook.timings import DEFAULT_TIMINGS, Timings

T = TypeVar("T")

SLICE_SECONDS = 0.1
"""How long to block at a time, and so how long a signal waits."""


class Stopwatch:
    """Started to run when the object was made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self._clock() - self._start


class Deadline(Stopwatch):
    """A number of seconds that started to run when the object was made, and how long to wait within them."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        timings: Timings = DEFAULT_TIMINGS,
        *,
        is_part: bool = False,
    ) -> None:
        super().__init__(clock)
        self.seconds = seconds
        """The whole budget, in seconds."""
        self.timings = timings
        self.is_part = is_part
        """Whether it is that of a part of a run, which no setting has."""

    def part(self, seconds: float) -> "Deadline":
        """Return a deadline of its own for a part of what is to be done, with the same clock and waits."""
        return Deadline(seconds, self._clock, self.timings, is_part=True)

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self.seconds - self.elapsed())


def start_thread(call: Callable[[], None]) -> None:
    """Run `call` in a thread that ends with the process. Raises UnavailableError where none can start."""
    try:
        threading.Thread(target=call, daemon=True).start()
    except RuntimeError as error:
        # Python says the same of the limit of processes (pids.max) and of memory (ulimit -v).
        meaning = "this container is at its limit of processes (pids) or of memory; raise it, then run the hook again"
        raise UnavailableError(f"no thread can be started for a request ({error}): {meaning}") from error


def heed_signals() -> None:
    """Raise Stopped once after a signal came; called only where a run is about to wait, and only in the main thread."""
    if threading.current_thread() is threading.main_thread() and (number := signals.heed()) is not None:
        raise Stopped(number)


def sleep(seconds: float) -> None:
    """Let so many seconds pass, in slices. Raises Stopped as soon as a signal came."""
    while seconds > 0:
        heed_signals()
        time.sleep(min(SLICE_SECONDS, seconds))
        seconds -= SLICE_SECONDS


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise what it raises, TimeoutError after so many seconds, or Stopped at a signal.

    It is for what cannot be interrupted. A thread that is given up ends with the process. Raises UnavailableError,
    before anything is called, where no thread can be started.
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
