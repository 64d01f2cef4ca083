"""The one wall-clock budget that every wait and every request of a run stays inside."""

import time
from collections.abc import Callable

from hook import signals
from hook.errors import Stopped

SLICE_SECONDS = 0.1
"""How long to block at a time, and so how long a signal waits to be heeded."""


class Deadline:
    """A number of seconds that started to run when the object was made."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        """The whole budget, in seconds."""
        self._clock = clock
        self._start = clock()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self._clock() - self._start

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self.seconds - self.elapsed())


def heed_signals() -> None:
    """Raise Stopped once after a signal came; called where a run is about to wait, and nowhere else."""
    number = signals.heed()
    if number is not None:
        raise Stopped(number)


def sleep(seconds: float) -> None:
    """Let so many seconds pass, in slices. Raises Stopped as soon as a signal came."""
    while seconds > 0:
        heed_signals()
        time.sleep(min(SLICE_SECONDS, seconds))
        seconds -= SLICE_SECONDS
