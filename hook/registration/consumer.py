"""The same questions with the consumer token: what it cannot see is of no use to the consumers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hook.deadline import Deadline
from hook.domain import GOOD_STATES, Finding, Observation, State, Target, Verdict
from hook.llamastack import LlamaStack, Release
from hook.registration import remedies
from hook.registration.causes import explained
from hook.survey import QUERIES, Survey


def check(
    survey: Survey,
    server: LlamaStack,
    targets: Sequence[Target],
    findings: Mapping[str, Finding],
    deadline: Deadline,
) -> dict[str, Finding]:
    """Return the findings of the collections that are fine for the hook and not for the consumers.

    `survey` and `server` ask with the consumers' credentials. Raises as the server's API does.
    """
    good = {str(findings[t.name].id): t for t in targets if findings[t.name].state in GOOD_STATES}
    seen = explained(server, survey.observe(lambda _: good, QUERIES), good, deadline)
    return {
        target.name: _judge(store_id, target, findings[target.name], seen, server.release)
        for store_id, target in good.items()
    }


def _judge(store_id: str, target: Target, found: Finding, seen: Observation, release: Release | None) -> Finding:
    proof = seen.proofs[store_id]
    if proof.verdict is Verdict.LOST or store_id not in seen.shown:
        said = proof.detail or "its list does not show it"
        detail = (
            f"the hook can use it, but the consumer token cannot see it ({said}): another user owns it; register it "
            "with the consumer's credentials, or declare it in the server's configuration"
        )
        return replace(found, state=State.HIDDEN, detail=detail)
    if proof.verdict is Verdict.REFUSED:
        detail = f"the server refuses the consumer token: {proof.detail}"
        return replace(found, state=State.REJECTED, detail=detail)
    if proof.verdict is Verdict.DIVIDED:
        detail = f"with the consumer token, only some workers know it ({proof.detail}). "
        return replace(found, state=State.DIVIDED, detail=detail + remedies.divided(target, release))
    if proof.verdict is Verdict.DEAD:
        detail = (
            f"it fails with the consumer token, and works with the hook's: {proof.detail}; compare the roles of both"
        )
        return replace(found, state=State.UNAVAILABLE, detail=detail)
    return found
