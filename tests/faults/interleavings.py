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
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
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
from hook.registration.deletion import TRIAL_PREFIX
from hook.registration.run import Run
from hook.survey import connections
from hook.timings import DEFAULT_TIMINGS
from tests import fake_llamastack
from tests.fake_llamastack import GRANITE, FakeLlamaStack
from tests.faults.scene import NAMES, PROVIDER

BUDGET_SECONDS = 180.0
URL = "http://llama-stack.test"
UNTAKEN_SECONDS = 1.0
"""After so long a kernel repeats the first packet of a connection that a busy server did not take."""

EPOCH_SECONDS = 1_800_000_000
FORGOTTEN_SECONDS = 3.0
"""After so long no list shows what was before."""
LATER_SECONDS = 130.0
"""When another run comes that finds what the killed one left: after what any run may still be about to withdraw."""
KINDS = ("plain", "clocks", "lag", "workers", "killed")
NOT_DRAWN = "default connections"
"""The kind of workers with as few connections as the program has by default, which may miss one of four: to repeat."""
FAILED_SEEDS = Path(__file__).with_name("failed_seeds.txt")
"""Each seed that was ever found to go wrong, a line each: its kind and number."""


@dataclass(eq=False)
class Waiter:
    """A thread that waits, and for what moment."""

    turn: threading.Lock
    """Released when the thread shall go on."""
    until: float = 0.0


WOKEN = float("-inf")


class Instant:
    """The time of some threads, of which one runs at once: whoever waits for the earliest moment.

    A thread that waits wakes the next one itself, and goes on at once where it is the next one.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Anywhere in a second, by which the server's list is sorted.
        self.now = EPOCH_SECONDS + self.random.random()
        self._waiting: list[tuple[float, int, Waiter]] = []
        self._count = itertools.count()
        self._ended = threading.Lock()
        self._threads: set[int] = set()

    def time(self) -> float:
        """Return the seconds since some moment."""
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        """Let the others run until so many seconds are over. What an earlier test has left running really sleeps."""
        if threading.get_ident() not in self._threads:
            time.sleep(seconds)
        else:
            self.wait(self.waiter(), seconds)

    def waiter(self) -> Waiter:
        """Return one for the thread that runs."""
        turn = threading.Lock()
        turn.acquire()
        return Waiter(turn)

    def wait(self, waiter: Waiter, seconds: float) -> None:
        """Let the others run until so many seconds are over, or until it is woken."""
        until = self.now + seconds
        while self._waiting and self._waiting[0][0] != self._waiting[0][2].until:
            heapq.heappop(self._waiting)
        if not self._waiting or until < self._waiting[0][0]:
            self.now = until
            return
        self.wake(waiter, seconds)
        self._next().release()
        waiter.turn.acquire()

    def wake(self, waiter: Waiter, seconds: float = 0.0) -> None:
        """Let a thread that waits go on after so many seconds, whatever it waited for."""
        waiter.until = self.now + seconds
        heapq.heappush(self._waiting, (waiter.until, next(self._count), waiter))

    def start(self, call: Callable[[], None], seconds: float = 0.0) -> None:
        """Let a call run beside the one that is running, in a thread of its own."""
        waiter = self.waiter()
        threading.Thread(target=self._carry_out, args=(call, waiter), daemon=True).start()
        self.wake(waiter, seconds)

    def run(self, calls: Sequence[Callable[[], None]]) -> None:
        """Carry all of them out, each in a thread of its own, until the last has ended."""
        for call in calls:
            self.start(call, self.random.uniform(0, 0.05))
        self._ended.acquire()
        self._next().release()
        self._ended.acquire()
        self._ended.release()

    def _next(self) -> threading.Lock:
        """Return by what the next thread goes on, after the time has passed until then."""
        while self._waiting:
            at, _, waiter = heapq.heappop(self._waiting)
            # It was woken before.
            if at == waiter.until:
                self.now, waiter.until = at, WOKEN
                return waiter.turn
        return self._ended

    def _carry_out(self, call: Callable[[], None], waiter: Waiter) -> None:
        waiter.turn.acquire()
        self._threads.add(threading.get_ident())
        try:
            call()
        finally:
            self._threads.discard(threading.get_ident())
            self._next().release()


class InstantQueue:
    """A queue whose waiting takes the time of an instant."""

    def __init__(self, instant: Instant) -> None:
        self._instant = instant
        self._items: deque[Any] = deque()
        self._waiter: Waiter | None = None

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.append(item)
        if self._waiter is not None:
            self._instant.wake(self._waiter)
            self._waiter = None

    def get(self, timeout: float) -> Any:
        """Return the oldest item, as soon as there is one within so many seconds. Raises Empty."""
        if not self._items:
            self._waiter = self._instant.waiter()
            self._instant.wait(self._waiter, timeout)
            self._waiter = None
        if not self._items:
            raise queue.Empty
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
    clock_seconds: int = 0
    """How far the server's clock is ahead of the runs'."""
    lag_seconds: float = 0.0
    """How far a list is behind at most, as one that a replica of the server's database answers."""
    processes: int = 1
    """How many workers the server has, each with a list of its own."""
    shared_backend: bool = False
    """Whether each worker takes inserts and queries of what another one lists."""
    killed_after_seconds: float | None = None
    """When the first run is killed."""

    @classmethod
    def drawn(cls, draw: random.Random, kind: str) -> "Shape":
        """Return any of a kind."""
        shape = cls(
            runs=draw.choice([2, 3, 4, 5, 6]),
            connections=draw.choice([1, 2, 3, 5]),
            names=NAMES[: draw.choice([1, 2, 3])],
            leg_seconds=draw.choice([0.01, 0.05, 0.2, 0.4]),
            untaken=draw.choice([0.0, 0.02, 0.1, 0.3]),
        )
        match kind:
            case "clocks":
                return replace(shape, clock_seconds=draw.randint(-90, 90))
            case "lag":
                return replace(shape, lag_seconds=draw.uniform(0.1, 2))
            case "workers" | "default connections":
                # Here each goes to any worker at random: of four, 20 would miss one in 1 of 80 looks, where those that
                # overlap missed none in 200 on a real socket. What is missed is no question of the order.
                shape = replace(shape, processes=draw.choice([2, 4]), leg_seconds=0.05)
                shape = replace(shape, connections=40 if kind == "workers" else 20)
                return replace(shape, shared_backend=draw.choice([True, False]))
            case "killed":
                return replace(shape, killed_after_seconds=draw.uniform(0, 20 * (shape.leg_seconds + 0.05)))
        return shape


class KilledError(BaseException):
    """A run is killed, and nothing of it is carried out any more."""


class LaggingServer(FakeLlamaStack):
    """A stand-in that remembers what it had, so that a list can be behind."""

    def __init__(self, instant: Instant, shape: Shape) -> None:
        super().__init__(
            clock_seconds=shape.clock_seconds, processes=shape.processes, shared_backend=shape.shared_backend
        )
        self._instant = instant
        self._history: list[tuple[float, list[dict[str, Any]]]] = [(0.0, [])]

    def remember(self) -> None:
        """Note what it has now."""
        self._history.append((self._instant.now, list(self.stores)))
        while len(self._history) > 1 and self._history[1][0] < self._instant.now - FORGOTTEN_SECONDS:
            del self._history[0]

    def ask_behind(self, seconds: float, path: str, query: Any, process: int) -> tuple[int, Any]:
        """Return the answer to a GET as it was so many seconds ago."""
        now = self.stores
        self.stores = next(had for at, had in reversed(self._history) if at <= self._instant.now - seconds)
        try:
            return self.ask("GET", path, query, None, process)
        finally:
            self.stores = now


@dataclass
class Wire:
    """One run's connection with the stand-in, in the place of `Http`."""

    server: LaggingServer
    instant: Instant
    shape: Shape
    made: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    url: str = URL
    is_new: bool = True
    process: int = 0
    killed_at: float | None = None

    def get(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Any:
        """Send a request, and return its answer."""
        return self._send("GET", path, query=query)

    def get_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Send a request, and return its answer and the time of the server's clock."""
        return self.get(path, query), int(self.instant.time()) + self.shape.clock_seconds

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
        if self.is_new:
            self.process = draw.randrange(self.shape.processes)
            if draw.random() < self.shape.untaken:
                self.instant.sleep(UNTAKEN_SECONDS)
        self.is_new = False
        self._die_in_time()
        self.instant.sleep(draw.uniform(0, self.shape.leg_seconds))
        if method == "GET":
            lag_seconds = draw.uniform(0, self.shape.lag_seconds)
            status, answer = self.server.ask_behind(lag_seconds, path, query, self.process)
        else:
            status, answer = self.server.ask(method, path, query, body, self.process)
            self.server.remember()
        self.instant.sleep(draw.uniform(0, self.shape.leg_seconds))
        self._die_in_time()
        content = b"" if status == 204 else json.dumps(answer).encode()
        headers = {"Content-Type": "application/json"}
        return read(Answer(f"{method} {path}", status, headers, content, False, Endpoint(URL)))

    def _die_in_time(self) -> None:
        if self.killed_at is not None and self.instant.now >= self.killed_at:
            raise KilledError


def violations(seed: int, kind: str = "plain") -> list[str]:
    """Return what is not as it should be when the runs that the seed draws have ended."""
    instant = Instant(seed)
    shape = Shape.drawn(instant.random, kind)
    server = LaggingServer(instant, shape)
    wires = [Wire(server, instant, shape) for _ in range(shape.runs)]
    if shape.killed_after_seconds is not None:
        wires[0].killed_at = instant.now + shape.killed_after_seconds
    progresses = [Progress() for _ in wires]
    found: list[str] = []

    def run(wire: Wire, progress: Progress) -> None:
        asked = parse(parse_arguments(["--connections", str(shape.connections)]), {})
        budget = deadline.Deadline(BUDGET_SECONDS)
        try:
            Run(asked, LlamaStack(cast(Http, wire)), None, budget, progress).carry_out(
                [Collection(name, GRANITE, PROVIDER) for name in shape.names]
            )
        except KilledError:
            progress.findings = {}
        except Exception as error:  # noqa: BLE001  whatever it is, the seed shows it again
            found.append(f"a run ended with {error!r}")

    with time_of(instant, seed):
        instant.run([partial(run, *pair) for pair in zip(wires, progresses, strict=True)])
        if kind == "killed":
            found += _wrong(server, shape, progresses, may_be_duplicated=True)
            progresses = [Progress()]
            wires.append(Wire(server, instant, shape))
            instant.now += LATER_SECONDS
            instant.run([partial(run, wires[-1], progresses[0])])
    found += _wrong(server, shape, progresses)
    # The last one after a killed run withdraws what that left.
    careful = wires[:-1] if kind == "killed" else wires
    found += [f"a run deleted {wire.deleted - wire.made}" for wire in careful if wire.deleted - wire.made]
    return found


def _wrong(
    server: FakeLlamaStack, shape: Shape, progresses: Sequence[Progress], *, may_be_duplicated: bool = False
) -> Iterator[str]:
    """Yield what the server has, and what the runs say of it, that is not right."""
    counts = Counter(name for name in server.names() if not name.startswith(TRIAL_PREFIX))
    # What only some workers know stays, since somebody may use it there; and no run calls that good.
    is_divided = shape.processes > 1 and not shape.shared_backend
    may_be_duplicated |= is_divided
    is_complete = set(counts) == set(shape.names) or (is_divided and set(counts) < set(shape.names))
    if not is_complete or (max(counts.values()) > 1 and not may_be_duplicated):
        yield f"there are {sorted(counts.elements())}"
    ids = {store["id"]: store["name"] for store in server.stores}
    for number, progress in enumerate(progresses):
        for name, finding in progress.findings.items():
            is_good = finding.state in (State.PRESENT, State.REGISTERED) and ids.get(finding.id or "") == name
            is_told = finding.state is State.DUPLICATED and counts[name] > 1 and may_be_duplicated
            is_told |= finding.state in (State.DIVIDED, State.MISSING) and is_divided
            if not (is_told or (is_good and not is_divided)):
                yield f"run {number} says of {name}: {finding.state} {finding.id} {finding.detail}"


@contextmanager
def time_of(instant: Instant, seed: int) -> Iterator[None]:
    """Let the program and the stand-in live in this time, and draw by this seed whatever they draw."""
    state = random.getstate()
    random.seed(seed)
    with ExitStack() as stack:
        stack.callback(random.setstate, state)
        for module in (deadline, fake_llamastack):
            stack.enter_context(patch.object(module, "time", instant))
        stack.enter_context(patch.object(connections, "start_thread", instant.start))
        queues = SimpleNamespace(SimpleQueue=partial(InstantQueue, instant), Empty=queue.Empty)
        stack.enter_context(patch.object(connections, "queue", queues))
        stack.enter_context(patch.object(deadline.Stopwatch.__init__, "__defaults__", (instant.monotonic,)))
        defaults = (instant.monotonic, DEFAULT_TIMINGS)
        stack.enter_context(patch.object(deadline.Deadline.__init__, "__defaults__", defaults))
        stack.enter_context(patch.object(uuid, "uuid4", lambda: uuid.UUID(int=instant.random.getrandbits(128))))
        yield


def main() -> int:
    """Try the seeds that were asked for, print what was violated, and return 0 if nothing was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="how many seeds to try of each kind")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to try them at most")
    parser.add_argument("--first", type=int, help="the first of them; drawn, and printed, if it is left out")
    parser.add_argument("--kind", choices=(*KINDS, NOT_DRAWN), action="append", help="all, if it is left out")
    asked = parser.parse_args()
    logs.configure("error", "json", {})
    first = random.randrange(10**9) if asked.first is None else asked.first
    seeds = itertools.count(first) if asked.count is None else range(first, first + asked.count)
    until = time.monotonic() + asked.seconds
    tried, failed = 0, 0
    # Not itertools.product, which would first take all seeds, of which there is no end.
    for seed, kind in ((seed, kind) for seed in seeds for kind in asked.kind or KINDS):
        if time.monotonic() > until:
            break
        found = violations(seed, kind)
        tried += 1
        failed += bool(found)
        for violation in found:
            print(f"{kind} {seed}: {violation}", flush=True)
    print(f"{tried} interleavings of runs at the same instant, from seed {first} on, {failed} with violations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
