"""What the hook says where several principals share a server, beside what a real client with each token meets.

Two policies: the server's own (the owner, whoever shares a role, and all of what has no owner), and that of Red Hat's
image (whoever made it, and all may read what has no owner). The clients of an authorization server besides. A false
verdict ends it with 1.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import client
from backends_matrix import fails
from edits import declare
from hook_runs import Hook, address, collections
from identities import COLLEAGUE, HOOK, STRANGER, ByClient, ByToken, Identities
from servers import Server, free_port, name, say
from tables import print_table

RED_HAT = "Red Hat's"
POLICIES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "the server's own": (),
    RED_HAT: (
        {"permit": {"actions": ["create"]}},
        {"permit": {"actions": ["read"]}, "when": "resource is unowned"},
        {"permit": {"actions": ["read", "update", "delete"]}, "when": "user is owner"},
    ),
}
CLIENTS = "the server's own, for clients of an authorization server"
DECLARED = "declared_docs"

COLUMNS = (*product(("0.7.3", "ogx-1.5.0"), POLICIES), ("ogx-1.5.0", CLIENTS))

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
        return f"{name(self.release)} under the policy: {self.policy}"

    def fill(self) -> None:
        """Register with one token, and ask for each of the others."""
        self._identities: Identities = ByClient() if self.policy == CLIENTS else ByToken()
        try:
            with (
                self._identities as asked,
                Server(self.release, edit=self._edit(asked)) as server,
                Hook(server, collections("red_hat_docs")) as hook,
                Hook(server, collections(DECLARED)) as declared,
            ):
                self._judge(OWN, server, hook.outcome("register", **asked.settings()), HOOK)
                for fact, who in ((SHARED_ROLE, COLLEAGUE), (OTHER, STRANGER)):
                    self._judge(fact, server, self._ask(server, hook, who), who)
                self._judge(DECLARED_WRITE, server, self._ask(server, declared, STRANGER), STRANGER)
                report = self._ask(server, declared, STRANGER, "--prove", "read")
                self._judge(DECLARED_READ, server, report, STRANGER, reads=True)
                if self.policy == CLIENTS:
                    self._judge_refusals(server, hook)
        except Exception as error:  # noqa: BLE001  whatever breaks, the table has to show it
            self.problems.append(f"{self}: {type(error).__name__}: {error}")
        say(f"{self}: {len(self.problems)} problems")

    def _edit(self, identities: Identities) -> Any:
        guard = identities.guard(self.release, POLICIES.get(self.policy, ()))
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
        """Return the report of a `check` as the hook itself and as a consumer."""
        flags = self._identities.consumer(consumer, server.folder)
        return hook.outcome("check", *flags, *options, **self._identities.settings())

    def _judge_refusals(self, server: Server, hook: Hook) -> None:
        """See that the messages name what the authorization server and LlamaStack refuse, and what does not answer."""
        settings, wrong = self._identities.settings(), server.folder / "wrong"
        wrong.write_text("no-such-secret")
        with_wrong_secret = hook.outcome("check", **(settings | {"HOOK_OAUTH_CLIENT_SECRET_FILE": str(wrong)}))
        unanswered = f"http://127.0.0.1:{free_port()}/token"
        without_answer = hook.outcome("check", "--timeout", "2", **(settings | {"HOOK_OAUTH_TOKEN_URL": unanswered}))
        with_wrong_token = hook.outcome("check", LLAMA_STACK_API_KEY=self._identities.token(HOOK)[:-8])
        for report, exit_code, word in (
            (with_wrong_secret, 4, "(invalid_client: "),
            (without_answer, 3, "check HOOK_OAUTH_TOKEN_URL"),
            (with_wrong_token, 4, "Invalid JWT token"),
        ):
            if report["exit_code"] != exit_code or word not in report["message"]:
                self.problems.append(f"{self}: {word} with {exit_code} was expected: {report['message']}")

    def _judge(self, fact: str, server: Server, report: Mapping[str, Any], who: str, *, reads: bool = False) -> None:
        """Put the verdict beside the truth, which is what a client with this one's token meets."""
        (found,) = report["collections"]
        where = address(found) if found["addressed_by"] else found["id"]
        as_client = copy.copy(server)
        as_client.token = self._identities.token(who)
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
    releases = os.environ.get("RELEASES", "").split() or [release for release, _ in COLUMNS]
    columns = [Column(release, policy) for release, policy in COLUMNS if release in releases]
    whole = len(columns) == len(COLUMNS)
    return print_table(columns, Column.fill, lambda: render(columns), whole=whole)


def render(columns: Sequence[Column]) -> str:
    """Return the table as markdown, a line for each column."""
    rows = [["release", "policy", *FACTS], ["---"] * (len(FACTS) + 2)]
    rows += [[name(c.release), c.policy, *(c.cells[fact] for fact in FACTS)] for c in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
