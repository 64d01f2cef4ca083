"""What a run has to do, from what the server has and what was done already. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hook.domain import Finding, Observation, State, Target, VectorStore, Verdict
from hook.llamastack import Release, tells_nothing_when_empty
from hook.registration.candidates import candidates, is_server_made
from hook.registration.deletion import Surplus, may_delete
from hook.registration.journal import Journal, Kept, Refused, Repeated, Sent, Withdrawn

MOST_REPEATS = 2
"""How often a create is repeated for one collection: workers may disagree before this run's creates, and after."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for a collection."""

    target: Target


class Try(Action):
    """Try its provider and model with a throw-away vector store."""


class Create(Action):
    """Create its vector store."""


@dataclass(frozen=True, slots=True)
class Withdraw(Action):
    """Delete a duplicate that a killed run left behind."""

    store: VectorStore
    claim: Surplus


@dataclass(frozen=True, slots=True)
class Repeat(Action):
    """Send the create of what is there once more, so that each worker knows it (up to 0.2.24)."""

    store_id: str
    on_each_connection: bool
    """Whether other workers than the one that answers need it, too."""


def decide(
    targets: Sequence[Target],
    observation: Observation,
    findings: Mapping[str, Finding],
    journal: Journal,
    *,
    release: Release | None,
    may_recreate: bool,
    may_insert: bool,
    replaces: bool,
) -> list[Action]:
    """Return what is to be done, in this order; nothing of it twice in one run.

    `findings` are what the observation says of each target. A lost vector store gets a new one where this run
    `may_recreate`, a trial is made where it `may_insert`, and a create is repeated where the server `replaces`.
    Nothing is created where workers disagree: it would be known to one of them, and a second one of its name would
    follow after a restart. Nothing takes the place of an id that a server made.
    """
    actions: list[Action] = [*_withdrawals(targets, observation, journal)]
    if replaces:
        actions += _repeats(targets, observation, findings, journal)
    wanted = {State.MISSING, State.LOST} if may_recreate else {State.MISSING}
    failed = {each.provider_id for each in journal.unresolved(observation.stores).values()}
    creates = [
        target
        for target in targets
        if findings[target.name].state in wanted
        and not is_server_made(target.name)
        and not ((trial := journal.trial(target)) is not None and trial.reads_only)
        and target.name not in journal.names(Sent)
        and failed.isdisjoint({None, target.provider.id})
        and not observation.workers_disagree
    ]
    if may_insert:
        new = [each for each in creates if tells_nothing_when_empty(each.provider.kind, release)]
        reads = {store_id for store_id, proof in observation.proofs.items() if proof.reads_only}
        unverified = [
            each for each in targets if findings[each.name].unverified and findings[each.name].id not in reads
        ]
        keys = {(each.provider.id, each.model.id): each for each in new + unverified if journal.trial(each) is None}
        if keys:
            # A trial takes its time, and another run may make what is missing: it is asked anew before it is created.
            return [*actions, *map(Try, keys.values())]
    return [*actions, *map(Create, creates)]


def _withdrawals(targets: Sequence[Target], observation: Observation, journal: Journal) -> list[Withdraw]:
    """Return the younger duplicates of what is usable, where this program made all that there are of a name."""
    found, proofs = candidates(targets, observation.stores), observation.proofs
    kept_ids = {event.store.id for event in journal.events if isinstance(event, Kept | Withdrawn)}
    actions = []
    for target in targets:
        live = [store for store in found[target.name] if proofs[store.id].verdict is not Verdict.LOST]
        for store in live[1:] if all(store.made_by is not None for store in live) else ():
            claim = Surplus(live[0], proofs[live[0].id].verdict, proofs[store.id].empty)
            if may_delete(store, claim) and store.id not in kept_ids:
                actions.append(Withdraw(target, store, claim))
    return actions


def _repeats(
    targets: Sequence[Target], observation: Observation, findings: Mapping[str, Finding], journal: Journal
) -> list[Repeat]:
    """Return the creates to send again, where some workers do not know a vector store, or cannot use it.

    Up to 0.2.24 that keeps the data, and is all that sqlite-vec needs after a restart (POST /v1/vector-dbs). Where
    workers hold other chunks, it would let each read what was written last, and forget its own.
    """
    repeated = journal.names(Repeated)
    failed = {*journal.names(Refused), *journal.unresolved(observation.stores)}
    actions = []
    for target in targets:
        finding = findings[target.name]
        if finding.id is None or target.name in failed:
            continue
        is_divided = finding.state is State.DIVIDED and observation.proofs[finding.id].found is None
        most = MOST_REPEATS if is_divided else 1
        if (is_divided or finding.state is State.UNAVAILABLE) and repeated.count(target.name) < most:
            actions.append(Repeat(target, finding.id, on_each_connection=is_divided))
    return actions
