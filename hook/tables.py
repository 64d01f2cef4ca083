"""Which names become one table at a provider: then a query of one collection finds the chunks of the other.

A table is named after the vector store's id. That is the configured name where the server's own configuration declares
the vector store, and up to 0.2.24 also for what is created; else the server makes up an id, which is nobody else's.
"""

import re
from collections.abc import Callable, Iterable

_LONGEST = 60
"""PostgreSQL cuts names to 63 characters, of which three are `vs_`."""


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


_TABLES: dict[str, Callable[[str], str]] = {
    # providers/utils/vector_io/vector_utils.py `sanitize_collection_name`, 0.4.7, 0.7.3 and ogx 1.5.0.
    "pgvector": lambda name: _plain(name)[:_LONGEST],
    "milvus": _plain,
    # Oracle and SQLite do not tell upper from lower case.
    "oci": lambda name: _plain(name).lower(),
    "sqlite-vec": lambda name: _plain(name).lower(),
    "weaviate": lambda name: re.sub(r"[^A-Za-z0-9]", "", name).lower(),
}
_FOLDING_KINDS = ("pgvector", "milvus", "sqlite-vec")


def table(kind: str, name: str, *, folds_case: bool = False) -> str:
    """Return the table of a name at this kind of provider, or the name itself where nothing is known of it.

    `folds_case` is for 0.2.24 and older, and for pgvector up to 0.7.3, which does not quote the names of its tables.
    """
    if folds_case and kind in _FOLDING_KINDS:
        return _plain(name)[:_LONGEST].lower()
    return _TABLES.get(kind, str)(name)


def kind_of(provider_type: str) -> str:
    """Return the kind of a `provider_type`: without `inline::` or `remote::`, with `-` for `_`."""
    return provider_type.rpartition("::")[2].replace("_", "-")


def sharing(names: Iterable[str], kind: str, *, folds_case: bool = False) -> dict[str, str]:
    """Return each name that shares its table with another one, and the first such other one."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(table(kind, name, folds_case=folds_case), []).append(name)
    return {
        name: next(each for each in group if each != name)
        for group in groups.values()
        if len(group) > 1
        for name in group
    }
