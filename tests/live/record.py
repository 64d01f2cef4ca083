"""Record what each release answers, word by word, as fixtures of the unit tests: `tests/unit/answers/<release>.json`.

Only what differs from run to run is replaced: ids, times and ports. Run `python tests/live/record.py [RELEASE …]`
after a change of a release's packages or configurations.
"""

import json
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

from client import DIMENSION, MODEL, PROVIDER, is_old, model_id
from edits import TOKEN, TokenServer, without_milvus
from servers import RELEASES, REPOSITORY, Server, close_all_on_signals, name, say

ANSWERS = REPOSITORY / "tests" / "unit" / "answers"
QUERY_TEXT = "Is there a chunk?"
MADE_UP_ID = "vs_ffffffff-ffff-4fff-bfff-ffffffffffff"
LOOP_BODY = {
    "name": "red_hat_docs",
    "chunking_strategy": {"type": "fixed_size_chunking"},
    "embedding_config": {"embedding_model": MODEL, "vector_db_id": "red_hat_docs", "provider_id": PROVIDER},
}
"""What `curl_loop.sh` sends."""
RECORDED_TIME = 1_795_300_000
RECORDED_PORT = 8321
NO_MILVUS = ("0.2.12", "0.2.16", "ogx-1.5.0")
"""Milvus Lite does not boot on these, or has no configuration here."""


def main(arguments: Sequence[str]) -> int:
    """Record the releases and return 0; a request without an answer ends it."""
    close_all_on_signals()
    ANSWERS.mkdir(parents=True, exist_ok=True)
    for release in arguments or RELEASES:
        recorder = Recorder(release)
        recorder.record()
        path = ANSWERS / f"{release}.json"
        path.write_text(json.dumps(recorder.answers, indent=1, ensure_ascii=False) + "\n")
        say(f"{name(release)}: {len(recorder.answers)} answers, {path.stat().st_size / 1024:.0f} kB")
    return 0


class Recorder:
    """The answers of one release, by what was asked."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.answers: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, str] = {}
        self._times: dict[str, str] = {}

    def record(self) -> None:
        """Ask everything that the hook asks or that its users meet."""
        with Server(self.release) as server:
            self._reads(server)
            self._writes(server)
        with (
            TokenServer() as tokens,
            Server(self.release, "run-decl.yaml", tokens.guard(self.release), TOKEN) as server,
        ):
            self._ask(server, "list_with_declared", "GET", self._stores(server))
            server.token = None
            self._ask(server, "health_without_token", "GET", "/v1/health")
            self._ask(server, "list_without_token", "GET", self._stores(server))
            server.token = "a-wrong-token"
            self._ask(server, "list_with_wrong_token", "GET", self._stores(server))
        if self.release not in NO_MILVUS:
            with Server(self.release, "run-milvus.yaml") as server:
                self._milvus(server)
        if self.release == "ogx-1.5.0":
            with Server(self.release, edit=without_milvus) as server:
                self._ask(server, "create_without_milvus", "POST", self._stores(server), self._target(server, "docs"))

    def _reads(self, server: Server) -> None:
        self._ask(server, "health", "GET", "/v1/health")
        self._ask(server, "version", "GET", "/v1/version")
        self._ask(server, "models", "GET", "/v1/models")
        self._ask(server, "providers", "GET", "/v1/providers")
        self._ask(server, "list_empty", "GET", self._stores(server))
        other = "/v1/vector_stores" if is_old(server) else "/v1/vector-dbs"
        self._ask(server, "list_of_the_other_dialect", "GET", other)

    def _writes(self, server: Server) -> None:
        path = self._stores(server)
        target = self._target(server, "red_hat_docs")
        created = self._ask(server, "create", "POST", path, target)
        # The list is sorted by whole seconds, and within one by nothing.
        time.sleep(1.1)
        self._ask(server, "create_again", "POST", path, target)
        time.sleep(1.1)
        self._ask(server, "create_other", "POST", path, self._target(server, "eu_ai_act"))
        self._ask(server, "list", "GET", path)
        if not is_old(server):
            first = self._ask(server, "list_page_1", "GET", f"{path}?limit=2")
            self._ask(server, "list_page_2", "GET", f"{path}?limit=2&after={first['last_id']}")
        store_id = created["identifier" if is_old(server) else "id"]
        self._insert_nothing(server, "insert_alive", store_id)
        self._query(server, "query_alive", store_id)
        self._insert_nothing(server, "insert_unknown", MADE_UP_ID)
        self._query(server, "query_unknown", MADE_UP_ID)
        text = {"model": model_id(server), "input": QUERY_TEXT}
        self._ask(server, "embedding", "POST", "/v1/embeddings", text)
        if is_old(server):
            self._ask(server, "embedding_of_the_older_path", "POST", "/v1/openai/v1/embeddings", text)
        self._ask(server, "create_unknown_model", "POST", path, target | {"embedding_model": "no/such-model"})
        self._ask(server, "create_unknown_provider", "POST", path, target | {"provider_id": "no-such-provider"})
        self._ask(server, "create_invalid", "POST", path, target | {"embedding_dimension": "many"})
        self._ask(server, "create_malformed", "POST", path, {"name": 5, "vector_db_id": 5})
        if not is_old(server):
            self._ask(server, "create_as_the_loop_does", "POST", path, LOOP_BODY)
        self._ask(server, "delete_unknown", "DELETE", f"{path}/{MADE_UP_ID}")

    def _milvus(self, server: Server) -> None:
        created = self._ask(server, "milvus_create", "POST", self._stores(server), self._target(server, "red_hat_docs"))
        store_id = created["identifier" if is_old(server) else "id"]
        self._insert_nothing(server, "milvus_insert_alive", store_id)
        self._query(server, "milvus_query_alive", store_id)
        server.restart()
        self._insert_nothing(server, "milvus_insert_after_restart", store_id)
        self._query(server, "milvus_query_after_restart", store_id)
        self._ask(server, "milvus_list_after_restart", "GET", self._stores(server))

    def _stores(self, server: Server) -> str:
        return "/v1/vector-dbs" if is_old(server) else "/v1/vector_stores"

    def _target(self, server: Server, store: str) -> dict[str, Any]:
        """Return the body with which the hook creates a vector store."""
        model = model_id(server)
        target = {"provider_id": PROVIDER, "embedding_model": model, "embedding_dimension": DIMENSION}
        if is_old(server):
            return {"vector_db_id": store, "provider_vector_db_id": store} | target
        metadata = {"embedding_model": model, "embedding_dimension": str(DIMENSION)}
        return {"name": store} | target | {"metadata": metadata}

    def _insert_nothing(self, server: Server, what: str, store_id: str) -> None:
        body = {"vector_store_id": store_id, "vector_db_id": store_id, "chunks": []}
        self._ask(server, what, "POST", "/v1/vector-io/insert", body)

    def _query(self, server: Server, what: str, store_id: str) -> None:
        ids = {"vector_store_id": store_id, "vector_db_id": store_id}
        self._ask(server, what, "POST", "/v1/vector-io/query", ids | {"query": QUERY_TEXT, "params": {"max_chunks": 1}})

    def _ask(self, server: Server, what: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send one request, keep request and answer, and return the answer's JSON."""
        answer = server.request(method, path, body)
        self.answers[what] = {
            "method": method,
            "path": self._stable(path),
            "request": body and json.loads(self._stable(json.dumps(body))),
            "status": answer.status_code,
            "content_type": answer.headers.get("Content-Type"),
            "body": self._stable(answer.text),
        }
        return answer.json() if answer.content else None

    def _stable(self, text: str) -> str:
        """Replace what differs from run to run: ids and times by their number, ports by one."""

        def number(found: re.Match[str]) -> str:
            return self._ids.setdefault(found[0], f"vs_00000000-0000-4000-8000-{len(self._ids) + 1:012}")

        def time_of(found: re.Match[str]) -> str:
            return found[1] + self._times.setdefault(found[2], str(RECORDED_TIME + len(self._times)))

        text = re.sub(r"vs_(?!f{8})[0-9a-f]{8}-[0-9a-f-]{27}", number, text)
        text = re.sub(r'("(?:created_at|last_active_at)":)(\d+)', time_of, text)
        # When a model was listed, which is not when it was made, and can be two seconds for two models.
        text = re.sub(r'("created":)\d+', rf"\g<1>{RECORDED_TIME}", text)
        return re.sub(r"(127\.0\.0\.1):\d+", rf"\g<1>:{RECORDED_PORT}", text)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
