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
from processes import WORKERS, processes
from servers import close_all_on_signals, say

from hook.deadline import Deadline
from hook.http import client
from hook.llamastack.api import LlamaStack
from hook.logs import configure
from hook.processes import Processes
from hook.proof import Prover
from hook.settings import Server

RELEASE = "ogx-1.5.0"
CONNECTIONS = 240
LOOK = 20
BUSY_CONNECTIONS = (0, client.BUSY_CONNECTIONS)
WARM_UP_SECONDS = 2.0
BURN = "while True: pass"


def main() -> int:
    """Boot the server, and print a table: on an idle machine and on one whose cores are busy."""
    close_all_on_signals()
    configure("warning", "console", os.environ)
    print("| cores | connections kept busy | most in a row | looks of 20 that met one worker | share of the rarer |")
    print("| --- | :-: | :-: | :-: | :-: |")
    with tempfile.TemporaryDirectory(prefix="rc-connections-") as folder:
        backend = BACKENDS["faiss"](Path(folder))
        try:
            with processes(WORKERS, RELEASE, backend) as server:
                create(server.client, "red_hat_docs", OTHER_PROVIDER)
                for cores in ("idle", "busy"):
                    with burning(0 if cores == "idle" else os.cpu_count() or 1):
                        for count in BUSY_CONNECTIONS:
                            print(f"| {cores} | {count} | {spread(server.url, count)} |", flush=True)
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


def spread(url: str, busy_connections: int) -> str:
    """Return what so many fresh connections of the hook meet, as the cells of a row."""
    client.BUSY_CONNECTIONS = busy_connections
    deadline = Deadline(3600.0)
    server = LlamaStack(client.Http(Server(url=url), 30.0, deadline))
    asked = Processes(server, Prover(server, deadline, 30.0, write=False), deadline, LOOK)
    met: list[bool] = []
    for number in range(CONNECTIONS):
        asked.renew()
        # The second one stands for a proof.
        met.append(bool(server.vector_stores()))
        server.check_health()
        if number % (CONNECTIONS // 4) == 0:
            say(f"{number} of {CONNECTIONS} connections, {busy_connections} kept busy")
    looks = [met[start : start + LOOK] for start in range(CONNECTIONS - LOOK + 1)]
    alone = sum(len(set(look)) == 1 for look in looks) / len(looks)
    rarer = min(met.count(True), met.count(False)) / CONNECTIONS
    return f"{max(len(list(run)) for _, run in groupby(met))} | {alone:.1%} | {rarer:.0%}"


if __name__ == "__main__":
    raise SystemExit(main())
