"""SIGTERM, SIGINT and SIGHUP: noted when they come, and heeded only where the run waits.

So a signal never separates two steps that belong together, such as a line of the log and its end. This module imports
next to nothing, since it comes before everything else.
"""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_noted: list[int] = []
_heeded: list[int] = []


def listen() -> None:
    """Note the signals of this process from now on, also as PID 1, which has no default action for them."""
    _noted.clear()
    _heeded.clear()
    # Blocked until all three have their handler.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        # A program started by `nohup` ignores the end of its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(number)


def heed() -> int | None:
    """Return the number of the first signal, but only once, so that no second signal interrupts the clean-up."""
    if _heeded or not _noted:
        return None
    _heeded.append(_noted[0])
    return _noted[0]
