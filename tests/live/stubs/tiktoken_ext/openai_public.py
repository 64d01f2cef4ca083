"""Byte-level encodings in the place of those that tiktoken downloads: one token a byte, and no merges."""

from typing import Any


def _byte_level(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "pat_str": r"[\s\S]",
        "mergeable_ranks": {bytes([byte]): byte for byte in range(256)},
        "special_tokens": {"<|endoftext|>": 256},
    }


ENCODING_CONSTRUCTORS = {
    name: (lambda name=name: _byte_level(name))
    for name in ("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base")
}
