"""What `register` would do, as `plan` reports it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hook.domain import Finding, State
from hook.registration.decide import Action, Create, Withdraw


def planned(actions: Sequence[Action], findings: Mapping[str, Finding]) -> dict[str, Finding]:
    """Return the findings of a run that only plans, with what `register` would do.

    One that would be created is planned. Another keeps its state, and its detail says what would be done.
    """
    updated = dict(findings)
    for action in actions:
        target, found = action.target, updated[action.target.name]
        if isinstance(action, Create):
            why = "the server does not list it"
            if found.state is State.LOST:
                why = f"{found.id} is lost, and stays as it is"
            where = f"{target.provider.id}, {target.model.id}, {target.embedding_dimension}"
            would = f"would create {target.name} on {where}: {why}"
            updated[target.name] = replace(found, state=State.PLANNED, id=None, detail=would)
            continue
        would = "`register` would send its create again, so that each worker knows it"
        if isinstance(action, Withdraw):
            would = f"`register` would delete the empty duplicate {action.store.id}"
        updated[target.name] = replace(found, detail=f"{found.detail}; {would}".removeprefix("; "))
    return updated
