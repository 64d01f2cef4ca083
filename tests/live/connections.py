"""How many looks miss one of the workers that share a socket, on uvicorn with an API that answers at once.

Real servers take longer for an answer, and mix better. It prints, and asserts nothing: the machine decides.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
from servers import HERE, ServerError, close_all_on_signals, free_port, install, start_process

from hook.deadline import Deadline
from hook.domain import Model, Provider, Target
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.logs import configure
from hook.survey.proof import Prover
from hook.survey.survey import QUERIES, Survey

RELEASE = "ogx-1.5.0"
"""Whose uvicorn it is."""
TRIALS = ((2, 20), (4, 20), (4, 40), (8, 20), (8, 40), (8, 80))
"""Workers, and connections of a look."""
LOOKS = int(os.environ.get("LOOKS", "50"))
STORES = 3
START_SECONDS = 30.0
WARM_UP_SECONDS = 2.0
BURN = "while True: pass"
PROVIDER, MODEL = Provider("milvus-shared", "pgvector"), Model("granite", None, 768)


def main() -> int:
    """Print a table: on an idle machine and on one whose cores are busy."""
    close_all_on_signals()
    configure("warning", "console", os.environ)
    print("| workers | connections | cores | looks at none that missed one | looks at three | seconds a look |")
    print("| :-: | :-: | --- | :-: | :-: | :-: |")
    with tempfile.TemporaryDirectory(prefix="rc-connections-") as folder:
        for workers, connections in TRIALS:
            with served(workers, Path(folder)) as url:
                for cores in ("idle", "busy"):
                    with burning(0 if cores == "idle" else os.cpu_count() or 1):
                        new, there, seconds = measure(url, workers, connections)
                    row = (workers, connections, cores, f"{new} of {LOOKS}", f"{there} of {LOOKS}", f"{seconds:.1f}")
                    print(f"| {' | '.join(map(str, row))} |", flush=True)
    return 0


@contextmanager
def served(workers: int, folder: Path) -> Iterator[str]:
    """Yield the URL of so many workers. Raises ServerError where they do not come up."""
    port, log = free_port(), folder / "uvicorn.log"
    python = install(RELEASE) / "bin" / "python"
    options = ["--port", str(port), "--workers", str(workers), "--no-access-log"]
    process = start_process([str(python), "-m", "uvicorn", "bare_workers:app", *options], HERE, log, {})
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while log.read_text().count("Application startup complete") < workers:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"uvicorn does not start: {log.read_text()}")
            time.sleep(0.1)
        requests.get(f"{url}/v1/health", timeout=5)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.unlink()


@contextmanager
def burning(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        time.sleep(WARM_UP_SECONDS if count else 0)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def measure(url: str, workers: int, connections: int) -> tuple[int, int, float]:
    """Return how many looks missed a worker, with nothing to prove and with some, and the seconds of the latter."""
    new = sum(len(met(url, connections, 0)) < workers for _ in range(LOOKS))
    started = time.monotonic()
    there = sum(len(met(url, connections, STORES)) < workers for _ in range(LOOKS))
    return new, there, (time.monotonic() - started) / LOOKS


def met(url: str, connections: int, count: int) -> set[str]:
    """Return which workers a look at so many collections has met: each lists a vector store of its own."""
    deadline = Deadline(3600.0)
    server = LlamaStack(Http(Endpoint(url=url), 30.0, deadline))
    processes = Survey(server, Prover(deadline, 30.0, write=True), deadline, connections)
    wanted = {f"vs_docs-{number}": Target(f"docs-{number}", PROVIDER, MODEL, 768) for number in range(count)}
    look = processes.observe(lambda stores: wanted if stores else {}, QUERIES)
    server.close()
    return {store.id for store in look.stores if store.id.startswith("worker-")}


if __name__ == "__main__":
    raise SystemExit(main())
