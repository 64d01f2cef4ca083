"""The one wall-clock budget that every wait and every request of a run stays inside."""

import time
from collections.abc import Callable

SLICE_SECONDS = 0.5
"""How long to block at a time: a signal that comes just before Python blocks is handled only after it."""


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


def sleep(seconds: float) -> None:
    """Let so many seconds pass, in slices."""
    while seconds > 0:
        time.sleep(min(SLICE_SECONDS, seconds))
        seconds -= SLICE_SECONDS
