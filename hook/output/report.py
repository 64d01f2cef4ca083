"""The result of a run, as JSON and as the pod's termination message."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from hook.domain import GOOD_STATES, Finding, State, exit_code
from hook.errors import ConfigError, ExitCode, HookError, Stopped, one_line, printable
from hook.progress import Progress
from hook.secrets import masked

SCHEMA = "register-collections/report/v1"
CELL_CHARACTERS = 2000
"""What a person is shown of one name, detail or problem."""
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

    @classmethod
    def of(cls, progress: Progress, error: BaseException | None, elapsed_seconds: float) -> "Report":
        """Return the result of a run. Texts are masked in it; names and addresses are data and stay as they are."""
        findings = tuple(
            replace(
                finding,
                id=finding.id if finding.addressed_by or finding.id is None else masked(finding.id),
                alias=progress.aliases.get(name),
                detail=masked(finding.detail),
            )
            for name, finding in progress.findings.items()
        )
        brief = None
        if error is None:
            code = exit_code(findings, tells_changes=progress.tells_changes)
            message, brief = closing_sentences(
                progress.command, findings, progress.server_url or "", len(progress.warnings)
            )
        elif isinstance(error, HookError | Stopped):
            code, message = error.exit_code, str(error)
        else:
            code, cause = ExitCode.UNEXPECTED, one_line(f"{type(error).__name__}: {error}")
            message = f"This is a bug in register-collections: {cause}; report it with the traceback in the log"
        return cls(
            command=progress.command,
            exit_code=code,
            message=masked(message),
            brief=brief and masked(brief),
            findings=findings,
            problems=tuple(map(masked, error.problems)) if isinstance(error, ConfigError) else (),
            warnings=tuple(map(masked, progress.warnings)),
            server_url=progress.server_url,
            server_version=progress.server_version and masked(progress.server_version),
            elapsed_seconds=elapsed_seconds,
        )

    @property
    def outcome(self) -> str:
        """Return in one word, or two, how it ended."""
        return "OK" if self.exit_code.is_success else f"FAILED ({self.exit_code.name.lower()})"

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


def closing_sentences(
    command: str, findings: tuple[Finding, ...], url: str, warnings: int = 0
) -> tuple[str, str | None]:
    """Return the verdict of a run that was not cut short: how many collections are verified, or the first failure.

    The second one leaves out the cause of a failure.
    """
    if command == "prune":
        return _of_prune(findings, url), None
    enabled = tuple(finding for finding in findings if finding.state is not State.DISABLED)
    off = f"; {len(findings) - len(enabled)} more disabled" if len(enabled) < len(findings) else ""
    if not enabled:
        declared = f"all {len(findings)} declared collections are disabled" if findings else "no collection is declared"
        return f"{declared}; no server was asked", None
    total = f"{len(enabled)} collection{'s' * (len(enabled) > 1)}"
    failed = tuple(finding for finding in enabled if finding.state not in GOOD_STATES)
    if failed:
        # The first cause of the exit code: its remedy comes first.
        cause = next(finding for finding in failed if exit_code([finding]) is exit_code(failed))
        by_cause = counts(tuple(sorted(failed, key=lambda finding: finding.state is not cause.state)))
        states = ", ".join(f"{number} {state}" for state, number in by_cause.items())
        sentence, first = f"{len(failed)} of {total} failed on {url}{off}", f"{states}; first: " * (len(failed) > 1)
        return f"{sentence}: {first}'{cause.name}' is {cause.state}: {cause.detail}", f"{sentence}: {states}"
    if command == "validate":
        noted = f", {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
        return f"{total}, valid{noted}{off}", None
    if command == "plan":
        planned = [finding.name for finding in enabled if finding.state is State.PLANNED]
        if not planned:
            return f"nothing to create: {total} on {url}{off}", None
        return f"would create {len(planned)} of {total} on {url}: {one_line(', '.join(planned))}{off}", None
    new = sum(finding.state is State.REGISTERED for finding in enabled)
    shares = f"{new} new, {len(enabled) - new} already there"
    if unverified := sum(finding.unverified for finding in enabled):
        shares += f"; {len(enabled) - unverified} verified, {unverified} unverified"
        return f"{total} registered on {url}: {shares}{off}", None
    return f"{total} registered and verified on {url}: {shares}{off}", None


def _of_prune(findings: tuple[Finding, ...], url: str) -> str:
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
        "collections": list(map(_collection, report.findings)),
        "elapsed_seconds": round(report.elapsed_seconds, 3),
    }


def _collection(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "alias": finding.alias,
        "id": finding.id,
        "state": finding.state.value,
        "addressed_by": finding.addressed_by,
        "verified": finding.state in (State.PRESENT, State.REGISTERED) and not finding.unverified,
        "lost_ids": list(finding.lost_ids),
        "detail": finding.detail,
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
    items = [_collection(replace(each, detail=one_line(each.detail, 160))) for each in findings[:40]]
    while True:
        body |= {"collections": items, "collections_omitted": len(findings) - len(items)}
        content = line + b"\n" + json.dumps(body, separators=(",", ":")).encode()
        if len(content) <= TERMINATION_MESSAGE_BYTES:
            return content
        items.pop()
