"""The composition root: load, wait, register, verify, report."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hook import config, exposure, flags, logs, settings
from hook.deadline import Deadline, heed_signals
from hook.domain import Collection, Finding, State, exit_code
from hook.errors import ConfigError, ExitCode, HookError, Stopped, UnavailableError, one_line
from hook.http.client import Http
from hook.llamastack.api import LlamaStack
from hook.logs import log
from hook.progress import Progress
from hook.publish import Publisher, can_be_key
from hook.report import Report, closing_sentence
from hook.rollout import wait_for_rollout
from hook.run import Run
from hook.secrets import forget, masked
from hook.settings import Presentation, Settings
from hook.tell import tell


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run the hook and return its exit code; the report goes to stdout, the log to stderr."""
    forget()
    clock = Deadline(0.0)
    progress = Progress()
    presentation = Presentation(output="json", log_level="info", log_format="json")
    names: Sequence[str] = ()
    error: BaseException | None = None
    try:
        terminals = (logs.is_terminal(sys.stdout), logs.is_terminal(sys.stderr))
        presentation = settings.presentation({}, environ, terminals=terminals)
        logs.configure(presentation.log_level, presentation.log_format, environ)
        arguments = flags.parse_arguments(sys.argv[1:] if argv is None else argv)
        presentation = settings.presentation(arguments, environ, terminals=terminals)
        logs.configure(presentation.log_level, presentation.log_format, environ)
        progress.command, names = arguments["command"], arguments["names"]
        heed_signals()
        _execute(settings.parse(arguments, environ), environ, progress)
    except (HookError, Stopped) as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001  a bug: said with its traceback, and never with exit code 0
        log.exception("hook.crashed")
        error = caught
    # From here on the result stands, and no signal changes it.
    report = _report(progress, error, clock.elapsed())
    tell(report, names, presentation.output, environ)
    return int(report.exit_code)


def _execute(asked: Settings, environ: Mapping[str, str], progress: Progress) -> None:
    """Do what was asked and write what came of it into `progress`."""
    loaded = config.load(asked.config, environ)
    log.info("config.loaded", path=str(asked.config), collections=len(loaded.collections))
    for path, hint in loaded.ignored.items():
        log.warning("config.section_ignored", path=path, hint=hint)
    if loaded.disabled:
        log.warning("config.collections_disabled", collections=list(loaded.disabled))
    problems = exposure.problems_before([*(c.name for c in loaded.collections), *loaded.disabled], asked.server.url)
    if problems:
        raise ConfigError(problems)
    if asked.command == "validate":
        progress.findings = loaded.findings(State.VALID)
        return
    findings = loaded.findings(State.UNKNOWN)
    wanted = _named(loaded.collections, asked.names, findings)
    progress.findings = {name: findings[name] for name in asked.names or findings}
    progress.server_url = asked.server.url
    deadline = Deadline(asked.timeout_seconds)
    publisher = None
    if asked.command == "register" and asked.publish_configmap is not None:
        publisher = Publisher(asked.publish_configmap, environ, asked.request_timeout_seconds, deadline)
    if asked.wait_for_deployment is not None:
        replicas = wait_for_rollout(asked.wait_for_deployment, environ, asked.request_timeout_seconds, deadline)
        asked = replace(asked, connections=min(asked.connections * replicas, settings.MAX_CONNECTIONS))
    server = LlamaStack(Http(asked.server, asked.request_timeout_seconds, deadline))
    consumer = None
    if asked.consumer is not None:
        consumer = LlamaStack(Http(asked.consumer, asked.request_timeout_seconds, deadline))
    try:
        Run(asked, server, consumer, deadline, progress).carry_out(wanted)
    except UnavailableError as error:
        raise UnavailableError(f"{error}; look at the LlamaStack pod and its log, then run the hook again") from error
    progress.findings = {name: exposure.printable(finding) for name, finding in progress.findings.items()}
    problems = exposure.problems_after(progress.findings.values())
    if problems:
        raise ConfigError(problems)
    if publisher is not None and exit_code(progress.findings.values()) is ExitCode.OK:
        _publish(publisher, progress)


def _named(
    collections: Sequence[Collection], names: Sequence[str], findings: Mapping[str, Finding]
) -> list[Collection]:
    """Return the collections of these names, or all if none is named. Raises ConfigError for one without an address."""
    known = {collection.name: collection for collection in collections}
    declared = one_line(", ".join(known))
    problems = [
        f"{one_line(name, 100)}: is disabled: {findings[name].detail}"
        if name in findings
        else f"{one_line(name, 100)}: no collection of this name is declared; there are: {declared}"
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError(problems)
    return [known[name] for name in dict.fromkeys(names or known)]


def _publish(publisher: Publisher, progress: Progress) -> None:
    """Publish the addresses of a verified run; a name that cannot be a key is a mismatch."""
    found = {name: each for name, each in progress.findings.items() if each.state is not State.DISABLED}
    good = {name: str(finding.id) for name, finding in found.items() if can_be_key(name)}
    publisher.publish(good, str(progress.server_url))
    for name, finding in found.items():
        if name not in good:
            detail = "registered, but its name cannot be a key of a ConfigMap: rename it to use only A-Z a-z 0-9 . _ -"
            progress.findings[name] = replace(finding, state=State.UNPUBLISHED, detail=detail)


def _report(progress: Progress, error: BaseException | None, elapsed_seconds: float) -> Report:
    findings = tuple(exposure.without_secrets(finding) for finding in progress.findings.values())
    code = exit_code(findings) if error is None else getattr(error, "exit_code", ExitCode.UNEXPECTED)
    message = closing_sentence(progress.command, findings, progress.server_url or "") if error is None else str(error)
    if code is ExitCode.UNEXPECTED:
        cause = one_line(f"{type(error).__name__}: {error}")
        message = f"This is a bug in register-collections: {cause}; the log has its traceback"
    return Report(
        command=progress.command,
        exit_code=code,
        message=masked(message),
        findings=findings,
        problems=tuple(map(masked, error.problems)) if isinstance(error, ConfigError) else (),
        server_url=progress.server_url,
        server_version=progress.server_version and masked(progress.server_version),
        elapsed_seconds=elapsed_seconds,
    )
