"""Run the program under every fault, and against itself, and print what came of it.

`python -m tests.faults.run [PATTERN]`: only the faults whose names match. Exits with 1 where anything is violated.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.fake_llamastack import FakeLlamaStack
from tests.faults import crowd, real
from tests.faults.catalogue import catalogue
from tests.faults.proxy import FaultProxy
from tests.faults.scene import Fault, Record, Scene, Server, play

WORKERS = 6
"""Faults at a time: most of a run is waiting."""
STAND_IN = "stand-in"
PAGE = Path(__file__).parents[2] / "docs" / "maintainers" / "proofs.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table, and return 0 if nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only the faults whose names match")
    parser.add_argument("--without-real", action="store_true", help="leave the real server out")
    parser.add_argument("--without-crowds", action="store_true", help="leave out the runs at the same instant")
    asked = parser.parse_args(argv)
    started = time.monotonic()
    faults = [fault for fault in catalogue() if re.search(asked.pattern, fault.name)]
    trials: list[crowd.Trial] = []
    with ExitStack() as stack:
        url = None if asked.without_real else stack.enter_context(real.server())
        pool = stack.enter_context(ThreadPoolExecutor(1))
        # One after the other, since they share the real server; but beside the others, since most of it is waiting.
        later = pool.submit(_on_real, faults, url)
        records = _on_stand_ins(faults) + later.result()
        if not asked.without_crowds:
            trials += _crowds()
            trials += [] if url is None else crowd.trials(real.NAME, crowd.REAL_TRIALS, real.shared(url))
    _print(records)
    crowd.show(trials)
    violations = sum(len(record.violations) for record in records) + sum(len(trial.violations) for trial in trials)
    on_real = sum(record.server != STAND_IN for record in records)
    runs = 2 * len(records) + sum(trial.runs for trial in trials)
    overrun = max((record.overrun for record in records), default=0.0)
    print(
        f"\n{len(faults)} faults, {on_real} of them also on a real server, and {len(trials)} trials of runs at the "
        f"same instant; at most {max(overrun, 0.0):.1f} s over a budget; all in {time.monotonic() - started:.0f} s"
    )
    closing = f"{len(faults)} faults, {runs} runs, {violations} violations"
    print(closing)
    everything = not (asked.pattern or asked.without_real or asked.without_crowds)
    if everything and closing not in PAGE.read_text():
        print(f"docs/maintainers/{PAGE.name} claims another line", file=sys.stderr)
        return 1
    if violations:
        print("`python -m tests.faults.run NAME` repeats a fault", file=sys.stderr)
    return 1 if violations else 0


def _on_stand_ins(faults: Sequence[Fault]) -> list[Record]:
    cases = [
        (fault, by_url)
        for index, fault in enumerate(faults)
        for by_url in ((False, True) if fault.both_credentials else (index % 2 == 1,))
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(_on_stand_in, *zip(*cases, strict=True)))


def _on_stand_in(fault: Fault, by_url: bool) -> Record:
    with ExitStack() as stack:
        fake = stack.enter_context(FakeLlamaStack())
        proxy = stack.enter_context(FaultProxy(fake.url))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        return play(fault, Scene(Server(fake.url), proxy, folder, fake, by_url, stack), STAND_IN)


def _on_real(faults: Sequence[Fault], url: str | None) -> list[Record]:
    if url is None:
        return []
    server = Server(url)
    return [_play_on_real(fault, index, server) for index, fault in enumerate(faults) if fault.real]


def _play_on_real(fault: Fault, index: int, server: Server) -> Record:
    server.clear()
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.url))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        scene = Scene(server, proxy, folder, None, index % 2 == 1, stack, patience=real.PATIENCE)
        return play(fault, scene, real.NAME)


def _crowds() -> list[crowd.Trial]:
    with ThreadPoolExecutor(len(crowd.STAND_IN_TRIALS)) as pool:
        parts = pool.map(lambda counts: crowd.trials(STAND_IN, counts, _stand_in), crowd.STAND_IN_TRIALS)
        return [trial for part in parts for trial in part]


def _stand_in(stack: ExitStack) -> Server:
    return Server(stack.enter_context(FakeLlamaStack()).url)


def _print(records: Sequence[Record]) -> None:
    width = max((len(record.fault.name) for record in records), default=0)
    print(f"{'FAULT':{width}}  {'SERVER':17}  EXIT  NEXT  SECONDS  VIOLATIONS")
    for record in records:
        first, second = record.first, record.second
        print(
            f"{record.fault.name:{width}}  {record.server:17}  {first.exit_code:4}  {second.exit_code:4}  "
            f"{first.seconds:7.1f}  {len(record.violations) or '-'}"
        )
        for violation in record.violations:
            print(f"    VIOLATION: {violation}")


if __name__ == "__main__":
    sys.exit(main())
