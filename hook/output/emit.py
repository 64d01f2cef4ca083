"""One report, told everywhere: on stdout, in the pod's termination message, and in the log."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from hook import files
from hook.domain import GOOD_STATES
from hook.errors import ExitCode
from hook.logs import log, lost
from hook.output.report import Report, counts, render_json, render_text, termination_message

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes mounts the file for the termination message, unless the pod says otherwise."""
TERMINATION_LOG_VARIABLE = "HOOK_TERMINATION_LOG"

ADDRESS_HINT = "on LlamaStack 0.3.0 and newer their names do not resolve: consumers must use the ids in the report"


def tell(report: Report, addresses: str | None, output: str, environ: Mapping[str, str]) -> ExitCode:
    """Write a report's termination message, the report as `output` says, and its summary; return its exit code.

    `addresses` are what `resolve` prints instead, None for nothing. Where a report cannot be written, or nobody reads
    it, the log says so, and the result stands; addresses are the result.
    """
    # First, since it waits for no reader.
    _write_termination_message(report, environ)
    cause = _write_report(report, addresses, output, sys.stdout)
    if cause is not None:
        log.error("report.not_written", cause=cause)
        if addresses is not None and report.exit_code is ExitCode.OK:
            message = f"the addresses cannot be written to stdout ({cause}): run it again where they can"
            report = replace(report, exit_code=ExitCode.UNPUBLISHED, message=message)
            _write_termination_message(report, environ)
    _log_summary(report)
    return report.exit_code


def _write_report(report: Report, addresses: str | None, output: str, stream: TextIO | None) -> str | None:
    """Write it, or what `resolve` prints instead, and return what kept it from being written, or None."""
    text: str | None = render_text(report) if output == "text" else render_json(report)
    if report.command == "resolve":
        # Whoever reads this takes it for an address; the log has the cause.
        text = addresses if report.exit_code is ExitCode.OK else None
    if text is None:
        return None
    if stream is None:
        return "it is closed"
    # An address goes on to the server, whose JSON is UTF-8; what is for people has to suit their terminal.
    encoding = "utf-8" if report.command == "resolve" else stream.encoding
    try:
        stream.buffer.write(f"{text}\n".encode(encoding, "backslashreplace"))
        stream.flush()
    except OSError as error:
        return str(error)
    return None


def _write_termination_message(report: Report, environ: Mapping[str, str]) -> None:
    asked = environ.get(TERMINATION_LOG_VARIABLE)
    path = Path(asked) if asked else TERMINATION_LOG
    if not asked and not path.exists():
        return
    try:
        files.write(path, termination_message(report))
    except OSError as error:
        log.error("termination_message.not_written", path=str(path), cause=error.strerror)


def _log_summary(report: Report) -> None:
    for problem in report.problems:
        log.error("config.invalid", problem=problem)
    for finding in report.findings:
        if finding.state not in GOOD_STATES:
            log.error("collection.failed", collection=finding.name, state=finding.state.value, detail=finding.detail)
        elif finding.detail:
            log.warning("collection.noted", collection=finding.name, detail=finding.detail)
    by_id = sum(finding.addressed_by == "id" for finding in report.findings)
    if by_id:
        log.warning("collections.addressed_by_id", collections=by_id, hint=ADDRESS_HINT)
    if lost():
        log.warning("log.events_lost", events=lost(), hint="they were not read in time")
    succeeded = report.exit_code is ExitCode.OK
    (log.info if succeeded else log.error)(
        "hook.finished" if succeeded else "hook.failed",
        command=report.command,
        exit_code=int(report.exit_code),
        message=report.message,
        **counts(report.findings),
        elapsed_seconds=round(report.elapsed_seconds, 3),
    )
