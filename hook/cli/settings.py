"""What a run is asked to do, from flags and environment, checked before anything is sent."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hook.cli.flags import SETTINGS
from hook.errors import ConfigError
from hook.http.endpoint import Endpoint
from hook.http.url import read_address
from hook.secrets import check_token, keep_out, read_token

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
MAX_SECONDS = 86400
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")
MAX_CONNECTIONS = 200
"""For 99 % of finding each of 43 processes, and half a minute for each look."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was asked to do."""

    command: str
    server: Endpoint
    config: Path
    timeout_seconds: float
    request_timeout_seconds: float
    accept_oldest: bool
    """Whether the oldest of several vector stores of one name stands for the collection."""
    recreate_lost: bool
    """Whether to register a fresh vector store where the listed one is dead."""
    publish_configmap: str | None
    """The ConfigMap that gets the addresses after a verified run."""
    names: tuple[str, ...]
    """The collections that `resolve` was asked for."""
    connections: int = 20
    """On how many fresh connections each question is asked, to meet every process of the server."""
    fail_unproven: bool = False
    """Whether `check` and `resolve` fail (exit code 3) for a collection that they cannot prove without writing."""
    prove_write: bool = True
    """Whether a proof includes the empty insert; without it, it only reads."""
    consumer: Endpoint | None = None
    """The same server with the credentials of the pipelines, which have to see what was registered."""
    wait_for_deployment: str | None = None
    """The Deployment of the server, whose rollout has to end before anything is asked."""
    allow_empty: bool = False
    """Whether it is right that nothing is declared."""
    strict: bool = False
    """Whether `validate` takes a variable that is unset for an error."""
    fail_unproven: bool = False
    """Whether `check` and `resolve` end with 3 where they cannot prove a collection without writing."""
    to: Path | None = None
    """The file into which `resolve` writes the addresses."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a run speaks; known even where the rest of the usage is wrong."""

    output: str
    log_level: str
    log_format: str


def presentation(
    arguments: Mapping[str, Any], environ: Mapping[str, str], *, terminals: tuple[bool, bool]
) -> Presentation:
    """Return how to speak; `terminals` says whether stdout and stderr are one. A wrong choice falls back to json."""
    values = _Values(arguments, environ)
    # `$(register-collections resolve …)` is no terminal, and wants the bare address all the same.
    people = terminals[0] or arguments.get("command") == "resolve"
    return Presentation(
        output=values.choice("--output") or ("text" if people else "json"),
        log_level=values.choice("--log-level") or "info",
        log_format=values.choice("--log-format") or ("console" if terminals[1] else "json"),
    )


def parse(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check flags and environment. Raises ConfigError with every problem of them."""
    values = _Values(arguments, environ)
    for flag in ("--output", "--log-level", "--log-format"):
        values.choice(flag)
    server = values.server()
    settings = Settings(
        command=arguments["command"],
        server=server,
        config=Path(str(values.text("--config")[0])),
        timeout_seconds=values.seconds("--timeout"),
        request_timeout_seconds=values.seconds("--request-timeout"),
        accept_oldest=values.choice("--on-duplicate") == "oldest",
        recreate_lost=values.choice("--on-lost") == "recreate",
        fail_unproven=values.choice("--on-unproven") == "fail",
        publish_configmap=values.object_name("--publish-configmap", "ConfigMap"),
        names=tuple(arguments["names"]),
        connections=values.whole_number("--connections", MAX_CONNECTIONS),
        prove_write=values.choice("--prove") != "read",
        consumer=values.consumer(server),
        wait_for_deployment=values.object_name("--wait-for-deployment", "Deployment"),
        allow_empty=values.choice("--allow-empty") == "true",
        strict=arguments["strict"],
        to=values.target(),
    )
    if values.problems:
        raise ConfigError(values.problems)
    return settings


def _but(value: str | None, source: str) -> str:
    """Return what else a message says of a wrong value: nothing of one from the command line, which may be a secret."""
    return "" if source.startswith("--") else f", not '{value}'"


class _Values:
    """Looks values up, flag before environment before default, and gathers what is wrong with them."""

    def __init__(self, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._arguments = arguments
        self._environ = environ

    def text(self, flag: str) -> tuple[str | None, str]:
        """Return the value and what to call it in a message. An empty variable counts as unset."""
        setting = next(setting for setting in SETTINGS if setting.flag == flag)
        given = self._arguments.get(flag[2:].replace("-", "_"))
        if given is not None:
            return given, flag
        return self._environ.get(setting.variable) or setting.default, setting.variable

    def choice(self, flag: str) -> str | None:
        value, source = self.text(flag)
        choices = next(setting.choices for setting in SETTINGS if setting.flag == flag)
        if value is None or value in choices:
            return value
        self.problems.append(f"{source}: must be one of {', '.join(choices)}{_but(value, source)}")
        return None

    def seconds(self, flag: str) -> float:
        value, source = self.text(flag)
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= MAX_SECONDS:
            self.problems.append(
                f"{source}: must be a number of seconds from above 0 to {MAX_SECONDS}{_but(value, source)}"
            )
        return seconds

    def whole_number(self, flag: str, most: int) -> int:
        value, source = self.text(flag)
        if re.fullmatch(r"[0-9]{1,9}", str(value)) and 1 <= int(str(value)) <= most:
            return int(str(value))
        self.problems.append(f"{source}: must be a whole number from 1 to {most}{_but(value, source)}")
        return 1

    def object_name(self, flag: str, kind: str) -> str | None:
        value, source = self.text(flag)
        if value is not None and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
            self.problems.append(f"{source}: must be the name of a {kind}{_but(value, source)}")
        return value

    def target(self) -> Path | None:
        path = self._arguments["to"]
        if path == "":
            self.problems.append("--to: must be the path of a file")
        return Path(path) if path else None

    def server(self) -> Endpoint:
        url, source = self.text("--url")
        api_key, api_key_file = self.api_key()
        try:
            address = read_address(str(url), "http://llama-stack-service:8321")
        except ValueError as error:
            self.problems.append(f"{source}: {error}")
            return Endpoint("")
        if address.url.endswith("/v1"):
            self.problems.append(f"{source}: leave out the /v1 at its end; the hook adds it")
        if address.credentials is not None:
            keep_out(address.secret)
            if api_key or api_key_file:
                self.problems.append(f"{source}: has a user in it, and there is an API key too; give one of them")
        return Endpoint(
            address.url,
            api_key,
            api_key_file,
            address.credentials,
            self.client_certificate(),
            self._environ.get("REQUESTS_CA_BUNDLE") or None,
        )

    def consumer(self, server: Endpoint) -> Endpoint | None:
        path = self.token_file("--consumer-api-key-file")
        hint = "check HOOK_CONSUMER_API_KEY_FILE"
        if path is None:
            return None
        advice = replace(server.advice, key=hint, rights=hint)
        return replace(server, api_key=None, api_key_file=path, basic_auth=None, advice=advice)

    def client_certificate(self) -> tuple[str, str] | None:
        certificate, key = (self._environ.get(name, "") for name in CLIENT_CERTIFICATE_VARIABLES)
        if bool(certificate) != bool(key):
            self.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
        return (certificate, key) if certificate and key else None

    def api_key(self) -> tuple[str | None, Path | None]:
        path = self.token_file("--api-key-file")
        key = self._environ.get(API_KEY_VARIABLE, "").strip() or None
        if key and path is not None:
            source = self.text("--api-key-file")[1]
            self.problems.append(f"{source} and {API_KEY_VARIABLE}: both are given; give one of them")
        if key:
            try:
                check_token(key)
            except ValueError as error:
                self.problems.append(f"{API_KEY_VARIABLE}: {error}")
            keep_out(key)
        return key, path

    def token_file(self, flag: str) -> Path | None:
        """Return the file, which has to hold a token already."""
        path, source = self.text(flag)
        if path is None:
            return None
        try:
            read_token(Path(path))
        except ValueError as error:
            # People also put the token itself here.
            shown = path if path.startswith(("/", ".")) else "a path that is not shown, since it may be the token"
            self.problems.append(f"{source}: {shown}: {error}")
        return Path(path)
