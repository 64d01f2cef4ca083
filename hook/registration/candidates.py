"""Which of the server's vector stores are meant by a collection, and in which order they were made. Pure."""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from hook.domain import Provider, Target, VectorStore

_SERVER_MADE = re.compile(r"vs_[0-9a-f-]{24,36}", re.IGNORECASE)
"""LlamaStack from 0.2.15 on makes up `vs_` and a UUID (POST /v1/vector_stores), and OpenAI `vs_` and hex digits."""


def is_server_made(name: str) -> bool:
    """Tell whether only a server makes up such an id: what has it was made, and maybe filled, by somebody else.

    No other vector store stands for it, and no new one takes its place: that would be an empty one under another id.
    """
    return _SERVER_MADE.fullmatch(name) is not None


def candidates(targets: Iterable[Target], stores: Iterable[VectorStore]) -> dict[str, list[VectorStore]]:
    """Return, for each target's name, the vector stores that have it, or its alias, as their name, or it as their id.

    What this program made under an alias is known by its metadata, also after the alias has changed. A name that only a
    server makes up counts as an id alone.

    They come from the oldest to the newest. The server's list is sorted by second, and within one by the order of
    insertion (every release, GET /v1/vector_stores), so all runs that look at it agree on the first.
    """
    targets = tuple(targets)
    names = {target.name: target.name for target in targets}
    names |= {target.alias: target.name for target in targets if target.alias is not None}
    found: dict[str, list[VectorStore]] = {target.name: [] for target in targets}
    others = (targets[0].declared if targets else frozenset()) - found.keys()
    for store in sorted(stores, key=lambda each: each.created_at):
        if store.id in others or store.declared_as in others:
            continue
        # What is one collection by its id is not another one by its name; and some have no name.
        known = next((key for key in (store.id, store.declared_as) if key in found), None)
        name = known or names.get(store.name or "")
        if name is not None and (store.id == name or not is_server_made(name)):
            found[name].append(store)
    return {name: _prefer_declared_id(name, some) for name, some in found.items()}


def as_listed(target: Target, store: VectorStore) -> Target:
    """Return a target as a candidate has to be asked for it: on its own provider, whose kind says what answers prove.

    After a change of provider in the file, a full one on Milvus may answer as an empty one on faiss does.
    """
    if store.provider_id in (None, target.provider.id):
        return target
    return replace(target, provider=target.providers.get(str(store.provider_id), Provider(str(store.provider_id))))


def _prefer_declared_id(name: str, stores: list[VectorStore]) -> list[VectorStore]:
    """Leave out what others made of the alias's name, where there is one of the declared id, which is meant."""
    if not any(store.id == name for store in stores):
        return stores
    return [store for store in stores if name in (store.id, store.name) or store.made_by is not None]


def unsettled(targets: Iterable[Target], stores: Iterable[VectorStore], settled: AbstractSet[str]) -> set[str]:
    """Return the names that several vector stores have, of which not all are known to stay.

    Runs of the same instant may be about to withdraw some of them.
    """
    found = candidates(targets, stores)
    return {name for name, some in found.items() if len(some) > 1 and not {store.id for store in some} <= settled}


def as_candidates(
    targets: Sequence[Target], stores: Sequence[VectorStore], without: AbstractSet[str] = frozenset()
) -> dict[str, Target]:
    """Return the target of each candidate by its id, as it has to be asked for it; `without` some names."""
    found = candidates(targets, stores)
    wanted = [target for target in targets if target.name not in without]
    return {store.id: as_listed(target, store) for target in wanted for store in found[target.name]}
