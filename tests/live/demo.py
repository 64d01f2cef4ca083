"""The story on a real server: llama-stack 0.3.5 with Milvus Lite, where nothing is registered.

Every step is checked as well as shown; the demo fails where the story is not true.
"""

import io
import os
import re
import shutil
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import client
from client import WrongError
from servers import Server, ServerError, close_all_on_signals, hook_environ, name, run, say

from tests.pages import PAGES, misquoted

RELEASE = "0.3.5"
CONFIG = "tests/live/collections.yaml"
LOOP = "tests/live/curl_loop.sh"
COLLECTIONS = ("red_hat_docs", "acme_corporate", "eu_ai_act")
HOOK = "register-collections"


def main() -> int:
    """Tell the story and return 0 if all of it is true."""
    close_all_on_signals()
    started = time.monotonic()
    try:
        with Server(RELEASE, "run-milvus.yaml") as server:
            say(f"A real {name(RELEASE)} with Milvus Lite answers after {time.monotonic() - started:.0f} s.")
            with redirect_stdout(Printed()) as printed:
                Story(server).tell()
        (quotation,) = re.findall(r"<!-- demo -->\n```console\n(.*?)```", PAGES["README.md"], re.DOTALL)
        wrong = misquoted(quotation, printed.getvalue())
        require(not wrong, f"the README shows what was printed; it shows\n{wrong}")
    except (ServerError, WrongError) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    print(f"\nAll of this was checked, too. It took {time.monotonic() - started:.0f} s.")
    return 0


class Printed(io.StringIO):
    """What is printed, which is shown as well."""

    def write(self, text: str) -> int:
        """Show it, and keep it."""
        print(text, end="", file=sys.__stdout__, flush=True)
        return super().write(text)


class Story:
    """The steps, each on the state that the one before left."""

    def __init__(self, server: Server) -> None:
        self._server = server
        settings = {"LLAMA_STACK_URL": server.url, "HOOK_CONFIG": CONFIG, "HOOK_OUTPUT": "text"}
        print("\n$ export " + " ".join(f"{key}={value}" for key, value in settings.items()))
        scripts = Path(sys.executable).parent
        self._environ = hook_environ(PATH=f"{scripts}:{os.environ['PATH']}", **settings)

    def tell(self) -> None:
        """Tell it."""
        heading("The loop that people use: three refusals, and exit code 0")
        if shutil.which("curl"):
            output = self._run("sh", LOOP, expected=0)
            require(output.count("HTTP 400") == len(COLLECTIONS), "each request of the loop is answered 400")
        else:
            print("(left out: it needs curl)\n")
        require(not self._list(), "nothing is registered")

        heading("The hook registers what the same ConfigMap declares")
        self._run(HOOK, expected=0)
        first = self._list()
        require(sorted(first) == sorted(COLLECTIONS), "the three collections are listed, each once")

        heading("A second run creates nothing")
        self._run(HOOK, expected=0)
        require(self._list() == first, "the second run changed nothing")
        self._run(HOOK, "check", expected=0)

        lost = "eu_ai_act"
        heading(f"Somebody deletes {lost}: `check` says so, `{HOOK}` restores it")
        print(f"DELETE /v1/vector_stores/{first[lost]}")
        deleted = self._server.request("DELETE", f"/v1/vector_stores/{first[lost]}")
        require(deleted.status_code == 200, "the delete works")
        output = self._run(HOOK, "check", expected=5)
        require(lost in output and "missing" in output, f"check names {lost}")
        self._run(HOOK, expected=0)
        restored = self._list()
        kept = {collection: first[collection] for collection in COLLECTIONS if collection != lost}
        require({**restored, lost: ""} == {**kept, lost: ""}, "the other two are untouched")
        require(restored.get(lost, first[lost]) != first[lost], f"{lost} is there again, as a new vector store")

        collection = COLLECTIONS[0]
        heading("A pipeline asks for the address, and inserts and finds a chunk under it")
        require(self._insert(collection) != 200, "the server does not know a collection by its name")
        resolved = self._run(HOOK, "resolve", collection, expected=0).strip()
        require(resolved == restored[collection], "resolve prints what the server lists")
        require(self._insert(resolved) == 200, "the server takes a chunk under what resolve prints")
        require(client.SENTENCE in self._query(resolved), "a query under the same address finds the chunk")

    def _run(self, *command: str, expected: int) -> str:
        """Run a command as the user would type it, show what it says but not its log, and return that."""
        print(f"$ {' '.join(command)}{' 2>/dev/null' if HOOK in command else ''}")
        done = run(command, self._environ)
        print(f"{done.stdout.rstrip()}\n$ echo $?\n{done.returncode}\n")
        if done.returncode != expected:
            print(done.stderr)
        require(done.returncode == expected, f"`{' '.join(command)}` ends with exit code {expected}")
        return done.stdout

    def _insert(self, address: str) -> int:
        """Show an insert of a chunk and its answer, and return the status."""
        print(
            f'POST /v1/vector-io/insert {{"vector_db_id": "{address}", "chunks": [{{"content": "{client.SENTENCE}", …'
        )
        answer = client.insert(self._server, address)
        print(f"  HTTP {answer.status_code}  {answer.text}\n")
        return answer.status_code

    def _query(self, address: str) -> list[str]:
        """Show a query and what it finds, and return that."""
        print(f'POST /v1/vector-io/query {{"vector_db_id": "{address}", "query": "{client.QUESTION}"}}')
        body = {"vector_db_id": address, "query": client.QUESTION}
        answer = self._server.request("POST", "/v1/vector-io/query", body)
        found = [str(chunk["content"]) for chunk in client.must(answer)["chunks"]]
        print(f"  HTTP {answer.status_code}  {found}")
        return found

    def _list(self) -> dict[str, str]:
        """Show what the server itself lists, and return the ids by name."""
        stores: list[dict[str, Any]] = self._server.request("GET", "/v1/vector_stores").json()["data"]
        print("GET /v1/vector_stores")
        for store in sorted(stores, key=lambda store: str(store["name"])):
            print(f"  {store['id']}  {store['status']}  {store['metadata']['provider_id']}  {store['name']}")
        print("" if stores else "  (an empty list)\n")
        ids = {store["name"]: store["id"] for store in stores}
        require(len(ids) == len(stores), "no name is listed twice")
        return ids


def heading(text: str) -> None:
    """Open a chapter."""
    print(f"\n--- {text} ---\n")


def require(true: bool, sentence: str) -> None:
    """Raise WrongError where a sentence of the story is not true."""
    client.require(true, f"it is not true that {sentence}")


if __name__ == "__main__":
    raise SystemExit(main())
