"""What this run did to the server, in order: its only memory of that. The questions are pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from hook.domain import Proof, Target, VectorStore


@dataclass(frozen=True, slots=True)
class Event:
    """Something that this run did for a collection."""

    name: str


class Sent(Event):
    """A create was sent."""


class Repeated(Event):
    """A create was sent again for a vector store that is there (up to 0.2.24, where that changes nothing)."""


@dataclass(frozen=True, slots=True)
class _WithStore(Event):
    store: VectorStore


class Created(_WithStore):
    """The server answered a create."""


class Withdrawn(_WithStore):
    """A vector store was deleted in favour of another one of its collection."""


class Kept(_WithStore):
    """A duplicate was to be deleted, and was not: it is in use by now, or the server refused."""


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """The server refused a create: it made nothing, and never will."""

    cause: str


@dataclass(frozen=True, slots=True)
class Unclear(Event):
    """A create got no clear answer, so it may have taken place, or may still do so."""

    cause: str
    until_seconds: float
    """Until when the server may still carry it out, in seconds since the start of the run."""
    provider_id: str | None
    """The provider that failed, as the server itself said; None where the server did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Tried(Event):
    """A provider and a model were tried with a throw-away vector store."""

    key: tuple[str, str]
    """The ids of both."""
    proof: Proof


@dataclass(slots=True)
class Journal:
    """The events of one run; it only ever grows."""

    run_id: str
    """By which the metadata of a vector store say that this run made it."""
    events: list[Event] = field(default_factory=list)
    preexisting_ids: AbstractSet[str] = frozenset()
    """What was listed before the first create. These are never ours, even if the answer to a create names one."""

    def add(self, event: Event) -> None:
        """Note what has just happened."""
        self.events.append(event)

    def created(self) -> dict[str, VectorStore]:
        """Return, by name, what the server answered to the creates."""
        return {event.name: event.store for event in self.events if isinstance(event, Created)}

    def withdrawn(self) -> set[str]:
        """Return the ids of what was deleted in favour of another one."""
        return {event.store.id for event in self.events if isinstance(event, Withdrawn)}

    def refused(self) -> dict[str, Refused]:
        """Return, by name, the creates that the server refused."""
        return {event.name: event for event in self.events if isinstance(event, Refused)}

    def names(self, kind: type[Event]) -> list[str]:
        """Return the collections that events of a kind are about, in their order."""
        return [event.name for event in self.events if isinstance(event, kind)]

    def trial(self, target: Target) -> Proof | None:
        """Return what a throw-away vector store proved of a target's provider and model; None where none was tried."""
        tried = {each.key: each.proof for each in self.events if isinstance(each, Tried)}
        return tried.get((target.provider.id, target.model.id))

    def is_ours(self, store: VectorStore) -> bool:
        """Tell whether this run certainly made a vector store, and has not deleted it."""
        is_known = store.id in self.preexisting_ids
        return store.made_by == self.run_id and not is_known and store.id not in self.withdrawn()

    def made_at(self, name: str, found: Iterable[VectorStore]) -> int | None:
        """Return when this run made its vector store of a collection, by the server's clock; withdrawn or not.

        `found` is what the server lists for that collection.
        """
        own = [store for store in found if self.is_ours(store)]
        own += [event.store for event in self._own_withdrawn() if event.name == name]
        return min((store.created_at for store in own), default=None)

    def unlisted_ids(self, stores: Iterable[VectorStore]) -> set[str]:
        """Return the ids that the server answered to this run's creates, and that its list does not show."""
        return {store.id for store in self.created().values()} - {store.id for store in stores} - self.withdrawn()

    def _own_withdrawn(self) -> list[Withdrawn]:
        withdrawn = (event for event in self.events if isinstance(event, Withdrawn))
        return [event for event in withdrawn if event.store.made_by == self.run_id]

    def unresolved(self, stores: Iterable[VectorStore]) -> dict[str, Unclear]:
        """Return, by name, the creates without a clear answer whose result was never listed."""
        stores = tuple(stores)
        shown = {name for store in stores if self.is_ours(store) for name in (store.declared_as, store.name)}
        # Up to 0.2.24 there are no metadata, and the id is the name.
        shown |= {store.id for store in stores} - self.preexisting_ids
        shown |= {event.name for event in self._own_withdrawn()}
        unclear = (event for event in self.events if isinstance(event, Unclear))
        return {event.name: event for event in unclear if event.name not in shown}
