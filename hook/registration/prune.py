"""What `prune` lists, and deletes where it is asked to: what this program made and no collection declares any more."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hook.cli import Settings
from hook.deadline import Deadline
from hook.domain import Collection, Finding, Model, Observation, Provider, State, Target, VectorStore, Verdict
from hook.errors import RefusedError, UnavailableError, one_line
from hook.llamastack import MAX_FAILURES, LlamaStack, number
from hook.logs import log
from hook.progress import Progress
from hook.registration.candidates import as_listed, candidates
from hook.registration.deletion import Orphan, Spare, delete, may_delete
from hook.registration.ready import resolve_on, wait_until_ready
from hook.registration.remarks import differences
from hook.retry import retry
from hook.survey import Prover, Survey

Claim = Orphan | Spare

STILL_LISTED = "one worker has deleted it, but others still list it: restart LlamaStack, all pods at once"


class Pruner:
    """One `prune` on one server."""

    def __init__(self, settings: Settings, server: LlamaStack, deadline: Deadline, progress: Progress) -> None:
        self._settings = settings
        self._server = server
        self._deadline = deadline
        self._progress = progress
        # An empty insert is a write, and tells nothing of what is held.
        prover = Prover(deadline, settings.request_timeout_seconds, write=False)
        self._survey = Survey(server, prover, deadline, settings.connections)

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Leave a finding for each vector store in the progress, deleted or not.

        Raises UnavailableError, also where the list cannot be trusted, and RefusedError, also where the release shows
        no metadata (up to 0.2.24).
        """
        self._progress.findings = {}
        _, self._progress.server_version = wait_until_ready(self._server, self._settings.server.url, self._deadline)
        if self._server.replaces:
            raise RefusedError(
                "prune needs the metadata of vector stores, which releases up to 0.2.24 do not show; upgrade to "
                "0.3.0 or newer"
            )
        targets, _, _ = resolve_on(self._server, collections, (), self._deadline, is_register=False, disabled={})
        providers = retry(self._server.providers, self._deadline, "request.retry_scheduled")
        kinds = {provider.id: provider for provider in providers if provider.api == "vector_io"}
        labels = collections[0].labels

        def wanted(stores: Sequence[VectorStore]) -> dict[str, Target]:
            found = candidates(targets, stores)
            several = {
                store.id: as_listed(each, store)
                for each in targets
                if len(found[each.name]) > 1
                for store in found[each.name]
            }
            claim = Orphan(labels, time.time(), empty=None, with_data=True)
            return several | {store.id: _asked_as(store, kinds) for store in stores if may_delete(store, claim)}

        seen = self._survey.observe(wanted, self._settings.connections)
        _check(seen)
        asked = {store_id: each for store_id, each in wanted(seen.stores).items() if store_id in seen.proofs}
        claims = [
            (store, claim)
            for store in sorted(seen.stores, key=lambda each: each.created_at)
            if store.id in asked and (claim := self._claim(store, seen, targets, labels)) is not None
        ]
        self._progress.findings = {store.id: _listed(store, claim) for store, claim in claims}
        for store, claim in claims if self._settings.yes else ():
            if may_delete(store, claim):
                self._progress.findings[store.id] = self._deleted(store, asked[store.id], claim)
        # After a restart each worker has read all that there was, and a DELETE reaches one of them (0.3.5, ogx 1.5.0).
        done = [each for each in claims if self._progress.findings[each[0].id].state is State.DELETED]
        still_listed = {store.id for store in self._survey.stores()} if done else set()
        for store, claim in done:
            if store.id in still_listed:
                self._progress.findings[store.id] = _finding(store, claim, STILL_LISTED)

    def _claim(
        self,
        store: VectorStore,
        seen: Observation,
        targets: Sequence[Target],
        labels: frozenset[str],
    ) -> Claim | None:
        """Return the claim by which a vector store is listed, or None if `prune` does not list it."""
        empty, found = seen.proofs[store.id].empty, candidates(targets, seen.stores)
        if may_delete(store, Orphan(labels, time.time(), empty, with_data=True)):
            return Orphan(labels, time.time(), empty, self._settings.with_data)
        for target in targets:
            stores = found[target.name]
            kept = _kept(target, stores, seen)
            if store in stores and kept is not None:
                spare = Spare(target.name, kept, seen.proofs[kept.id].verdict, time.time(), empty)
                return spare if may_delete(store, spare) else None
        return None

    def _deleted(self, store: VectorStore, target: Target, claim: Claim) -> Finding:
        """Delete a vector store if all is as it was, and return what came of it: somebody may have begun to use it."""
        listed = {each.id: each for each in self._survey.stores()}
        if store.id in listed and (isinstance(claim, Orphan) or claim.kept.id in listed):
            now = replace(claim, empty=self._survey.prove_once(store.id, target).empty)
            if delete(self._server, listed[store.id], now, self._deadline, max_failures=MAX_FAILURES):
                was = _described(store, claim)
                log.info("vector_store.deleted", vector_store_id=store.id, declared_as=store.declared_as, was=was)
                return replace(_finding(store, claim, "deleted"), state=State.DELETED)
        return _finding(store, claim, "kept: it changed during the run; run `prune` again")


def _asked_as(store: VectorStore, providers: Mapping[str, Provider]) -> Target:
    """Return the target by which a vector store is asked what it holds."""
    provider_id = store.provider_id or ""
    dimension = number(store.embedding_dimension) or 0
    model = Model(store.embedding_model or "", None, dimension)
    return Target(store.id, providers.get(provider_id, Provider(provider_id)), model, dimension)


def _check(seen: Observation) -> None:
    """Raise UnavailableError where connections list different vector stores: then no list says what is there."""
    is_same = all(count == seen.connections for count in seen.shown.values())
    if not is_same or seen.has_changed or any(len(versions) > 1 for versions in seen.versions.values()):
        raise UnavailableError(
            "nothing was deleted: workers list different stores, or the list changed during the run; run it again, and "
            "if that repeats, run `register-collections check`"
        )


def _kept(target: Target, stores: Sequence[VectorStore], seen: Observation) -> VectorStore | None:
    """Return the vector store that certainly stays: the oldest, if it is as the file says. Pipelines may have its id.

    Whatever `--on-duplicate` is, no run takes a younger one that is empty.
    """
    live = [each for each in stores if each.id in seen.proofs and seen.proofs[each.id].verdict is not Verdict.LOST]
    return live[0] if live and not differences(target, live[0], seen) else None


def _listed(store: VectorStore, claim: Claim) -> Finding:
    remedy = "`prune --yes` deletes it"
    if not may_delete(store, claim):
        remedy = "`prune --yes --with-data` deletes it with what it holds"
    return _finding(store, claim, remedy)


def _finding(store: VectorStore, claim: Claim, outcome: str) -> Finding:
    return Finding(str(store.declared_as), State.ORPHANED, store.id, f"{_described(store, claim)}; {outcome}")


def _described(store: VectorStore, claim: Claim) -> str:
    made = datetime.fromtimestamp(store.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    files = f"{store.files} file{'s' * (store.files != 1)}" if store.files else ""
    chunks = "chunks" if claim.empty is False else ""
    held = " and ".join(filter(None, (files, chunks)))
    held = f"holds {held}" if held else "empty" if claim.empty else "unknown whether it is empty"
    why = f"a duplicate of {one_line(claim.kept.id, 100)}" if isinstance(claim, Spare) else "declared by no collection"
    return f"{why}, made {made} by run {one_line(str(store.made_by), 8)}: {held}"
