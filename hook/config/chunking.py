"""The forms of `chunking_strategy` that LlamaStack's releases take, checked before one is asked. Pure.

They are `VectorStoreChunkingStrategy` in llama_stack_api (0.4.7 to ogx 1.5.0). `contextual` is there from 0.6 on; 0.3
takes everything. The upper bound of a static overlap is a fact of their chunker: with as many tokens as a chunk has, or
more, an attached file fails or has no chunk (providers/utils/memory/vector_store.py, 0.7.3).
"""

from collections.abc import Iterator
from typing import Any

_SIZE, _OVERLAP = "max_chunk_size_tokens", "chunk_overlap_tokens"
_DEFAULT_SIZES = {"static": 800, "contextual": 700}
_DEFAULT_OVERLAP = 400
_BOUNDS = {_SIZE: (100, 4096), _OVERLAP: (0, 4096), "timeout_seconds": (1, 10**9), "max_concurrency": (1, 10**9)}
_TEXTS = ("model_id", "context_prompt")
_AUTO = "auto"
_KEYS = {"static": (_SIZE, _OVERLAP), "contextual": (*_BOUNDS, *_TEXTS)}
_PLACEHOLDERS = "{{WHOLE_DOCUMENT}}", "{{CHUNK_CONTENT}}"


def problems(strategy: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, each with the path of its key below the strategy, such as `.static`."""
    kind = strategy.get("type")
    if not isinstance(kind, str) or kind not in (_AUTO, *_KEYS):
        yield ".type", f"must be one of {', '.join((_AUTO, *_KEYS))}"
        return
    yield from _unknown(strategy, "", ("type",) if kind == _AUTO else ("type", kind))
    if kind == _AUTO:
        return
    settings = strategy.get(kind)
    if not isinstance(settings, dict):
        yield f".{kind}", f"must be a mapping, which may have {', '.join(_KEYS[kind])}"
        return
    yield from _unknown(settings, f".{kind}", _KEYS[kind])
    for key in set(_KEYS[kind]) & settings.keys():
        yield from ((f".{kind}.{key}", problem) for problem in _wrong(key, settings[key]))
    size, overlap = settings.get(_SIZE, _DEFAULT_SIZES[kind]), settings.get(_OVERLAP, _DEFAULT_OVERLAP)
    if type(size) is int and type(overlap) is int and overlap >= size:
        yield f".{kind}.{_OVERLAP}", f"is {overlap}, and must be less than {_SIZE}, which is {size}"


def _unknown(mapping: dict[Any, Any], path: str, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for key in mapping.keys() - set(keys):
        yield f"{path}.{str(key)[:60]}", f"unknown key; valid keys: {', '.join(keys)}"


def _wrong(key: str, value: Any) -> Iterator[str]:
    if key in _TEXTS:
        if not isinstance(value, str) or not value:
            yield "must be a string that is not empty"
        elif key == "context_prompt" and not -1 < value.find(_PLACEHOLDERS[0]) < value.find(_PLACEHOLDERS[1]):
            yield f"must have {_PLACEHOLDERS[0]}, and {_PLACEHOLDERS[1]} after it"
    elif type(value) is not int or not _BOUNDS[key][0] <= value <= _BOUNDS[key][1]:
        low, high = _BOUNDS[key]
        yield f"must be a whole number from {low} to {high}"
