"""Connections that overlap, so that each worker that shares the server's socket takes some of them.

The worker that is busy with an answer does not take the connection that is opened meanwhile, so another one does. One
after the other, fast workers miss their turn in every second observation (uvicorn with four workers).
"""

import queue
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from hook.deadline import SLICE_SECONDS, heed_signals, sleep, start_thread

AT_ONCE = 8
"""How many connections are under way at once."""


def overlap(turns: Iterable[int], ask: Callable[[int], None], at_once: int, apart_seconds: float) -> None:
    """Call `ask` for each turn, `apart_seconds` after the one before: up to `at_once`, each in a thread of its own.

    With one at once it is called in this thread, one turn after the other. Raises the first error of any, and Stopped
    at a signal; what is under way then is not waited for.
    """
    if at_once == 1:
        for turn in turns:
            sleep(apart_seconds)
            ask(turn)
        return
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    under_way = 0
    for turn in turns:
        while under_way >= at_once:
            under_way -= _wait_for_one(ended)
        start_thread(partial(_take, ask, turn, ended))
        under_way += 1
        sleep(apart_seconds)
    while under_way:
        under_way -= _wait_for_one(ended)


def in_any_order(questions: list[Callable[[], None]]) -> list[Callable[[], None]]:
    """Return the questions of one connection in an order of its own.

    What balances each request in turn would otherwise answer the same question from the same worker each time, where
    the number of questions is a multiple of that of the workers (HAProxy before two replicas of 0.3.5).
    """
    return random.sample(questions, len(questions))


def _take(ask: Callable[[int], None], turn: int, ended: "queue.SimpleQueue[BaseException | None]") -> None:
    try:
        ask(turn)
    except BaseException as error:  # noqa: BLE001  whatever it is, it is raised again in the caller's thread
        ended.put(error)
    else:
        ended.put(None)


def _wait_for_one(ended: "queue.SimpleQueue[BaseException | None]") -> int:
    """Return 1 as soon as one has ended. Raises its error."""
    while True:
        heed_signals()
        with suppress(queue.Empty):
            error = ended.get(timeout=SLICE_SECONDS)
            if error is not None:
                raise error
            return 1
