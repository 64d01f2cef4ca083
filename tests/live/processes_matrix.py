"""What the hook says of a server that is several processes, beside what real clients meet on fresh connections.

Each cell is RUNS runs, 20 by default; a false verdict in any of them, or a second vector store of a name, ends it with
1. `RELEASES="0.3.5"` and `SETUPS="two workers"` pick some.
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
from client import OTHER_PROVIDER, PROVIDER, SENTENCE
from hook_runs import Hook, address, collections
from processes import PER_CONNECTION, PER_REQUEST, SEARCHED, WORKERS, Processes, replicas, workers
from servers import name, say
from tables import print_table, until_it_lives

from hook.llamastack.api import QUERY_TEXT

RELEASES = ("0.2.24", "0.3.5", "0.4.7", "0.6.1", "0.7.3", "ogx-1.5.0")
PROVIDERS = {"faiss": OTHER_PROVIDER, "pgvector": PROVIDER}
"""By their kind, the providers of the same servers."""
SETUPS = {WORKERS: "workers", PER_CONNECTION: "per_connection", PER_REQUEST: "per_request"}
"""And what their collections are called by, which no other set-up of the same servers has."""
NAMES = ("red_hat_docs", "eu_ai_act")
RUNS = int(os.environ.get("RUNS", "20"))
"""Half of them after a restart; a multiple of six has each command as often in both halves."""
BASE_TIMEOUT_SECONDS = "240"
"""As in the base: a wrong verdict may need longer than a short one lasts (0.6.1: 70 s)."""
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
LEFT_OUT = {"0.2.24": (WORKERS,), "0.6.1": (WORKERS, PER_REQUEST)}
"""0.2.24 starts no second worker; 0.6.1 shows what an error of two seconds does, which one set-up tells."""


class Servers:
    """One release in the set-ups that the same servers serve at once, with both providers: boots cost the most."""

    def __init__(self, release: str, setups: Sequence[str], kinds: Sequence[str]) -> None:
        self.release = release
        self.setups = [setup for setup in setups if setup not in LEFT_OUT.get(release, ())]
        self.kinds = kinds
        self.cells: dict[tuple[str, str], str] = {}
        """By set-up and kind."""
        self.problems: list[str] = []

    def __str__(self) -> str:
        return f"{name(self.release)}, {' and '.join(self.setups)}"

    def fill(self) -> None:
        """Run the hook again and again, and put the truth beside each run."""
        if not self.setups:
            return
        started = time.monotonic()
        until_it_lives(self, self._try)
        for place in self._places():
            self.cells.setdefault(place, "✗")
        told = ", ".join(self.cells[place] for place in self._places())
        say(f"{self}: {time.monotonic() - started:.0f} s, {told}, {len(self.problems)} problems")

    def _places(self) -> list[tuple[str, str]]:
        return [(setup, kind) for setup in self.setups for kind in self.kinds]

    def _try(self) -> bool:
        """Fill the cells, and return whether a server ended by itself."""
        urls: list[Processes] = []
        with tempfile.TemporaryDirectory(prefix="rc-backend-") as folder:
            # What it does not replace stays faiss.
            backend = BACKENDS["pgvector"](Path(folder))
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
            by_setup = dict(zip(self.setups, urls, strict=True))
            cells = [Cell(self.release, setup, kind, by_setup[setup], stack) for setup, kind in self._places()]
            for start in (0, RUNS // 2):
                if start > 0:
                    urls[0].restart()
                for cell in cells:
                    cell.run(range(start, start + RUNS // 2))
        for cell in cells:
            # Which processes there are to be met, and so which verdict is right, is a matter of chance: the truth is
            # not.
            self.cells[cell.setup, cell.kind] = "✗" if cell.problems else UNPROVABLE.get(cell.kind, "✓")
            self.problems += cell.problems
            if os.environ.get("VERBOSE"):
                say(f"{cell}: {dict(cell.ends)}")


class Cell:
    """One set-up on one release, with one provider."""

    def __init__(self, release: str, setup: str, kind: str, url: Processes, stack: ExitStack) -> None:
        self.setup = setup
        self.kind = kind
        self.problems: list[str] = []
        self.ends: Counter[str] = Counter()
        self._release = release
        self._names = [f"{each}_{kind}_{SETUPS[setup]}" for each in NAMES]
        self._url = url
        self._hook = stack.enter_context(Hook(url, collections(*self._names, provider_id=PROVIDERS[kind])))

    def __str__(self) -> str:
        return f"{name(self._release)}, {self.setup}, {self.kind}"

    def run(self, numbers: Sequence[int]) -> None:
        """Run the hook so often, and note how each run ends and what is wrong with it."""
        for number in numbers:
            report = self._hook.outcome(*COMMANDS[number % len(COMMANDS)], "--timeout", BASE_TIMEOUT_SECONDS)
            provable = self.kind not in UNPROVABLE or not self._finds_the_same()
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
        too_many = [each for each in self._names if counts[each] > 1]
        if too_many:
            self._is_wrong(f"run {number}: several vector stores of {too_many}")
        return proven

    def _is_wrong(self, problem: str) -> None:
        self.problems.append(f"{self}, {problem}")

    def _met(self, where: str, clients: int) -> str | None:
        """Return the first failure that any of so many clients meets, or None."""
        sentences = (f"{SENTENCE} {uuid.uuid4()}" for _ in range(clients))
        met = (fails(self._url.client, where, sentence, PAUSE_SECONDS) for sentence in sentences)
        return next((each for each in met if each is not None), None)

    def _finds_the_same(self) -> bool:
        """Tell whether the query of the proof finds the same chunk of each vector store on every connection."""
        body = {"query": QUERY_TEXT, "params": {"max_chunks": 1}}
        for store_id, store in self._url.listed().items():
            if store not in self._names:
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
    setups = [setup for setup in SETUPS if setup in os.environ.get("SETUPS", ";".join(SETUPS))]
    kinds = [kind for kind in PROVIDERS if kind in os.environ.get("BACKENDS", ", ".join(PROVIDERS))]
    # The longest first.
    together = [[setup for setup in setups if setup != WORKERS], [setup for setup in setups if setup == WORKERS]]
    columns = [
        Servers(release, same, kinds) for same in filter(None, together) for release in releases if release in RELEASES
    ]
    whole = (releases, setups, kinds) == (list(RELEASES), list(SETUPS), list(PROVIDERS))
    return print_table(columns, Servers.fill, lambda: render(columns, setups, kinds), whole=whole)


def render(columns: Sequence[Servers], setups: Sequence[str], kinds: Sequence[str]) -> str:
    """Return the table as markdown, a line for each release and provider."""
    rows = [["release", "provider", *setups], ["---"] * (len(setups) + 2)]
    by_release: dict[str, dict[tuple[str, str], str]] = {}
    for column in columns:
        by_release.setdefault(column.release, {}).update(column.cells)
    for release, cells in by_release.items():
        rows += [
            [name(release), kind, *(cells.get((setup, kind), NOT_APPLICABLE) for setup in setups)] for kind in kinds
        ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
