"""LlamaStack's paths, words and history: how its releases list, create and delete, and what their answers prove.

No other package sends a request to one of its paths. It decides nothing about collections.
"""

from hook.llamastack.api import LlamaStack

__all__ = ["LlamaStack"]
