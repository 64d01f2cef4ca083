"""What the server has: the same questions on many connections, since each of its workers keeps a list of its own.

It never creates, changes or deletes a vector store.
"""

from hook.survey.processes import Processes
from hook.survey.proof import Prover

__all__ = ["Processes", "Prover"]
