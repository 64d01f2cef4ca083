"""Runs of the use-case at the same instant in virtual time, where a seed draws who is answered next.

Of the orders in which the requests of some runs can be answered, processes over sockets meet few, and none of them
twice. Here thousands take minutes, and a seed repeats the one that went wrong.
"""

import argparse
import heapq
import itertools
import json
import queue
import random
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from hook import deadline, logs
from hook.cli.settings import parse
from hook.cli.usage import parse_arguments
from hook.domain import Collection, State
from hook.http.answers import Answer, read
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.progress import Progress
from hook.registration import settle
from hook.registration.run import Run
from hook.survey import connections
from tests import fake_llamastack
from tests.fake_llamastack import GRANITE, FakeLlamaStack
from tests.faults.scene import NAMES, PROVIDER

BUDGET_SECONDS = 180.0
URL = "http://llama-stack.test"
UNTAKEN_SECONDS = 1.0
"""After so long a kernel repeats the first packet of a connection that a busy server did not take."""

POLL_SECONDS = 0.002


class Instant:
    """The time of some threads, of which one runs at once: whoever waits for the earliest moment."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Anywhere in a second, by which the server's list is sorted.
        self.now = self.random.random()
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._count = itertools.count()
        self._running = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)

    def time(self) -> float:
        """Return the seconds since some moment."""
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        """Let the others run until so many seconds are over."""
        turn = self._running
        self._wait(turn, seconds)
        self._stopped.release()
        turn.acquire()

    def start(self, call: Callable[[], None]) -> None:
        """Let a call run beside the one that is running, in a thread of its own."""
        turn = threading.Semaphore(0)
        threading.Thread(target=self._carry_out, args=(call, turn), daemon=True).start()
        self._wait(turn, 0.0)

    def run(self, calls: Sequence[Callable[[], None]]) -> None:
        """Carry all of them out, each in a thread of its own, until the last has ended."""
        for call in calls:
            turn = threading.Semaphore(0)
            threading.Thread(target=self._carry_out, args=(call, turn), daemon=True).start()
            self._wait(turn, self.random.uniform(0, 0.05))
        while self._waiting:
            self.now, _, self._running = heapq.heappop(self._waiting)
            self._running.release()
            self._stopped.acquire()

    def _wait(self, turn: threading.Semaphore, seconds: float) -> None:
        heapq.heappush(self._waiting, (self.now + seconds, next(self._count), turn))

    def _carry_out(self, call: Callable[[], None], turn: threading.Semaphore) -> None:
        turn.acquire()
        try:
            call()
        finally:
            self._stopped.release()


class InstantQueue:
    """A queue whose waiting takes the time of an instant."""

    def __init__(self, instant: Instant) -> None:
        self._instant = instant
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.append(item)

    def get(self, timeout: float) -> Any:
        """Return the oldest item, as soon as there is one within so many seconds. Raises Empty."""
        until = self._instant.now + timeout
        while not self._items:
            if self._instant.now > until:
                raise queue.Empty
            self._instant.sleep(POLL_SECONDS)
        return self._items.popleft()


@dataclass(frozen=True)
class Shape:
    """How many runs there are, of what, and how the time passes between them."""

    runs: int
    connections: int
    names: Sequence[str]
    leg_seconds: float
    """What a request takes at most to the server, and its answer back."""
    untaken: float
    """How many new connections are not taken at once, of 1."""

    @classmethod
    def drawn(cls, draw: random.Random) -> "Shape":
        """Return any."""
        return cls(
            runs=draw.choice([2, 3, 4, 5, 6]),
            connections=draw.choice([1, 2, 3, 5]),
            names=NAMES[: draw.choice([1, 2, 3])],
            leg_seconds=draw.choice([0.01, 0.05, 0.2, 0.4]),
            untaken=draw.choice([0.0, 0.02, 0.1, 0.3]),
        )


@dataclass
class Wire:
    """One run's connection with the stand-in, in the place of `Http`."""

    server: FakeLlamaStack
    instant: Instant
    shape: Shape
    made: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    url: str = URL
    is_new: bool = True

    def get(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Any:
        """Send a request, and return its answer."""
        return self._send("GET", path, query=query)

    def get_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Send a request, and return its answer and the time of the server's clock."""
        return self.get(path, query), self.instant.time()

    def post(self, path: str, body: Mapping[str, Any], *, once: bool = False, **_: object) -> Any:
        """Send a request, and return its answer."""
        self.is_new |= once
        answer = self._send("POST", path, body)
        if path == "/v1/vector_stores":
            self.made.add(answer["id"])
        return answer

    def delete(self, path: str) -> Any:
        """Send a request, and return its answer."""
        self.deleted.add(path.rpartition("/")[2])
        return self._send("DELETE", path)

    def another(self) -> "Wire":
        """Return one more connection of the same run."""
        return replace(self, is_new=True)

    def close(self) -> None:
        """Open another connection for the next request."""
        self.is_new = True

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        draw = self.instant.random
        if self.is_new and draw.random() < self.shape.untaken:
            self.instant.sleep(UNTAKEN_SECONDS)
        self.is_new = False
        self.instant.sleep(draw.uniform(0, self.shape.leg_seconds))
        status, answer = self.server.ask(method, path, query, body)
        self.instant.sleep(draw.uniform(0, self.shape.leg_seconds))
        content = b"" if status == 204 else json.dumps(answer).encode()
        headers = {"Content-Type": "application/json"}
        return read(Answer(f"{method} {path}", status, headers, content, False, Endpoint(URL)))


def violations(seed: int) -> list[str]:
    """Return what is not as it should be when the runs that the seed draws have ended."""
    instant = Instant(seed)
    shape = Shape.drawn(instant.random)
    found: list[str] = []
    server = FakeLlamaStack()
    wires = [Wire(server, instant, shape) for _ in range(shape.runs)]
    progresses = [Progress() for _ in wires]

    def run(wire: Wire, progress: Progress) -> None:
        asked = parse(parse_arguments(["--connections", str(shape.connections)]), {})
        budget = deadline.Deadline(BUDGET_SECONDS)
        try:
            Run(asked, LlamaStack(cast(Http, wire)), None, budget, progress).carry_out(
                [Collection(name, GRANITE, PROVIDER) for name in shape.names]
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the seed shows it again
            found.append(f"a run ended with {error!r}")

    with time_of(instant, seed):
        instant.run([partial(run, *pair) for pair in zip(wires, progresses, strict=True)])
    if sorted(server.names()) != sorted(shape.names):
        found.append(f"there are {sorted(server.names())}")
    ids = {store["name"]: store["id"] for store in server.stores}
    for number, progress in enumerate(progresses):
        for name, finding in progress.findings.items():
            if finding.state not in (State.PRESENT, State.REGISTERED) or finding.id != ids.get(name):
                found.append(f"run {number} says of {name}: {finding.state} {finding.id} {finding.detail}")
    found += [f"a run deleted {wire.deleted - wire.made}" for wire in wires if wire.deleted - wire.made]
    return found


@contextmanager
def time_of(instant: Instant, seed: int) -> Iterator[None]:
    """Let the program and the stand-in live in this time, and draw by this seed whatever they draw."""
    state = random.getstate()
    random.seed(seed)
    with ExitStack() as stack:
        stack.callback(random.setstate, state)
        for module in (deadline, settle, fake_llamastack):
            stack.enter_context(patch.object(module, "time", instant))
        stack.enter_context(patch.object(connections, "start_thread", instant.start))
        queues = SimpleNamespace(SimpleQueue=partial(InstantQueue, instant), Empty=queue.Empty)
        stack.enter_context(patch.object(connections, "queue", queues))
        stack.enter_context(patch.object(deadline.Deadline.__init__, "__defaults__", (instant.monotonic,)))
        stack.enter_context(patch.object(uuid, "uuid4", lambda: uuid.UUID(int=instant.random.getrandbits(128))))
        yield


def main() -> int:
    """Try the seeds that were asked for, print what was violated, and return 0 if nothing was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="how many seeds to try")
    parser.add_argument("--first", type=int, required=True, help="the first of them")
    asked = parser.parse_args()
    logs.configure("error", "json", {})
    failed = 0
    for seed in range(asked.first, asked.first + asked.count):
        found = violations(seed)
        failed += bool(found)
        for violation in found:
            print(f"seed {seed}: {violation}", flush=True)
    print(f"{asked.count} interleavings of runs at the same instant, {failed} of them with violations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
