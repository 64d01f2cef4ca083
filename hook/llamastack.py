"""What the hook asks of a LlamaStack server and tells it, in the server's words; no other module knows its paths."""

from collections.abc import Mapping
from typing import Any, TypeVar

from hook.domain import Model, Target, VectorStore
from hook.errors import RefusedError, UnavailableError, one_line
from hook.http import Http

HEALTH = "/v1/health"
VERSION = "/v1/version"
MODELS = "/v1/models"
PROVIDERS = "/v1/providers"
VECTOR_STORES = "/v1/vector_stores"

PAGE_SIZE = 100
"""The most that 0.6.0 and newer accept as `limit`; older releases take any number (GET /v1/vector_stores)."""
MAX_PAGES = 1000
"""A list longer than this is a pager that never ends."""
_LIST_ATTEMPTS = 3

_T = TypeVar("_T")


class LlamaStack:
    """The API of one server. Every method raises UnavailableError and RefusedError as `Http` does."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def check_health(self) -> None:
        """Return if the server says that it is healthy. Raises UnavailableError for any other status of its own.

        Every release answers `{"status": "OK"}`; `Error` and `Not Implemented` are the API's other values.
        """
        status = _field(self._http.get(HEALTH), "status", str, f"GET {HEALTH}")
        if status != "OK":
            raise UnavailableError(f"GET {HEALTH} answered the status '{one_line(status, 100)}'")

    def version(self) -> str | None:
        """Return the server's own version, or None where it does not say. It decides nothing: it is for the report."""
        try:
            version = self._http.get(VERSION)
        except (UnavailableError, RefusedError):
            return None
        found = version.get("version") if isinstance(version, dict) else None
        return one_line(found, 60) if isinstance(found, str) else None

    def embedding_models(self) -> tuple[Model, ...]:
        """Return the models that are not known to be something else than embedding models.

        `identifier` and `model_type` stand in the item up to 0.3.5; from 0.4.0 it is `id`, and the rest stands in
        `custom_metadata` (GET /v1/models).
        """
        models = []
        for item in self._items(MODELS):
            known = _mapping(item.get("custom_metadata")) or item
            dimension = _mapping(known.get("metadata")).get("embedding_dimension", known.get("embedding_dimension"))
            identifier = item.get("identifier") or item.get("id")
            if isinstance(identifier, str) and known.get("model_type", "embedding") == "embedding":
                models.append(Model(identifier, _text(known.get("provider_resource_id")), _number(dimension)))
        return tuple(models)

    def vector_io_provider_ids(self) -> tuple[str, ...]:
        """Return the ids of the providers that can hold vector stores, in the server's order (GET /v1/providers)."""
        return tuple(
            item["provider_id"]
            for item in self._items(PROVIDERS)
            if item.get("api") == "vector_io" and isinstance(item.get("provider_id"), str)
        )

    def vector_stores(self) -> tuple[VectorStore, ...]:
        """Return every vector store. Raises UnavailableError if the list changes under each of some readings of it.

        The cursor `after` is the last id of the page before. All releases start anew at an id that they do not know,
        as when that store was just deleted: a page without anything new is then no proof that the rest was seen.
        """
        for _ in range(_LIST_ATTEMPTS):
            stores = self._read_pages()
            if stores is not None:
                return tuple(stores.values())
        raise UnavailableError(f"GET {VECTOR_STORES}: the pages repeat, so the list cannot be read to its end")

    def _read_pages(self) -> dict[str, VectorStore] | None:
        """Return the vector stores by id, or None where a page repeats."""
        what = f"GET {VECTOR_STORES}"
        stores: dict[str, VectorStore] = {}
        query = {"limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            answer = self._http.get(VECTOR_STORES, query)
            page = [_vector_store(item, what) for item in _field(answer, "data", list, what)]
            new = [store for store in page if store.id not in stores]
            stores.update({store.id: store for store in new})
            if not answer.get("has_more") or not page:
                return stores
            if not new:
                return None
            query["after"] = page[-1].id
        raise RefusedError(f"{what}: the list does not end after {MAX_PAGES} pages: not LlamaStack's API")

    def create_vector_store(self, target: Target) -> VectorStore:
        """Create a vector store and return it as the server shows it. A second call makes a second one.

        The flat body is what every release from 0.2.11 reads. They ignore `embedding_config`, and from 0.4.0 refuse
        the chunking strategy `fixed_size_chunking`. The metadata records model and dimension for the releases up to
        0.3.5, whose list shows neither; newer ones overwrite it with the same (POST /v1/vector_stores).
        """
        answer = self._http.post(
            VECTOR_STORES,
            {
                "name": target.name,
                "provider_id": target.provider_id,
                "embedding_model": target.model.id,
                "embedding_dimension": target.embedding_dimension,
                "metadata": {
                    "embedding_model": target.model.id,
                    "embedding_dimension": str(target.embedding_dimension),
                },
            },
        )
        return _vector_store(answer, f"POST {VECTOR_STORES}")

    def _items(self, path: str) -> list[dict[str, Any]]:
        what = f"GET {path}"
        return [_mapping(item) for item in _field(self._http.get(path), "data", list, what)]


def _vector_store(item: Any, what: str) -> VectorStore:
    metadata = _mapping(_mapping(item).get("metadata"))
    dimension = metadata.get("embedding_dimension")
    return VectorStore(
        id=_field(item, "id", str, what),
        name=_text(item.get("name")),
        status=_text(item.get("status")),
        created_at=_number(item.get("created_at")) or 0,
        provider_id=_text(metadata.get("provider_id")),
        embedding_model=_text(metadata.get("embedding_model")),
        embedding_dimension=None if dimension is None else str(dimension),
    )


def _field(answer: Any, key: str, kind: type[_T], what: str) -> _T:
    """Return a field that the API always has. Raises RefusedError where it is not there, or is something else."""
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise RefusedError(f"{what}: the answer has no {key}: something else than LlamaStack's API answered")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    """Return a whole number, also where it is written as text, as 0.4.0 and newer do with dimensions."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None
