"""What the hook asks of a LlamaStack server, in the server's words. Only this module and `dialects` know its paths."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any
from uuid import uuid4

from hook.domain import Model, Proof, Provider, Target, VectorStore, Verdict
from hook.errors import RefusedError, ReplacedError, UnavailableError, one_line
from hook.http import Http, mapping
from hook.llamastack.dialects import Dialect, VectorDbsDialect, field, find_dialect, number, shown, text
from hook.llamastack.releases import FIRST_UNFLOODED, Release, parse_release
from hook.llamastack.verdicts import INSERT, Outcome, is_own_failure, is_unknown_id, prove

HEALTH = "/v1/health"
VERSION = "/v1/version"
MODELS = "/v1/models"
PROVIDERS = "/v1/providers"
INSERT_PATH = "/v1/vector-io/insert"
QUERY_PATH = "/v1/vector-io/query"
EMBEDDINGS_PATH = "/v1/embeddings"
OLD_EMBEDDINGS_PATH = "/v1/openai/v1/embeddings"

TRIAL_TEXT = QUERY_TEXT = "register-collections asks whether this vector store answers"
"""The one chunk of a throw-away vector store, and no text that anybody inserts: up to 0.3.5 faiss answers 400 to the
very words of a chunk."""

MAX_FAILURES = 3
"""Answers of 5xx to one write before giving up: ogx 1.5.0 without its Milvus answers 500 to each create, and keeps an
orphan of each that can stop its next start (POST /v1/vector_stores)."""


class LlamaStack:
    """The API of one server. Every method raises UnavailableError and RefusedError as `Http` does."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._dialect: Dialect | None = None
        self.run_id = uuid4().hex
        """Written into the metadata of each vector store that this run makes, so that it knows its own."""
        self.release: Release | None = None
        """The server's release, where it says it: the texts of the findings go by it, and some verdicts."""
        self._has_asked_release_again = False

    def check_health(self) -> None:
        """Return if the server says that it is healthy. Raises UnavailableError for any other status of its own.

        Every release answers `{"status": "OK"}`; `Error` and `Not Implemented` are the API's other values.
        """
        status = field(self._http.get(HEALTH), "status", str, f"GET {HEALTH}")
        if status != "OK":
            raise UnavailableError(f"GET {HEALTH} answered the status '{one_line(status, 100)}'")

    def version(self, timeout_seconds: float | None = None) -> str | None:
        """Return the server's own version, or None where it does not say; a limit of None is that of each request."""
        try:
            version = self._http.get(VERSION, timeout_seconds=timeout_seconds)
        except (UnavailableError, RefusedError):
            return None
        found = mapping(version).get("version")
        if not isinstance(found, str):
            return None
        self.release = parse_release(found)
        return one_line(found, 60)

    def models(self) -> tuple[Model, ...]:
        """Return all models.

        `identifier` and `model_type` stand in the item up to 0.3.5; from 0.4.0 it is `id`, and the rest stands in
        `custom_metadata` (GET /v1/models).
        """
        models: dict[str, Model] = {}
        for item in self._items(MODELS):
            known = mapping(item.get("custom_metadata")) or item
            dimension = mapping(known.get("metadata")).get("embedding_dimension", known.get("embedding_dimension"))
            identifier = item.get("identifier") or item.get("id")
            if isinstance(identifier, str):
                resource_id, provider_id = (text(known.get(key)) for key in ("provider_resource_id", "provider_id"))
                kind = text(known.get("model_type")) or "embedding"
                models[identifier] = Model(identifier, resource_id, number(dimension), provider_id, kind)
        return tuple(models.values())

    def providers(self) -> tuple[Provider, ...]:
        """Return the providers of all APIs, in the server's order (GET /v1/providers)."""
        found = []
        for item in self._items(PROVIDERS):
            provider_id, kind, api = (text(item.get(key)) for key in ("provider_id", "provider_type", "api"))
            if provider_id is not None and api is not None:
                found.append(Provider(provider_id, (kind or "").rpartition("::")[2].replace("_", "-"), api))
        return tuple(found)

    @property
    def replaces(self) -> bool:
        """Whether a create of what is there already changes nothing, and keeps its data (up to 0.2.24)."""
        return isinstance(self._dialect, VectorDbsDialect)

    @property
    def is_flooded_easily(self) -> bool:
        """Whether its telemetry cannot keep up with many requests, of which the server dies (up to 0.2.17)."""
        return self.replaces and (self.release is None or self.release < FIRST_UNFLOODED)

    def another(self) -> "LlamaStack":
        """Return the same server on one more connection, which another worker of it may take."""
        other = copy(self)
        other._http = self._http.another()
        other._dialect = self._spoken()
        return other

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        self._http.close()

    def vector_stores(self) -> tuple[VectorStore, ...]:
        """Return every vector store, in the dialect that the server turns out to speak."""
        if self._dialect is None:
            self._dialect, stores = find_dialect(self._http)
            return stores
        return self._list()

    def create_vector_store(self, target: Target) -> VectorStore:
        """Create a vector store and return it as the server shows it. From 0.3.0 on a second call makes another."""
        dialect = self._spoken()
        try:
            answer = self._http.post(dialect.path, dialect.body(target, self.run_id), once=True)
        except RefusedError as error:
            # Up to 0.3.5 that is also the answer where there is no such model.
            if error.status == 404:
                self._list()
            raise
        return dialect.read(answer, f"POST {dialect.path}")

    def delete_vector_store(self, store_id: str) -> bool:
        """Delete a vector store, and tell whether the worker knew it. Only `hook.registration.deletion` calls this."""
        path = self._spoken().path_of(store_id)
        try:
            self._http.delete(path)
        except RefusedError as error:
            if is_unknown_id(error, store_id):
                return False
            self._list()
            raise
        return True

    def prove(self, store_id: str, kind: str, questions: Sequence[str], query_seconds: float | None = None) -> Proof:
        """Return what this connection proves of a vector store of a provider of this kind.

        `questions` are `insert`, of nothing, which goes as far as the provider's own table of vector stores, and
        `query`, which goes through embedding model and backend and writes nothing. `query_seconds` is the time limit of
        a model's first query, which is sent in any case. Raises UnavailableError where the server is not there at all.
        """
        outcomes = []
        for question in questions:
            outcomes.append(self._ask(question, store_id, query_seconds))
            proof = prove(store_id, kind, outcomes, self.release)
            if proof.verdict in (Verdict.LOST, Verdict.REFUSED) or proof.timed_out:
                break
            # Of a fresh one on Milvus both answers are errors, and that to the query takes 0.3.5 a second to log.
            if proof.verdict is Verdict.UNDECIDED and kind == "milvus" and query_seconds is None and self.release:
                break
        if proof.verdict is Verdict.UNDECIDED and self.release is None and not self._has_asked_release_again:
            # The release tells what is dead, and a dead backend makes this answer late, too (0.7.3: 5 s and more).
            self._has_asked_release_again = True
            self.version()
            proof = prove(store_id, kind, outcomes, self.release)
        return proof

    def _ask(self, question: str, store_id: str, query_seconds: float | None) -> Outcome:
        """Ask, and return how that ended. Raises UnavailableError where the server may be about to restart."""
        try:
            if question == INSERT:
                return Outcome(question, self._insert(store_id, []))
            return Outcome(question, self._query(store_id, QUERY_TEXT, 1, query_seconds))
        except RefusedError as error:
            return Outcome(question, error=error)
        except UnavailableError as error:
            # Nothing was inserted, so nothing can happen twice.
            error.in_flight = False
            if not is_own_failure(error):
                raise
            return Outcome(question, error=error)

    def embed(self, model: Model, timeout_seconds: float | None = None, dimensions: int | None = None) -> list[float]:
        """Return the vector of a text, which goes through the embedding model and nothing else.

        `dimensions` asks for a vector of that length, which not every model can be asked for.
        0.3.0 and newer have POST /v1/embeddings, older ones POST /v1/openai/v1/embeddings.
        """
        body = {"model": model.id, "input": QUERY_TEXT} | ({} if dimensions is None else {"dimensions": dimensions})
        try:
            answer = self._http.post(EMBEDDINGS_PATH, body, timeout_seconds=timeout_seconds)
        except RefusedError as error:
            if error.status != 404:
                raise
            answer = self._http.post(OLD_EMBEDDINGS_PATH, body, timeout_seconds=timeout_seconds)
        data = field(answer, "data", list, f"POST {EMBEDDINGS_PATH}")
        return field(data[0] if data else None, "embedding", list, f"POST {EMBEDDINGS_PATH}")

    def insert_chunk(self, store_id: str, target: Target, vector: Sequence[float]) -> None:
        """Insert one chunk: only ever into a throw-away store that this very run made.

        From 0.4.0 on the client brings the vector; older ones read or ignore it (POST /v1/vector-io/insert).
        """
        vectors = {"embedding_model": target.model.id, "embedding_dimension": target.embedding_dimension}
        places = {key: {"document_id": store_id} for key in ("metadata", "chunk_metadata")}
        chunk = {"content": TRIAL_TEXT, "chunk_id": store_id, "embedding": list(vector), **places, **vectors}
        self._insert(store_id, [chunk])

    def contents(self, store_id: str, query: str, count: int) -> tuple[str, ...]:
        """Return the content of up to so many chunks that a query finds first."""
        chunks = field(self._query(store_id, query, count), "chunks", list, f"POST {QUERY_PATH}")
        return tuple(shown(mapping(chunk).get("content")) or "" for chunk in chunks)

    def _insert(self, store_id: str, chunks: Sequence[Mapping[str, Any]]) -> Any:
        return self._http.post(INSERT_PATH, _ids(store_id) | {"chunks": chunks})

    def _query(self, store_id: str, query: str, count: int, seconds: float | None = None) -> Any:
        # The best chunks, with any score. The threshold of every release is 0, and leaves out chunks with a
        # negative cosine (POST /v1/vector-io/query).
        params = {"max_chunks": count, "score_threshold": -1.0}
        return self._http.post(QUERY_PATH, _ids(store_id) | {"query": query, "params": params}, timeout_seconds=seconds)

    def _spoken(self) -> Dialect:
        if self._dialect is None:
            self._dialect, _ = find_dialect(self._http)
        return self._dialect

    def _list(self) -> tuple[VectorStore, ...]:
        """Return the list. Raises ReplacedError where the server has none any more in the dialect that it spoke."""
        try:
            return self._spoken().vector_stores(self._http)
        except RefusedError as error:
            if error.status != 404:
                raise
            replaced = "The server was replaced during the run by another release: it listed its vector stores before"
            raise ReplacedError(f"{replaced}, and now {error}. Run the hook again") from error

    def _items(self, path: str) -> list[Mapping[str, Any]]:
        return [mapping(item) for item in field(self._http.get(path), "data", list, f"GET {path}")]


def _ids(store_id: str) -> dict[str, Any]:
    """Return both ids of a request, since a release reads only one of them."""
    return {"vector_store_id": store_id, "vector_db_id": store_id}
