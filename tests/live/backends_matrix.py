"""What the hook says of real backends that stop, come back and lose their data, beside what a real client finds.

`RELEASES="0.3.5"` and `BACKENDS="pgvector chroma"` pick some. A false success or a false failure ends it with 1.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from backends import BACKENDS, Backend, EmbeddingEndpoint, vector
from client import (
    DIMENSION,
    QUESTION,
    SENTENCE,
    WrongError,
    has_embedded_chunks,
    model_id,
    run_files_example,
    store_key,
)
from hook_runs import Hook, address, collections
from servers import Server, name, say
from tables import print_table, until_it_lives

from hook.registration.remedies import NO_FILES

RELEASES = ("0.2.24", "0.3.5", "0.4.7", "0.6.1", "0.7.3", "ogx-1.5.0")
ONLY = {"0.6.1": ("pgvector",)}
"""The providers that are tried on a release which stands there for one of them alone, and nothing but the backend."""
OPTIONS = ("--connections", "3", "--timeout", "120")
"""There is one process, and the budget leaves time for a first query that is not answered."""

REGISTERED = "registers, and inserts"
RESTARTED = "LlamaStack restarted"
STOPPED = "backend stopped"
STOPPED_NEW = "backend stopped, another collection is registered"
BACK = "backend stopped and back"
GONE = "its table, file or folder gone"
MODEL_DOWN = "embedding endpoint down"
MODEL_ANSWERS = {503: "it answers 503", 401: "it answers 401"}
NO_DIMENSIONS = "it refuses `dimensions`"
FACTS = (REGISTERED, STOPPED, STOPPED_NEW, BACK, RESTARTED, GONE, MODEL_DOWN, *MODEL_ANSWERS.values(), NO_DIMENSIONS)
NOT_APPLICABLE = "–"
MODEL_DOWN_FILE = "model-down"
"""What makes the stand-in for the built-in model fail, in the server's home."""

AT_ONCE = 4
"""Each waits for most of its time, for backends and models that do not answer."""
NOT_FOUND = "the query does not find"
MOST_CHUNKS = 200
"""More than any test inserts, so that the query finds each of them."""

NO_BOOT = {("Milvus Lite", "ogx-1.5.0"): "its Milvus provider wants a Milvus server"}
UNPROVABLE = {
    ("qdrant", GONE): "the local mode goes on from memory, and inserts fail until it restarts",
}
"""Where exit 0 is false and nothing that the API answers could tell."""


class Column:
    """One provider on one release."""

    def __init__(self, release: str, kind: str) -> None:
        self.release = release
        self.kind = kind
        self.cells: dict[str, str] = {}
        self.problems: list[str] = []

    def fill(self) -> None:
        """Take it through all that can happen to it."""
        if (self.kind, self.release) in NO_BOOT:
            self.cells = dict.fromkeys(FACTS, NOT_APPLICABLE)
            return
        started = time.monotonic()
        until_it_lives(self, self._try)
        for fact in FACTS:
            self.cells.setdefault(fact, "✗")
        say(f"{self}: {time.monotonic() - started:.0f} s, {len(self.problems)} problems")

    def _try(self) -> bool:
        """Fill the cells, and return whether the server ended by itself."""
        endpoint = EmbeddingEndpoint()
        server = None
        with tempfile.TemporaryDirectory(prefix="rc-backend-") as folder:
            backend = None
            try:
                endpoint.start()
                backend = BACKENDS[self.kind](Path(folder))
                server = self._server(backend, endpoint)
                self._go_through(server, backend, endpoint)
            except Exception as error:  # noqa: BLE001  whatever a broken hook makes of a column, the table has to show it
                self.problems.append(f"{self}: {type(error).__name__}: {error}")
            finally:
                endpoint.stop()
                if backend is not None:
                    backend.stop()
        return server is not None and server.ended_by_itself()

    def __str__(self) -> str:
        return f"{self.kind} on {name(self.release)}"

    def _server(self, backend: Backend, endpoint: EmbeddingEndpoint) -> Server:
        def edit(content: dict[str, Any]) -> None:
            backend.configure(content)
            endpoint.configure(content)

        return Server(self.release, edit=edit, stubs=backend.stubs)

    def _go_through(self, server: Server, backend: Backend, endpoint: EmbeddingEndpoint) -> None:
        with server, Hook(server, collections("red_hat_docs")) as hook:
            found = self._judge(REGISTERED, server, hook, "register")
            if backend.can_stop:
                backend.stop()
                self._judge(STOPPED, server, hook, "check", found)
                self._judge_new(server)
                backend.start()
                self._judge(BACK, server, hook, "check", found)
            else:
                self.cells |= dict.fromkeys((STOPPED, STOPPED_NEW, BACK), NOT_APPLICABLE)
            server.restart()
            self._judge(RESTARTED, server, hook, "check", found)
            hook.outcome("register", "--on-lost", "recreate", *OPTIONS)
            if self.release in ONLY:
                # Minutes of waiting for retries, and its neighbours show it.
                self.cells |= dict.fromkeys((MODEL_DOWN, *MODEL_ANSWERS.values()), NOT_APPLICABLE)
            else:
                self._break_the_model(server, hook, endpoint)
            # What becomes of files is a matter of the release; one provider shows it.
            self.cells[NO_DIMENSIONS] = NOT_APPLICABLE
            if endpoint.is_asked and self.kind == "faiss":
                endpoint.refuse_dimensions(True)
                self._judge_files(server, hook)
                endpoint.refuse_dimensions(False)
            if backend.destroy(server):
                self._judge(GONE, server, hook, "check")
            else:
                self.cells[GONE] = NOT_APPLICABLE

    def _break_the_model(self, server: Server, hook: Hook, endpoint: EmbeddingEndpoint) -> None:
        endpoint.stop()
        (server.folder / MODEL_DOWN_FILE).touch()
        self._judge(MODEL_DOWN, server, hook, "check")
        (server.folder / MODEL_DOWN_FILE).unlink()
        endpoint.start()
        for status, fact in MODEL_ANSWERS.items():
            if endpoint.is_asked:
                endpoint.answer(status)
                self._judge(fact, server, hook, "check")
            else:
                self.cells[fact] = NOT_APPLICABLE
        endpoint.answer(200)

    def _judge(self, fact: str, server: Server, hook: Hook, command: str, known: str | None = None) -> str | None:
        """Put the hook's verdict beside the truth, and return the address that it published."""
        report = hook.outcome(command, *OPTIONS)
        (found,) = report["collections"]
        where = address(found) if found["addressed_by"] else known or found["id"]
        why = "there is no address" if where is None else fails(server, where)
        self._fill(fact, report, why)
        return where

    def _judge_files(self, server: Server, hook: Hook) -> None:
        """Put it beside each other whether the hook warns of files, and whether one can be attached."""
        report = hook.outcome("register", *OPTIONS)
        warns = any(NO_FILES in warning for warning in report["warnings"])
        try:
            run_files_example(server, address(report["collections"][0]))
            why = None
        except WrongError as error:
            why = str(error)
        self._fill(NO_DIMENSIONS, report, fails(server, address(report["collections"][0])))
        self.cells[NO_DIMENSIONS] += ", warns of files" if warns else ""
        if warns == (why is None):
            self.problems.append(f"{self}: {NO_DIMENSIONS}: warnings {report['warnings']}, and the truth is: {why}")

    def _judge_new(self, server: Server) -> None:
        with Hook(server, collections("later_docs")) as hook:
            report = hook.outcome("register", *OPTIONS)
            (found,) = report["collections"]
            why = fails(server, address(found)) if found["addressed_by"] else "there is no address"
            self._fill(STOPPED_NEW, report, why)

    def _fill(self, fact: str, report: dict[str, Any], why: str | None) -> None:
        code, state = report["exit_code"], report["collections"][0]["state"]
        if (self.kind, fact) in UNPROVABLE:
            self.cells[fact] = "cannot be proven"
            if code != 0 or why is None:
                self.problems.append(f"{self}: {fact}: it can be proven, take it off the list: {code}, {why}")
            return
        right = (code == 0) == (why is None)
        self.cells[fact] = f"{code} {state}" if right else "✗"
        if os.environ.get("VERBOSE"):
            say(f"{self}: {fact}: {report['message']} ({report['elapsed_seconds']} s); truth: {why}")
        if not right:
            kind = "false success" if code == 0 else "false failure"
            self.problems.append(f"{self}: {fact}: {kind}: {report['message']}, and the truth is: {why or 'all works'}")


def fails(server: Server, store: str, sentence: str = SENTENCE, pause_seconds: float = 0.0) -> str | None:
    """Return why a real insert, or a real query after a pause, does not work under an address, or None."""
    chunk: dict[str, Any] = {"content": sentence, "metadata": {"document_id": "document-1"}}
    if has_embedded_chunks(server):
        chunk |= {
            "chunk_id": f"chunk-{sentence}",
            "chunk_metadata": {"document_id": "document-1"},
            "embedding": vector(sentence),
            "embedding_model": model_id(server),
            "embedding_dimension": DIMENSION,
        }
    asked = {"query": QUESTION, "params": {"max_chunks": MOST_CHUNKS}}
    try:
        for what, body in (("insert", {"chunks": [chunk]}), ("query", asked)):
            time.sleep(pause_seconds)
            answer = server.request("POST", f"/v1/vector-io/{what}", {store_key(server): store, **body})
            if not answer.ok:
                return f"the {what} answered {answer.status_code}: {answer.text[:300]}"
        found = [chunk["content"] for chunk in answer.json()["chunks"]]
    except (requests.RequestException, WrongError) as error:
        return f"{type(error).__name__}: {error}"
    return None if sentence in found else f"{NOT_FOUND} {sentence!r}, but {found}"


def main() -> int:
    """Go through all columns, print the table, and return 0 if every verdict is true."""
    releases = os.environ.get("RELEASES", "").split() or list(RELEASES)
    kinds = [kind for kind in BACKENDS if kind in os.environ.get("BACKENDS", ", ".join(BACKENDS))]
    tried = {release: ONLY.get(release, tuple(BACKENDS)) for release in RELEASES}
    columns = [Column(each, kind) for each in releases if each in tried for kind in kinds if kind in tried[each]]
    whole = len(columns) == sum(map(len, tried.values()))
    return print_table(columns, Column.fill, lambda: render(columns), whole=whole, at_once=AT_ONCE)


def render(columns: Sequence[Column]) -> str:
    """Return the table as markdown, a line for each column."""
    rows = [["release", "provider", *FACTS], ["---"] * (len(FACTS) + 2)]
    rows += [[name(c.release), c.kind, *(c.cells[fact] for fact in FACTS)] for c in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
