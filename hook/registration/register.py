"""What a run writes: vector stores that are missing or lost, and what has to be tried to prove them."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hook.cli.settings import Settings
from hook.deadline import Deadline, sleep
from hook.domain import Finding, Life, Look, Proof, State, Target, VectorStore
from hook.errors import HookError, RefusedError, UnavailableError
from hook.llamastack.api import MAX_FAILURES, LlamaStack
from hook.llamastack.verdicts import SHOWS_EMPTINESS, is_own_failure
from hook.logs import log
from hook.registration import remedies
from hook.registration.create import Creator
from hook.registration.trial import Canary
from hook.retry import retry
from hook.survey.processes import Processes

LAG_SECONDS = 30.0
"""How far a list may be behind, as one that is read from a replica of the server's database."""
LAG_PAUSE_SECONDS = 0.5
LATELY_SECONDS = 3600.0
"""How long ago another run may have made what is tried as if this one had: this may be its Job's next try."""
_OTHERS = "the server's processes know different vector stores, and what is made now would be known to one"
_UNDONE = {
    State.MISSING: f"no process of the server lists it, and it is not registered: {_OTHERS}",
    State.LOST: f"the server lists it, but every insert fails, and it is not made anew: {_OTHERS}",
}


class Registrar:
    """Writes, and remembers what it wrote and what failed."""

    def __init__(
        self,
        server: LlamaStack,
        processes: Processes,
        creator: Creator,
        deadline: Deadline,
        asked: Settings,
    ) -> None:
        self._server = server
        self._processes = processes
        self._creator = creator
        self._deadline = deadline
        self._asked = asked
        self._ids: dict[str, str] = {}
        """By name, what this run registered."""
        self._has_sent = False
        self._failed: set[str] = set()
        self._repeated: set[str] = set()
        self._canaries: dict[tuple[str, str], Proof | None] = {}
        """By provider and model, what the throw-away vector store proved."""
        self._targets: dict[str, Target] = {}
        """By id, the target of what this run registered."""
        self._found_lately: dict[str, Target] = {}
        """The same of what an earlier run has made, and could not prove."""
        self._unlisted_ids: set[str] = set()
        """What of that the last list does not show."""

    def repeat_creates(self, targets: Sequence[Target], look: Look, findings: dict[str, Finding]) -> bool:
        """Send the same create again where some processes do not know a vector store, or cannot use it.

        Up to 0.2.24 it keeps the data, and is all that sqlite-vec needs after a restart (POST /v1/vector-dbs). Newer
        releases would make another vector store: there it does nothing. Returns whether anything was sent.
        """
        divided = [target for target in targets if findings[target.name].state is State.DIVIDED]
        # Where processes hold other chunks, a create lets each read what was written last, and forget its own.
        divided = [target for target in divided if look.proofs[str(findings[target.name].id)].found is None]
        dead = [target for target in targets if findings[target.name].state is State.UNAVAILABLE]
        dead = [target for target in dead if target.name not in self._failed | self._repeated]
        if not self._server.replaces or not divided + dead:
            return False
        self._repeated |= {target.name for target in dead}
        for turn in range(self._processes.connections if divided else 1):
            retry(self._processes.shift, self._deadline, "request.retry_scheduled")
            for target in [*divided, *(dead if turn == 0 else [])]:
                with suppress(HookError):
                    # Under the id that it has, which may be the alias: another one would be a second one.
                    there = replace(target, name=str(findings[target.name].id))
                    create = partial(self._server.create_vector_store, there)
                    retry(create, self._deadline, "create.retry_scheduled", max_failures=MAX_FAILURES)
        log.info("collections.registered_anew", collections=[target.name for target in divided + dead])
        return True

    def create(self, targets: Sequence[Target], look: Look, findings: dict[str, Finding]) -> bool:
        """Create what the findings ask for, and return whether anything was sent. Raises UnavailableError.

        Also where each of them failed, time has passed, and the server may have restarted.
        """
        self._creator.found_ids = {store.id for store in look.stores}
        wanted = {State.MISSING, State.LOST} if self._asked.recreate_lost else {State.MISSING}
        if any(proof.life is Life.DIVIDED for proof in look.proofs.values()):
            # What is made here is known to one process, and makes a second one of its name after a restart.
            for name, finding in findings.items():
                if finding.state in wanted:
                    findings[name] = replace(finding, detail=_UNDONE[finding.state])
            return False
        dead_providers: dict[str, str] = {}
        for target in targets:
            found = findings[target.name]
            if found.state in wanted:
                findings[target.name] = Finding(target.name, State.UNKNOWN, detail="its registration was begun")
                findings[target.name] = self._register(target, found.lost_ids, dead_providers)
        if self._asked.prove_write:
            self._found_lately = self._made_lately(targets, look, findings)
            self._try_canaries()
        return self._has_sent or bool(self._canaries)

    def has_failed(self, target: Target) -> bool:
        """Tell whether the create of a target failed, so that its finding stands."""
        return target.name in self._failed

    def look_until_listed(self, look: Callable[[], Look], give_way: Callable[[], None]) -> Look:
        """Return a look, as soon as no create can take place any more, and the list shows what was made.

        The other runs of this instant wait until what is too many is gone, so that is taken back while it waits.
        Raises UnavailableError where the budget ends before that.
        """
        # What failed is no success in any case, and was told with its cause.
        self._creator.wait_for_late_ones(self._ids, give_way)
        # The last look needs time, too, so that the message can say what is missing.
        lag = Deadline(min(LAG_SECONDS, self._deadline.remaining() / 2))
        while True:
            found = look()
            # What was found in a list, after a create without an answer, may be another run's, and taken back by it.
            made = set(self._targets) & set(self._creator.own_ids.values())
            self._unlisted_ids = made - {store.id for store in found.stores} - self._creator.deleted_ids
            if not self._unlisted_ids or lag.remaining() == 0:
                return found
            sleep(LAG_PAUSE_SECONDS)

    def leave_none_too_many(self, give_way: Callable[[], None]) -> None:
        """Take back what this run made too many, or still makes, since no look comes any more that would show it."""
        with suppress(HookError):
            self._creator.wait_for_late_ones(self._ids, give_way)
            give_way()

    def verified(self, findings: Mapping[str, Finding]) -> dict[str, Finding]:
        """Return the findings of the look after the last write, told of what this run registered."""
        return {name: self._verified(finding, self._ids.get(name)) for name, finding in findings.items()}

    def with_canaries(self, look: Look) -> Look:
        """Return the look with the proof of the throw-away vector store for what is new and nobody can tell."""
        told = {}
        for store_id, target in {**self._found_lately, **self._targets}.items():
            canary = self._canaries.get((target.provider.id, target.model.id))
            proof = look.proofs.get(store_id)
            if canary is None or proof is None or not (proof.life is Life.UNDECIDED or proof.blind):
                continue
            told[store_id] = replace(proof, blind=False) if proof.life is canary.life else canary
        return replace(look, proofs={**look.proofs, **told})

    def _register(self, target: Target, lost_ids: Sequence[str], dead_providers: dict[str, str]) -> Finding:
        """Create the vector store of a collection, whose state stays unknown until the list was read again.

        A provider that fails at one create is not asked for another, each of which may leave something behind.
        Raises UnavailableError if the server stops answering.
        """
        failure = dead_providers.get(target.provider.id)
        if failure is not None:
            self._failed.add(target.name)
            return Finding(target.name, State.UNAVAILABLE, detail=failure)
        self._has_sent = True
        try:
            store = self._creator.create(target, lost_ids)
        except RefusedError as error:
            self._failed.add(target.name)
            return Finding(target.name, State.REJECTED, detail=str(error))
        except UnavailableError as error:
            if not is_own_failure(error):
                raise UnavailableError(f"'{target.name}' is not registered: {error}") from error
            self._failed.add(target.name)
            remedy = remedies.failed_backend(target, self._server.release)
            why = f"since the provider '{target.provider.id}' fails: {error}"
            failure = f"it is not registered, {why}; {remedy}, then run the hook again"
            dead_providers[target.provider.id] = failure
            return Finding(target.name, State.UNAVAILABLE, detail=failure)
        log.info("collection.registered", collection=target.name, vector_store_id=store.id)
        self._ids[target.name] = store.id
        self._targets[store.id] = target
        # Not as its id, which nobody may use before it is verified: it may be taken back until then.
        detail = f"it was registered as '{store.id}', but not verified any more"
        return Finding(target.name, State.UNKNOWN, detail=detail)

    def _try_canaries(self) -> None:
        """Try a throw-away vector store for what was made, where its own answers cannot tell whether it works."""
        for store_id, target in {**self._targets, **self._found_lately}.items():
            key = (target.provider.id, target.model.id)
            if target.provider.kind in SHOWS_EMPTINESS or key in self._canaries:
                continue
            proof = self._processes.prove_once(store_id, target)
            if proof.timed_out:
                # It would hang for each of the others, too.
                self._canaries[key] = None
            elif proof.life is Life.UNDECIDED or proof.blind:
                canary = Canary(self._server, self._deadline)
                found = self._canaries[key] = canary.prove(target)
                if found is not None and found.life is Life.ALIVE:
                    canary.sweep(target)

    def _made_lately(self, targets: Sequence[Target], look: Look, findings: Mapping[str, Finding]) -> dict[str, Target]:
        """Return, by id, the target of each vector store that an earlier run has made and only a trial proves.

        That run has failed, maybe for what its throw-away vector store has shown, and was not the last of its Job.
        Later nothing more is tried: each trial costs the server something, and the report says that nothing is proven.
        """
        found = {finding.id: target for target in targets if (finding := findings[target.name]).unproven}
        return {
            store.id: target
            for store in look.stores
            if (target := found.get(store.id)) is not None
            and store.made_by is not None
            and _age_seconds(store) < LATELY_SECONDS
        }

    def _verified(self, found: Finding, registered_id: str | None) -> Finding:
        """Return the finding of the last look, for a collection that this run registered under this id."""
        if registered_id is None or found.state not in (State.PRESENT, State.MISSING):
            return found
        if found.state is State.MISSING and registered_id in self._creator.deleted_ids:
            detail = f"this run took its '{registered_id}' back for another run's, which is gone, too; run it again"
            return replace(found, detail=detail)
        if registered_id in self._unlisted_ids:
            detail = (
                f"the server answered that it was created as '{registered_id}', and its list has not shown that yet: "
                "look at its log, then run the hook again"
            )
            return replace(found, state=State.UNKNOWN, id=registered_id, detail=detail)
        if found.state is State.MISSING:
            detail = f"the server created '{registered_id}', but does not list it under this name; see its log"
            return replace(found, id=registered_id, detail=detail)
        return replace(found, state=State.REGISTERED) if found.id == registered_id else found


def _age_seconds(store: VectorStore) -> float:
    return time.time() - store.created_at if store.age_seconds is None else store.age_seconds
