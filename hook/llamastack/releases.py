"""How the releases of LlamaStack and OGX differ, as far as remedies, warnings, verdicts and pace depend on it."""

import re

Release = tuple[int, int, int]
"""Major, minor and patch; OGX, as LlamaStack is called since, went on from 0.7.3 with 1.0."""

FIRST_OGX: Release = (1, 0, 0)
FIRST_UNFLOODED: Release = (0, 2, 18)
"""The first that lives when its telemetry gets more than it can write. Before it, 1,000 events are too many, of which a
query makes 18; then nothing is answered any more (0.2.16; providers/utils/telemetry/tracing.py, 0.2.17 and 0.2.18)."""
FIRST_STORES: Release = (0, 3, 0)
"""The first that has /v1/vector_stores; older ones take /v1/vector-dbs, where the same create can be sent again."""
FIRST_ACCEPTING_EMPTY_INSERT: Release = (0, 4, 0)
"""The first whose Milvus takes an empty insert before there is a chunk: 0.3.5 answers 500 to it, and 0.4.2 does not."""
FIRST_DECLARED: Release = (0, 4, 3)
"""The first that serves what `registered_resources.vector_stores` declares."""
FIRST_SIZED: Release = (0, 5, 0)
"""The first that attaches a file by asking the model for vectors of the vector store's own length."""

_FIXED: Release = (1, 2, 4)
"""The first whose Milvus, chroma and weaviate write what they register into their own store (read in its wheel)."""
_UNFIXED, _FIXED_AGAIN = (1, 3, 0), (1, 3, 1)
"""The one after it that does not, and the next that does (read in the wheels up to 1.4.1)."""
_KEEPS_FROM: dict[str, Release] = {
    "faiss": (0, 0, 0),
    "qdrant": (0, 0, 0),
    "sqlite-vec": (0, 3, 5),
    "pgvector": (0, 3, 5),
    "milvus": _FIXED,
    "chromadb": _FIXED,
    "weaviate": _FIXED,
}
"""The release from which a kind of provider still knows its vector stores after a restart of the server, seen on
0.2.24, 0.3.0, 0.3.5, 0.4.7, 0.7.3 and ogx 1.2.5 and 1.5.0; weaviate's is read."""

_BROKEN_BY_RESTART = {"pgvector": ((1, 1, 0), (1, 2, 0))}
"""The releases, from the first one on and up to the second, whose vector stores of a kind fail after each restart of
the server, although it keeps them: `another operation is in progress` (seen on ogx 1.1.3, POST
/v1/vector-io/query; not on 1.2.5)."""


def parse_release(version: str) -> Release | None:
    """Return the three numbers that a version begins with, as `0.4.2` in `0.4.2.1+rhai0`; None where there are none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def keeps_from(kind: str, release: Release | None) -> Release | None:
    """Return the release from which a kind of provider survives a restart, seen from this one; None if not known."""
    first = _KEEPS_FROM.get(kind)
    return _FIXED_AGAIN if first == _FIXED and release == _UNFIXED else first


def keeps(kind: str, release: Release | None) -> bool | None:
    """Tell whether this release's provider survives a restart; None where that is not known."""
    first = keeps_from(kind, release)
    return None if first is None or release is None else release >= first


def breaks_at_restart(kind: str, release: Release | None) -> bool:
    """Tell whether this release's provider keeps its vector stores, and fails each request after a restart."""
    first, fixed = _BROKEN_BY_RESTART.get(kind, ((0, 0, 0), (0, 0, 0)))
    return release is not None and first <= release < fixed


def named(release: Release) -> str:
    """Return what people call a release."""
    return f"{'ogx ' if release >= FIRST_OGX else ''}{'.'.join(map(str, release))}"
