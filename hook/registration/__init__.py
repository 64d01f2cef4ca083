"""The way of a collection: resolve, survey, compare, register, verify. `run.py` has the whole of it.

It creates at most one vector store a collection, and deletes only what its own run or a killed one left over.
"""

from hook.registration.run import Run

__all__ = ["Run"]
