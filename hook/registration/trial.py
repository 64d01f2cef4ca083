"""A throw-away vector store, where nothing else can tell whether inserts work: made, filled with a chunk, deleted."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

from hook.deadline import Deadline, sleep
from hook.domain import Proof, Target, VectorStore, Verdict
from hook.errors import HookError, RefusedError, Stopped, UnavailableError, one_line
from hook.llamastack import MAX_FAILURES, TRIAL_TEXT, LlamaStack, is_own_failure, is_unknown_id, takes_no_inserts
from hook.logs import log
from hook.registration.deletion import (
    MAX_WORKERS,
    TRIAL_PREFIX,
    Leftover,
    Trial,
    delete,
    looks_left_over,
    may_delete,
)
from hook.retry import retry

TRIAL_QUERIES = (TRIAL_TEXT, f"{TRIAL_TEXT}, and finds a chunk in it")
"""What a query for that chunk asks, in turn. The first has a cosine of 1, which Milvus finds with any threshold. Where
a score is one divided by the distance, as with faiss up to 0.3.5, only the second can be answered."""


def try_out(server: LlamaStack, target: Target, deadline: Deadline) -> Proof:
    """Return whether a chunk that is inserted with this target's provider and model is found by a query.

    Whatever happens, the vector store is deleted, also at a signal. Where the trial works, so are the ones that
    earlier runs could not delete. The verdict is REFUSED where the server refuses to create one, and UNDECIDED where
    nobody can tell, as of a provider that only reads. Raises UnavailableError where the budget leaves no time for it.
    """
    if deadline.remaining() < deadline.timings.trial_least_seconds:
        raise UnavailableError(
            f"too little time is left to verify '{target.name}' with a throw-away store: "
            "raise HOOK_TIMEOUT_SECONDS (Helm: timeoutSeconds)"
        )
    trial = _Trial(server, target, deadline)
    proof = trial.prove()
    if proof.verdict is Verdict.ALIVE:
        trial.delete_leftovers()
    return proof


@dataclass
class _Trial:
    """One trial of a provider and a model."""

    _server: LlamaStack
    _target: Target
    _deadline: Deadline
    _age_seconds: float | None = None
    """How old this run's own trial looked once it was listed."""

    def prove(self) -> Proof:
        trial = replace(self._target, name=f"{TRIAL_PREFIX}{uuid.uuid4()}", alias=None, metadata={})
        claim = None
        lag_seconds = self._deadline.timings.trial_listed_seconds
        try:
            ids_before = frozenset(store.id.casefold() for store in self._list())
            claim = Trial(trial.name, self._server.run_id, ids_before, keeps_metadata=not self._server.replaces)
            try:
                create = partial(self._server.create_vector_store, trial)
                made = retry(create, self._deadline, "create.retry_scheduled", max_failures=1)
            except (RefusedError, UnavailableError) as error:
                lag_seconds = 0.0 if _says_not_made(error) else lag_seconds
                if isinstance(error, RefusedError) and lag_seconds == 0.0:
                    return Proof(Verdict.REFUSED, f"the server refuses to create a throw-away store: {error}")
                raise
            store_id = self._found(made, claim)
            if not self._insert(store_id):
                return Proof(Verdict.UNDECIDED, "no worker that was reached knows the throw-away store; run it again")
            return self._find(store_id)
        except (RefusedError, UnavailableError) as error:
            if takes_no_inserts(error):
                return Proof(Verdict.UNDECIDED, reads_only=str(error))
            return Proof(Verdict.DEAD, f"the verification with a throw-away store failed: {error}")
        finally:
            if claim is not None:
                try:
                    self._remove(claim, lag_seconds)
                except Stopped:
                    # A signal is heeded once, so nothing interrupts the second time.
                    self._remove(claim, lag_seconds)
                    raise

    def delete_leftovers(self) -> None:
        """Delete what earlier runs could not delete, on the provider where this trial has just worked.

        What nobody can tell to be unused stays, and is named in the log.
        """
        labels = self._target.labels
        left = []
        with suppress(HookError):
            for store in self._list():
                may_be_one = may_delete(store, Leftover(labels, (), self._age_seconds))
                if may_be_one and store.provider_id == self._target.provider.id and self._delete_leftover(store):
                    log.info("canary.deleted", vector_store=store.name)
                elif may_be_one or (self._server.replaces and looks_left_over(store, labels)):
                    left.append(store.id)
        if left:
            hint = "throw-away stores, probably left by killed runs; delete them if they hold none of your data"
            log.warning("canary.left_over", vector_store_ids=left, hint=hint)

    def _found(self, made: VectorStore, claim: Trial) -> str:
        """Return the id of what was created as the list shows it: the answer alone may be about another one."""
        if not may_delete(made, claim):
            raise UnavailableError(
                f"the server answered the create of '{claim.name}' with another vector store, "
                f"'{one_line(made.id, 100)}', so nothing was inserted: look for a cache in front of it"
            )
        listed = self._listed(claim, self._deadline.timings.trial_listed_seconds)
        if not listed:
            raise UnavailableError(f"the server created '{claim.name}', and its list does not show it: see its log")
        self._age_seconds = listed[0].age_seconds
        return listed[0].id

    def _insert(self, store_id: str) -> bool:
        """Insert the chunk, and tell whether a worker took it that knows the vector store."""
        vector = self._server.embed(self._target.model)
        is_broken = False
        for _ in range(MAX_WORKERS):
            try:
                self._server.insert_chunk(store_id, self._target, vector)
                return True
            except RefusedError as error:
                if not is_unknown_id(error, store_id):
                    raise
            except UnavailableError as error:
                # The connection broke: once that may happen, and a second chunk does no harm.
                if is_broken or is_own_failure(error):
                    raise
                is_broken = True
            self._server.close()
        return False

    def _find(self, store_id: str) -> Proof:
        """Return whether a query finds the chunk, asked again for some seconds."""
        limit = self._deadline.part(min(self._deadline.timings.trial_found_seconds, self._deadline.remaining() / 2))
        queries = cycle(TRIAL_QUERIES)
        provider = self._target.provider.id
        while True:
            said = f"the provider '{provider}' accepted it; see its log"
            try:
                if any(TRIAL_TEXT in each for each in self._contents(store_id, next(queries), 1)):
                    return Proof(Verdict.ALIVE)
            except HookError as error:
                said = str(error)
                # Another worker may know it.
                self._server.close()
            if limit.remaining() == 0:
                return Proof(Verdict.DEAD, f"an inserted chunk is not found by a query: {said}")
            sleep(self._deadline.timings.trial_pause_seconds)

    def _delete_leftover(self, store: VectorStore) -> bool:
        try:
            contents = self._contents(store.id, TRIAL_TEXT, 2)
            claim = Leftover(self._target.labels, contents, self._age_seconds)
            return delete(self._server, store, claim, self._deadline, max_failures=MAX_FAILURES)
        except HookError:
            return False

    def _contents(self, store_id: str, query: str, count: int) -> tuple[str, ...]:
        try:
            return self._server.contents(store_id, query, count)
        except RefusedError as error:
            if self._target.provider.kind == "qdrant" and "Collection " in error.detail:
                # Up to 0.7.3 there is none before the first chunk (400, POST /v1/vector-io/query).
                return ()
            raise

    def _remove(self, claim: Trial, lag_seconds: float) -> None:
        """Delete what the list shows of the throw-away store, also where the answer to its create was lost."""
        try:
            stores = self._listed(claim, lag_seconds)
            for store in stores:
                delete(self._server, store, claim, self._deadline, max_failures=MAX_FAILURES)
        except HookError as error:
            log.warning("canary.not_deleted", vector_store=claim.name, cause=str(error))
        else:
            if stores:
                log.info("canary.deleted", vector_store=claim.name)
            elif lag_seconds:
                log.warning("canary.not_deleted", vector_store=claim.name, cause="the list does not show it")

    def _listed(self, claim: Trial, seconds: float) -> list[VectorStore]:
        """Return what the list shows of the throw-away store, which may lag, or be another worker's."""
        limit = self._deadline.part(min(seconds, self._deadline.remaining() / 2))
        while True:
            found = [store for store in self._list() if may_delete(store, claim)]
            if found or limit.remaining() == 0:
                return found
            sleep(self._deadline.timings.trial_pause_seconds)
            self._server.close()

    def _list(self) -> Sequence[VectorStore]:
        limit = self._deadline.part(min(self._deadline.timings.trial_listed_seconds, self._deadline.remaining() / 2))
        return retry(self._server.vector_stores, limit, "request.retry_scheduled", max_failures=MAX_FAILURES)


def _says_not_made(error: RefusedError | UnavailableError) -> bool:
    """Tell whether the server itself answered that it did not make what it was asked for."""
    in_flight = isinstance(error, UnavailableError) and error.in_flight
    return error.status is not None and error.status >= 300 and not in_flight
