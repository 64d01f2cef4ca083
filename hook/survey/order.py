"""What several lists show, in one order, and what of it they may show differently. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

from hook.domain import VectorStore

SHOWN_FIELDS = ("status", "provider_id", "embedding_model", "embedding_dimension")
"""What the list shows of a vector store, and a collection is compared with."""


def in_order(stores: Iterable[VectorStore], lists: Sequence[Mapping[str, int]]) -> tuple[VectorStore, ...]:
    """Return what several lists show so that all runs have the same order within a name and a second.

    `lists` has, for each, the place of each id. What any list shows side by side has its order: by another one, two
    runs could each withdraw its own for the other's. Where none tells, since each worker lists its own, the id does.
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
    # Three workers, each with an order of its own.
    return in_alphabet
