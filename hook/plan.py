"""The decisions: how a collection compares with what the server has.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

from hook import remedies
from hook.domain import Finding, Life, Look, Proof, State, Target, VectorStore
from hook.errors import one_line
from hook.releases import Release
from hook.targets import quoted

SHOWN_FIELDS = ("status", "provider_id", "embedding_model", "embedding_dimension")
"""What the list shows of a vector store, and a collection is compared with."""


def candidates(targets: Iterable[Target], stores: Iterable[VectorStore]) -> dict[str, list[VectorStore]]:
    """Return, for each target's name, the vector stores that have it, or its alias, as their name, or it as their id.

    What this program made under an alias is known by its metadata, whatever the alias is by now. They come in the order
    of the list.
    """
    targets = tuple(targets)
    names = {target.name: target.name for target in targets}
    names |= {target.alias: target.name for target in targets if target.alias is not None}
    found: dict[str, list[VectorStore]] = {target.name: [] for target in targets}
    others = (targets[0].declared if targets else frozenset()) - found.keys()
    for store in stores:
        if store.id in others or store.declared_as in others:
            continue
        # What is one collection by its id is not another one by its name; and some have no name.
        known = next((key for key in (store.id, store.declared_as) if key in found), None)
        name = known or names.get(store.name or "")
        if name is not None:
            found[name].append(store)
    return {name: _meant(name, some) for name, some in found.items()}


def _meant(name: str, stores: list[VectorStore]) -> list[VectorStore]:
    """Leave out what others made of the alias's name, where there is one of the declared id, which is meant."""
    if not any(store.id == name for store in stores):
        return stores
    return [store for store in stores if name in (store.id, store.name) or store.made_by is not None]


def unsettled(targets: Iterable[Target], stores: Iterable[VectorStore], settled: AbstractSet[str]) -> set[str]:
    """Return the names that several vector stores have, of which not all are known to stay.

    Runs of the same instant may be about to take some of them back.
    """
    found = candidates(targets, stores)
    return {name for name, some in found.items() if len(some) > 1 and not {store.id for store in some} <= settled}


def provable(targets: Sequence[Target], settled: AbstractSet[str], stores: Sequence[VectorStore]) -> dict[str, Target]:
    """Return the target of each candidate that shall be proven, by id: all but those that may be taken back."""
    found, skipped = candidates(targets, stores), unsettled(targets, stores, settled)
    return {store.id: target for target in targets if target.name not in skipped for store in found[target.name]}


def plan(
    targets: Iterable[Target], look: Look, *, accept_oldest: bool = False, release: Release | None = None
) -> dict[str, Finding]:
    """Compare each target with the vector stores of its name: what its state is, why, and what to do next.

    `look` has a proof of each candidate. A lost vector store counts only where there is no other one. With
    `accept_oldest`, the oldest of several stands for the collection. What the release does not show cannot differ;
    the detail of a present collection says so. The remedies are those of `release`.
    """
    targets = tuple(targets)
    found = candidates(targets, look.stores)
    return {
        target.name: _compare(target, found[target.name], look, accept_oldest=accept_oldest, release=release)
        for target in targets
    }


def by_age(found: Iterable[VectorStore]) -> list[VectorStore]:
    """Return candidates from the oldest to the newest.

    The server's list is sorted by second, and within one by the order of insertion (every release,
    GET /v1/vector_stores), so all runs that look at it agree on the first.
    """
    return sorted(found, key=lambda store: store.created_at)


def earlier_ones(found: Sequence[VectorStore], own_ids: AbstractSet[str]) -> list[VectorStore]:
    """Return the candidates that came before the first that this run made, from the oldest on."""
    order = by_age(found)
    return order[: next((index for index, store in enumerate(order) if store.id in own_ids), 0)]


def in_order(stores: Iterable[VectorStore], lists: Sequence[Mapping[str, int]]) -> tuple[VectorStore, ...]:
    """Return what several lists show so that all runs have the same order within a name and a second.

    `lists` has, for each, the place of each id. What any list shows side by side has its order: by another one, two
    runs could each take its own back for the other's. Where none tells, since each process lists its own, the id does.
    """
    stores = tuple(stores)
    groups: dict[tuple[str | None, int], dict[str, VectorStore]] = {}
    for store in stores:
        groups.setdefault((store.name, store.created_at), {})[store.id] = store
    ordered = {key: iter(_ids_in_order(some, lists)) for key, some in groups.items()}
    keys = [(store.name, store.created_at) for store in stores]
    return tuple(groups[key][next(ordered[key])] for key in keys)


def _ids_in_order(ids: Iterable[str], lists: Sequence[Mapping[str, int]]) -> list[str]:
    """Return ids in the order that no list contradicts; none may show all, since others come and go meanwhile."""
    in_alphabet = sorted(ids)
    shown = (sorted((each for each in in_alphabet if each in places), key=places.__getitem__) for places in lists)
    pairs = {pair for some in shown for pair in combinations(some, 2)}
    order = TopologicalSorter[str](dict.fromkeys(in_alphabet, ()))
    for earlier, later in pairs:
        if (later, earlier) not in pairs:
            order.add(later, earlier)
    with suppress(CycleError):
        order.prepare()
        found: list[str] = []
        while order.is_active():
            ready = sorted(order.get_ready())
            found += ready
            order.done(*ready)
        return found
    # Three processes, each with an order of its own.
    return in_alphabet


def _compare(
    target: Target, stores: Sequence[VectorStore], look: Look, *, accept_oldest: bool, release: Release | None
) -> Finding:
    stores = sorted(stores, key=lambda store: (store.created_at, store.id))
    proofs = look.proofs
    live = [store for store in stores if proofs[store.id].life is not Life.LOST]
    lost_ids = tuple(store.id for store in stores if proofs[store.id].life is Life.LOST)
    replaced = [each for store in stores if store.id == target.name for each in _differences(target, store, look)]
    if not live and replaced:
        # In the older dialect a create would silently replace it.
        remedy = "correct the configuration, or delete the vector store with its data"
        detail = f"it is lost, and {'; '.join(replaced)}; {remedy}"
        return Finding(target.name, State.DRIFTED, target.name, detail, lost_ids)
    if not live and lost_ids:
        said, remedy = proofs[lost_ids[-1]].detail, remedies.lost(target, release)
        detail = f"the server lists it, but every insert fails ({said}): {remedy}"
        return Finding(target.name, State.LOST, lost_ids[-1], detail, lost_ids)
    if not live:
        return Finding(target.name, State.MISSING, detail="the server does not list it; run `register`")
    if len(live) > 1 and not accept_oldest:
        remedy = remedies.duplicated(*_kept_and_left(live, proofs))
        detail = f"{len(live)} vector stores have this name: {quoted([store.id for store in live])}; {remedy}"
        return Finding(target.name, State.DUPLICATED, None, detail, lost_ids)
    return _judge(target, live, lost_ids, look, release)


def _kept_and_left(live: Sequence[VectorStore], proofs: Mapping[str, Proof]) -> tuple[str, list[str], bool]:
    """Return the id that is kept, those that can go, and whether they certainly hold nothing.

    Where none is in use, the oldest is kept; where several are, nothing can go. What nobody can tell of can go only
    where a run of this program made it.
    """
    for certain in (True, False):
        left = [store for store in live if store.files == 0 and _may_be_empty(store, proofs[store.id], certain)]
        kept = [store for store in live if store not in left] or [left.pop(0)]
        if len(kept) == 1:
            return kept[0].id, [store.id for store in left], certain
    return "", [], False


def _may_be_empty(store: VectorStore, proof: Proof, certain: bool) -> bool:
    unknown = not certain and proof.empty is None and store.made_by is not None
    return bool(proof.empty) or (unknown and proof.life in (Life.ALIVE, Life.UNDECIDED))


def _judge(
    target: Target, live: Sequence[VectorStore], lost_ids: tuple[str, ...], look: Look, release: Release | None
) -> Finding:
    """Return the finding for the oldest of the vector stores that are not lost."""
    store, proof = live[0], look.proofs[live[0].id]
    if proof.life is Life.REFUSED:
        return Finding(target.name, State.REJECTED, store.id, f"a proof is refused: {proof.detail}", lost_ids)
    differences = _differences(target, store, look)
    if proof.embedding_dimension not in (None, target.embedding_dimension):
        differences.append(f"inserts want vectors of {proof.embedding_dimension}, not {target.embedding_dimension}")
    if differences:
        remedy = "correct the configuration, or delete the vector store with its data and run `register`"
        detail = f"{'; '.join(differences)}; {remedy}"
        return Finding(target.name, State.DRIFTED, store.id, detail, lost_ids)
    if proof.life is Life.DEAD:
        return Finding(target.name, State.UNAVAILABLE, store.id, proof.detail, lost_ids)
    if proof.life is Life.DIVIDED and proof.found is not None:
        detail = f"{proof.detail}: {remedies.unshared(target)}"
        return Finding(target.name, State.DIVIDED, store.id, detail, lost_ids)
    unlisted = look.connections - look.shown.get(store.id, look.connections)
    if proof.life is Life.DIVIDED or (unlisted and proof.life is Life.UNDECIDED and proof.costly):
        known = proof.detail if proof.life is Life.DIVIDED else f"{unlisted} of {look.connections} do not list it"
        detail = (
            f"some of the server's processes know it and others do not ({known}). {remedies.divided(target, release)}"
        )
        return Finding(target.name, State.DIVIDED, store.id, detail, lost_ids)
    notes = _notes(store, proof, live[1:], lost_ids)
    if unlisted:
        notes.append(f"inserts and queries work, but {unlisted} of {look.connections} connections do not list it")
    unproven = proof.life is Life.UNDECIDED or proof.blind
    return Finding(target.name, State.PRESENT, store.id, "; ".join(notes), lost_ids, unproven=unproven)


def _notes(store: VectorStore, proof: Proof, others: Sequence[VectorStore], lost_ids: Sequence[str]) -> list[str]:
    """Return what is remarkable about a vector store that is accepted."""
    notes = []
    if others:
        notes.append(f"the oldest of {len(others) + 1}; the others are {quoted([other.id for other in others])}")
    if lost_ids:
        notes.append(f"lost and left alone: {quoted(lost_ids)}")
    if proof.life is Life.UNDECIDED:
        notes.append(
            "that inserts and queries work cannot be proven: this release answers the same of a vector store without "
            "a chunk as of one whose backend does not answer"
        )
    if proof.failure:
        notes.append(f"1 request failed, and worked when it was repeated ({proof.failure})")
    if proof.blind:
        notes.append(
            "that queries find what is inserted cannot be proven: one finds nothing here, and that may be so of a full "
            "vector store on this release and provider"
        )
    hidden = [
        name for name in ("provider_id", "embedding_model", "embedding_dimension") if getattr(store, name) is None
    ]
    if hidden:
        notes.append(f"the server does not show its {', '.join(hidden)}")
    return notes


def _differences(target: Target, store: VectorStore, look: Look) -> list[str]:
    """Compare what each process shows; its metadata can be replaced by anyone, but a difference is always a fault."""
    models = [name for name in (target.model.id, target.model.resource_id) if name is not None]
    wanted = (["completed"], [target.provider.id], models, [str(target.embedding_dimension)])
    differences = []
    for version in look.versions.get(store.id, (store,)):
        for name, right in zip(SHOWN_FIELDS, wanted, strict=True):
            found = getattr(version, name)
            if found is not None and found not in right:
                differences.append(f"{name} is '{one_line(found, 100)}', not '{right[0]}'")
    return list(dict.fromkeys(differences))
