"""What the hook asks of a LlamaStack server and tells it, in the server's words; no other module knows its paths."""

import re
from collections.abc import Mapping
from typing import Any

from hook.domain import Life, Model, Proof, Target, VectorStore
from hook.errors import RefusedError, UnavailableError, one_line
from hook.http.answers import mapping
from hook.http.client import Http
from hook.llamastack.dialects import Dialect, field, find_dialect, number, text

HEALTH = "/v1/health"
VERSION = "/v1/version"
MODELS = "/v1/models"
PROVIDERS = "/v1/providers"
INSERT = "/v1/vector-io/insert"

MAX_FAILURES = 3
"""Answers of 5xx to one write before giving up: ogx 1.5.0 without its Milvus answers 500 to each create, and keeps an
orphan of each that can stop its next start (POST /v1/vector_stores)."""

VERSION_TIMEOUT_SECONDS = 2.0
"""A number for the report is not worth more of the budget."""
_ANY_EXCEPTION = "An unexpected error occurred"
"""LlamaStack's own words for any exception, which a proxy's error page does not have."""


class LlamaStack:
    """The API of one server. Every method raises UnavailableError and RefusedError as `Http` does."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._dialect: Dialect | None = None
        self._answers_500_when_fresh = False

    def check_health(self) -> None:
        """Return if the server says that it is healthy. Raises UnavailableError for any other status of its own.

        Every release answers `{"status": "OK"}`; `Error` and `Not Implemented` are the API's other values.
        """
        status = field(self._http.get(HEALTH), "status", str, f"GET {HEALTH}")
        if status != "OK":
            raise UnavailableError(f"GET {HEALTH} answered the status '{one_line(status, 100)}'")

    def version(self) -> str | None:
        """Return the server's own version, or None where it does not say. It decides nothing: it is for the report."""
        try:
            version = self._http.get(VERSION, timeout_seconds=VERSION_TIMEOUT_SECONDS)
        except (UnavailableError, RefusedError):
            return None
        found = mapping(version).get("version")
        return one_line(found, 60) if isinstance(found, str) else None

    def embedding_models(self) -> tuple[Model, ...]:
        """Return the models that are not known to be something else than embedding models.

        `identifier` and `model_type` stand in the item up to 0.3.5; from 0.4.0 it is `id`, and the rest stands in
        `custom_metadata` (GET /v1/models).
        """
        models: dict[str, Model] = {}
        for item in self._items(MODELS):
            self._answers_500_when_fresh |= "identifier" in item
            known = mapping(item.get("custom_metadata")) or item
            dimension = mapping(known.get("metadata")).get("embedding_dimension", known.get("embedding_dimension"))
            identifier = item.get("identifier") or item.get("id")
            if isinstance(identifier, str) and known.get("model_type") in (None, "embedding"):
                models[identifier] = Model(identifier, text(known.get("provider_resource_id")), number(dimension))
        return tuple(models.values())

    def vector_io_provider_ids(self) -> tuple[str, ...]:
        """Return the ids of the providers that can hold vector stores, in the server's order (GET /v1/providers)."""
        return tuple(
            item["provider_id"]
            for item in self._items(PROVIDERS)
            if item.get("api") == "vector_io" and isinstance(item.get("provider_id"), str)
        )

    def vector_stores(self) -> tuple[VectorStore, ...]:
        """Return every vector store, in the dialect that the server turns out to speak."""
        if self._dialect is None:
            self._dialect, stores = find_dialect(self._http)
            return stores
        return self._dialect.vector_stores()

    def create_vector_store(self, target: Target) -> VectorStore:
        """Create a vector store and return it as the server shows it. From 0.3.0 on a second call makes another."""
        dialect = self._dialect or find_dialect(self._http)[0]
        return dialect.create_vector_store(target)

    def delete_vector_store(self, store_id: str) -> None:
        """Delete a vector store that this very run made; a second time it is simply gone."""
        dialect = self._dialect or find_dialect(self._http)[0]
        try:
            dialect.delete_vector_store(store_id)
        except RefusedError as error:
            if not _is_unknown_id(error, store_id):
                raise

    def prove(self, store_id: str) -> Proof:
        """Insert nothing into a vector store, which tells whether an insert would reach it, and changes nothing.

        200 with `null`, or 204: it would. 404 or 400 with «not found» or «not served» of that id: nobody knows it any
        more. faiss up to 0.3.5 answers 400 with the dimension that it expects. Milvus up to 0.3.5 answers 500, which
        proves nothing more than that the id is known; newer ones answer 200, so there it is a failure like any other
        (POST /v1/vector-io/insert, with the id under the key of either generation).
        """
        try:
            answer = self._http.post(INSERT, {"vector_store_id": store_id, "vector_db_id": store_id, "chunks": []})
        except RefusedError as error:
            expected = re.search(r"Expected (\d{1,9}), got 0", error.detail)
            if expected:
                return Proof(Life.ALIVE, embedding_dimension=int(expected[1]))
            return Proof(Life.LOST if _is_unknown_id(error, store_id) else Life.REFUSED, str(error))
        except UnavailableError as error:
            if error.status == 500 and self._answers_500_when_fresh and _ANY_EXCEPTION in str(error):
                return Proof(Life.INCONCLUSIVE, str(error))
            # Nothing was inserted, so nothing can happen twice.
            error.in_flight = False
            raise
        if answer is not None:
            return Proof(Life.REFUSED, f"POST {INSERT} answered {one_line(str(answer), 100)}, which no release does")
        return Proof(Life.ALIVE)

    def _items(self, path: str) -> list[Mapping[str, Any]]:
        return [mapping(item) for item in field(self._http.get(path), "data", list, f"GET {path}")]


def _is_unknown_id(error: RefusedError, store_id: str) -> bool:
    """Tell whether the server says that it knows no vector store of this id: each release has its own words.

    The id has to be among them; «Not Found» alone is what a server or a proxy says of a path that it does not have.
    """
    says_so = re.search(r"not found|not served", error.detail, re.IGNORECASE) is not None
    return says_so and error.status in (400, 404) and one_line(store_id) in error.detail
