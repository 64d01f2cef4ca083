"""What the hook says of a server that is several processes, beside what real clients meet on fresh connections.

Each cell is 20 runs; a false verdict in any of them, or a second vector store of a name, ends it with 1.
`RELEASES="0.3.5"` and `SETUPS="two workers"` pick some.
"""

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backends import BACKENDS
from backends_matrix import fails
from hook_runs import Hook, address, collections
from processes import SEARCHED, SETUPS, WORKERS, Processes, processes
from servers import REPOSITORY, close_all_on_signals, name, say

RELEASES = ("0.2.24", "0.3.5", "0.4.7", "0.7.3", "ogx-1.5.0")
KINDS = ("faiss", "pgvector")
NAMES = ("red_hat_docs", "eu_ai_act")
RUNS = 20
CLIENTS = 12
"""Real clients after each run, each on a connection of its own: two workers are both met but once in 2,000 times."""
COLUMNS = 2
COMMANDS = (("register",), ("check",), ("register", "--on-lost", "recreate"))
NOT_APPLICABLE = "–"


class Cell:
    """One set-up on one release, with one provider."""

    def __init__(self, release: str, setup: str, kind: str) -> None:
        self.release = release
        self.setup = setup
        self.kind = kind
        self.shown = "✗"
        self.problems: list[str] = []

    def __str__(self) -> str:
        return f"{name(self.release)}, {self.setup}, {self.kind}"

    def fill(self) -> None:
        """Run the hook again and again, and put the truth beside each run."""
        if self.release == "0.2.24" and self.setup == WORKERS:
            self.shown = NOT_APPLICABLE
            return
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="rc-backend-") as folder:
            backend = BACKENDS[self.kind](Path(folder))
            try:
                with processes(self.setup, self.release, backend) as server:
                    self._go_through(server)
            except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
                self.problems.append(f"{self}: {type(error).__name__}: {error}")
            finally:
                backend.stop()
        say(f"{self}: {time.monotonic() - started:.0f} s, {self.shown}, {len(self.problems)} problems")

    def _go_through(self, server: Processes) -> None:
        ends: Counter[str] = Counter()
        with Hook(server, collections(*NAMES)) as hook:
            for number in range(RUNS):
                if number == RUNS // 2:
                    server.restart()
                report = hook.outcome(*COMMANDS[number % len(COMMANDS)])
                states = sorted({item["state"] for item in report["collections"]})
                ends[f"{report['exit_code']} {', '.join(states)}"] += 1
                self._judge(server, report, number)
        self.shown = ", ".join(sorted({end.replace("registered", "present") for end in ends}))
        if os.environ.get("VERBOSE"):
            say(f"{self}: {dict(ends)}")

    def _judge(self, server: Processes, report: Mapping[str, Any], number: int) -> None:
        why = None
        for item in report["collections"]:
            where = address(item) if item["addressed_by"] else item["id"]
            if where is None:
                why = f"{item['name']} has no address"
                continue
            # What is known to fail need not be asked on.
            met = (fails(server.client, where) for _ in range(CLIENTS if why is None else 0))
            why = next((each for each in met if each is not None), why)
        if (report["exit_code"] == 0) != (why is None):
            kind = "false success" if why else "false failure"
            self.problems.append(
                f"{self}, run {number}: {kind}: {report['message']}; the truth is: {why or 'all works'}"
            )
        too_many = [each for each, count in Counter(server.listed().values()).items() if each in NAMES and count > 1]
        if too_many:
            self.problems.append(f"{self}, run {number}: several vector stores of {too_many}")


def main() -> int:
    """Fill all cells, print the table, and return 0 if every verdict is true."""
    if shutil.which("haproxy", path=SEARCHED) is None:
        say("This needs HAProxy, which balances between the replicas: install your system's package `haproxy`")
        return 2
    close_all_on_signals()
    started = time.monotonic()
    releases = os.environ.get("RELEASES", "").split() or list(RELEASES)
    setups = [setup for setup in SETUPS if setup in os.environ.get("SETUPS", ";".join(SETUPS))]
    cells = [
        Cell(release, setup, kind) for release in releases if release in RELEASES for setup in setups for kind in KINDS
    ]
    with ThreadPoolExecutor(COLUMNS) as pool:
        list(pool.map(Cell.fill, cells))
    table = render(cells, setups)
    print(table)
    problems = [problem for cell in cells for problem in cell.problems]
    whole = len(cells) == len(RELEASES) * len(SETUPS) * len(KINDS)
    shown = not whole or table in (REPOSITORY / "README.md").read_text()
    if not shown:
        say("The README shows another table: put this one between its marks")
    say(f"{len(cells)} cells in {(time.monotonic() - started) / 60:.1f} minutes, {len(problems)} problems")
    for problem in problems[:20]:
        say(f"\n{problem}")
    return 0 if shown and not problems else 1


def render(cells: Sequence[Cell], setups: Sequence[str]) -> str:
    """Return the table as markdown, a line for each release and provider."""
    rows = [["release", "provider", *setups], ["---"] * (len(setups) + 2)]
    by_place = {(cell.release, cell.kind, cell.setup): cell.shown for cell in cells}
    places = dict.fromkeys((cell.release, cell.kind) for cell in cells)
    rows += [[name(release), kind, *(by_place[release, kind, setup] for setup in setups)] for release, kind in places]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
