"""Where the releases of LlamaStack keep the collections in their configuration."""

from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from hook.errors import MAX_PROBLEMS


class Section(NamedTuple):
    """Where a release keeps its collections, and the keys of one."""

    path: tuple[str, ...]
    id_key: str
    keys: tuple[str, ...]

    def key_like(self, key: str) -> str | None:
        """Return the key that may be meant; a longer one than any resembles none."""
        return next(iter(_similar(key[:60], self.keys, 1)), None)


_similar = lru_cache(MAX_PROBLEMS)(get_close_matches)
_COMMON = ("embedding_model", "embedding_dimension", "provider_id", "chunking_strategy")
SECTIONS = (
    Section(("vector_dbs",), "vector_db_id", ("vector_db_id", *_COMMON, "provider_vector_db_id")),  # up to 0.2.24
    Section(
        ("registered_resources", "vector_stores"),  # 0.4.3 and newer
        "vector_store_id",
        ("vector_store_id", *_COMMON, "provider_vector_store_id", "vector_store_name", "metadata"),
    ),
)


def value_at(content: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def sections_of(content: Any) -> list[Section]:
    """Return the sections that a mapping has, also empty ones."""
    parents = [(section, value_at(content, section.path[:-1])) for section in SECTIONS]
    return [section for section, parent in parents if isinstance(parent, dict) and section.path[-1] in parent]


def is_servers_own(content: Any) -> bool:
    """Tell whether a mapping is a server's own configuration, and not just a list of collections."""
    is_marked = isinstance(content, dict) and ("apis" in content or isinstance(content.get("providers"), dict))
    return is_marked or bool(value_at(content, ("registered_resources", "models")))


def mappings(value: Any) -> list[dict[Any, Any]]:
    """Return the mappings in a list, or none where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
