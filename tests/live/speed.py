"""How long the hook takes for many collections, lost ones and a divided server, each on a real server.

It prints, and asserts nothing but the verdicts: the machine decides.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backends import Backend
from client import PROVIDER, create
from hook_runs import Hook, collections
from processes import PER_CONNECTION, replicas
from servers import Server, close_all_on_signals, name

MANY, LOST = 50, 8
RELEASE, DIVIDED_RELEASE = "0.3.5", "0.6.1"


def main() -> int:
    """Print a table: what was asked for, and the seconds that it took."""
    close_all_on_signals()
    print("| server | what | seconds |\n| --- | --- | :-: |")
    with Server(RELEASE, "run-milvus.yaml") as server:
        many = collections(*(f"collection_{number}" for number in range(MANY)))
        _tell(server, RELEASE, f"register {MANY}", many, "register", "registered")
        _tell(server, RELEASE, f"check {MANY}", many, "check", "present")
    with Server(RELEASE, "run-milvus.yaml") as server:
        some = collections(*(f"collection_{number}" for number in range(LOST)))
        with Hook(server, some) as hook:
            hook.expect(0, "registered", "register")
        server.restart()
        _tell(server, RELEASE, f"recreate {LOST} lost ones", some, "register", "registered", "--on-lost", "recreate")
    with (
        tempfile.TemporaryDirectory(prefix="rc-speed-") as folder,
        replicas([PER_CONNECTION], DIVIDED_RELEASE, Backend(Path(folder))) as (divided,),
    ):
        create(divided.client, "red_hat_docs", PROVIDER)
        _tell(divided, DIVIDED_RELEASE, "tell a divided one", collections("red_hat_docs"), "check", "divided")
    return 0


def _tell(
    server: Any, release: str, what: str, content: dict[str, Any], command: str, state: str, *options: str
) -> None:
    with Hook(server, content) as hook:
        started = time.monotonic()
        hook.expect(5 if state == "divided" else 0, state, command, "--timeout", "300", *options)
        print(f"| {name(release)} | {what} | {time.monotonic() - started:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
