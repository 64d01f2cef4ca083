"""The report for a pipeline: a table in Markdown, and the annotations of GitHub's workflow commands."""

import re

from hook.domain import GOOD_STATES
from hook.errors import printable
from hook.output.report import CELL_CHARACTERS, Report

_PLACE = re.compile(
    r"(?P<file>(?:(?!: ).)+?(?:\.(?i:ya?ml|json)(?=:)|(?=:\d+:\d+: ))):(?:(?P<line>\d+):(?:(?P<col>\d+):)?)? "
)
"""Where a problem of the configuration is, before the problem itself. Without its line a file is known by its name."""


def render_markdown(report: Report) -> str:
    """Return a heading, the verdict and a table of the collections, for a pull request or the summary of a job."""
    lines = [f"### register-collections {report.command}: {report.outcome}", "", _escaped(report.verdict), ""]
    lines += [f"- {_escaped(problem)}" for problem in report.problems]
    lines += [f"- warning: {_escaped(warning)}" for warning in report.warnings]
    if report.findings:
        lines += ["", "| collection | state | id | detail |", "| --- | --- | --- | --- |"]
        rows = [(f.name, f.state.value, f.id or "", f.detail) for f in report.failures_first()]
        lines += [f"| {' | '.join(map(_escaped, row))} |" for row in rows]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip()


def _escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", printable(text, CELL_CHARACTERS))


def render_github(report: Report) -> str:
    """Return an annotation for each problem, warning and failure, and the verdict.

    The form is that of GitHub Actions: `::error file=FILE,line=LINE,col=COLUMN::MESSAGE`.
    """
    lines = [_annotation("error", problem) for problem in report.problems]
    lines += [_annotation("warning", warning) for warning in report.warnings]
    failed = [each for each in report.failures_first() if each.state not in GOOD_STATES]
    lines += [_annotation("error", f"'{each.name}' is {each.state.value}: {each.detail}") for each in failed]
    is_said = report.exit_code.is_success or lines
    return "\n".join([*lines, _data(report.verdict) if is_said else _annotation("error", report.verdict)])


def _annotation(level: str, text: str) -> str:
    found = _PLACE.match(text)
    place = found.groupdict() if found is not None else {}
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items() if value)
    return f"::{' '.join(filter(None, (level, properties)))}::{_data(text[found.end() :] if found else text)}"


def _data(text: str) -> str:
    return printable(text, CELL_CHARACTERS).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
