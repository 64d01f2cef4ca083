"""What the hook says where several principals share a server, beside what a real client with each token meets.

Two policies: the server's own (the owner, whoever shares a role, and all of what has no owner), and that of Red Hat's
image (whoever made it, and all may read what has no owner). A false verdict ends it with 1.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import client
from backends_matrix import fails
from edits import TOKEN, TokenServer, declare
from hook_runs import Hook, address, collections
from servers import Server, name, say
from tables import print_table

RELEASES = ("0.7.3", "ogx-1.5.0")

STRANGER, COLLEAGUE = "the-token-of-a-stranger", "the-token-of-a-colleague"
PRINCIPALS = {
    TOKEN: {"principal": "hook", "attributes": {"roles": ["platform"]}},
    COLLEAGUE: {"principal": "colleague", "attributes": {"roles": ["platform"]}},
    STRANGER: {"principal": "stranger", "attributes": {"roles": ["pipelines"]}},
}
POLICIES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "the server's own": (),
    "Red Hat's": (
        {"permit": {"actions": ["create"]}},
        {"permit": {"actions": ["read"]}, "when": "resource is unowned"},
        {"permit": {"actions": ["read", "update", "delete"]}, "when": "user is owner"},
    ),
}
DECLARED = "declared_docs"

OWN = "registered, for its own token"
SHARED_ROLE = "for a consumer with a role in common"
OTHER = "for a consumer with another token"
DECLARED_WRITE = "declared, for both tokens"
DECLARED_READ = "declared, for both tokens, `--prove read`"
FACTS = (OWN, SHARED_ROLE, OTHER, DECLARED_WRITE, DECLARED_READ)


class Column:
    """One policy on one release."""

    def __init__(self, release: str, policy: str) -> None:
        self.release = release
        self.policy = policy
        self.cells: dict[str, str] = dict.fromkeys(FACTS, "✗")
        self.problems: list[str] = []

    def __str__(self) -> str:
        return f"{name(self.release)} under {self.policy} policy"

    def fill(self) -> None:
        """Register with one token, and ask for each of the others."""
        try:
            with (
                TokenServer(PRINCIPALS) as tokens,
                Server(self.release, edit=self._edit(tokens), token=TOKEN) as server,
                Hook(server, collections("red_hat_docs")) as hook,
                Hook(server, collections(DECLARED)) as declared,
            ):
                self._judge(OWN, server, hook.outcome("register", LLAMA_STACK_API_KEY=TOKEN), TOKEN)
                for fact, token in ((SHARED_ROLE, COLLEAGUE), (OTHER, STRANGER)):
                    self._judge(fact, server, self._ask(server, hook, token), token)
                self._judge(DECLARED_WRITE, server, self._ask(server, declared, STRANGER), STRANGER)
                report = self._ask(server, declared, STRANGER, "--prove", "read")
                self._judge(DECLARED_READ, server, report, STRANGER, reads=True)
        except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
            self.problems.append(f"{self}: {type(error).__name__}: {error}")
        say(f"{self}: {len(self.problems)} problems")

    def _edit(self, tokens: TokenServer) -> Any:
        guard = tokens.guard(self.release, POLICIES[self.policy])
        declared = declare(self.release)

        def edit(content: dict[str, Any]) -> None:
            guard(content)
            declared(content)
            # Without it, ogx does not boot with a policy of its own.
            if self.release.startswith("ogx"):
                content["storage"]["stores"]["vector_stores"] = {
                    "table_name": "vector_stores",
                    "backend": "sql_default",
                }

        return edit

    def _ask(self, server: Server, hook: Hook, consumer: str, *options: str) -> dict[str, Any]:
        """Return the report of a `check` with the hook's own token and with that of a consumer."""
        file = Path(server.folder) / "consumer-token"
        file.write_text(consumer)
        return hook.outcome("check", "--consumer-api-key-file", str(file), *options, LLAMA_STACK_API_KEY=TOKEN)

    def _judge(self, fact: str, server: Server, report: Mapping[str, Any], token: str, *, reads: bool = False) -> None:
        """Put the verdict beside the truth, which is what a client with this token meets."""
        (found,) = report["collections"]
        where = address(found) if found["addressed_by"] else found["id"]
        as_client = copy.copy(server)
        as_client.token = token
        if where is None:
            why: str | None = "there is no address"
        elif reads:
            answer = client.query(as_client, where)
            why = None if answer.ok else f"the query answered {answer.status_code}: {answer.text[:300]}"
        else:
            why = fails(as_client, where)
        right = (report["exit_code"] == 0) == (why is None)
        self.cells[fact] = f"{report['exit_code']} {found['state']}" if right else "✗"
        if os.environ.get("VERBOSE"):
            say(f"{self}: {fact}: {report['message']}; truth: {why}")
        if not right:
            self.problems.append(f"{self}: {fact}: {report['message']}, and the truth is: {why or 'all works'}")


def main() -> int:
    """Fill all columns, print the table, and return 0 if every verdict is true."""
    releases = os.environ.get("RELEASES", "").split() or list(RELEASES)
    columns = [Column(release, policy) for release in releases if release in RELEASES for policy in POLICIES]
    whole = len(columns) == len(RELEASES) * len(POLICIES)
    return print_table(columns, Column.fill, lambda: render(columns), whole=whole)


def render(columns: Sequence[Column]) -> str:
    """Return the table as markdown, a line for each column."""
    rows = [["release", "policy", *FACTS], ["---"] * (len(FACTS) + 2)]
    rows += [[name(c.release), c.policy, *(c.cells[fact] for fact in FACTS)] for c in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
