"""What the server has: the same questions on many connections, since each of its workers keeps a list of its own.

It never creates, changes or deletes a vector store.
"""

from hook.survey.order import SHOWN_FIELDS
from hook.survey.proof import Prover
from hook.survey.survey import QUERIES, QUERIES_BEFORE_A_WRITE, Survey

__all__ = ["QUERIES", "QUERIES_BEFORE_A_WRITE", "SHOWN_FIELDS", "Prover", "Survey"]
