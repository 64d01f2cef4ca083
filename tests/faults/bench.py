"""What a run costs, side by side with a script that makes the same calls and with the loop that people use.

`python -m tests.faults.bench [--without-real]` prints medians with their spread; it asserts nothing, since a busy
machine proves nothing. Wall time is read around the process, CPU and memory are what the kernel counted for it.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.fake_llamastack import GRANITE, FakeLlamaStack
from tests.faults import real
from tests.faults.proxy import ANY, Exchange, FaultProxy, pass_on
from tests.faults.scene import NAMES, PROVIDER, REPOSITORY, Server
from tests.runtime import PYTHON

BARE = str(REPOSITORY / "tests/faults/bare.py")
LOOP = str(REPOSITORY / "tests/live/curl_loop.sh")
REPEATS = {3: 11, 10: 7, 100: 5, 1000: 3}
"""How many times each contestant runs, by the number of collections."""
REAL_REPEATS = 5
START_UPS, AT_A_TIME, LATEST_SECONDS = 50, 10, 8.0

LAUNCHER = """
import json, os, sys, time
null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=null)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - started
print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""
"""Starts a command and measures it. A process counts as its own peak what its parent had when it was started, so the
parent must be small: this one has 10 MiB."""


@dataclass(frozen=True)
class Usage:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    exit_code: int


@dataclass(frozen=True)
class Contestant:
    """A command that is measured, given the file with the collections."""

    name: str
    command: Callable[[Path], list[str]]


HOOK = Contestant("the hook", lambda path: [PYTHON, "-m", "hook", "--config", str(path)])
ONE_CONNECTION = Contestant("--connections 1", lambda path: [*HOOK.command(path), "--connections", "1"])
BARE_SCRIPT = Contestant("bare script", lambda path: [PYTHON, BARE, str(path)])
CURL_LOOP = Contestant("curl loop", lambda _: ["sh", LOOP])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-real", action="store_true", help="leave the real server out")
    asked = parser.parse_args(argv)
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start\n")
    print(
        f"{'median (least to most)':14} {'wall, ms':>36}   x bare   {'CPU, ms':>24}  x bare  {'peak, MiB':>16}  asked"
    )
    for count, repeats in REPEATS.items():
        loop = [CURL_LOOP] if count == len(NAMES) and shutil.which("curl") else []
        for present in (False, True):
            _compare(f"stand-in, {count} {'present' if present else 'missing'}", count, present, repeats, loop)
    if not asked.without_real:
        with real.server() as url:
            print("* the official client has no command for vector stores; this is its `models list`, one request")
            for present in (False, True):
                title = f"{real.NAME}, {len(NAMES)} {'present' if present else 'missing'}"
                _compare_on_real(title, url, present)
    _start_ups()
    return 0


def _compare(title: str, count: int, present: bool, repeats: int, others: Sequence[Contestant]) -> None:
    """Let the contestants take turns, each on a stand-in of its own."""
    contestants = (HOOK, ONE_CONNECTION, BARE_SCRIPT, *others)
    results: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    asked: dict[str, int] = {}
    names = _names(count)
    for _ in range(repeats):
        for contestant in contestants:
            with FakeLlamaStack() as fake, _collections(names) as path:
                for name in names if present else ():
                    fake.add(name)
                results[contestant.name].append(_measure(contestant.command(path), fake.url))
                asked[contestant.name] = len(fake.requests)
    _print(title, count, results, asked)


def _compare_on_real(title: str, url: str, present: bool) -> None:
    others = [CURL_LOOP] if shutil.which("curl") else []
    cli = real.client_cli()
    if cli is not None:
        # It has no command for vector stores: this is its cheapest, a single request.
        others.append(Contestant("client CLI*", lambda _: [str(cli), "--endpoint", url, "models", "list"]))
    contestants = (HOOK, ONE_CONNECTION, BARE_SCRIPT, *others)
    results: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    server = Server(url)
    with _collections(NAMES) as path:
        for _ in range(REAL_REPEATS):
            for contestant in contestants:
                server.clear()
                for name in NAMES if present else ():
                    server.create(name)
                results[contestant.name].append(_measure(contestant.command(path), url))
    server.clear()
    _print(title, len(NAMES), results, {})


def _names(count: int) -> tuple[str, ...]:
    return NAMES if count == len(NAMES) else tuple(f"collection_{number}" for number in range(count))


@contextmanager
def _collections(names: Sequence[str]) -> Iterator[Path]:
    common = {"provider_id": PROVIDER, "embedding_model": GRANITE, "embedding_dimension": 768}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "collections.yaml"
        path.write_text(json.dumps({"vector_dbs": [{"vector_db_id": name, **common} for name in names]}))
        yield path


def _measure(command: Sequence[str], url: str) -> Usage:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, *command],
        env=_environ(url),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Usage(*json.loads(done.stdout))


def _environ(url: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("HOOK_", "LLAMA_STACK_"))}
    return own | {"LLAMA_STACK_URL": url, "NO_PROXY": "127.0.0.1"}


def _print(title: str, count: int, results: dict[str, list[Usage]], asked: dict[str, int]) -> None:
    print(f"{title}:")
    bare = results[BARE_SCRIPT.name]
    for name, usages in results.items():
        wall = [usage.seconds * 1000 for usage in usages]
        cpu = [usage.cpu_seconds * 1000 for usage in usages]
        peak = [usage.peak_mib for usage in usages]
        wall_ratio = statistics.median(wall) / statistics.median(usage.seconds * 1000 for usage in bare)
        cpu_ratio = statistics.median(cpu) / statistics.median(usage.cpu_seconds * 1000 for usage in bare)
        codes = sorted({usage.exit_code for usage in usages})
        print(
            f"  {name:15} {_spread(wall):>36}   {wall_ratio:6.2f}   {_spread(cpu):>24}   {cpu_ratio:5.2f}  "
            f"{_spread(peak):>16}  {asked.get(name, ''):>5}"
            + (f"   {statistics.median(wall) / count:.1f} ms a collection" if count > len(NAMES) else "")
            + ("" if codes == [0] else f"   exit codes {codes}")
        )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


class LateProxy(FaultProxy):
    """A server that is not there at first: connections are refused until it opens."""

    def __enter__(self) -> Self:
        self.reserve()
        return self

    def answer_from_now_on(self) -> None:
        """Open, and remember when that was."""
        self.open()
        self.opened = time.monotonic()


def _start_ups() -> None:
    """Measure how long after the server became ready it is first asked."""
    delays = [random.uniform(0, LATEST_SECONDS) for _ in range(START_UPS)]
    with FakeLlamaStack() as fake, ThreadPoolExecutor(AT_A_TIME) as pool:
        for name in NAMES:
            fake.add(name)
        seconds = sorted(pool.map(lambda delay: _start_up(fake.url, delay), delays))
    print(
        f"\n{START_UPS} start-ups of a server that becomes ready 0 to {LATEST_SECONDS:g} s after the run was started: "
        f"noticed after {statistics.median(seconds):.2f} s in the median, "
        f"{seconds[int(0.9 * len(seconds))]:.2f} s in nine of ten, {seconds[-1]:.2f} s at most"
    )


def _start_up(upstream: str, delay: float) -> float:
    noticed = threading.Event()
    first: list[float] = []

    def note(exchange: Exchange) -> None:
        first.append(time.monotonic())
        noticed.set()
        pass_on(exchange)

    with ExitStack() as stack:
        path = stack.enter_context(_collections(NAMES))
        proxy = stack.enter_context(LateProxy(upstream))
        proxy.on(ANY, note)
        process = subprocess.Popen(
            HOOK.command(path),
            env=_environ(proxy.url),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        proxy.answer_from_now_on()
        noticed.wait(60)
        process.wait()
        return first[0] - proxy.opened


if __name__ == "__main__":
    sys.exit(main())
