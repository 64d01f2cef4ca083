"""The settings of a run, from flags and environment, checked before anything is sent."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hook.cli.flags import SETTINGS, SWITCH
from hook.errors import ConfigError, UsageError
from hook.http.endpoint import Endpoint
from hook.http.url import Address, check_expanded, read_address
from hook.secrets import check_token, keep_out, read_token

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")
MAX_SECONDS = 86400
MAX_CONNECTIONS = 200
"""Finds each of 43 workers with a probability of 99 %."""

_SETTINGS = {setting.flag: setting for setting in SETTINGS}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to do; hook/cli/flags.py has the help of each setting."""

    command: str
    server: Endpoint
    config: tuple[Path, ...]
    """The files and folders that declare the collections, all together; `-` is standard input."""
    timeout_seconds: float
    request_timeout_seconds: float
    accept_oldest: bool
    """Whether the oldest of several vector stores with one name is used."""
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


def presentation(
    arguments: Mapping[str, Any], environ: Mapping[str, str], *, terminals: tuple[bool, bool]
) -> Presentation:
    """Return the formats; `terminals` says whether stdout and stderr are one. A wrong choice falls back to json."""
    values = _Values(arguments, environ)
    # `$(register-collections resolve …)` is not a terminal, but needs the bare address as well.
    is_text = terminals[0] or arguments.get("command") == "resolve"
    return Presentation(
        output=values.choice("--output") or ("text" if is_text else "json"),
        log_level=values.choice("--log-level") or "info",
        log_format=values.choice("--log-format") or ("console" if terminals[1] else "json"),
    )


def parse(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check flags and environment. Raises ConfigError with all problems, and UsageError before it."""
    if arguments["problems"]:
        raise UsageError(arguments["command"], arguments["problems"])
    values = _Values(arguments, environ)
    for flag in ("--output", "--log-level", "--log-format"):
        values.choice(flag)
    server = values.server()
    settings = Settings(
        command=arguments["command"],
        server=server,
        config=values.paths(),
        timeout_seconds=values.take("--timeout", _seconds, 0.0),
        request_timeout_seconds=values.take("--request-timeout", _seconds, 0.0),
        accept_oldest=values.choice("--on-duplicate") == "oldest",
        recreate_lost=values.choice("--on-lost") == "recreate",
        publish_configmap=values.take("--publish-configmap", _object_name, None),
        names=tuple(arguments["words"]) if arguments["command"] == "resolve" else (),
        files=tuple(map(Path, arguments["words"])) if arguments["command"] == "validate" else (),
        connections=values.take("--connections", _connections, 1),
        fail_unverified=values.choice("--on-unproven") == "fail",
        prove_write=values.choice("--prove") != "read",
        consumer=values.consumer(server),
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
        raise ConfigError(values.problems)
    return settings


def _seconds(value: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(value)) <= MAX_SECONDS:
            return seconds
    raise ValueError(f"must be a number of seconds from above 0 to {MAX_SECONDS}")


def _split(value: str) -> tuple[Path, ...]:
    if paths := [path for path in value.split(os.pathsep) if path]:
        return tuple(map(Path, paths))
    raise ValueError(f"must hold paths, with {os.pathsep} between them")


def _connections(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= MAX_CONNECTIONS:
        return int(value)
    raise ValueError(f"must be a whole number from 1 to {MAX_CONNECTIONS}")


def _object_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
        return value
    raise ValueError("must be the name of a Kubernetes object")


class _Values:
    """Looks values up, flag before environment before default, and gathers the problems."""

    def __init__(self, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._arguments = arguments
        self._environ = environ

    def take(self, flag: str, convert: Callable[[str], _T], default: _T) -> _T:
        """Return the converted value, or `default` if it is not set or wrong."""
        value, source = self._text(flag)
        choices = _SETTINGS[flag].choices
        try:
            if value is None:
                return default
            check_expanded(value)
            if choices and value not in choices:
                raise ValueError(f"must be one of {', '.join(choices)}")
            return convert(value)
        except ValueError as error:
            # A value on the command line may be a secret at the wrong place.
            actual_value = "" if source.startswith("--") else f", not '{value}'"
            self.problems.append(f"{source}: {error}{actual_value}")
            return default

    def paths(self) -> tuple[Path, ...]:
        """Return the flag's paths, each of which is given by a flag of its own, or those of the variable."""
        given = self._arguments.get("config")
        if given and not all(given):
            self.problems.append("--config: must be the path of a file or folder, or - for standard input")
        return tuple(map(Path, given)) if given else self.take("--config", _split, ())

    def choice(self, flag: str) -> str | None:
        return self.take(flag, str, None)

    def server(self) -> Endpoint:
        url, source = self._text("--url")
        key_file, key = self._token_file("--api-key-file"), self._environ.get(API_KEY_VARIABLE, "").strip()
        keep_out(key)
        try:
            check_expanded(key)
            check_token(key)
        except ValueError as error:
            self.problems.append(f"{API_KEY_VARIABLE}: {error}")
        try:
            address = read_address(str(url), str(_SETTINGS["--url"].default))
        except ValueError as error:
            self.problems.append(f"{source}: {error}")
            address = Address("")
        keep_out(address.secret)
        if address.url.endswith("/v1"):
            self.problems.append(f"{source}: leave out the /v1 at its end; the hook adds it")
        user = address.credentials
        keys = {API_KEY_VARIABLE: key, self._text("--api-key-file")[1]: key_file, f"user in {source}": user}
        if len(sources := [name for name, value in keys.items() if value]) > 1:
            self.problems.append(f"{' and '.join(sources)}: set only one of them")
        certificate, certificate_key = (self._environ.get(name) for name in CLIENT_CERTIFICATE_VARIABLES)
        both = (certificate, certificate_key) if certificate and certificate_key else None
        if both is None and (certificate or certificate_key):
            self.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
        authority = self._environ.get("REQUESTS_CA_BUNDLE") or None
        return Endpoint(address.url, key or None, key_file, user, both, authority)

    def consumer(self, server: Endpoint) -> Endpoint | None:
        path = self._token_file("--consumer-api-key-file")
        if path is None:
            return None
        hint = "check HOOK_CONSUMER_API_KEY_FILE"
        hints = replace(server.hints, key=hint, rights=hint)
        return replace(server, api_key=None, api_key_file=path, basic_auth=None, hints=hints)

    def _text(self, flag: str) -> tuple[str | None, str]:
        """Return the value and its name for a message. An empty variable counts as unset."""
        setting = _SETTINGS[flag]
        given = self._arguments.get(setting.key)
        if given is not None:
            return given, flag
        return self._environ.get(str(setting.variable)) or setting.default, str(setting.variable)

    def _token_file(self, flag: str) -> Path | None:
        """Return the file, which must hold a token already."""
        path, source = self._text(flag)
        if path is None:
            return None
        try:
            check_expanded(path)
            read_token(Path(path))
        except ValueError as error:
            # Some people put the token itself here.
            shown = path if path.startswith(("/", ".")) else "path not shown, because it may be the token"
            self.problems.append(f"{source}: {shown}: {error}")
        return Path(path)
