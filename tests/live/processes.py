"""Several processes of a real server behind one URL: two workers, or two replicas behind HAProxy."""

import contextlib
import copy
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from backends import Backend
from client import stores
from servers import Server, ServerError, free_port, start_process

START_SECONDS = 10
LISTS = 12
PAUSE_SECONDS = 0.05
"""Two workers are both met in 12 lists but once in two thousand times."""
WORKERS = "two workers"
PER_CONNECTION = "two replicas, per connection"
PER_REQUEST = "two replicas, per request"
_BOOTING = threading.Lock()
"""One boot at a time: a worker that does not answer its supervisor within 5 s, as on a busy machine, is killed."""
SEARCHED = f"{os.environ['PATH']}:/usr/sbin"
"""Where HAProxy is looked for: distributions put it beside the daemons."""


class Processes:
    """Two processes of one release, with one state, behind one URL."""

    def __init__(self, url: str, servers: list[Server]) -> None:
        self.url = url
        self.folder = servers[0].folder
        self.client = copy.copy(servers[0])
        """What sends each request on a connection of its own, to whichever process takes it."""
        self.client.url = url
        self._servers = servers

    def listed(self) -> dict[str, str]:
        """Return the name of each vector store that any process lists, by id."""
        found: dict[str, str] = {}
        for server in self._servers:
            for _ in range(LISTS if len(self._servers) == 1 else 1):
                found |= {store_id: store["name"] for store_id, store in stores(server).items()}
                time.sleep(PAUSE_SECONDS)
        return found

    def ended_by_itself(self) -> bool:
        """Return whether any of them ever did."""
        return any(server.ended_by_itself() for server in self._servers)

    def restart(self) -> None:
        """Restart all of them, one after the other, with the same state."""
        for server in self._servers:
            server.stop()
        with _BOOTING:
            for server in self._servers:
                server.start()


@contextmanager
def workers(release: str, backend: Backend) -> Iterator[Processes]:
    """Boot one server with two workers, and have it gone afterwards. Raises ServerError."""

    def edit(content: dict[str, Any]) -> None:
        backend.configure(content)
        content["server"]["workers"] = 2

    with ExitStack() as stack:
        with _BOOTING:
            server = stack.enter_context(Server(release, edit=edit, stubs=backend.stubs))
        yield Processes(server.url, [server])


@contextmanager
def replicas(setups: Sequence[str], release: str, backend: Backend) -> Iterator[list[Processes]]:
    """Boot two servers behind a balancer for each set-up, and have all gone afterwards. Raises ServerError."""
    servers = [Server(release, edit=backend.configure, stubs=backend.stubs) for _ in range(2)]
    first, second = (server.folder / "work" / "state" for server in servers)
    second.rmdir()
    second.symlink_to(first)
    with ExitStack() as stack:
        for server in servers:
            with _BOOTING:
                stack.enter_context(server)
        ports = [server.port for server in servers]
        balancers = [stack.enter_context(_balancer(servers[0].folder, ports, setup == PER_REQUEST)) for setup in setups]
        yield [Processes(f"http://127.0.0.1:{port}", servers) for port in balancers]


@contextmanager
def _balancer(folder: Path, ports: list[int], per_request: bool) -> Iterator[int]:
    """Run HAProxy before these ports, each connection or each request to the next one, and yield its own port."""
    port = free_port()
    servers = "\n".join(f"    server s{number} 127.0.0.1:{number}" for number in ports)
    configuration = folder / f"haproxy-{port}.cfg"
    configuration.write_text(
        "defaults\n"
        f"    mode {'http' if per_request else 'tcp'}\n"
        "    timeout connect 5s\n    timeout client 300s\n    timeout server 300s\n"
        f"listen llamastack\n    bind 127.0.0.1:{port}\n    balance roundrobin\n{servers}\n"
    )
    log = folder / f"haproxy-{port}.log"
    command = ["haproxy", "-db", "-f", str(configuration)]
    process = start_process(command, folder, log, {"PATH": SEARCHED})
    try:
        _wait_for(port, process, log)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"HAProxy does not start: {log.read_text(errors='replace')}")
        time.sleep(0.1)
