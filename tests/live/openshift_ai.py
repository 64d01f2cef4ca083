"""What the hook does on OpenShift AI's newest release: its OGX, in its shape, with its policy.

PostgreSQL holds the state, the vector stores and the chunks; an endpoint makes the vectors; an authorization server
gives the tokens, to the hook and to its consumers.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends import EmbeddingEndpoint, Pgvector
from backends_matrix import fails
from client import stores
from hook_runs import Hook, address, collections
from identities import HOOK, STRANGER, ByClient
from principals import POLICIES, RED_HAT
from servers import Server, name, say
from tables import print_table

RELEASE = "ogx-1.2.2"
NAMES = ("red_hat_docs", "acme_corporate", "eu_ai_act")
DECLARED = "declared_docs"

REGISTERED = "three collections registered"
AGAIN = "a second run"
DECLARATION = "a collection declared in the server's own configuration"
OTHER = "the three, for a consumer that is another client"
RESTARTED = "after a restart of the server"
DOWN = "while PostgreSQL is down: the server answers with an empty list"
EXPECTED = {
    REGISTERED: "0 registered",
    AGAIN: "0 present",
    DECLARATION: "0 present",
    OTHER: "5 hidden",
    RESTARTED: "0 present",
    DOWN: "5",
}


class Column:
    """The one release."""

    def __init__(self) -> None:
        self.cells: dict[str, str] = dict.fromkeys(EXPECTED, "✗")
        self.problems: list[str] = []

    def fill(self) -> None:
        """Register, and see with a client of one's own that what the hook says is true."""
        try:
            with ByClient() as clients:
                self._clients = clients
                endpoint = EmbeddingEndpoint()
                endpoint.start()
                server = Server(RELEASE)
                database = Pgvector(server.folder)
                try:
                    server.configure("run-base.yaml", self._edit(clients, endpoint, database))
                    with server, Hook(server, collections(*NAMES)) as hook, Hook(server, collections(DECLARED)) as own:
                        self._look(server, hook, own, database)
                finally:
                    database.stop()
                    endpoint.stop()
        except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
            self.problems.append(f"{name(RELEASE)}: {type(error).__name__}: {error}")

    def _edit(self, clients: ByClient, endpoint: EmbeddingEndpoint, database: Pgvector) -> Any:
        guard = clients.guard(RELEASE, POLICIES[RED_HAT])

        def edit(content: dict[str, Any]) -> None:
            guard(content)
            content["providers"]["inference"][0]["config"]["base_url"] = f"http://127.0.0.1:{endpoint.port}/v1"
            for part in (content["providers"]["vector_io"][0]["config"], *content["storage"]["backends"].values()):
                part |= database.settings()

        return edit

    def _look(self, server: Server, hook: Hook, own: Hook, database: Pgvector) -> None:
        settings = self._clients.settings()
        self._judge(server, REGISTERED, hook.outcome("register", **settings))
        self._judge(server, AGAIN, hook.outcome("register", **settings))
        self._judge(server, DECLARATION, own.outcome("check", "--prove", "read", **settings), works=False)
        consumer = self._clients.consumer(STRANGER, Path(server.folder))
        self._judge(server, OTHER, hook.outcome("check", *consumer, **settings), works=False)
        server.restart()
        self._judge(server, RESTARTED, hook.outcome("check", **settings))
        database.stop()
        report = hook.outcome("check", "--timeout", "15", **settings)
        self.cells[DOWN] = str(report["exit_code"])
        self._compare(DOWN, report)

    def _judge(self, server: Server, fact: str, report: Mapping[str, Any], *, works: bool = True) -> None:
        states = sorted({found["state"] for found in report["collections"]})
        self.cells[fact] = " ".join([str(report["exit_code"]), *states])
        self._compare(fact, report)
        for found in report["collections"] if works else ():
            server.token = self._clients.token(HOOK)
            why = "there is no address" if found["addressed_by"] is None else fails(server, address(found))
            if why is not None:
                self.problems.append(f"{fact}: {found['name']}: {why}")
        server.token = self._clients.token(HOOK)
        listed = sorted(store["name"] for store in stores(server).values())
        if listed != sorted([*NAMES, DECLARED]):
            self.problems.append(f"{fact}: the server lists {listed}")

    def _compare(self, fact: str, report: Mapping[str, Any]) -> None:
        if os.environ.get("VERBOSE"):
            say(f"{fact}: {report['message']}")
        if self.cells[fact] != EXPECTED[fact]:
            self.problems.append(f"{fact}: not {EXPECTED[fact]}: {report['message']} {report['collections']}")


def main() -> int:
    """Fill the column, print the table, and return 0 if all is as it should be."""
    column = Column()
    return print_table([column], Column.fill, lambda: render(column.cells), whole=True)


def render(cells: Mapping[str, str]) -> str:
    """Return the table as markdown."""
    rows: Sequence[tuple[str, str]] = (("OpenShift AI 3.5", name(RELEASE)), ("---", "---"), *cells.items())
    return "\n".join(f"| {fact} | {cell} |" for fact, cell in rows)


if __name__ == "__main__":
    raise SystemExit(main())
