"""A stand-in for PyTorch: the two names that LlamaStack's sentence-transformers provider touches.

Registering a vector store never loads a model, so a download of two gigabytes would prove nothing more.
"""

from collections.abc import Iterator
from contextlib import contextmanager


def set_num_threads(count: int) -> None:
    """Accept the call; there are no threads to set."""


@contextmanager
def no_grad() -> Iterator[None]:
    """Return a context, and since ogx also a decorator, that changes nothing; there are no gradients."""
    yield
