"""A real server for the faults: the only module here that knows how it is booted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.scene import Server

sys.path.append(str(Path(__file__).parents[1] / "live"))

import servers

RELEASE = "0.3.5"
NAME = servers.name(RELEASE)
PATIENCE = 2.0
"""How much more time it gets than the stand-in."""


@contextmanager
def server() -> Iterator[str]:
    """Boot it, yield its URL, and leave nothing of it."""
    servers.close_all_on_signals()
    with servers.Server(RELEASE) as booted:
        yield booted.url


def shared(url: str) -> Callable[[ExitStack], Server]:
    """Return what gives each trial the same server, emptied."""

    def prepare(_: ExitStack) -> Server:
        empty = Server(url)
        empty.clear()
        return empty

    return prepare


def client_cli() -> Path | None:
    """Return the official client's command line, which the server's packages bring along."""
    command: Path = servers.install(RELEASE) / "bin" / "llama-stack-client"
    return command if command.exists() else None
