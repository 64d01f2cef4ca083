"""How often one of two workers takes all the connections of a look, on a real ogx 1.5.0.

One of them knows a vector store, and so its list tells them apart. It prints, and asserts nothing: the machine decides.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from backends import BACKENDS
from client import OTHER_PROVIDER, create
from processes import workers
from servers import close_all_on_signals, say

from hook.deadline import Deadline
from hook.http import busy
from hook.http.client import Http
from hook.llamastack.api import LlamaStack
from hook.logs import configure
from hook.processes import Processes
from hook.proof import Prover
from hook.settings import Server

RELEASE = "ogx-1.5.0"
ROUNDS = 4
CONNECTIONS = 120
LOOK = 20
KEPT_BUSY = (0, busy.MOST_CONNECTIONS)
WARM_UP_SECONDS = 2.0
BURN = "while True: pass"


def main() -> int:
    """Boot the server, and print a table: on an idle machine and on one whose cores are busy."""
    close_all_on_signals()
    configure("warning", "console", os.environ)
    print("| cores | connections kept busy | looks of 20 that met one worker | most in a row | share of the rarer |")
    print("| --- | :-: | :-: | :-: | :-: |")
    with tempfile.TemporaryDirectory(prefix="rc-connections-") as folder:
        backend = BACKENDS["faiss"](Path(folder))
        try:
            with workers(RELEASE, backend) as server:
                create(server.client, "red_hat_docs", OTHER_PROVIDER)
                for cores in ("idle", "busy"):
                    with burning(0 if cores == "idle" else os.cpu_count() or 1):
                        measure(server.url, cores)
        finally:
            backend.stop()
    return 0


@contextmanager
def burning(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        time.sleep(WARM_UP_SECONDS)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def measure(url: str, cores: str) -> None:
    """Print a row for each number of connections that are kept busy; they take turns."""
    rounds: dict[int, list[list[bool]]] = {count: [] for count in KEPT_BUSY}
    for number in range(ROUNDS):
        for count, met in rounds.items():
            say(f"{cores}: round {number + 1} of {ROUNDS}, {count} kept busy")
            met.append(answers(url, count))
    for count, met in rounds.items():
        looks = [each[start : start + LOOK] for each in met for start in range(0, CONNECTIONS, LOOK)]
        alone = sum(len(set(look)) == 1 for look in looks)
        longest = max(len(list(run)) for each in met for _, run in groupby(each))
        knowing = sum(map(sum, met)) / (ROUNDS * CONNECTIONS)
        rarer = min(knowing, 1 - knowing)
        print(f"| {cores} | {count} | {alone} of {len(looks)} | {longest} | {rarer:.0%} |", flush=True)


def answers(url: str, kept_busy: int) -> list[bool]:
    """Return for each of the hook's fresh connections whether the worker that took it knows the vector store."""
    busy.MOST_CONNECTIONS = kept_busy
    deadline = Deadline(3600.0)
    server = LlamaStack(Http(Server(url=url), 30.0, deadline))
    asked = Processes(server, Prover(server, deadline, 30.0, write=False), deadline, LOOK)
    met = []
    for _ in range(CONNECTIONS):
        asked.renew()
        met.append(bool(server.vector_stores()))
        # It stands for a proof.
        server.check_health()
    return met


if __name__ == "__main__":
    raise SystemExit(main())
