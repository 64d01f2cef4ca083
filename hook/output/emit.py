"""Writes one report to stdout, to the pod's termination message and to the log."""

import logging
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hook import files, logs
from hook.domain import GOOD_STATES, State
from hook.errors import ExitCode
from hook.logs import has_colors, is_terminal, log, lost
from hook.output.ci import render_github, render_markdown
from hook.output.report import ID_HINT, Report, counts, render_json, termination_message
from hook.output.terminal import render_text

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes mounts the file for the termination message, unless the pod says otherwise."""
TERMINATION_LOG_VARIABLE = "HOOK_TERMINATION_LOG"


def emit(report: Report, addresses: str | None, output: str, environ: Mapping[str, str]) -> ExitCode:
    """Write the termination message, the report and the log's summary; return the exit code.

    `addresses` is what `resolve` prints in place of a report, or None. A report that cannot be written changes no exit
    code. Addresses that cannot be written do, since they are the result.
    """
    logs.end()
    # First, since it waits for no reader.
    _write_termination_message(report, environ)
    if report.command == "resolve":
        # A pipeline reads this as an address; the cause of a failure is in the log.
        text = addresses if report.exit_code is ExitCode.OK else None
    else:
        text = _rendered(report, output, environ)
    cause = None if text is None else _print(text, is_report=report.command != "resolve")
    if cause is not None:
        log.error("report.not_written", cause=cause)
        if report.command == "resolve":
            message = f"the addresses could not be written to stdout ({cause}); use `resolve --to FILE`"
            report = replace(report, exit_code=ExitCode.UNPUBLISHED, message=message)
            _write_termination_message(report, environ)
    # A person who has just read the verdict needs no second one.
    is_read = output == "text" and is_terminal(sys.stdout) and is_terminal(sys.stderr)
    if not is_read or text is None or cause is not None:
        _log_summary(report)
    return report.exit_code


def _rendered(report: Report, output: str, environ: Mapping[str, str]) -> str:
    match output:
        case "text":
            columns = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
            return render_text(report, columns, colors=has_colors(sys.stdout, environ))
        case "markdown":
            return render_markdown(report)
        case "github":
            return render_github(report)
    return render_json(report)


def _print(text: str, *, is_report: bool) -> str | None:
    """Print a text to stdout, and return what prevented it, or None."""
    if sys.stdout is None:
        return "stdout is closed"
    # An address goes on to the server, whose JSON is UTF-8. A report has to suit the terminal.
    encoding = sys.stdout.encoding if is_report else "utf-8"
    try:
        sys.stdout.buffer.write(f"{text}\n".encode(encoding, "backslashreplace"))
        sys.stdout.flush()
    except OSError as error:
        return str(error)
    return None


def _write_termination_message(report: Report, environ: Mapping[str, str]) -> None:
    asked = environ.get(TERMINATION_LOG_VARIABLE)
    path = Path(asked or TERMINATION_LOG)
    try:
        if asked or path.exists():
            files.write(path, termination_message(report))
    except OSError as error:
        log.error("termination_message.not_written", path=str(path), cause=error.strerror)


def _log_summary(report: Report) -> None:
    for problem in report.problems:
        log.error("config.invalid", problem=problem)
    for finding in report.findings:
        if finding.state not in GOOD_STATES:
            log.error("collection.failed", collection=finding.name, state=finding.state.value, detail=finding.detail)
        elif finding.state in (State.PLANNED, State.ORPHANED, State.DELETED):
            log.info(f"collection.{finding.state}", collection=finding.name, detail=finding.detail)
        elif finding.detail:
            log.warning("collection.noted", collection=finding.name, detail=finding.detail)
    by_id = sum(finding.addressed_by == "id" for finding in report.findings)
    if by_id:
        log.info("collections.addressed_by_id", collections=by_id, hint=ID_HINT)
    if lost():
        log.warning("log.events_lost", events=lost(), hint="the reader of stderr was too slow")
    event, write = ("hook.finished", log.info) if report.exit_code.is_success else ("hook.failed", log.error)
    if event == "hook.failed" and report.command == "resolve" and not log.is_enabled_for(logging.ERROR):
        # It prints no report, so that nothing else would say why it failed.
        write = log.critical
    write(
        event,
        command=report.command,
        exit_code=int(report.exit_code),
        message=report.message,
        **counts(report.findings),
        elapsed_seconds=round(report.elapsed_seconds, 3),
    )
