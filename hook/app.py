"""The composition root: load, wait, register, verify, report."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TextIO

from hook import config, logs, settings
from hook.backoff import retry
from hook.deadline import Deadline
from hook.domain import (
    GOOD_STATES,
    Collection,
    Finding,
    Proof,
    State,
    Target,
    VectorStore,
    candidates,
    exit_code,
    plan,
    resolve,
)
from hook.errors import ConfigError, ExitCode, HookError, RefusedError, Stopped, UnavailableError, one_line
from hook.http import Http
from hook.llamastack import LlamaStack
from hook.logs import log
from hook.report import Report, closing_sentence, counts, render_json, render_text, termination_message
from hook.settings import Presentation, Settings

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes mounts the file for the termination message, unless the pod says otherwise."""
TERMINATION_LOG_VARIABLE = "HOOK_TERMINATION_LOG"

MAX_FAILURES = 3
"""Answers of 500 to one write before giving up: ogx 1.5.0 without its Milvus answers so to each create, and keeps an
orphan of each that can stop its next start (POST /v1/vector_stores)."""

ADDRESS_HINT = "on LlamaStack 0.3.0 and newer their names do not resolve: consumers must use the ids in the report"


@dataclass
class _Progress:
    """What is known so far, so that a run can tell it whenever it ends."""

    command: str = settings.COMMANDS[0]
    server_url: str | None = None
    server_version: str | None = None
    findings: dict[str, Finding] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run the hook and return its exit code; the report goes to stdout, the log to stderr."""
    clock = Deadline(0.0)
    progress = _Progress()
    presentation = Presentation(output="json", log_level="info", log_format="json")
    error: BaseException | None = None
    try:
        with _signals_raise():
            terminals = (sys.stdout.isatty(), sys.stderr.isatty())
            presentation = settings.presentation({}, environ, terminals=terminals)
            logs.configure(presentation.log_level, presentation.log_format)
            arguments = settings.parse_arguments(sys.argv[1:] if argv is None else argv)
            presentation = settings.presentation(arguments, environ, terminals=terminals)
            logs.configure(presentation.log_level, presentation.log_format)
            progress.command = arguments["command"]
            _execute(settings.parse(arguments, environ), environ, progress)
    except (HookError, Stopped) as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001  a bug: said with its traceback, and never with exit code 0
        log.exception("hook.crashed")
        error = caught
    report = _report(progress, error, clock.elapsed())
    _log_summary(report)
    _write_report(report, presentation, sys.stdout)
    _write_termination_message(report, environ)
    return int(report.exit_code)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Within, the first SIGTERM or SIGINT raises Stopped; after that, and after the block, they change nothing.

    As PID 1 a process without a handler is not ended by SIGTERM at all.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(number: int, _: FrameType | None) -> None:
        for each in numbers:
            # Not SIG_IGN: Python complains where a signal that is ignored is pending already.
            signal.signal(each, lambda *_: None)
        raise Stopped(number)

    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _execute(asked: Settings, environ: Mapping[str, str], progress: _Progress) -> None:
    """Do what was asked and write what came of it into `progress`."""
    loaded = config.load(asked.config, environ)
    log.info("config.loaded", path=str(asked.config), collections=len(loaded.collections))
    if loaded.disabled:
        log.warning("config.collections_disabled", collections=loaded.disabled)
    if asked.command == "validate":
        progress.findings = {c.name: Finding(c.name, State.VALID) for c in loaded.collections}
        return
    progress.findings = {c.name: Finding(c.name, State.UNKNOWN) for c in loaded.collections}
    progress.server_url = asked.server.url
    deadline = Deadline(asked.timeout_seconds)
    server = LlamaStack(Http(asked.server, asked.request_timeout_seconds, deadline))
    _Run(asked, server, deadline, progress).carry_out(loaded.collections)


class _Run:
    """One run against one server."""

    def __init__(self, asked: Settings, server: LlamaStack, deadline: Deadline, progress: _Progress) -> None:
        self._asked = asked
        self._server = server
        self._deadline = deadline
        self._progress = progress
        self._proofs: dict[str, Proof] = {}

    def carry_out(self, collections: Sequence[Collection]) -> None:
        """Wait, compare, register what is missing, and verify it by a fresh list and a proof of life."""
        stores = self._wait_until_ready()
        targets = self._resolve(collections)
        findings = self._progress.findings
        findings |= self._compare(targets, stores)
        if self._asked.command == "check":
            return
        wanted = {State.MISSING, State.LOST} if self._asked.recreate_lost else {State.MISSING}
        registered = {}
        for target in targets:
            if findings[target.name].state in wanted:
                findings[target.name] = self._register(target, findings[target.name].lost_ids)
                if findings[target.name].state is State.REGISTERED:
                    registered[target.name] = findings[target.name]
        if registered:
            for finding in registered.values():
                self._proofs.pop(str(finding.id), None)
            verified = self._compare([target for target in targets if target.name in registered], self._list())
            findings |= {name: _verified(finding, verified[name]) for name, finding in registered.items()}

    def _wait_until_ready(self) -> tuple[VectorStore, ...]:
        """Return the list of vector stores as soon as the server is healthy and answers that very call."""

        def ready() -> tuple[VectorStore, ...]:
            self._server.check_health()
            return self._server.vector_stores()

        try:
            stores = retry(ready, self._deadline, "health.retry_scheduled")
        except UnavailableError as error:
            raise UnavailableError(
                f"The server was not ready within {self._asked.timeout_seconds:g} s: {error}"
            ) from error
        self._progress.server_version = self._server.version()
        log.info(
            "health.ready",
            server_version=self._progress.server_version,
            vector_stores=len(stores),
            elapsed_seconds=round(self._deadline.elapsed(), 2),
        )
        return stores

    def _resolve(self, collections: Sequence[Collection]) -> list[Target]:
        """Return what to ask the server for, and note the collections for which it has no right answer."""
        models = retry(self._server.embedding_models, self._deadline, "request.retry_scheduled")
        provider_ids = retry(self._server.vector_io_provider_ids, self._deadline, "request.retry_scheduled")
        targets = []
        for collection in collections:
            try:
                targets.append(resolve(collection, models, provider_ids))
            except RefusedError as error:
                self._progress.findings[collection.name] = Finding(collection.name, State.REJECTED, detail=str(error))
        return targets

    def _compare(self, targets: Sequence[Target], stores: Sequence[VectorStore]) -> dict[str, Finding]:
        """Prove the vector stores of the targets, each once, and compare them with what is wanted."""
        for store in chain.from_iterable(candidates(targets, stores).values()):
            if store.id not in self._proofs:
                prove = partial(self._server.prove, store.id)
                self._proofs[store.id] = retry(
                    prove, self._deadline, "proof.retry_scheduled", max_failures=MAX_FAILURES
                )
        return plan(targets, stores, self._proofs, accept_oldest=self._asked.accept_oldest)

    def _list(self) -> tuple[VectorStore, ...]:
        return retry(self._server.vector_stores, self._deadline, "request.retry_scheduled")

    def _register(self, target: Target, lost_ids: Sequence[str]) -> Finding:
        """Create the vector store of a collection. Raises UnavailableError if the server stops answering."""
        try:
            store = self._create(target, lost_ids)
        except RefusedError as error:
            return Finding(target.name, State.REJECTED, detail=str(error))
        except UnavailableError as error:
            raise UnavailableError(f"'{target.name}' is not registered: {error}") from error
        log.info("collection.registered", collection=target.name, vector_store_id=store.id)
        return Finding(target.name, State.REGISTERED, store.id)

    def _create(self, target: Target, lost_ids: Sequence[str]) -> VectorStore:
        """Create a vector store; after a failure the list decides whether that took place.

        Every create makes another store, and a server that did not answer in time may still carry it out: then the
        run only looks for the store, and leaves the next try to the next run.
        """
        tried = False

        def look() -> VectorStore | None:
            listed = self._server.vector_stores()
            return next(
                (store for store in candidates([target], listed)[target.name] if store.id not in lost_ids), None
            )

        def look_and_create() -> VectorStore:
            nonlocal tried
            found = look() if tried else None
            tried = True
            return found or self._server.create_vector_store(target)

        def look_again() -> VectorStore:
            found = look()
            if found is None:
                raise UnavailableError(f"{failure}; the list does not show it, and trying again could make it twice")
            return found

        try:
            return retry(look_and_create, self._deadline, "create.retry_scheduled", max_failures=MAX_FAILURES)
        except UnavailableError as error:
            if not error.in_flight:
                raise
            failure = error
        patience = Deadline(min(self._asked.request_timeout_seconds, self._deadline.remaining()))
        return retry(look_again, patience, "create.lookup_scheduled")


def _verified(registered: Finding, found: Finding) -> Finding:
    """Return the finding for a collection that was just registered, from what the fresh list shows of it."""
    if found.state is State.PRESENT:
        return replace(found, state=State.REGISTERED)
    if found.state is State.MISSING:
        detail = f"the server answered that it was created as '{registered.id}', but does not list it; see its log"
        return replace(found, id=registered.id, detail=detail)
    return found


def _report(progress: _Progress, error: BaseException | None, elapsed_seconds: float) -> Report:
    findings = tuple(progress.findings.values())
    code = exit_code(findings) if error is None else getattr(error, "exit_code", ExitCode.UNEXPECTED)
    message = closing_sentence(progress.command, findings, progress.server_url or "") if error is None else str(error)
    if code is ExitCode.UNEXPECTED:
        cause = one_line(f"{type(error).__name__}: {error}")
        message = f"This is a bug in register-collections: {cause}; the log has its traceback"
    if code is ExitCode.UNAVAILABLE:
        message += "; look at the LlamaStack pod and its log, then run the hook again"
    return Report(
        command=progress.command,
        exit_code=code,
        message=message,
        findings=findings,
        problems=error.problems if isinstance(error, ConfigError) else (),
        server_url=progress.server_url,
        server_version=progress.server_version,
        elapsed_seconds=elapsed_seconds,
    )


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
    succeeded = report.exit_code is ExitCode.OK
    (log.info if succeeded else log.error)(
        "hook.finished" if succeeded else "hook.failed",
        command=report.command,
        exit_code=int(report.exit_code),
        message=report.message,
        **counts(report.findings),
        elapsed_seconds=round(report.elapsed_seconds, 3),
    )


def _write_report(report: Report, presentation: Presentation, stream: TextIO) -> None:
    text = render_text(report) if presentation.output == "text" else render_json(report)
    try:
        stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding) + "\n")
        stream.flush()
    except OSError as error:
        log.error("report.not_written", cause=str(error))


def _write_termination_message(report: Report, environ: Mapping[str, str]) -> None:
    asked = environ.get(TERMINATION_LOG_VARIABLE)
    path = Path(asked) if asked else TERMINATION_LOG
    if not asked and not path.exists():
        return
    try:
        path.write_bytes(termination_message(report))
    except OSError as error:
        log.error("termination_message.not_written", path=str(path), cause=str(error))
