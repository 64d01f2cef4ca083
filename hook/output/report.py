"""One result, told three ways: the report on stdout as text or JSON, and the pod's termination message."""

import json
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hook.domain import GOOD_STATES, Finding, State, exit_code
from hook.errors import ExitCode, one_line, printable

SCHEMA = "register-collections/report/v1"
TERMINATION_MESSAGE_BYTES = 4096
"""What the kubelet keeps of a container's termination message."""
_TERMINATION_LINE_BYTES = 1024
_TERMINATION_DETAIL_CHARACTERS = 160


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
    """What of it is not used or cannot be known, each with its path; and by which model no file can be attached."""
    server_url: str | None = None
    server_version: str | None = None
    elapsed_seconds: float = 0.0


def counts(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Return how many collections are in each state that occurs."""
    return dict(Counter(finding.state.value for finding in findings))


def closing_sentence(command: str, findings: tuple[Finding, ...], url: str) -> str:
    """Return the sentence for a run that came to its end: what was proven, or what failed first."""
    disabled = sum(finding.state is State.DISABLED for finding in findings)
    off = f"; {disabled} more disabled" if disabled else ""
    findings = tuple(finding for finding in findings if finding.state is not State.DISABLED)
    if not findings:
        declared = "each declared collection is disabled" if disabled else "no collection is declared"
        return f"{declared}, which is allowed; no server was asked"
    total = f"{len(findings)} collection{'' if len(findings) == 1 else 's'}"
    failed = [finding for finding in findings if finding.state not in GOOD_STATES]
    if failed:
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        # What the exit code is of, since its cure comes first.
        first = next(finding for finding in failed if exit_code([finding]) is exit_code(failed))
        return f"{len(failed)} of {total} failed on {url}{off}: '{first.name}' is {first.state}{others}: {first.detail}"
    if command == "validate":
        return f"{total} declared, and nothing is wrong with the configuration; no server was asked{off}"
    new = sum(finding.state is State.REGISTERED for finding in findings)
    shares = f"{new} new, {len(findings) - new} already there"
    unproven = sum(finding.unproven for finding in findings)
    if unproven:
        proven = len(findings) - unproven
        verified = f"{proven} verified, and for the other {unproven} it" if proven else "it"
        return f"{total} registered on {url}: {shares}; {verified} cannot be proven that inserts and queries work{off}"
    return f"{total} registered and verified on {url}: {shares}{off}"


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report as the JSON object that docs/operations.md describes."""
    return {
        "schema": SCHEMA,
        "command": report.command,
        "outcome": report.exit_code.name.lower(),
        "exit_code": int(report.exit_code),
        "message": report.message,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "server": {"url": report.server_url, "version": report.server_version},
        "collections": [_collection(finding) for finding in report.findings],
        "elapsed_seconds": round(report.elapsed_seconds, 3),
    }


def _collection(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "alias": finding.alias,
        "id": finding.id,
        "state": finding.state.value,
        "addressed_by": finding.addressed_by,
        "lost_ids": list(finding.lost_ids),
        "detail": finding.detail,
    }


def render_json(report: Report) -> str:
    """Return the report as one line of JSON."""
    return json.dumps(as_dict(report))


def render_text(report: Report) -> str:
    """Return the report for a person: problems, warnings, a table of the collections, and the closing sentence.

    What failed comes first in the table, since nobody scrolls up to what went well.
    """
    lines = [f"  {one_line(problem)}" for problem in report.problems]
    lines += [f"  warning: {one_line(warning)}" for warning in report.warnings]
    if report.findings:
        rows = [["COLLECTION", "STATE", "ID", "ADDRESSED BY", "DETAIL"]]
        findings = sorted(report.findings, key=_is_good)
        rows += [[_both_names(f), f.state.value, f.id or "-", f.addressed_by or "-", f.detail] for f in findings]
        cells = [[printable(cell, 2000) for cell in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        lines += ["  ".join(map(_padded, row, widths)).rstrip() for row in cells]
        lines.append("")
    outcome = "OK" if report.exit_code is ExitCode.OK else f"FAILED ({report.exit_code.name.lower()})"
    lines.append(f"{outcome}, exit code {int(report.exit_code)}, {report.elapsed_seconds:.1f} s: {report.message}")
    return "\n".join(lines)


def _both_names(finding: Finding) -> str:
    return finding.name if finding.alias is None else f"{finding.name} ({finding.alias})"


def _is_good(finding: Finding) -> bool:
    return finding.state in GOOD_STATES


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for an East Asian character, none for an accent."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def termination_message(report: Report) -> bytes:
    """Return one human line and compact JSON, at most 4096 bytes together, whatever the number of collections.

    What failed comes first; `collections_omitted` counts what did not fit.
    """
    line = one_line(report.message, _TERMINATION_LINE_BYTES).encode("utf-8", "replace")
    line = line[:_TERMINATION_LINE_BYTES].decode("utf-8", "ignore").encode()
    body = as_dict(report)
    # The line says it, and stdout says all of it.
    del body["message"], body["problems"], body["warnings"]
    body["server"]["url"] = body["server"]["url"] and printable(body["server"]["url"], 200)
    findings = sorted(report.findings, key=_is_good)
    body |= {"collections": [], "collections_omitted": len(findings)}
    left = TERMINATION_MESSAGE_BYTES - len(line) - 1 - len(_compact(body))
    for finding in findings:
        item = _collection(finding) | {"detail": one_line(finding.detail, _TERMINATION_DETAIL_CHARACTERS)}
        left -= len(_compact(item)) + 1
        if left < 0:
            break
        body["collections"].append(item)
    body["collections_omitted"] = len(findings) - len(body["collections"])
    return line + b"\n" + _compact(body)


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
