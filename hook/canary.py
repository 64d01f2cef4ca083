"""A throw-away vector store, where nothing else can tell whether inserts work: made, filled with a chunk, deleted."""

import random
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hook.backoff import retry
from hook.deadline import Deadline
from hook.domain import Life, Proof, Target, VectorStore
from hook.errors import HookError, RefusedError, UnavailableError
from hook.llamastack.api import LlamaStack
from hook.llamastack.verdicts import is_unknown_id
from hook.logs import log

PREFIX = "register-collections-canary-"
LEFTOVER_SECONDS = 3600
"""The age from which a throw-away vector store is one that a run could not delete, not one in use."""
LEAST_SECONDS = 10.0
"""What the budget has to have left, so that what is made can be deleted."""
DELETE_TRIES = 3

_UUID_EPOCH_TICKS = 0x01B21DD213814000
"""From the epoch of a version 1 UUID, 1582, to that of the clock, in its ticks of 100 ns."""


class Canary:
    """Proves a provider and a model by an insert into a vector store of its own."""

    def __init__(self, server: LlamaStack, deadline: Deadline) -> None:
        self._server = server
        self._deadline = deadline

    def prove(self, target: Target) -> Proof | None:
        """Return whether a chunk can be inserted with this target's provider and model; None where nobody can tell.

        The insert decides. A query is no must: with milvus-lite 3.0 on 0.5 it finds nothing although all is well.
        Whatever happens, the vector store is deleted, also at SIGTERM. Raises UnavailableError where the budget leaves
        no time for that, since the next run can try it: it knows what was made lately.
        """
        if self._deadline.remaining() < LEAST_SECONDS:
            if self._server.replaces:
                # There a list does not show when something was made, so the next run could tell no more than this one.
                return None
            what = f"a trial insert, which has to prove '{target.name}'"
            raise UnavailableError(f"the budget leaves no time for {what}: raise HOOK_TIMEOUT_SECONDS")
        name = _new_name()
        store_id = None
        try:
            store_id = self._server.create_vector_store(replace(target, name=name, alias=None, metadata={})).id
            self._server.insert_chunk(store_id, target, self._server.embed(target.model))
        except RefusedError as error:
            # Another process may have taken the insert; where that is so, the proofs of the collection itself tell.
            elsewhere = store_id is not None and is_unknown_id(error, store_id)
            return None if elsewhere else Proof(Life.DEAD, f"a trial insert failed: {error}")
        except UnavailableError as error:
            return Proof(Life.DEAD, f"a trial insert failed: {error}")
        else:
            return Proof(Life.ALIVE)
        finally:
            self._remove(name, store_id)

    def sweep(self, stores: Sequence[VectorStore]) -> None:
        """Delete what earlier runs were kept from deleting."""
        for store in stores:
            if _age_seconds(str(store.name)) > LEFTOVER_SECONDS:
                self._remove(str(store.name), store.id)

    def _remove(self, name: str, store_id: str | None) -> None:
        """Delete the throw-away store, also where the answer to its create was lost."""
        try:
            ids = [store_id] if store_id is not None else self._ids_of(name)
            for each in ids:
                delete = partial(self._server.delete_vector_store, each)
                retry(delete, self._deadline, "request.retry_scheduled", max_failures=DELETE_TRIES)
        except HookError as error:
            log.warning("canary.not_deleted", vector_store=name, cause=str(error))
        else:
            log.info("canary.deleted", vector_store=name)

    def _ids_of(self, name: str) -> list[str]:
        return [store.id for store in self._server.vector_stores() if store.name == name]


def _new_name() -> str:
    """Return a name of its own, whose UUID tells when it was made: no release up to 0.2.24 shows that."""
    # Its node is drawn, so that it does not tell the machine's address; the bit says so.
    return f"{PREFIX}{uuid.uuid1(node=random.getrandbits(48) | 1 << 40)}"


def _age_seconds(name: str) -> float:
    """Return how long ago a throw-away store was made, going by its name; 0 for any other vector store."""
    if re.fullmatch(re.escape(PREFIX) + r"[0-9a-f-]{36}", name):
        with suppress(ValueError):
            made = uuid.UUID(name.removeprefix(PREFIX))
            if made.version == 1:
                return time.time() - (made.time - _UUID_EPOCH_TICKS) / 1e7
    return 0.0
