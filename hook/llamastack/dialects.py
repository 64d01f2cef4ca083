"""The two ways in which LlamaStack releases keep vector stores, behind one interface.

Which one a server speaks is found by asking it, since version numbers of distributions say little.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

from hook.domain import Target, VectorStore
from hook.errors import RefusedError, UnavailableError, one_line
from hook.http import Http, mapping

PAGE_SIZE = 100
"""The most that 0.6.0 and newer accept as `limit`; older releases take any number (GET /v1/vector_stores)."""
MAX_PAGES = 1000
"""A list longer than this is a pager that never ends."""
UNKNOWN_AGE = 2**62
"""In the place of a `created_at` that is none: such a vector store is never the oldest."""

MADE_BY_KEY, MADE_BY_PREFIX = "created_by", "register-collections "
"""In the metadata of what this program makes: that it did, and in which run."""
DECLARED_AS_KEY = "declared_as"
"""And for which collection, whatever its name is: that may be the alias, or be changed by the server or by people."""

_T = TypeVar("_T")


class VectorStoresDialect:
    """0.3.0 and newer: the server gives each vector store an id of its own, and its name never resolves."""

    path = "/v1/vector_stores"

    def vector_stores(self, http: Http) -> tuple[VectorStore, ...]:
        """Return every vector store. Raises UnavailableError if the list changes while it is read.

        The cursor `after` is the last id of the page before. All releases start anew at an id that they do not know,
        as when that store was just deleted, and their order can change between two pages: what is seen twice says
        that something else may not have been seen at all.
        """
        what = f"GET {self.path}"
        stores: dict[str, VectorStore] = {}
        query = {"limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            answer, now = http.get_dated(self.path, query)
            page = [self.read(item, what, now) for item in field(answer, "data", list, what)]
            for store in page:
                if stores.setdefault(store.id, store) is not store:
                    twice = f"'{one_line(store.id, 100)}' came twice"
                    raise UnavailableError(f"{what}: the list changed while it was read ({twice}); run it again")
            if not field(answer, "has_more", bool, what) or not page:
                return tuple(stores.values())
            query["after"] = page[-1].id
        endless = f"no end of the list after {MAX_PAGES} pages"
        raise RefusedError(f"{what}: {endless}; probably not LlamaStack: check LLAMA_STACK_URL")

    def body(self, target: Target, run_id: str) -> Mapping[str, Any]:
        """Return the body of a create; a second one makes a second vector store of the same name.

        It is made under the alias, where there is one, since the configured id cannot be asked for. The metadata says
        for which id that was. So it is found when the alias changes, and where the server or a person changes its name.

        The flat body is what every release from 0.2.11 reads. They ignore `embedding_config`. From 0.4.0 they refuse
        the chunking strategy `fixed_size_chunking`, and before 0.6 also `contextual`. The metadata records model and
        dimension for the releases up to 0.3.5, whose list shows neither; newer ones overwrite it with the same
        (POST /v1/vector_stores).
        """
        metadata = {
            **target.metadata,
            "embedding_model": target.model.id,
            "embedding_dimension": str(target.embedding_dimension),
            MADE_BY_KEY: f"{MADE_BY_PREFIX}{run_id}",
            DECLARED_AS_KEY: target.name,
        }
        chunking = {} if target.chunking_strategy is None else {"chunking_strategy": target.chunking_strategy}
        return {"name": target.alias or target.name, **_vectors(target), "metadata": metadata, **chunking}

    def read(self, item: Any, what: str, now: float | None = None) -> VectorStore:
        """Return one that the server shows, at that time of its own clock."""
        metadata, files = (mapping(mapping(item).get(key)) for key in ("metadata", "file_counts"))
        made_by = str(metadata.get(MADE_BY_KEY))
        is_ours = made_by.startswith(MADE_BY_PREFIX)
        created_at = _seconds(mapping(item).get("created_at"))
        return VectorStore(
            id=field(item, "id", str, what),
            name=text(item.get("name")),
            # Every release shows a status; without one it is not «completed».
            status=shown(item.get("status")) or "",
            created_at=created_at,
            age_seconds=None if now is None or created_at in (0, UNKNOWN_AGE) else now - created_at,
            # Also where one of them is missing: whatever is attached counts.
            files=max((number(count) or 0 for count in files.values()), default=0),
            files_completed=number(files.get("completed")) or 0,
            files_failed=number(files.get("failed")) or 0,
            made_by=made_by.removeprefix(MADE_BY_PREFIX) if is_ours else None,
            declared_as=text(metadata.get(DECLARED_AS_KEY)) if is_ours else None,
            **_shown_vectors(metadata),
        )

    def path_of(self, store_id: str) -> str:
        """Return the path by which one is deleted (DELETE /v1/vector_stores/ID)."""
        return f"{self.path}/{path_segment(store_id)}"


class VectorDbsDialect:
    """Up to 0.2.24: the configured id is the address that consumers use.

    These releases have an OpenAI-style list as well, but what is made there gets an id of its own from 0.2.15 on.
    """

    path = "/v1/vector-dbs"

    def vector_stores(self, http: Http) -> tuple[VectorStore, ...]:
        """Return every vector store; the list has no pages (GET /v1/vector-dbs)."""
        what = f"GET {self.path}"
        return tuple(self.read(item, what) for item in field(http.get(self.path), "data", list, what))

    def body(self, target: Target, run_id: str) -> Mapping[str, Any]:  # noqa: ARG002  there is no metadata
        """Return the body of a create; a second one changes nothing, but with another target it replaces.

        Without `provider_vector_db_id`, 0.2.21 to 0.2.24 would make up an id; there is no name and no metadata
        (POST /v1/vector-dbs).
        """
        return {"vector_db_id": target.name, "provider_vector_db_id": target.name, **_vectors(target)}

    def read(self, item: Any, what: str, now: float | None = None) -> VectorStore:  # noqa: ARG002  it shows no age
        """Return one that the server shows."""
        identifier = field(item, "identifier", str, what)
        return VectorStore(id=identifier, name=identifier, **_shown_vectors(item))

    def path_of(self, store_id: str) -> str:
        """Return the newer path by which one is deleted: DELETE /v1/vector-dbs leaves a row behind (0.2.24)."""
        return f"/v1/openai{VectorStoresDialect.path}/{path_segment(store_id)}"


Dialect = VectorStoresDialect | VectorDbsDialect
"""How one generation of servers lists, creates and deletes vector stores. What asks raises as `Http` does."""


def find_dialect(http: Http) -> tuple[Dialect, tuple[VectorStore, ...]]:
    """Return the dialect that the server speaks, and the list by which it was found.

    `/v1/vector_stores` is there from 0.3.0 on, `/v1/vector-dbs` up to 0.2.24, and no release has both.
    Raises RefusedError if the server has neither.
    """
    newer, older = VectorStoresDialect(), VectorDbsDialect()
    # The newer one once more, where the server was upgraded between the two questions.
    for dialect in (newer, older, newer):
        try:
            return dialect, dialect.vector_stores(http)
        except RefusedError as error:
            if error.status != 404:
                raise
    raise RefusedError(
        f"{http.url} answers 404 to both GET {newer.path} and GET {older.path}: it is not LlamaStack, or it "
        "runs without the vector_io API; check LLAMA_STACK_URL and the `apis` of its configuration"
    )


def _vectors(target: Target) -> dict[str, Any]:
    """Return what each release is told of where the vectors go."""
    return {
        "provider_id": target.provider.id,
        "embedding_model": target.model.id,
        "embedding_dimension": target.embedding_dimension,
    }


def _shown_vectors(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: shown(values.get(key)) for key in ("provider_id", "embedding_model", "embedding_dimension")}


def path_segment(store_id: str) -> str:
    """Return an id as one segment of a path.

    Raises RefusedError, before anything is sent, where it cannot be one: every HTTP library takes the segments `.` and
    `..` out of a path, so that `DELETE /v1/vector_stores/..` would reach the server as `DELETE /v1/`.
    """
    with suppress(UnicodeEncodeError):
        segment = quote(store_id, safe="")
        if segment.strip("."):
            return segment
    raise RefusedError(f"the id {one_line(ascii(store_id), 100)} cannot be a part of a path, so nothing was sent")


def _seconds(value: Any) -> int:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < UNKNOWN_AGE
    return int(value) if is_time else UNKNOWN_AGE


def field(answer: Any, key: str, kind: type[_T], what: str) -> _T:
    """Return a field that the API always has. Raises RefusedError where it is not there, or is something else."""
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, kind) or value == "":
        raise RefusedError(f"{what}: the response has no {key}; probably not LlamaStack: check LLAMA_STACK_URL")
    return value


def shown(value: Any) -> str | None:
    """Return a value as text to compare, so that one of the wrong type is a difference; None where there is none."""
    return value if value is None or isinstance(value, str) else str(value)


def text(value: Any) -> str | None:
    """Return the value if it is text."""
    return value if isinstance(value, str) else None


def number(value: Any) -> int | None:
    """Return a whole number, also where it is written as text, as 0.4.0 and newer do with dimensions."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None
