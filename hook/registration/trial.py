"""A throw-away vector store, where nothing else can tell whether inserts work: made, filled with a chunk, deleted."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle

from hook.deadline import Deadline, sleep
from hook.domain import Life, Proof, Target, VectorStore
from hook.errors import HookError, RefusedError, UnavailableError, one_line
from hook.llamastack.api import TRIAL_TEXT, LlamaStack
from hook.llamastack.verdicts import is_unknown_id
from hook.logs import log
from hook.registration.deletion import TRIAL_PREFIX, Deleter, Leftover, Trial, looks_left_over, may_delete
from hook.retry import retry

TRIAL_QUERIES = (TRIAL_TEXT, f"{TRIAL_TEXT}, and finds a chunk in it")
"""What a query for that chunk asks, in turn. The first has a cosine of 1, which Milvus finds with any threshold. Where
a score is one divided by the distance, as with faiss up to 0.3.5, only the second can be answered."""
LEAST_SECONDS = 10.0
"""What the budget has to have left, so that what is made can be deleted."""
LISTED_SECONDS = 8.0
"""How long the list may take to show what was made; a pod that is told to end has 30 s for that and the delete."""
FOUND_SECONDS = 10.0
"""How long a query may take to find what was inserted: a Milvus server reads what is some seconds old."""
PAUSE_SECONDS = 0.5
MAX_FAILURES = 3
"""Answers of 5xx to one list or delete before giving up."""


class Canary:
    """Proves a provider and a model by an insert into a vector store of its own."""

    def __init__(self, server: LlamaStack, deadline: Deadline) -> None:
        self._server = server
        self._deadline = deadline
        self._deleter = Deleter(server, deadline)
        self._age_seconds: float | None = None
        """How old what was made looked at once."""

    def prove(self, target: Target) -> Proof | None:
        """Return whether a chunk that is inserted with this target's provider and model is found by a query.

        None where nobody can tell. Whatever happens, the vector store is deleted, also at a signal.
        Raises UnavailableError where the budget leaves no time for that, since the next run can try it: it knows what
        was made lately.
        """
        if self._deadline.remaining() < LEAST_SECONDS:
            if self._server.replaces:
                # There a list does not show when something was made, so the next run could tell no more than this one.
                return None
            what = f"a trial insert, which has to prove '{target.name}'"
            raise UnavailableError(f"the budget leaves no time for {what}: raise HOOK_TIMEOUT_SECONDS")
        trial = replace(target, name=f"{TRIAL_PREFIX}{uuid.uuid4()}", alias=None, metadata={})
        claim = None
        store_id = ""
        lag_seconds = LISTED_SECONDS
        try:
            ids_before = frozenset(store.id.casefold() for store in self._list())
            claim = Trial(trial.name, self._server.run_id, ids_before, keeps_metadata=not self._server.replaces)
            store_id = self._create(trial, claim)
            self._server.insert_chunk(store_id, target, self._server.embed(target.model))
            return self._find(store_id, target)
        except (RefusedError, UnavailableError) as error:
            if not store_id and _says_not_made(error):
                lag_seconds = 0.0
            # Another process may have taken the insert; where that is so, the proofs of the collection itself tell.
            elsewhere = store_id and isinstance(error, RefusedError) and is_unknown_id(error, store_id)
            return None if elsewhere else Proof(Life.DEAD, f"a trial insert failed: {error}")
        finally:
            if claim is not None:
                self._remove(claim, lag_seconds)

    def sweep(self, target: Target) -> None:
        """Delete what earlier runs could not delete, on a provider where a trial has just worked.

        What nobody can tell to be unused stays, and is named in the log.
        """
        left = []
        with suppress(HookError):
            for store in self._list():
                may_be_one = may_delete(store, Leftover(target.labels, (), self._age_seconds))
                if may_be_one and store.provider_id == target.provider.id and self._sweep(store, target):
                    log.info("canary.deleted", vector_store=store.name)
                elif may_be_one or (self._server.replaces and looks_left_over(store, target.labels)):
                    left.append(store.id)
        if left:
            hint = "earlier runs may have left them; if they hold nothing of yours, delete them"
            log.warning("canary.left_over", vector_store_ids=left, hint=hint)

    def _create(self, trial: Target, claim: Trial) -> str:
        """Create the vector store, and return its id as the list shows it: the answer alone may be another one's."""
        made = self._server.create_vector_store(trial)
        if not may_delete(made, claim):
            raise RefusedError(
                f"the server answered the create of '{trial.name}' with another vector store, "
                f"'{one_line(made.id, 100)}', so nothing was inserted: look for a cache in front of it"
            )
        listed = self._listed(claim, LISTED_SECONDS)
        if not listed:
            raise UnavailableError(f"the server created '{trial.name}', and its list does not show it: see its log")
        self._age_seconds = listed[0].age_seconds
        return listed[0].id

    def _find(self, store_id: str, target: Target) -> Proof:
        """Return whether a query finds the chunk, asked again for some seconds."""
        patience = Deadline(min(FOUND_SECONDS, self._deadline.remaining() / 2))
        queries = cycle(TRIAL_QUERIES)
        while True:
            said = f"the provider '{target.provider.id}' took a trial chunk, and no query finds it; look at its log"
            try:
                contents = self._contents(store_id, target, next(queries), 1)
                if any(TRIAL_TEXT in each for each in contents):
                    return Proof(Life.ALIVE)
            except HookError as error:
                said = str(error)
            if patience.remaining() == 0:
                return Proof(Life.DEAD, f"an inserted chunk is not found by a query: {said}")
            sleep(PAUSE_SECONDS)

    def _sweep(self, store: VectorStore, target: Target) -> bool:
        try:
            contents = self._contents(store.id, target, TRIAL_TEXT, 2)
            return self._deleter.delete(
                store, Leftover(target.labels, contents, self._age_seconds), max_failures=MAX_FAILURES
            )
        except HookError:
            return False

    def _contents(self, store_id: str, target: Target, query: str, count: int) -> tuple[str, ...]:
        try:
            return self._server.contents(store_id, query, count)
        except RefusedError as error:
            if target.provider.kind == "qdrant" and "Collection " in error.detail:
                # Up to 0.7.3 there is none before the first chunk (400, POST /v1/vector-io/query).
                return ()
            raise

    def _remove(self, claim: Trial, lag_seconds: float) -> None:
        """Delete what the list shows of the throw-away store, also where the answer to its create was lost."""
        try:
            stores = self._listed(claim, lag_seconds)
            for store in stores:
                self._deleter.delete(store, claim, max_failures=MAX_FAILURES)
        except HookError as error:
            log.warning("canary.not_deleted", vector_store=claim.name, cause=str(error))
        else:
            if stores:
                log.info("canary.deleted", vector_store=claim.name)
            elif lag_seconds:
                log.warning("canary.not_deleted", vector_store=claim.name, cause="the list does not show it")

    def _listed(self, claim: Trial, seconds: float) -> list[VectorStore]:
        """Return what the list shows of the throw-away store, which may lag, or be another process's."""
        patience = Deadline(min(seconds, self._deadline.remaining() / 2))
        while True:
            found = [store for store in self._list() if may_delete(store, claim)]
            if found or patience.remaining() == 0:
                return found
            sleep(PAUSE_SECONDS)
            self._server.close()

    def _list(self) -> Sequence[VectorStore]:
        patience = Deadline(min(LISTED_SECONDS, self._deadline.remaining() / 2))
        return retry(self._server.vector_stores, patience, "request.retry_scheduled", max_failures=MAX_FAILURES)


def _says_not_made(error: RefusedError | UnavailableError) -> bool:
    """Tell whether the server itself answered that it did not make what it was asked for."""
    in_flight = isinstance(error, UnavailableError) and error.in_flight
    return error.status is not None and error.status >= 300 and not in_flight
