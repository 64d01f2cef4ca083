"""The result of a run, as JSON and as the pod's termination message."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hook.domain import GOOD_STATES, Finding, State, exit_code
from hook.errors import ExitCode, one_line, printable

SCHEMA = "register-collections/report/v1"
TERMINATION_MESSAGE_BYTES = 4096
"""What the kubelet keeps of a container's termination message."""
_TERMINATION_LINE_BYTES = 1024

ID_HINT = "use the ids above in /v1/vector-io/insert, not the names"


@dataclass(frozen=True, slots=True)
class Report:
    """The one result object: exit code, report and termination message all come from it."""

    command: str
    exit_code: ExitCode
    message: str
    """One sentence, the cause and the next step included."""
    findings: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with the configuration, each with its path."""
    warnings: tuple[str, ...] = ()
    """Ignored or unknown parts of the configuration, each with its path, and models that refuse file attachments."""
    server_url: str | None = None
    server_version: str | None = None
    elapsed_seconds: float = 0.0
    brief: str | None = None
    """The message without what the list of collections says already; None where that is the message."""

    @property
    def verdict(self) -> str:
        """Return the message without what stands above it in a list of problems or collections."""
        return self.message.partition(": ")[0] if self.problems else self.brief or self.message

    def failures_first(self) -> list[Finding]:
        """Return the findings in the order in which people read them."""
        return sorted(self.findings, key=lambda finding: finding.state in GOOD_STATES)


def counts(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Return how many collections are in each state that occurs."""
    return dict(Counter(finding.state.value for finding in findings))


def closing_sentence(
    command: str, findings: tuple[Finding, ...], url: str, warnings: int = 0, *, brief: bool = False
) -> str:
    """Return the verdict of a run that was not cut short: how many collections are verified, or the first failure.

    A `brief` one leaves out the cause of the failure.
    """
    enabled = tuple(finding for finding in findings if finding.state is not State.DISABLED)
    off = f"; {len(findings) - len(enabled)} more disabled" if len(enabled) < len(findings) else ""
    if not enabled and command != "prune":
        declared = f"all {len(findings)} declared collections are disabled" if findings else "no collection is declared"
        return f"{declared}; no server was asked"
    if command == "prune":
        return _closing_sentence_of_prune(findings, url)
    total = f"{len(enabled)} collection{'s' * (len(enabled) > 1)}"
    failed = tuple(finding for finding in enabled if finding.state not in GOOD_STATES)
    if failed:
        # The first cause of the exit code: its remedy comes first.
        cause = next(finding for finding in failed if exit_code([finding]) is exit_code(failed))
        by_cause = counts(tuple(sorted(failed, key=lambda finding: finding.state is not cause.state)))
        states = ", ".join(f"{number} {state}" for state, number in by_cause.items())
        first = f"{states}; first: " if len(failed) > 1 else ""
        if brief:
            return f"{len(failed)} of {total} failed on {url}{off}: {states}"
        return f"{len(failed)} of {total} failed on {url}{off}: {first}'{cause.name}' is {cause.state}: {cause.detail}"
    if command == "validate":
        noted = f", {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
        return f"{total}, valid{noted}{off}"
    if command == "plan":
        planned = [finding.name for finding in enabled if finding.state is State.PLANNED]
        if not planned:
            return f"nothing to create: {total} on {url}{off}"
        return f"would create {len(planned)} of {total} on {url}: {one_line(', '.join(planned))}{off}"
    new = sum(finding.state is State.REGISTERED for finding in enabled)
    shares = f"{new} new, {len(enabled) - new} already there"
    unverified = sum(finding.unverified for finding in enabled)
    if unverified:
        verified = len(enabled) - unverified
        return f"{total} registered on {url}: {shares}; {verified} verified, {unverified} unverified{off}"
    return f"{total} registered and verified on {url}: {shares}{off}"


def _closing_sentence_of_prune(findings: tuple[Finding, ...], url: str) -> str:
    if not findings:
        return f"nothing to prune on {url}"
    deleted = sum(finding.state is State.DELETED for finding in findings)
    stores = f"{len(findings)} vector store{'s' * (len(findings) > 1)}"
    return f"{stores} on {url} no longer needed: {deleted} deleted, {len(findings) - deleted} kept"


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report as the JSON object that docs/report.md describes."""
    return {
        "schema": SCHEMA,
        "command": report.command,
        "outcome": report.exit_code.name.lower(),
        "exit_code": int(report.exit_code),
        "message": report.message,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "server": {"url": report.server_url, "version": report.server_version},
        "collections": [_collection(finding, finding.detail) for finding in report.findings],
        "elapsed_seconds": round(report.elapsed_seconds, 3),
    }


def _collection(finding: Finding, detail: str) -> dict[str, Any]:
    return {
        "name": finding.name,
        "alias": finding.alias,
        "id": finding.id,
        "state": finding.state.value,
        "addressed_by": finding.addressed_by,
        "verified": finding.state in (State.PRESENT, State.REGISTERED) and not finding.unverified,
        "lost_ids": list(finding.lost_ids),
        "detail": detail,
    }


def render_json(report: Report) -> str:
    """Return the report as one line of JSON."""
    return json.dumps(as_dict(report))


def termination_message(report: Report) -> bytes:
    """Return the verdict in one line, then compact JSON with the failures first: together at most 4096 bytes.

    `collections_omitted` counts the collections for which there was no space.
    """
    line = one_line(report.message, _TERMINATION_LINE_BYTES).encode("utf-8", "replace")
    line = line[:_TERMINATION_LINE_BYTES].decode("utf-8", "ignore").encode()
    body = as_dict(report)
    # The message is in the first line, and all the rest is on stdout.
    del body["message"], body["problems"], body["warnings"]
    body["server"]["url"] = body["server"]["url"] and printable(body["server"]["url"], 200)
    findings = report.failures_first()
    # No more than 40 fit.
    items = [_collection(each, one_line(each.detail, 160)) for each in findings[:40]]
    while True:
        body |= {"collections": items, "collections_omitted": len(findings) - len(items)}
        content = line + b"\n" + json.dumps(body, separators=(",", ":")).encode()
        if len(content) <= TERMINATION_MESSAGE_BYTES:
            return content
        items.pop()
