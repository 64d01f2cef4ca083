"""The composition root: load, wait, register, verify, report."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hook import cli, config, logs
from hook.cli import Presentation, Settings
from hook.config import Config
from hook.deadline import Deadline, Stopwatch, heed_signals
from hook.domain import Collection, State, exit_code
from hook.errors import ConfigError, ExitCode, HookError, Stopped
from hook.heartbeat import beating
from hook.http import Http
from hook.kubernetes import Publisher, can_be_key, wait_for_rollout
from hook.llamastack import LlamaStack
from hook.logs import log
from hook.output import Report, addresses, emit
from hook.progress import Progress
from hook.registration import Pruner, Run
from hook.secrets import forget
from hook.timings import DEFAULT_TIMINGS, Timings


def main(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ, timings: Timings = DEFAULT_TIMINGS
) -> int:
    """Run the hook and return its exit code; the report goes to stdout, the log to stderr."""
    forget()
    clock = Stopwatch()
    progress = Progress()
    presentation = Presentation(output="json", log_level="info", log_format="json")
    error: BaseException | None = None
    printed: str | None = None
    try:
        presentation = _present({}, environ)
        arguments = cli.parse_arguments(sys.argv[1:] if argv is None else argv)
        presentation = _present(arguments, environ)
        progress.command = arguments["command"]
        heed_signals()
        options = cli.parse(arguments, environ)
        progress.tells_changes = options.tells_changes
        if options.command == "validate":
            _validate(options, environ, progress)
        else:
            _carry_out(options, environ, progress, Deadline(options.timeout_seconds, timings=timings))
        if options.command == "resolve":
            printed = _hand_over(options, progress, presentation.output)
    except (HookError, Stopped) as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001  a bug: logged with its traceback, and never with exit code 0
        log.exception("hook.crashed")
        error = caught
    # From here on the result stands, and no signal changes it.
    report = Report.of(progress, error, clock.elapsed())
    return int(emit(report, printed, presentation.output, environ))


def _present(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Presentation:
    """Return how report and log are written, and let the log begin so."""
    terminals = (logs.is_terminal(sys.stdout), logs.is_terminal(sys.stderr))
    chosen = cli.presentation(arguments, environ, terminals=terminals)
    logs.configure(chosen.log_level, chosen.log_format, environ, is_reported=chosen.is_read)
    return chosen


def _carry_out(options: Settings, environ: Mapping[str, str], progress: Progress, deadline: Deadline) -> None:
    """Load, wait, register or verify, and publish. The results so far stand in `progress`, however it ends."""
    loaded = _load(options.config, options, environ, deadline)
    names = _ask_for(loaded, options, progress)
    publisher = None
    if options.command == "register" and options.publish_configmap is not None:
        publisher = Publisher(options.publish_configmap, environ, options.request_timeout_seconds, deadline)
    collections = [each for each in loaded.collections if each.name in names]
    if options.command == "prune" and not collections:
        raise ConfigError(["no collection is declared, so prune would list all that this program made; declare one"])
    if collections:
        with beating(deadline):
            _verify(options, environ, collections, deadline, progress)
        progress.findings = {name: addresses.checked(each) for name, each in progress.findings.items()}
    if publisher is not None and exit_code(progress.findings.values()) is ExitCode.OK:
        _publish(publisher, progress)


def _ask_for(loaded: Config, options: Settings, progress: Progress) -> set[str]:
    """Return the names of the collections that are asked for. Raises ConfigError where one has no address."""
    progress.aliases, progress.disabled = loaded.aliases, loaded.disabled
    progress.warnings = tuple(f"{path}: {hint}" for path, hint in loaded.warnings.items())
    findings = loaded.findings(State.UNKNOWN)
    wanted = addresses.labels(options.names, findings, loaded.aliases)
    if options.to is not None:
        addresses.check(options.to, wanted)
    progress.findings = {name: findings[name] for name in wanted.values()} if options.names else findings
    progress.server_url = options.server.url
    return set(wanted.values())


def _load(paths: Sequence[Path], options: Settings, environ: Mapping[str, str], deadline: Deadline) -> Config:
    """Load files together, and log what is to be noted of them."""
    is_offline = options.command == "validate"
    rules = config.Rules(
        key=options.config_key,
        allow_empty=options.allow_empty,
        allow_unset=is_offline and not options.strict,
        is_offline=is_offline,
    )
    loaded = config.load(paths, environ, deadline, rules)
    log.info("config.loaded", path=os.pathsep.join(map(str, paths)), collections=len(loaded.collections))
    for place, hint in loaded.warnings.items():
        log.warning("config.noted", path=place, hint=hint)
    if loaded.disabled:
        log.warning("config.collections_disabled", collections=list(loaded.disabled))
    return loaded


def _validate(options: Settings, environ: Mapping[str, str], progress: Progress) -> None:
    """Load each file by itself, also after one that is wrong. Raises ConfigError with all problems of all files."""
    problems: list[str] = []
    deadline = Deadline(options.timeout_seconds)
    groups: list[tuple[Path, ...]] = [(path,) for path in options.files]
    for paths in groups or [options.config]:
        path = os.pathsep.join(map(str, paths))
        try:
            loaded = _load(paths, options, environ, deadline)
        except ConfigError as error:
            problems += error.problems
            continue
        # Two files may declare the same name, as for two clusters.
        progress.findings |= {f"{path}:{name}": each for name, each in loaded.findings(State.VALID).items()}
        progress.aliases = {**progress.aliases, **{f"{path}:{name}": each for name, each in loaded.aliases.items()}}
        progress.warnings += tuple(f"{place}: {hint}" for place, hint in loaded.warnings.items())
    if problems:
        raise ConfigError(problems)


def _verify(
    options: Settings,
    environ: Mapping[str, str],
    collections: Sequence[Collection],
    deadline: Deadline,
    progress: Progress,
) -> None:
    """Verify these collections on the server, and register what is missing for `register`."""
    request_seconds = options.request_timeout_seconds
    if options.wait_for_deployment is not None:
        replicas = wait_for_rollout(options.wait_for_deployment, environ, request_seconds, deadline)
        options = replace(options, connections=min(options.connections * replicas, cli.MAX_CONNECTIONS))
    server = LlamaStack(Http(options.server, request_seconds, deadline))
    if options.command == "prune":
        Pruner(options, server, deadline, progress).carry_out(collections)
        return
    consumer = LlamaStack(Http(options.consumer, request_seconds, deadline)) if options.consumer is not None else None
    Run(options, server, consumer, deadline, progress).carry_out(collections)


def _publish(publisher: Publisher, progress: Progress) -> None:
    """Publish the addresses by name and by alias. A collection of which neither can be a key becomes unpublished."""
    found = {name: each for name, each in progress.findings.items() if each.state is not State.DISABLED}
    keys = {name: [key for key in (name, progress.aliases.get(name, "")) if can_be_key(key)] for name in found}
    left_out = [alias for name, alias in progress.aliases.items() if name in found and not can_be_key(alias)]
    if left_out:
        log.warning(
            "publish.aliases_left_out", aliases=left_out, hint="a ConfigMap key may hold only A-Z a-z 0-9 . _ -"
        )
    for name, finding in found.items():
        if not keys[name]:
            remedy = "declare it in registered_resources.vector_stores, with a vector_store_name of A-Z a-z 0-9 . _ -"
            detail = f"usable, but its name cannot be a key of a ConfigMap: {remedy}"
            progress.findings[name] = replace(finding, state=State.UNPUBLISHED, detail=detail)
    publisher.publish({key: str(found[name].id) for name in found for key in keys[name]}, str(progress.server_url))


def _hand_over(options: Settings, progress: Progress, output: str) -> str | None:
    """Write the addresses to the file of `--to`, or return them for stdout, if all collections are usable."""
    if exit_code(progress.findings.values()) is not ExitCode.OK:
        return None
    wanted = addresses.labels(options.names, progress.findings, progress.aliases)
    ids = {label: str(progress.findings[name].id) for label, name in wanted.items()}
    if options.to is None:
        return addresses.render(ids, options.names, output)
    addresses.write(options.to, ids)
    log.info("addresses.written", path=str(options.to), collections=len(ids))
    return None
