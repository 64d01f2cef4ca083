"""What the hook says of a server that is several processes, beside what real clients meet on fresh connections.

Each cell is 20 runs; a false verdict in any of them, or a second vector store of a name, ends it with 1.
`RELEASES="0.3.5"` and `SETUPS="two workers"` pick some.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends import BACKENDS
from backends_matrix import NOT_FOUND, fails
from client import SENTENCE
from hook_runs import Hook, address, collections
from processes import SEARCHED, SETUPS, WORKERS, Processes, processes
from servers import name, say
from tables import print_table, until_it_lives

from hook.llamastack.api import QUERY_TEXT

RELEASES = ("0.2.24", "0.3.5", "0.4.7", "0.7.3", "ogx-1.5.0")
KINDS = ("faiss", "pgvector")
NAMES = ("red_hat_docs", "eu_ai_act")
RUNS = 20
CLIENTS = 6
"""Real clients for each collection after each run, each request of them on a connection of its own: two workers are
both met but once in 2,000 times, where each takes half of them."""
MORE_CLIENTS = 60
"""How many more there are where the hook found a fault and the clients none: the worker that answered last mostly takes
the next connection too, and twelve clients in a row were seen to meet the same one."""
PAUSE_SECONDS = 0.05
AT_ONCE = 3
"""One more than there are cores: a cell waits for much of its time, and workers boot one at a time in all of them."""
LOOKS = 12
UNPROVABLE = {"faiss": "✓, but for what cannot be proven"}
"""Where exit 0 is false as long as the same query finds the same everywhere: no answer of the API could tell."""
COMMANDS = (("register",), ("check",), ("register", "--on-lost", "recreate"))
NOT_APPLICABLE = "–"


class Cell:
    """One set-up on one release, with one provider."""

    def __init__(self, release: str, setup: str, kind: str) -> None:
        self.release = release
        self.setup = setup
        self.kind = kind
        self.cells: dict[str, str] = {}
        self.problems: list[str] = []

    def __str__(self) -> str:
        return f"{name(self.release)}, {self.setup}, {self.kind}"

    def fill(self) -> None:
        """Run the hook again and again, and put the truth beside each run."""
        if self.release == "0.2.24" and self.setup == WORKERS:
            self.cells[self.setup] = NOT_APPLICABLE
            return
        started = time.monotonic()
        until_it_lives(self, self._try)
        self.cells.setdefault(self.setup, "✗")
        say(f"{self}: {time.monotonic() - started:.0f} s, {self.cells[self.setup]}, {len(self.problems)} problems")

    def _try(self) -> bool:
        """Fill the cell, and return whether a server ended by itself."""
        server = None
        with tempfile.TemporaryDirectory(prefix="rc-backend-") as folder:
            backend = BACKENDS[self.kind](Path(folder))
            try:
                with processes(self.setup, self.release, backend) as server:
                    self._go_through(server)
            except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
                self.problems.append(f"{self}: {type(error).__name__}: {error}")
            finally:
                backend.stop()
        return server is not None and server.ended_by_itself()

    def _go_through(self, server: Processes) -> None:
        ends: Counter[str] = Counter()
        with Hook(server, collections(*NAMES)) as hook:
            for number in range(RUNS):
                if number == RUNS // 2:
                    server.restart()
                report = hook.outcome(*COMMANDS[number % len(COMMANDS)])
                provable = self.kind not in UNPROVABLE or not finds_the_same(server)
                states = ", ".join(sorted({item["state"] for item in report["collections"]}))
                proven = self._judge(server, report, number, provable)
                end = f"{report['exit_code']} {states.replace('registered', 'present')}"
                ends[end if proven else f"{end} (cannot be proven)"] += 1
        # Which processes there are to be met, and so which verdict is right, is a matter of chance: the truth is not.
        self.cells[self.setup] = "✗" if self.problems else UNPROVABLE.get(self.kind, "✓")
        if os.environ.get("VERBOSE"):
            say(f"{self}: {dict(ends)}")

    def _judge(self, server: Processes, report: Mapping[str, Any], number: int, provable: bool) -> bool:
        """Note what is wrong with a verdict, and return whether the truth could be told at all."""
        why: str | None = None
        for item in report["collections"]:
            where = address(item) if item["addressed_by"] else item["id"]
            if where is None:
                why = f"{item['name']} has no address"
                continue
            why = why or self._met(server, where, CLIENTS)
            if report["exit_code"] != 0:
                why = why or self._met(server, where, MORE_CLIENTS)
        proven = provable or report["exit_code"] != 0 or why is None or not why.startswith(NOT_FOUND)
        if proven and (report["exit_code"] == 0) != (why is None):
            kind = "false success" if why else "false failure"
            self.problems.append(
                f"{self}, run {number}: {kind}: {report['message']}; the truth is: {why or 'all works'}"
            )
        too_many = [each for each, count in Counter(server.listed().values()).items() if each in NAMES and count > 1]
        if too_many:
            self.problems.append(f"{self}, run {number}: several vector stores of {too_many}")
        return proven

    def _met(self, server: Processes, where: str, clients: int) -> str | None:
        """Return the first failure that any of so many clients meets, or None."""
        sentences = (f"{SENTENCE} {uuid.uuid4()}" for _ in range(clients))
        met = (fails(server.client, where, sentence, PAUSE_SECONDS) for sentence in sentences)
        return next((each for each in met if each is not None), None)


def finds_the_same(server: Processes) -> bool:
    """Tell whether the query of the proof finds the same chunk of each vector store on every connection."""
    body = {"query": QUERY_TEXT, "params": {"max_chunks": 1}}
    for store_id in server.listed():
        asked = {"vector_store_id": store_id, "vector_db_id": store_id, **body}
        answers = [server.client.request("POST", "/v1/vector-io/query", asked) for _ in range(LOOKS)]
        if len({str([chunk["content"] for chunk in each.json().get("chunks", [])]) for each in answers}) > 1:
            return False
    return True


def main() -> int:
    """Fill all cells, print the table, and return 0 if every verdict is true."""
    if shutil.which("haproxy", path=SEARCHED) is None:
        say("This needs HAProxy, which balances between the replicas: install your system's package `haproxy`")
        return 2
    releases = os.environ.get("RELEASES", "").split() or list(RELEASES)
    setups = [setup for setup in SETUPS if setup in os.environ.get("SETUPS", ";".join(SETUPS))]
    kinds = [kind for kind in KINDS if kind in os.environ.get("BACKENDS", ", ".join(KINDS))]
    cells = [
        Cell(release, setup, kind) for release in releases if release in RELEASES for setup in setups for kind in kinds
    ]
    whole = len(cells) == len(RELEASES) * len(SETUPS) * len(KINDS)
    return print_table(cells, Cell.fill, lambda: render(cells, setups), whole=whole, at_once=AT_ONCE)


def render(cells: Sequence[Cell], setups: Sequence[str]) -> str:
    """Return the table as markdown, a line for each release and provider."""
    rows = [["release", "provider", *setups], ["---"] * (len(setups) + 2)]
    by_place = {(cell.release, cell.kind, cell.setup): cell.cells[cell.setup] for cell in cells}
    places = dict.fromkeys((cell.release, cell.kind) for cell in cells)
    rows += [[name(release), kind, *(by_place[release, kind, setup] for setup in setups)] for release, kind in places]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
