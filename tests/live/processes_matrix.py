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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from backends import BACKENDS, Backend
from backends_matrix import NOT_FOUND, fails
from client import SENTENCE
from hook_runs import Hook, address, collections
from processes import PER_CONNECTION, PER_REQUEST, SEARCHED, WORKERS, Processes, replicas, workers
from servers import name, say
from tables import print_table, until_it_lives

from hook.llamastack.api import QUERY_TEXT

RELEASES = ("0.2.24", "0.3.5", "0.4.7", "0.7.3", "ogx-1.5.0")
KINDS = ("faiss", "pgvector")
NAMES = {
    WORKERS: ("red_hat_docs", "eu_ai_act"),
    PER_CONNECTION: ("red_hat_docs", "eu_ai_act"),
    PER_REQUEST: ("red_hat_docs_per_request", "eu_ai_act_per_request"),
}
"""The set-ups, and collections that no other of the same servers has."""
RUNS = 20
CLIENTS = 6
"""Real clients for each collection after each run, each request of them on a connection of its own: two workers are
both met but once in 2,000 times, where each takes half of them."""
MORE_CLIENTS = 60
"""How many more there are where the hook found a fault and the clients none: the worker that answered last mostly takes
the next connection too, and twelve clients in a row were seen to meet the same one."""
PAUSE_SECONDS = 0.05
LOOKS = 12
UNPROVABLE = {"faiss": "✓, but for what cannot be proven"}
"""Where exit 0 is false as long as the same query finds the same everywhere: no answer of the API could tell."""
COMMANDS = (("register",), ("check",), ("register", "--on-lost", "recreate"))
NOT_APPLICABLE = "–"


class Servers:
    """One release with one provider, in the set-ups that the same servers serve at once: boots cost the most."""

    def __init__(self, release: str, kind: str, setups: Sequence[str]) -> None:
        self.release = release
        self.kind = kind
        self.setups = setups
        self.cells: dict[str, str] = {}
        self.problems: list[str] = []

    def __str__(self) -> str:
        return f"{name(self.release)}, {self.kind}, {' and '.join(self.setups)}"

    def fill(self) -> None:
        """Run the hook again and again, and put the truth beside each run."""
        if self.release == "0.2.24" and WORKERS in self.setups:
            self.cells[WORKERS] = NOT_APPLICABLE
            return
        started = time.monotonic()
        until_it_lives(self, self._try)
        for setup in self.setups:
            self.cells.setdefault(setup, "✗")
        told = ", ".join(self.cells[setup] for setup in self.setups)
        say(f"{self}: {time.monotonic() - started:.0f} s, {told}, {len(self.problems)} problems")

    def _try(self) -> bool:
        """Fill the cells, and return whether a server ended by itself."""
        urls: list[Processes] = []
        with tempfile.TemporaryDirectory(prefix="rc-backend-") as folder:
            backend = BACKENDS[self.kind](Path(folder))
            try:
                with self._booted(backend) as urls:
                    self._go_through(urls)
            except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
                self.problems.append(f"{self}: {type(error).__name__}: {error}")
            finally:
                backend.stop()
        return any(url.ended_by_itself() for url in urls)

    @contextmanager
    def _booted(self, backend: Backend) -> Iterator[list[Processes]]:
        """Yield the servers as each set-up reaches them."""
        if WORKERS in self.setups:
            with workers(self.release, backend) as server:
                yield [server]
        else:
            with replicas(self.setups, self.release, backend) as balanced:
                yield balanced

    def _go_through(self, urls: Sequence[Processes]) -> None:
        with ExitStack() as stack:
            cells = {}
            for setup, url in zip(self.setups, urls, strict=True):
                hook = stack.enter_context(Hook(url, collections(*NAMES[setup])))
                cells[setup] = Cell(self, setup, url, hook)
            for start in (0, RUNS // 2):
                if start > 0:
                    urls[0].restart()
                for cell in cells.values():
                    cell.run(range(start, start + RUNS // 2))
        for setup, cell in cells.items():
            # Which processes there are to be met, and so which verdict is right, is a matter of chance: the truth is
            # not.
            self.cells[setup] = UNPROVABLE.get(self.kind, "✓") if cell.right else "✗"
            if os.environ.get("VERBOSE"):
                say(f"{cell}: {dict(cell.ends)}")


class Cell:
    """One set-up on one release, with one provider."""

    def __init__(self, servers: Servers, setup: str, url: Processes, hook: Hook) -> None:
        self.right = True
        self.ends: Counter[str] = Counter()
        self._servers = servers
        self._setup = setup
        self._url = url
        self._hook = hook

    def __str__(self) -> str:
        return f"{name(self._servers.release)}, {self._setup}, {self._servers.kind}"

    def run(self, numbers: Sequence[int]) -> None:
        """Run the hook so often, and note how each run ends and what is wrong with it."""
        for number in numbers:
            report = self._hook.outcome(*COMMANDS[number % len(COMMANDS)])
            provable = self._servers.kind not in UNPROVABLE or not self._finds_the_same()
            states = ", ".join(sorted({item["state"] for item in report["collections"]}))
            proven = self._judge(report, number, provable)
            end = f"{report['exit_code']} {states.replace('registered', 'present')}"
            self.ends[end if proven else f"{end} (cannot be proven)"] += 1

    def _judge(self, report: Mapping[str, Any], number: int, provable: bool) -> bool:
        """Note what is wrong with a verdict, and return whether the truth could be told at all."""
        why: str | None = None
        for item in report["collections"]:
            where = address(item) if item["addressed_by"] else item["id"]
            if where is None:
                why = f"{item['name']} has no address"
                continue
            why = why or self._met(where, CLIENTS)
            if report["exit_code"] != 0:
                why = why or self._met(where, MORE_CLIENTS)
        proven = provable or report["exit_code"] != 0 or why is None or not why.startswith(NOT_FOUND)
        if proven and (report["exit_code"] == 0) != (why is None):
            kind = "false success" if why else "false failure"
            self._is_wrong(f"run {number}: {kind}: {report['message']}; the truth is: {why or 'all works'}")
        counts = Counter(self._url.listed().values())
        too_many = [each for each in NAMES[self._setup] if counts[each] > 1]
        if too_many:
            self._is_wrong(f"run {number}: several vector stores of {too_many}")
        return proven

    def _is_wrong(self, problem: str) -> None:
        self.right = False
        self._servers.problems.append(f"{self}, {problem}")

    def _met(self, where: str, clients: int) -> str | None:
        """Return the first failure that any of so many clients meets, or None."""
        sentences = (f"{SENTENCE} {uuid.uuid4()}" for _ in range(clients))
        met = (fails(self._url.client, where, sentence, PAUSE_SECONDS) for sentence in sentences)
        return next((each for each in met if each is not None), None)

    def _finds_the_same(self) -> bool:
        """Tell whether the query of the proof finds the same chunk of each vector store on every connection."""
        body = {"query": QUERY_TEXT, "params": {"max_chunks": 1}}
        for store_id, store in self._url.listed().items():
            if store not in NAMES[self._setup]:
                continue
            asked = {"vector_store_id": store_id, "vector_db_id": store_id, **body}
            answers = [self._url.client.request("POST", "/v1/vector-io/query", asked) for _ in range(LOOKS)]
            if len({str([chunk["content"] for chunk in each.json().get("chunks", [])]) for each in answers}) > 1:
                return False
        return True


def main() -> int:
    """Fill all cells, print the table, and return 0 if every verdict is true."""
    if shutil.which("haproxy", path=SEARCHED) is None:
        say("This needs HAProxy, which balances between the replicas: install your system's package `haproxy`")
        return 2
    releases = os.environ.get("RELEASES", "").split() or list(RELEASES)
    setups = [setup for setup in NAMES if setup in os.environ.get("SETUPS", ";".join(NAMES))]
    kinds = [kind for kind in KINDS if kind in os.environ.get("BACKENDS", ", ".join(KINDS))]
    together = [[setup for setup in setups if setup != WORKERS], [setup for setup in setups if setup == WORKERS]]
    columns = [
        Servers(release, kind, same)
        for release in releases
        if release in RELEASES
        for same in filter(None, together)
        for kind in kinds
    ]
    whole = sum(len(column.setups) for column in columns) == len(RELEASES) * len(NAMES) * len(KINDS)
    return print_table(columns, Servers.fill, lambda: render(columns, setups), whole=whole)


def render(columns: Sequence[Servers], setups: Sequence[str]) -> str:
    """Return the table as markdown, a line for each release and provider."""
    rows = [["release", "provider", *setups], ["---"] * (len(setups) + 2)]
    by_place: dict[tuple[str, str], dict[str, str]] = {}
    for column in columns:
        by_place.setdefault((column.release, column.kind), {}).update(column.cells)
    rows += [[name(release), kind, *(cells[setup] for setup in setups)] for (release, kind), cells in by_place.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
