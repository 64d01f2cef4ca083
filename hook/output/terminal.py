"""The report for a person: problems, warnings, a table with the failures first, its notes, and the verdict."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from hook.domain import GOOD_STATES, Finding
from hook.errors import printable
from hook.output.report import CELL_CHARACTERS, ID_HINT, Report

_MARK = ""
"""The head of the column with the numbers of footnotes."""


def render_text(report: Report, columns: int | None = None, *, colors: bool = False) -> str:
    """Return the report for a terminal of so many columns, or with lines of any length where that is None."""
    texts = [*report.problems, *(f"warning: {each}" for each in report.warnings)]
    paragraphs = [printable(text, CELL_CHARACTERS) for text in texts]
    lines = [line for paragraph in paragraphs for line in _wrapped(paragraph, columns)]
    # Of a configuration that is wrong, the problems alone, as a linter prints them.
    if report.findings and not report.problems:
        lines += [*_table(report.failures_first(), columns, colors=colors), ""]
    if any(finding.addressed_by == "id" for finding in report.findings):
        lines.append(ID_HINT)
    outcome, good = report.outcome, report.exit_code.is_success
    verdict = f"{outcome}, exit code {int(report.exit_code)}, {report.elapsed_seconds:.1f} s: {report.verdict}"
    text = "\n".join(_wrapped(printable(verdict, CELL_CHARACTERS), columns))
    return "\n".join([*lines, text.replace(outcome, _painted(outcome, good=good, colors=colors), 1)])


def _table(findings: Sequence[Finding], columns: int | None, *, colors: bool) -> list[str]:
    """Return a row for each collection, with its detail below it.

    What several rows share is said once below the table. An id for which a line has no space stands below it.
    """
    details = [printable(finding.detail, CELL_CHARACTERS) for finding in findings]
    notes = [detail for detail, count in Counter(filter(None, details)).items() if count > 1]
    addresses = {finding.addressed_by for finding in findings} - {None}
    table = _varying(
        {
            "COLLECTION": [f.name if f.alias is None else f"{f.name} ({f.alias})" for f in findings],
            "STATE": [f.state.value for f in findings],
            "ID": [f.id or "-" for f in findings],
            "ADDRESSED BY": [f.addressed_by or "-" for f in findings] if len(addresses) > 1 else [""] * len(findings),
            _MARK: [f"[{notes.index(detail) + 1}]" if detail in notes else "" for detail in details],
        }
    )
    widths = {head: max(map(len, (head, *cells))) for head, cells in table.items()}
    ids: Sequence[str] = [""] * len(findings)
    if columns is not None and sum(widths.values()) + 2 * len(widths) - 2 > columns:
        ids = table.pop("ID", ids)
    lines = ["  ".join(head.ljust(widths[head]) for head in table).rstrip()]
    for number, finding in enumerate(findings):
        row = {head: cells[number].ljust(widths[head]) for head, cells in table.items()}
        if "STATE" in row:
            row["STATE"] = _painted(row["STATE"], good=finding.state in GOOD_STATES, colors=colors)
        lines.append("  ".join(row.values()).rstrip())
        below = ids[number].strip("-"), "" if details[number] in notes else details[number]
        lines += [line for text in below if text for line in _wrapped(text, columns, "  ")]
    shared = [f"[{number}] {note}" if _MARK in table else note for number, note in enumerate(notes, start=1)]
    if "STATE" not in table:
        shared.insert(0, f"all {len(findings)} {findings[0].state.value}")
    return lines + [""] * bool(shared) + [line for note in shared for line in _wrapped(note, columns)]


def _varying(table: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the columns that differ from row to row; with one row, those that say something."""
    cells = {head: [printable(cell, CELL_CHARACTERS) for cell in column] for head, column in table.items()}
    of_one = [head for head in ("STATE", "ID") if len(cells[head]) == 1 and cells[head] != ["-"]]
    return {head: each for head, each in cells.items() if head in ("COLLECTION", *of_one) or len(set(each)) > 1}


def _painted(text: str, *, good: bool, colors: bool) -> str:
    return f"\x1b[{32 if good else 31}m{text}\x1b[0m" if colors else text


def _wrapped(text: str, columns: int | None, indent: str = "") -> list[str]:
    """Return the lines of a paragraph; words stay whole, since most long ones are ids and paths."""
    width = max(columns or len(text) + len(indent), len(indent) + 1)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [indent]
