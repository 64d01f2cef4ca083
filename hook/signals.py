"""SIGTERM and SIGINT: noted at once, and heeded where the run waits.

So none comes between two things that belong together, such as a line of the log and its end, and none is lost in a
callback whose errors nobody sees. This imports next to nothing, since it has to be there before everything else.
"""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_noted: list[int] = []
_taken: list[int] = []


def listen() -> None:
    """Note the signals of this process from now on, also as PID 1, which has no default action for them."""
    _noted.clear()
    _taken.clear()
    # Blocked, so that none comes when one of the two is noted and the other is not.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(number)


def take() -> int | None:
    """Return the number of the first signal that came, and None ever after: a run that ends may have to tidy up."""
    if not _noted or _taken:
        return None
    _taken.append(_noted[0])
    return _taken[0]
