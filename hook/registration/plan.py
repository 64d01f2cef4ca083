"""What `register` would do, as `plan` reports it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hook.domain import Finding, State
from hook.registration.decide import Action, Create, Repeat, Withdraw


def planned(actions: Sequence[Action], findings: Mapping[str, Finding]) -> dict[str, Finding]:
    """Return the findings of the collections for which there is something to do.

    One that would be created is planned. Another keeps its state, and its detail says what would be done.
    """
    updated: dict[str, Finding] = {}
    for action in actions:
        target = action.target
        found = updated.get(target.name, findings[target.name])
        if isinstance(action, Create):
            found = replace(found, state=State.PLANNED, id=None, detail=_would_create(action, found))
        elif isinstance(action, Withdraw):
            found = _with_note(found, f"`register` would delete the empty duplicate {action.store.id}")
        elif isinstance(action, Repeat):
            found = _with_note(found, "`register` would send its create again, so that each worker knows it")
        updated[target.name] = found
    return updated


def _would_create(action: Create, found: Finding) -> str:
    target = action.target
    why = "the server does not list it"
    if found.state is State.LOST:
        why = f"{found.id} is lost, and stays as it is"
    where = f"{target.provider.id}, {target.model.id}, {target.embedding_dimension}"
    return f"would create {target.name} on {where}: {why}"


def _with_note(found: Finding, note: str) -> Finding:
    return replace(found, detail=f"{found.detail}; {note}".removeprefix("; "))
