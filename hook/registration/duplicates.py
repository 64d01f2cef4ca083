"""Several vector stores of one name: what each holds, which one stands for the collection, and what to do. Pure."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from hook.domain import Proof, VectorStore
from hook.errors import one_line

MOST_DESCRIBED = 6
"""How many vector stores of one name are described."""
_HELD = {True: "holds data", False: "holds nothing", None: "unknown whether it holds data"}

Stores = Sequence[VectorStore]
Proofs = Mapping[str, Proof]


def chosen(live: Stores, proofs: Proofs, on_duplicate: str) -> VectorStore | None:
    """Return which of several vector stores, the oldest first, stands for the collection; None where that is open.

    `filled` takes the one that holds chunks or files, and the oldest where none does. What may hold some counts, since
    another one would take its place.
    """
    if on_duplicate == "filled":
        used = _used(live, proofs)
        return (used or live)[0] if len(used) < 2 else None
    return live[0] if on_duplicate == "oldest" or len(live) == 1 else None


def described(live: Stores, proofs: Proofs) -> str:
    """Return when and by what each was made, and whether it holds something."""
    said = []
    for store in live[:MOST_DESCRIBED]:
        maker = "something else" if store.made_by is None else "this program"
        held = _HELD[_holds(store, proofs[store.id])]
        said.append(f"{one_line(store.id, 100)} (made {_when(store)} by {maker}, {held})")
    more = [f"and {len(live) - MOST_DESCRIBED} more"] if len(live) > MOST_DESCRIBED else []
    return ", ".join(said + more)


def note(live: Stores, proofs: Proofs, on_duplicate: str, taken: VectorStore) -> str:
    """Return what is said of a vector store that was chosen among several."""
    which = "the oldest" if taken is live[0] else "the filled one"
    filled = chosen(live, proofs, "filled")
    hint = (
        "" if on_duplicate != "oldest" or filled in (None, taken) else "; HOOK_ON_DUPLICATE=filled would use the other"
    )
    return f"{which} of {len(live)} is used: {described(live, proofs)}{hint}"


def remedy(live: Stores, proofs: Proofs, name: str) -> str:
    """Return what to do where none of them is chosen. What may hold data is never to be deleted."""
    used = _used(live, proofs)
    empty = [one_line(store.id, 100) for store in live if store not in used]
    if not used:
        return (
            f"all are empty: set HOOK_ON_DUPLICATE=oldest, which uses {empty[0]}, or {_delete(empty[1:], 'the others')}"
        )
    if len(used) == 1:
        return f"set HOOK_ON_DUPLICATE=filled, which uses {one_line(used[0].id, 100)}, or {_delete(empty)}"
    declare = f"find out which one is meant, and declare its id, with vector_store_name: {one_line(name, 100)}"
    return f"{declare}; {_delete(empty)}" if empty else declare


def _delete(ids: Sequence[str], which: str = "the empty ones") -> str:
    return f"delete {which}: {', '.join(ids)} (DELETE /v1/vector_stores/ID)"


def _used(live: Stores, proofs: Proofs) -> list[VectorStore]:
    """Return those that hold something, or may do so."""
    return [store for store in live if _holds(store, proofs[store.id]) is not False]


def _holds(store: VectorStore, proof: Proof) -> bool | None:
    """Return whether a vector store holds a chunk or a file; None where the server does not tell."""
    return True if store.files else None if proof.empty is None else not proof.empty


def _when(store: VectorStore) -> str:
    with suppress(ValueError, OverflowError, OSError):
        if store.created_at > 0:
            return datetime.fromtimestamp(store.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return "at an unknown time"
