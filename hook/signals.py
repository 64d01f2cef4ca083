"""SIGTERM, SIGINT and SIGHUP: noted at once, and heeded where the run waits.

So none comes between two things that belong together, such as a line of the log and its end, and none is lost in a
callback whose errors nobody sees. This imports next to nothing, since it has to be there before everything else.
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
    # Blocked, so that none comes when one of the two is noted and the other is not.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        # What `nohup` starts goes on when the terminal is closed.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(number)


def heed() -> int | None:
    """Return the number of the first signal that came, once: what it starts, such as cleaning up, is not stopped."""
    if _heeded or not _noted:
        return None
    _heeded.append(_noted[0])
    return _noted[0]
