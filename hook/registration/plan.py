"""The decisions: how a collection compares with what the server has.

Everything here is a pure function of frozen values; nothing here reads, sends or waits.
"""

from collections.abc import Iterable, Mapping, Sequence

from hook.domain import Finding, Life, Look, Proof, State, Target, VectorStore
from hook.errors import one_line
from hook.llamastack.releases import Release
from hook.registration import remedies
from hook.registration.candidates import candidates
from hook.registration.resolve import quoted
from hook.survey.order import SHOWN_FIELDS


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
