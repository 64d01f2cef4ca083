"""The settings of a run, from flags and environment, checked before anything is sent."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hook.cli import servers
from hook.cli.flags import SWITCH
from hook.cli.values import Values
from hook.errors import SettingError, UsageError
from hook.http import Endpoint

MAX_SECONDS = 86400
MAX_CONNECTIONS = 200
"""Finds each of 43 workers with a probability of 99 %."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to do; hook/cli/flags.py has the help of each setting."""

    command: str
    server: Endpoint
    config: tuple[Path, ...]
    """The files and folders that declare the collections, all together; `-` is standard input."""
    timeout_seconds: float
    request_timeout_seconds: float
    on_duplicate: str
    """Which of several vector stores with one name is used: none (`fail`), the `oldest`, or the `filled` one."""
    recreate_lost: bool
    """Whether a new vector store replaces one that is listed but dead."""
    publish_configmap: str | None
    names: tuple[str, ...]
    connections: int = 20
    fail_unverified: bool = False
    """Whether `check` and `resolve` fail (exit code 3) for a collection that they cannot prove without writing."""
    prove_write: bool = True
    """Whether a proof includes the empty insert. Without it, a proof only reads."""
    consumer: Endpoint | None = None
    """The same server with the credentials of the pipelines, which must see the collections as well."""
    wait_for_deployment: str | None = None
    allow_empty: bool = False
    strict: bool = False
    """Whether an unset variable is an error for `validate`."""
    tells_changes: bool = False
    """Whether `plan` exits with 7 where something would be created."""
    yes: bool = False
    """Whether `prune` deletes."""
    with_data: bool = False
    """Whether it deletes what holds data, too."""
    to: Path | None = None
    files: tuple[Path, ...] = ()
    """What `validate` reads, each file by itself, in place of `config`."""
    config_key: str | None = None
    """The only key of a ConfigMap or Secret that is read."""


class Presentation(NamedTuple):
    """How a run writes report and log. It is known even if other settings are wrong."""

    output: str
    log_level: str
    log_format: str
    is_read: bool = False
    """Whether the same person reads both, so that the log need not repeat the report."""


def presentation(
    arguments: Mapping[str, Any], environ: Mapping[str, str], *, terminals: tuple[bool, bool]
) -> Presentation:
    """Return the formats; `terminals` says whether stdout and stderr are one. A wrong choice falls back to json."""
    values = Values(arguments, environ)
    is_resolve = arguments.get("command") == "resolve"
    # `$(register-collections resolve …)` is not a terminal, but needs the bare address as well.
    output = "text" if terminals[0] or is_resolve else "github" if environ.get("GITHUB_ACTIONS") == "true" else "json"
    output = values.choice("--output") or output
    return Presentation(
        output=output,
        log_level=values.choice("--log-level") or ("warning" if terminals[1] else "info"),
        log_format=values.choice("--log-format") or ("console" if terminals[1] else "json"),
        is_read=all(terminals) and output == "text" and not is_resolve,
    )


def parse(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check flags and environment. Raises SettingError with all problems, and UsageError before it."""
    if arguments["problems"]:
        raise UsageError(arguments["typed"], arguments["problems"])
    values = Values(arguments, environ)
    for flag in ("--output", "--log-level", "--log-format"):
        values.choice(flag)
    server = servers.server(values)
    settings = Settings(
        command=arguments["command"],
        server=server,
        config=values.paths(),
        timeout_seconds=values.take("--timeout", _seconds, 0.0),
        request_timeout_seconds=values.take("--request-timeout", _seconds, 0.0),
        on_duplicate=values.choice("--on-duplicate") or "fail",
        recreate_lost=values.choice("--on-lost") == "recreate",
        publish_configmap=values.take("--publish-configmap", _object_name, None),
        names=tuple(arguments["words"]) if arguments["command"] == "resolve" else (),
        files=tuple(map(Path, arguments["words"])) if arguments["command"] == "validate" else (),
        connections=values.take("--connections", _connections, 1),
        fail_unverified=values.choice("--on-unproven") == "fail",
        prove_write=values.choice("--prove") != "read",
        consumer=servers.consumer(values, server),
        wait_for_deployment=values.take("--wait-for-deployment", _object_name, None),
        allow_empty=values.choice("--allow-empty") == SWITCH[1],
        strict=arguments["strict"] is not None,
        tells_changes=arguments["detailed_exitcode"] is not None,
        yes=arguments["yes"] is not None,
        with_data=arguments["with_data"] is not None,
        to=Path(arguments["to"]) if arguments["to"] else None,
        config_key=values.take("--config-key", str, None),
    )
    if arguments["to"] == "":
        values.problems.append("--to: must be the path of a file")
    if values.problems:
        raise SettingError(values.problems)
    return settings


def _seconds(value: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(value)) <= MAX_SECONDS:
            return seconds
    raise ValueError(f"must be a number of seconds above 0 and up to {MAX_SECONDS}")


def _connections(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= MAX_CONNECTIONS:
        return int(value)
    raise ValueError(f"must be a whole number from 1 to {MAX_CONNECTIONS}")


def _object_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
        return value
    raise ValueError("must be a Kubernetes name (lower-case letters, digits, '-' and '.')")
