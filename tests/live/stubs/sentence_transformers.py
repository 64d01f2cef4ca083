"""A stand-in for sentence-transformers: vectors hashed from the text, of the dimension that the real model has."""

import hashlib
from pathlib import Path

import numpy

MINILM_DIMENSION = 384
GRANITE_DIMENSION = 768


class SentenceTransformer:
    """Embeds a text as a unit vector that depends on nothing but the text."""

    def __init__(self, name: str, **_: object) -> None:
        self.dimension = MINILM_DIMENSION if "MiniLM" in name else GRANITE_DIMENSION

    def get_sentence_embedding_dimension(self) -> int:
        """Return the number of components of a vector."""
        return self.dimension

    def encode(self, texts: str | list[str], **_: object) -> numpy.ndarray:
        """Return one vector for a text, or a row for each of a list of texts; fail where a test says so."""
        if Path("~/model-down").expanduser().exists():
            raise RuntimeError("the model is down")
        if isinstance(texts, str):
            return self._vector(texts)
        return numpy.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> numpy.ndarray:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = numpy.random.default_rng(seed).standard_normal(self.dimension).astype("float32")
        return vector / numpy.linalg.norm(vector)


class CrossEncoder:
    """Imported by some releases, used by none of the tests."""

    def __init__(self, name: str, **_: object) -> None:
        self.name = name
