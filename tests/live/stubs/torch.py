"""A stand-in for PyTorch: the two names that LlamaStack's sentence-transformers provider touches.

Registering a vector store never loads a model, so a download of two gigabytes would prove nothing more.
"""

from contextlib import nullcontext


def set_num_threads(count: int) -> None:
    """Accept the call; there are no threads to set."""


def no_grad() -> nullcontext[None]:
    """Return a context that changes nothing; there are no gradients."""
    return nullcontext()
