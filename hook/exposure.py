"""Names, ids and the server's address are data, and shown as they are: so no secret may be a part of one."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hook.domain import GOOD_STATES, Finding, State
from hook.secrets import masked, source_within


def problems_before(names: Iterable[str], url: str) -> list[str]:
    """Return what is wrong with the secrets, in view of what the configuration declares."""
    shown = dict.fromkeys(names, "the name of a declared collection, and names")
    return _problems(shown | {url: "the address of the server, and addresses"})


def problems_after(findings: Iterable[Finding]) -> list[str]:
    """Return what is wrong with the secrets, in view of the ids that the server gives."""
    ids = {store_id: finding.name for finding in findings for store_id in _ids(finding)}
    return _problems({store_id: f"the id of {name} on the server, and ids" for store_id, name in ids.items()})


def _problems(shown: Mapping[str, str]) -> list[str]:
    found = ((source_within(text), what) for text, what in shown.items())
    problems = [
        f"{source}: its text is a part of {what} are shown: change one of them" for source, what in found if source
    ]
    return list(dict.fromkeys(problems))


def _ids(finding: Finding) -> list[str]:
    return [store_id for store_id in (finding.id, *finding.lost_ids) if store_id is not None]


def printable(finding: Finding) -> Finding:
    """Return the finding, rejected where consumers could not be told its address: altered it would be no address."""
    if finding.state not in GOOD_STATES or finding.id is None or finding.id.isprintable():
        return finding
    detail = (
        "the id that the server gives it has a character that cannot be printed; delete the vector store, with its "
    )
    return replace(finding, state=State.REJECTED, detail=f"{detail}data, and run `register`")


def without_secrets(finding: Finding) -> Finding:
    """Return the finding as it may be told: without the ids that hold a secret, and with its detail masked."""
    told = [store_id for store_id in _ids(finding) if source_within(store_id) is None]
    return replace(
        finding,
        id=finding.id if finding.id in told else None,
        lost_ids=tuple(store_id for store_id in finding.lost_ids if store_id in told),
        detail=masked(finding.detail),
    )
