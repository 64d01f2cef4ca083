"""Keeping those busy that have answered already, so that somebody else takes the next connection."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from hook.deadline import Deadline

MOST_CONNECTIONS = 8
"""How many are kept open, and asked at once while another one is opened."""
IDLE_SECONDS = 4.0
"""What was not used for so long may be closed at the other end, as uvicorn does it after 5 s."""
MOST_FAILURES = 3
"""After so many failures none is kept open any more: somebody may limit connections or requests, or close each."""


@dataclass
class _Connection:
    ask: Callable[[], bool]
    close: Callable[[], None]
    idle: Deadline = field(default_factory=lambda: Deadline(IDLE_SECONDS))
    under_way: bool = False
    is_useful: bool = True


class Busy:
    """The last few connections that were used."""

    def __init__(self) -> None:
        self._connections: deque[_Connection] = deque()
        self._failures = 0

    def keep(self, ask: Callable[[], bool], close: Callable[[], None]) -> None:
        """Keep a connection open that was just used, while there are not too many.

        `ask` sends a request on it, and returns whether it is worth another one; whatever it raises says no.
        """
        self._connections.append(_Connection(ask, close))
        while len(self._connections) > (MOST_CONNECTIONS if self._failures < MOST_FAILURES else 0):
            self._connections.popleft().close()

    def ask_all(self) -> int:
        """Send a request on each, wait for none of the answers, and return how many were sent."""
        self._failures += any(not each.is_useful for each in self._connections)
        for each in list(self._connections):
            if not each.is_useful or each.idle.remaining() == 0:
                self._connections.remove(each)
                each.close()
        asked = [each for each in self._connections if not each.under_way]
        for each in asked:
            each.under_way = True
            # Without a thread, as where the pod may have no more of them, there is no request.
            with suppress(RuntimeError):
                threading.Thread(target=self._ask, args=(each,), daemon=True).start()
        return len(asked)

    def failed(self) -> None:
        """Close all, where another request failed: what limits connections has room for it then."""
        self._failures += bool(self._connections)
        while self._connections:
            self._connections.popleft().close()

    def _ask(self, connection: _Connection) -> None:
        is_useful = False
        with suppress(Exception):
            is_useful = connection.ask()
        connection.is_useful = is_useful
        connection.idle = Deadline(IDLE_SECONDS)
        connection.under_way = False
