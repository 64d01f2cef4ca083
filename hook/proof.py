"""What proves a vector store: the server's own answer to an empty insert."""

from functools import partial

from hook.backoff import retry
from hook.deadline import Deadline
from hook.domain import Proof
from hook.llamastack.api import MAX_FAILURES, LlamaStack


class Proofs:
    """The proof of life of each vector store that was asked after, taken once."""

    def __init__(self, server: LlamaStack, deadline: Deadline) -> None:
        self._server = server
        self._deadline = deadline
        self.by_id: dict[str, Proof] = {}

    def of(self, store_id: str) -> Proof:
        """Return the proof of a vector store, asking the server once. Raises as the server's API does."""
        if store_id not in self.by_id:
            prove = partial(self._server.prove, store_id)
            self.by_id[store_id] = retry(prove, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES)
        return self.by_id[store_id]
