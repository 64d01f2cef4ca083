"""Names, ids and the server's address are data, and shown as they are: masked, they would be no addresses."""

from dataclasses import replace

from hook.domain import GOOD_STATES, Finding, State
from hook.secrets import holds_secret, masked


def usable(finding: Finding) -> Finding:
    """Return the finding, rejected where consumers could not be told its address: altered it would be no address."""
    if finding.state not in GOOD_STATES or finding.id is None:
        return finding
    if not _may_be_shown(finding.id, finding):
        detail = (
            "the id that the server gives it contains this program's token or password, so it is not shown; use another"
        )
    elif not finding.id.isprintable():
        detail = (
            "the id that the server gives it has a character that cannot be printed; delete the vector store, with its "
            "data, and run `register`"
        )
    else:
        return finding
    return replace(finding, state=State.REJECTED, detail=detail)


def without_secrets(finding: Finding) -> Finding:
    """Return the finding as it may be told: without the ids that hold a secret, and with its detail masked."""
    return replace(
        finding,
        id=finding.id if finding.id is not None and _may_be_shown(finding.id, finding) else None,
        lost_ids=tuple(store_id for store_id in finding.lost_ids if _may_be_shown(store_id, finding)),
        detail=masked(finding.detail),
    )


def _may_be_shown(store_id: str, finding: Finding) -> bool:
    """Tell whether an id is no echo of a secret: a declared one is the user's own word, whatever is a part of it."""
    return store_id in (finding.name, finding.alias) or not holds_secret(store_id)
