"""What came of each collection, in one word and one sentence. Pure; remedies are named here and nowhere below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hook.domain import Finding, Observation, Proof, State, Target, VectorStore, Verdict
from hook.errors import one_line
from hook.llamastack import Release
from hook.registration import duplicates, remarks, remedies
from hook.registration.candidates import candidates, is_server_made
from hook.registration.journal import Journal, Sent, Unclear


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges by what the settings ask for, and by the server's release."""

    release: Release | None = None
    on_duplicate: str = "fail"
    """Which of several vector stores of one name stands for the collection: the `oldest`, or the `filled` one."""
    fail_unverified: bool = False
    """Whether what could not be verified is a failure."""
    now_seconds: float = 0.0
    """The time since the start of the run."""
    recreates: bool = False
    """Whether a lost vector store is replaced by a new one."""
    is_register: bool = False
    """Whether `register` judges, which has made its own attempt to verify everything."""

    def findings(self, targets: Sequence[Target], observation: Observation, journal: Journal) -> dict[str, Finding]:
        """Return what is known of each target, why, and what to do next.

        The observation has a proof of each candidate. A lost vector store counts only where there is no other one. What
        the release does not show cannot differ; the detail of a present collection says so.
        """
        found = candidates(targets, observation.stores)
        listed = {store.id: store for store in observation.stores}
        unresolved = journal.unresolved(observation.stores)
        findings = {}
        for target in targets:
            stores = found[target.name]
            seen = _with_trial(observation, stores, journal.trial(target))
            finding = self._with_this_run(target, self._compare(target, stores, seen), listed, unresolved, journal)
            if finding.state is State.REGISTERED and (said := seen.proofs[str(finding.id)].reads_only):
                finding = replace(
                    finding, state=State.REJECTED, detail=f"{_created_as(finding.id)}; {_never_filled(said)}"
                )
            findings[target.name] = finding
        return findings

    def _with_this_run(
        self,
        target: Target,
        found: Finding,
        listed: Mapping[str, VectorStore],
        unresolved: Mapping[str, Unclear],
        journal: Journal,
    ) -> Finding:
        """Return the finding with what this run did about the collection; `listed` is all that the server shows."""
        made, trial = journal.created().get(target.name), journal.trial(target)
        own = unresolved.get(target.name)
        is_withdrawn = made is not None and made.id in journal.withdrawn()
        if found.state not in (State.PRESENT, State.MISSING, State.LOST):
            return found
        if found.state is not State.PRESENT and is_server_made(target.name):
            return found
        if made is not None and made.id not in listed and not is_withdrawn:
            detail = f"{_created_as(made.id)}, and the list does not show it: see the server's log, then run it again"
            return replace(found, state=State.UNKNOWN, id=made.id, detail=detail)
        if own is not None and (own.until_seconds > self.now_seconds or found.state is not State.PRESENT):
            return self._failed(target, found, own)
        if found.state is State.PRESENT:
            is_ours = (made is not None and made.id == found.id) or journal.is_ours(listed[str(found.id)])
            return replace(found, state=State.REGISTERED) if is_ours else found
        if found.state is State.LOST and (made is not None or not self.recreates):
            return found
        if made is not None:
            what = "but the list does not show it under this name: see the server's log"
            if is_withdrawn:
                what = "and deleted in favour of another run's store, which has since disappeared; run it again"
            return replace(found, id=None if is_withdrawn else made.id, detail=f"{_created_as(made.id)}, {what}")
        if (refused := journal.refused().get(target.name)) is not None:
            return replace(found, state=State.REJECTED, detail=refused.cause)
        failures = (each for each in unresolved.values() if each.provider_id in (None, target.provider.id))
        if (failure := next(failures, None)) is not None:
            return self._failed(target, found, failure)
        if trial is not None and trial.reads_only:
            return replace(found, state=State.REJECTED, detail=f"not created: {_never_filled(trial.reads_only)}")
        if trial is not None and trial.verdict in (Verdict.DEAD, Verdict.REFUSED):
            state = State.REJECTED if trial.verdict is Verdict.REFUSED else State.UNAVAILABLE
            return replace(found, state=state, detail=f"not created: {trial.detail}")
        return found

    def _failed(self, target: Target, found: Finding, failure: Unclear) -> Finding:
        """Return the finding where a create failed, be it this collection's own or one before it."""
        if failure.provider_id is not None and failure.until_seconds <= self.now_seconds:
            remedy = remedies.failed_backend(target, self.release)
            detail = f"not created: the provider '{target.provider.id}' fails ({failure.cause}); {remedy}"
            return replace(found, state=State.UNAVAILABLE, id=None, detail=detail)
        what = "the outcome of its create is unknown"
        if failure.name != target.name:
            what = "not created, since the outcome of another create is unknown"
        return replace(found, state=State.UNKNOWN, id=None, detail=f"{what} ({failure.cause}); run it again")

    def _compare(self, target: Target, stores: Sequence[VectorStore], seen: Observation) -> Finding:
        proofs = seen.proofs
        live = [store for store in stores if proofs[store.id].verdict is not Verdict.LOST]
        lost_ids = tuple(store.id for store in stores if proofs[store.id].verdict is Verdict.LOST)
        own = [store for store in stores if store.id == target.name]
        replaced = [each for store in own for each in remarks.differences(target, store, seen)]
        if not live and replaced:
            # In the older dialect a create would silently replace it.
            remedy = "correct the configuration, or delete the vector store with its data"
            detail = f"it is lost, and {'; '.join(replaced)}; {remedy}"
            return Finding(target.name, State.DRIFTED, target.name, detail, lost_ids)
        if not live and lost_ids:
            said, remedy = proofs[lost_ids[-1]].detail, remedies.lost(target, self.release)
            remedy = remedies.NOT_CREATED if seen.workers_disagree else remedy
            detail = f"the server lists it, but every insert fails ({said}): {remedy}"
            return Finding(target.name, State.LOST, lost_ids[-1], detail, lost_ids)
        if not live and is_server_made(target.name):
            return Finding(target.name, State.MISSING, detail=remedies.server_made(target, seen.stores))
        if not live:
            remedy = remedies.NOT_CREATED if seen.workers_disagree else "run `register`"
            return Finding(target.name, State.MISSING, detail=f"the server does not list it; {remedy}")
        taken = duplicates.chosen(live, proofs, self.on_duplicate)
        if taken is None:
            remedy = duplicates.remedy(live, proofs, target.name)
            detail = f"{len(live)} vector stores have this name: {duplicates.described(live, proofs)}; {remedy}"
            return Finding(target.name, State.DUPLICATED, None, detail, lost_ids)
        note = duplicates.note(live, proofs, self.on_duplicate, taken) if len(live) > 1 else ""
        return self._judge(target, taken, note, lost_ids, seen)

    def _judge(
        self, target: Target, store: VectorStore, note: str, lost_ids: tuple[str, ...], seen: Observation
    ) -> Finding:
        """Return the finding for the vector store that stands for the collection, `note` saying why that one."""
        proof = seen.proofs[store.id]
        finding = Finding(target.name, State.PRESENT, store.id, "", lost_ids)
        if proof.verdict is Verdict.REFUSED:
            return replace(
                finding, state=State.REJECTED, detail=f"the server refused a test insert or query: {proof.detail}"
            )
        differences = remarks.differences(target, store, seen)
        if proof.embedding_dimension not in (None, target.embedding_dimension):
            differences.append(f"inserts expect length {proof.embedding_dimension}, not {target.embedding_dimension}")
        if differences:
            remedy = "correct the configuration, or delete the vector store with its data and run `register`"
            return replace(finding, state=State.DRIFTED, detail=f"{'; '.join(differences)}; {remedy}")
        if proof.verdict is Verdict.DEAD:
            return replace(finding, state=State.UNAVAILABLE, detail=proof.detail)
        if proof.verdict is Verdict.DIVIDED and proof.found is not None:
            return replace(finding, state=State.DIVIDED, detail=f"{proof.detail}: {remedies.unshared(target)}")
        unlisted = remarks.unlisted(store, seen)
        if proof.verdict is Verdict.DIVIDED or (unlisted and proof.verdict is Verdict.UNDECIDED and proof.costly):
            known = proof.detail if proof.verdict is Verdict.DIVIDED else unlisted
            remedy = remedies.divided(target, self.release)
            detail = f"some of the server's workers know it and others do not ({known}). {remedy}"
            return replace(finding, state=State.DIVIDED, detail=detail)
        notes = [*filter(None, [note]), *remarks.notes(store, proof, lost_ids, is_register=self.is_register)]
        if unlisted:
            notes.append(f"inserts and queries work, but {unlisted}")
        unverified = proof.verdict is Verdict.UNDECIDED or proof.blind
        # No write could verify what takes none.
        fails = unverified and self.fail_unverified and not proof.reads_only
        state = State.UNKNOWN if fails else State.PRESENT
        return replace(finding, state=state, detail="; ".join(notes), unverified=unverified)


def unfinished(findings: Mapping[str, Finding], journal: Journal) -> dict[str, Finding]:
    """Return the findings of a run that ended before its last observation: nothing that it wrote is verified."""
    updated = dict(findings)
    created, refused = journal.created(), journal.refused()
    causes = {event.name: event.cause for event in journal.events if isinstance(event, Unclear)}
    for name in journal.names(Sent):
        if name in refused:
            updated[name] = Finding(name, State.REJECTED, detail=refused[name].cause)
            continue
        # Not as its id, which nobody may use before it is verified: it may be withdrawn until then.
        store = created.get(name)
        what = f"its create got no clear answer ({causes[name]})" if name in causes else "its create was sent"
        if store is not None:
            what = _created_as(store.id)
        updated[name] = Finding(name, State.UNKNOWN, detail=f"{what}; the run ended before it could be verified")
    return updated


def _with_trial(seen: Observation, stores: Sequence[VectorStore], trial: Proof | None) -> Observation:
    """Return the observation with the proof of the throw-away vector store for what its own answers cannot tell."""
    if trial is None or (trial.verdict is Verdict.UNDECIDED and not trial.reads_only):
        return seen
    updated = {}
    for store in stores:
        proof = seen.proofs[store.id]
        # What is proven on few connections, and not listed on each, may be unknown to a worker.
        is_sure = not (proof.costly and remarks.unlisted(store, seen))
        if trial.reads_only:
            updated[store.id] = replace(proof, reads_only=trial.reads_only)
        elif proof.blind or (proof.verdict is Verdict.UNDECIDED and is_sure):
            updated[store.id] = replace(proof, blind=False) if proof.verdict is trial.verdict else trial
    return replace(seen, proofs={**seen.proofs, **updated})


def _created_as(store_id: str | None) -> str:
    return f"created as {one_line(str(store_id), 100)}"


def _never_filled(said: str) -> str:
    return f"its provider takes no inserts ({said}), so nobody could fill a new one; set another provider_id"
