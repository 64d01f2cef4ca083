"""A stand-in LlamaStack on a real socket, as unkind as the real ones.

It mints `vs_<uuid>` at every create, however often the name was taken; takes only the model's full id; pages by 20
unless told otherwise, refuses a `limit` above 100, and starts anew at a cursor that it does not know; and with
`generation="dbs"` it speaks the older dialect, whose create replaces what was there. It can be several processes, each
with a list of its own, and its backend and its embedding model can be down. Faults are scripted on top.
"""

import json
import select
import socket
import ssl
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace, TracebackType
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.stand_in import StandInServer

GRANITE = "ibm-granite/granite-embedding-125m-english"
GRANITE_ID = f"sentence-transformers/{GRANITE}"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"

CANARY = "register-collections-canary-"

Generation = Literal["dbs", "0.3", "0.7"]
"""Which releases it behaves like: up to 0.2.24, 0.3.x, or 0.6.0 and newer."""

VERSIONS = {"dbs": "0.2.24", "0.3": "0.3.5", "0.7": "1.5.0"}
BUSY_SECONDS = 0.003
"""What a request takes where that matters: about what a worker of ogx 1.5.0 takes for `GET /v1/health`."""
ANY_EXCEPTION = "Internal server error: An unexpected error occurred."


@dataclass
class Request:
    """One request as the server received it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    port: int
    """The client's, which tells its connections apart."""

    @property
    def line(self) -> str:
        """Return `METHOD /path`."""
        return f"{self.method} {self.path}"


Action = Callable[["_Handler"], None]
"""What a fault does instead of answering; it may answer in its own way."""


@dataclass
class Fault:
    """Replaces the answers to some requests."""

    line: str
    action: Action
    times: float
    apply: bool
    """Whether the request takes effect all the same, so that only its answer is lost."""


@dataclass
class FakeLlamaStack:
    """The server's state and its script. Use it as a context manager; `url` is where it answers."""

    generation: Generation = "0.7"
    api_key: str | None = None
    consumer_key: str | None = None
    """Another token, which does not see the vector stores of `hidden_ids`."""
    version: str = ""
    provider_ids: tuple[str, ...] = ("faiss-first", "milvus-shared")
    provider_type: str = "remote::pgvector"
    """The type of all providers but the first, which is faiss."""
    processes: int = 1
    per_request: bool = False
    """Whether each request is balanced, as a Route does, or each connection."""
    sticky: bool = False
    """Whether a cookie ties a client to the process that answered it first, as a Route does unless told otherwise."""
    keeps_connections: bool = False
    """Whether the process that answered last takes the next connection, too, unless a request keeps it busy: what
    workers that share a socket do at worst (seen with two of ogx 1.5.0 on a busy machine, 35 times in a row)."""
    shared_backend: bool = False
    """Whether every process takes inserts and queries of what any of them made, and only the lists differ."""
    most_connections: float = float("inf")
    """How many may be open; a gateway that limits them resets each that is one too many."""
    open_connections: int = 0
    turn: int = 0
    answered_last: int = 0
    busy: Counter[int] = field(default_factory=Counter)
    """How many requests each process is answering."""
    clock_seconds: int = 0
    """How far its clock is ahead of ours."""
    gateway_seconds: int = 0
    """How far the clock of the gateway before it, which writes the `Date`, is ahead of its own."""
    tells_time: bool = True
    """Whether its answers have a `Date`."""
    inference_ids: tuple[str, ...] = ("sentence-transformers",)
    """The providers of models; all models are the first one's."""
    models_after: int = 0
    """How many lists of models are empty before they show any, as where the endpoint starts after the server."""
    model_kind: str = "embedding"
    """The `model_type` of the second model."""
    second_ids: dict[str, str] = field(default_factory=dict)
    """What else it calls a model, by its id."""
    apis: tuple[str, ...] = ()
    """What it provides besides inference and vector_io."""
    model_is_down: bool = False
    vector_length: int = 0
    """Of what the models make, whatever they are said to; 0: of what they are said to."""
    refuses_dimensions: bool = False
    """Whether the models make vectors of their own length only, and refuse to be asked for it."""
    replaced_after: int | None = None
    """How many requests it answers before another release takes its place, which knows nothing of its vector stores."""
    successor: Generation = "0.3"
    stores: list[dict[str, Any]] = field(default_factory=list)
    known_to: dict[str, set[int]] = field(default_factory=dict)
    """By id, the processes that list a vector store; all, where it says nothing."""
    lost_ids: set[str] = field(default_factory=set)
    listed_elsewhere: dict[str, str] = field(default_factory=dict)
    """What all processes but the first list of each vector store instead."""
    hidden_ids: set[str] = field(default_factory=set)
    dead_ids: set[str] = field(default_factory=set)
    """What cannot be queried, since its table is gone."""
    dead_provider_ids: set[str] = field(default_factory=set)
    """The providers whose backend is down."""
    read_only_ids: set[str] = field(default_factory=set)
    """The providers that take no inserts, as lightspeed-core's remote::solr_vector_io."""
    takes_empty_inserts: bool = False
    """Whether those take an insert of nothing, as where a provider's base class never passes it on."""
    chunks: dict[str, list[str]] = field(default_factory=dict)
    """By id, the contents of the chunks that were inserted, the best match first."""
    forgets_chunks: bool = False
    """Whether it answers an insert as if all were well, and no query finds what was inserted."""
    found: dict[tuple[str, int], str] = field(default_factory=dict)
    """By id and process, the content of the chunk that a query finds first; nothing, where it says nothing."""
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> "FakeLlamaStack":
        server = StandInServer(("127.0.0.1", 0), _Handler)
        server.fake = self  # type: ignore[attr-defined]
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        """Let every process read the list anew, as at a start."""
        self.known_to.clear()

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def fault(self, line: str, action: Action, *, times: float = float("inf"), apply: bool = False) -> None:
        """Let the next `times` requests of `METHOD /path` meet `action` instead of an answer."""
        self.faults.append(Fault(line, action, times, apply))

    def lines(self) -> list[str]:
        """Return `METHOD /path` of every request so far."""
        return [request.line for request in self.requests]

    def ask(self, method: str, path: str, query: Any, body: Any, process: int = 0) -> tuple[int, Any]:
        """Return the status and JSON with which a process answers a request that came over no socket."""
        handler = _Handler.__new__(_Handler)
        handler.server = SimpleNamespace(fake=self)
        handler.process = process
        handler.taken = Request(method, path, dict(query or {}), {}, body, process)
        self.requests.append(handler.taken)
        return handler._answer(handler.taken)

    def names(self) -> list[str]:
        """Return the name of every vector store, in the order of creation."""
        return [store["name"] for store in self.stores]

    def add(self, name: str, **fields: Any) -> str:
        """Create a vector store behind the hook's back and return its id. A field of None is not shown.

        `run_id` says which run of the hook made it, and `declared_as` for which collection.
        """
        created = {
            "id": f"vs_{uuid.uuid4()}",
            "created_at": int(time.time()) + self.clock_seconds,
            "status": "completed",
            "provider_id": "milvus-shared",
            "embedding_model": GRANITE_ID,
            "embedding_dimension": "768",
        } | fields
        run_id, declared_as = (created.pop(key, None) for key in ("run_id", "declared_as"))
        shown = ("provider_id", "embedding_model", "embedding_dimension")
        metadata = {key: created.pop(key) for key in shown}
        metadata = {key: value for key, value in metadata.items() if value is not None}
        metadata |= {} if run_id is None else {"created_by": f"register-collections {run_id}"}
        metadata |= {} if declared_as is None else {"declared_as": declared_as}
        self.stores.append({"object": "vector_store", "name": name, **created, "metadata": metadata})
        return str(created["id"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each body waits for the acknowledgement of its headers: 40 ms a request, which no real server takes.
    disable_nagle_algorithm = True
    server: Any
    taken: Request
    """What it answers; the last of all requests may be another connection's."""

    def setup(self) -> None:
        super().setup()
        self.process = 0 if self.fake.per_request else self._next_process()
        self.is_consumer = False
        with self.fake.lock:
            self.fake.open_connections += 1

    def handle(self) -> None:
        if self.fake.open_connections > self.fake.most_connections:
            reset(self)
        else:
            super().handle()

    def finish(self) -> None:
        with self.fake.lock:
            self.fake.open_connections -= 1
        super().finish()

    def _next_process(self) -> int:
        """Return the process that takes this: each in turn, as a balancer does it, and not at random."""
        with self.fake.lock:
            if self.fake.keeps_connections:
                return (self.fake.answered_last + (self.fake.busy[self.fake.answered_last] > 0)) % self.fake.processes
            self.fake.turn += 1
            return self.fake.turn % self.fake.processes

    @property
    def fake(self) -> FakeLlamaStack:
        return self.server.fake  # type: ignore[no-any-return]

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the header `Date` by the server's own clock."""
        now = (timestamp or time.time()) + self.fake.clock_seconds + self.fake.gateway_seconds
        return super().date_time_string(now) if self.fake.tells_time else "soon"

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        if not self.fake.keeps_connections:
            self._take()
            return
        with self.fake.lock:
            self.fake.busy[self.process] += 1
        try:
            time.sleep(BUSY_SECONDS)
            self._take()
        finally:
            with self.fake.lock:
                self.fake.busy[self.process] -= 1
                self.fake.answered_last = self.process

    def _take(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        body = json.loads(content) if content else None
        request = self.taken = Request(self.command, url.path, query, dict(self.headers), body, self.client_address[1])
        if self.fake.per_request:
            self.process = self._next_process()
        cookie = self.headers.get("Cookie", "")
        if self.fake.sticky and cookie.startswith("process="):
            self.process = int(cookie.removeprefix("process="))
        with self.fake.lock:
            if len(self.fake.requests) == self.fake.replaced_after:
                self.fake.generation = self.fake.successor
                self.fake.stores.clear()
            self.fake.requests.append(request)
            fault = next((f for f in self.fake.faults if f.line == request.line and f.times > 0), None)
            if fault:
                fault.times -= 1
            status, body = (0, None) if fault and not fault.apply else self._answer(request)
        try:
            if fault:
                fault.action(self)
            else:
                self.reply(status, body)
                if status >= 400 and self.fake.generation == "0.7":
                    close_silently(self)
        except OSError:
            self.close_connection = True

    def reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON, or with bytes as they are."""
        content = body if isinstance(body, bytes) else b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        if self.fake.sticky:
            self.send_header("Set-Cookie", f"process={self.process}; path=/; HttpOnly")
        if status != 204 and "Transfer-Encoding" not in (headers or {}):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, request: Request) -> tuple[int, Any]:
        fake = self.fake
        exempt = fake.generation != "dbs" and request.path in ("/v1/health", "/v1/version")
        keys = [f"Bearer {key}" for key in (fake.api_key, fake.consumer_key) if key]
        if fake.api_key and not exempt and request.headers.get("Authorization") not in keys:
            given = "Authorization" in request.headers
            message = "Authentication failed: 401" if given else "Authentication required. Please provide your API key"
            return 401, {"error": {"message": message}}
        self.is_consumer = bool(fake.consumer_key) and request.headers.get("Authorization") == keys[-1]
        match request.line:
            case "GET /v1/health":
                return 200, {"status": "OK"}
            case "GET /v1/version":
                return 200, {"version": fake.version or VERSIONS[fake.generation]}
            case "GET /v1/models":
                if fake.models_after > 0:
                    fake.models_after -= 1
                    return 200, {"data": []}
                models = [self._model(MINILM, 384), self._model(GRANITE, 768, fake.model_kind)]
                again = [each | {"id": fake.second_ids.get(each.get("id", ""))} for each in models]
                return 200, {"data": [*(each for each in again if each["id"]), *models]}
            case "GET /v1/providers":
                kinds = {fake.provider_ids[0]: "inline::faiss"} if len(fake.provider_ids) > 1 else {}
                items = [
                    {"api": "vector_io", "provider_id": each, "provider_type": kinds.get(each, fake.provider_type)}
                    for each in fake.provider_ids
                ]
                others = [{"api": "inference", "provider_id": each} for each in fake.inference_ids]
                others += [{"api": each, "provider_id": each, "provider_type": "inline::any"} for each in fake.apis]
                return 200, {"data": [*others, *items]}
            case "GET /v1/vector_stores" if fake.generation != "dbs":
                return self._list(request.query)
            case "POST /v1/vector_stores" if fake.generation != "dbs":
                return self._create(request.body)
            case "GET /v1/vector-dbs" if fake.generation == "dbs":
                return 200, {"data": self._listed()}
            case "POST /v1/vector-dbs" if fake.generation == "dbs":
                return self._upsert(request.body)
            case "POST /v1/vector-io/insert":
                return self._insert(request.body)
            case "POST /v1/vector-io/query":
                return self._query(request.body)
            case "POST /v1/embeddings" if fake.generation != "dbs":
                return self._embed()
            case "POST /v1/openai/v1/embeddings" if fake.generation == "dbs":
                return self._embed()
        stores = "/v1/openai/v1/vector_stores/" if fake.generation == "dbs" else "/v1/vector_stores/"
        if request.method == "DELETE" and request.path.startswith(stores):
            return self._delete(unquote(request.path.rsplit("/", 1)[1]))
        return 404, {"detail": "Not Found"}

    def _delete(self, store_id: str) -> tuple[int, Any]:
        fake = self.fake
        kept = [store for store in fake.stores if _id(store) != store_id]
        knowing = {*fake.known_to.get(store_id, range(fake.processes))}
        if len(kept) == len(fake.stores) or not (fake.shared_backend or self.process in knowing):
            return 400, self._error(f"Vector_store '{store_id}' not found")
        if fake.shared_backend or knowing == {self.process}:
            fake.stores[:] = kept
        else:
            fake.known_to[store_id] = knowing - {self.process}
        return 200, {"id": store_id, "object": "vector_store.deleted", "deleted": True}

    def _model(self, resource_id: str, dimension: int, kind: str = "embedding") -> dict[str, Any]:
        provider_id = "sentence-transformers"
        identifier = f"{provider_id}/{resource_id}"
        known = {"model_type": kind, "provider_id": provider_id, "provider_resource_id": resource_id}
        if self.fake.generation == "0.7":
            return {"id": identifier, "custom_metadata": known | {"embedding_dimension": dimension}}
        return {"identifier": identifier, "metadata": {"embedding_dimension": dimension}, **known}

    def _list(self, query: dict[str, str]) -> tuple[int, Any]:
        limit = int(query.get("limit", "20"))
        if self.fake.generation == "0.7" and not 1 <= limit <= 100:
            return 400, self._error("Input should be less than or equal to 100")
        stores = sorted(self._listed(), key=lambda store: store["created_at"], reverse=True)
        ids = [store["id"] for store in stores]
        start = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
        page = stores[start : start + limit]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        more = len(stores) > start + limit
        return 200, {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more}

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        strategy = body.get("chunking_strategy", {"type": "auto"})
        if self.fake.generation == "0.7" and strategy["type"] not in ("auto", "static", "contextual"):
            return 400, self._error("Input tag 'fixed_size_chunking' does not match")
        if body.get("provider_id") not in self.fake.provider_ids:
            return 400, self._error(f"Provider `{body.get('provider_id')}` not found")
        ids = {f"sentence-transformers/{model}" for model in (MINILM, GRANITE)} | {*self.fake.second_ids.values()}
        if body.get("embedding_model") not in ids:
            message = f"Model '{body.get('embedding_model')}' not found. Use 'client.models.list()'"
            return (404 if self.fake.generation == "0.3" else 400), self._error(message)
        shown = {"provider_id": body["provider_id"]}
        if self.fake.generation == "0.7":
            shown["embedding_model"] = body["embedding_model"]
            shown["embedding_dimension"] = str(body["embedding_dimension"])
        if body["provider_id"] in self.fake.dead_provider_ids:
            return 500, self._error(ANY_EXCEPTION)
        store_id = self.fake.add(body["name"])
        self.fake.known_to[store_id] = {self.process}
        self.fake.stores[-1]["metadata"] = body.get("metadata", {}) | shown | {"provider_vector_store_id": store_id}
        return 200, self.fake.stores[-1]

    def _upsert(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["vector_db_id"]
        store = {
            "name": name,
            "identifier": name,
            "type": "vector_db",
            "provider_id": body["provider_id"],
            "embedding_model": body["embedding_model"],
            "embedding_dimension": body["embedding_dimension"],
        }
        known = [other for other in self.fake.stores if other["identifier"] == name]
        everyone = set(range(self.fake.processes)) if known else set()
        self.fake.known_to[name] = self.fake.known_to.get(name, everyone) | {self.process}
        self.fake.stores[:] = [other for other in self.fake.stores if other["identifier"] != name] + [store]
        return 200, store

    def _listed(self) -> list[dict[str, Any]]:
        """Return what this process lists to whoever asks."""
        instead = self.fake.listed_elsewhere if self.process else {}
        return [
            store | ({"metadata": store["metadata"] | instead} if "metadata" in store else instead)
            for store in self.fake.stores
            if self._is_listed(_id(store))
        ]

    def _is_listed(self, store_id: str) -> bool:
        fake = self.fake
        hidden = self.is_consumer and store_id in fake.hidden_ids
        return not hidden and self.process in fake.known_to.get(store_id, {self.process})

    def _find(self, body: dict[str, Any]) -> tuple[dict[str, Any], str] | tuple[int, Any]:
        """Return the vector store and the kind of its provider, or the answer where this process does not know it."""
        fake = self.fake
        store_id = body.get("vector_store_id" if fake.generation == "0.7" else "vector_db_id")
        if store_id in fake.lost_ids:
            return 404, self._error(f"Vector Store '{store_id}' not found. Use 'client.vector_dbs.list()' to list")
        found = self.fake.stores if fake.shared_backend and not self.is_consumer else self._listed()
        store = next((each for each in found if store_id == _id(each)), None)
        if store is None:
            return 400, self._error(f"Vector_store `{store_id}` not served by any of the providers")
        return store, "faiss" if self._provider_of(store) == "faiss-first" else fake.provider_type.rpartition("::")[2]

    def _provider_of(self, store: dict[str, Any]) -> Any:
        return store.get("provider_id") or store["metadata"].get("provider_id")

    def _insert(self, body: dict[str, Any]) -> tuple[int, Any]:
        store, kind = self._find(body)
        if not isinstance(store, dict):
            return store, kind
        old, down = self.fake.generation != "0.7", self._provider_of(store) in self.fake.dead_provider_ids
        takes_it = self.fake.takes_empty_inserts and not body["chunks"]
        if self._provider_of(store) in self.fake.read_only_ids and not takes_it:
            return 501, self._error("Not implemented: SolrVectorIO is read-only.")
        if body["chunks"]:
            assert str(store["name"]).startswith(CANARY), "the hook must never insert anything into a user's store"
            if (self.fake.model_is_down and old) or down:
                return 500, self._error(ANY_EXCEPTION)
            if not old and not all(chunk.get("embedding") and chunk.get("chunk_id") for chunk in body["chunks"]):
                return 400, self._error("body.chunks.0.embedding: Field required")
            kept = self.fake.chunks.setdefault(_id(store), [])
            kept += [] if self.fake.forgets_chunks else [str(chunk["content"]) for chunk in body["chunks"]]
            return (200, None) if old else (204, None)
        if not old:
            # From 0.4 on the empty insert never reaches the backend.
            return 204, None
        if down or (kind in ("milvus", "qdrant") and _id(store) not in self.fake.chunks):
            return 500, self._error(ANY_EXCEPTION)
        if kind == "faiss":
            wanted = store.get("embedding_dimension") or store["metadata"].get("embedding_dimension", "768")
            return 400, self._error(f"Embedding dimension mismatch. Expected {wanted}, got 0")
        if kind == "chromadb":
            return 400, self._error("Expected Embeddings to be non-empty list or numpy array, got [] in add.")
        return 200, None

    def _query(self, body: dict[str, Any]) -> tuple[int, Any]:
        store, kind = self._find(body)
        if not isinstance(store, dict):
            return store, kind
        fake = self.fake
        down = self._provider_of(store) in fake.dead_provider_ids or _id(store) in fake.dead_ids
        is_ogx = fake.generation == "0.7" and (fake.version or VERSIONS["0.7"]).startswith("1.")
        fresh = _id(store) not in fake.chunks and not is_ogx
        if down or fake.model_is_down or (kind == "milvus" and fresh):
            return 500, self._error(ANY_EXCEPTION)
        if kind == "qdrant" and fresh:
            return 400, self._error(f"Collection {_id(store)} not found")
        first = fake.found.get((_id(store), self.process))
        contents = [*([] if first is None else [first]), *fake.chunks.get(_id(store), [])]
        if kind == "faiss" and fake.generation != "0.7" and body["query"] in contents:
            return 400, self._error("Out of range float values are not JSON compliant: inf")
        best = contents[: body["params"]["max_chunks"]]
        return 200, {"chunks": [{"content": each, "metadata": {}} for each in best], "scores": [0.5] * len(best)}

    def _embed(self) -> tuple[int, Any]:
        if self.fake.model_is_down:
            return 500, self._error(ANY_EXCEPTION)
        if self.fake.refuses_dimensions and "dimensions" in self.taken.body:
            said = "does not support matryoshka representation, changing output dimensions will lead to poor results."
            return 400, self._error(f"Error code: 400 - {{'message': 'Model \"x\" {said}', 'code': 400}}")
        own = 384 if self.taken.body["model"].endswith(MINILM) else 768
        vector = [0.5] * (self.fake.vector_length or own)
        return 200, {"object": "list", "data": [{"object": "embedding", "embedding": vector, "index": 0}]}

    def _error(self, message: str) -> dict[str, Any]:
        return {"error": {"message": message}} if self.fake.generation == "0.7" else {"detail": message}


def _id(store: dict[str, Any]) -> str:
    return str(store.get("id", store.get("identifier")))


def answer(status: int, body: Any = None, **headers: str) -> Action:
    """Answer with this status, body and headers (an underscore in a header's name stands for a hyphen)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(status, {"detail": "scripted"} if body is None else body, named)


def hang(seconds: float = 30.0) -> Action:
    """Say nothing for so long, then close."""

    def action(handler: _Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return action


def drip(interval_seconds: float) -> Action:
    """Send a header that never ends, a byte at a time: each byte resets the timeout of a naive client."""

    def action(handler: _Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            handler.wfile.write(b"x")
            time.sleep(interval_seconds)

    return action


def reset(handler: _Handler) -> None:
    """Close the connection with a TCP reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def close_silently(handler: _Handler) -> None:
    """Reset the connection under what is sent on it next.

    0.5.4 and newer do so after an error, as soon as they have logged it, which takes 0.6.1 two seconds; they do not say
    so in the answer.
    """
    select.select([handler.connection], [], [], 5.0)
    reset(handler)


def fail_and_reset(handler: _Handler) -> None:
    """Answer 500, and close the connection without a word."""
    handler.reply(500, {"error": {"message": "Internal server error: An unexpected error occurred."}})
    close_silently(handler)


def raw(content: bytes) -> Action:
    """Write these bytes instead of an answer, and close the connection."""

    def action(handler: _Handler) -> None:
        handler.wfile.write(content)
        handler.close_connection = True

    return action


def truncate(handler: _Handler) -> None:
    """Promise more bytes than are sent."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"data": [')
    handler.close_connection = True


@contextmanager
def closed_port() -> Iterator[str]:
    """Yield a URL at which nobody listens, reserved so that nobody will."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"
