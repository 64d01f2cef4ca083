"""What a run is asked to do, from flags and environment, checked before anything is sent."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hook.errors import ConfigError
from hook.flags import SETTINGS

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
MAX_SECONDS = 86400
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")
API_KEY_MAX_BYTES = 8192
"""More than any bearer token, and about what servers accept as one header."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and how to be let in."""

    url: str
    """Scheme, host, port and path, without credentials and without a slash at the end."""
    api_key: str | None = field(default=None, repr=False)
    """The bearer token."""
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    """User and password, where the URL carries them."""
    client_certificate: tuple[str, str] | None = None
    """The files of the client's certificate and of its key, for servers that want mTLS."""
    ca_bundle: str | None = None
    """The file of the certificate authorities to trust, or None for the system's."""
    rights_hint: str = "check LLAMA_STACK_API_KEY_FILE"
    """What to do where the server does not accept the credentials."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was asked to do."""

    command: str
    server: Server
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
    settings = Settings(
        command=arguments["command"],
        server=values.server(),
        config=Path(str(values.text("--config")[0])),
        timeout_seconds=values.seconds("--timeout"),
        request_timeout_seconds=values.seconds("--request-timeout"),
        accept_oldest=values.choice("--on-duplicate") == "oldest",
        recreate_lost=values.choice("--on-lost") == "recreate",
        publish_configmap=values.object_name("--publish-configmap"),
        names=tuple(arguments["names"]),
    )
    if values.problems:
        raise ConfigError(values.problems)
    return settings


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
        self.problems.append(f"{source}: must be one of {', '.join(choices)}, not '{value}'")
        return None

    def seconds(self, flag: str) -> float:
        value, source = self.text(flag)
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= MAX_SECONDS:
            self.problems.append(f"{source}: must be a number of seconds from above 0 to {MAX_SECONDS}, not '{value}'")
        return seconds

    def object_name(self, flag: str) -> str | None:
        value, source = self.text(flag)
        if value is not None and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
            self.problems.append(f"{source}: must be the name of a ConfigMap, not '{value}'")
        return value

    def server(self) -> Server:
        url, source = self.text("--url")
        api_key = self.api_key()
        try:
            parts = urlsplit(str(url))
            port = f":{parts.port}" if parts.port is not None else ""
            (parts.hostname or "").encode("idna")
        except ValueError:
            # The value, and what the library says of it, stay out of the message: they may hold a password.
            self.problems.append(f"{source}: is no URL; write % and / in a password as %25 and %2F")
            return Server("")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            self.problems.append(f"{source}: must look like http://llama-stack-service:8321, without ? or #")
        if parts.path.rstrip("/").endswith("/v1"):
            self.problems.append(f"{source}: leave out the /v1 at its end; the hook adds it")
        if parts.username is not None and api_key is not None:
            self.problems.append(f"{source}: has a user in it, and there is an API key too; give one of them")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        basic_auth = None
        if parts.username is not None:
            basic_auth = (unquote(parts.username), unquote(parts.password or ""))
        url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
        return Server(
            url, api_key, basic_auth, self.client_certificate(), self._environ.get("REQUESTS_CA_BUNDLE") or None
        )

    def client_certificate(self) -> tuple[str, str] | None:
        certificate, key = (self._environ.get(name, "") for name in CLIENT_CERTIFICATE_VARIABLES)
        if bool(certificate) != bool(key):
            self.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
        return (certificate, key) if certificate and key else None

    def api_key(self) -> str | None:
        path, source = self.text("--api-key-file")
        key, name = self._environ.get(API_KEY_VARIABLE, "").strip() or None, API_KEY_VARIABLE
        if path is not None:
            if key:
                self.problems.append(f"{source} and {API_KEY_VARIABLE}: both are given; give one of them")
            key, name = self._read_key(Path(path), source), f"{source}: {path}"
        if not key:
            return None
        if not (key.isascii() and key.isprintable()) or " " in key:
            self.problems.append(f"{name}: must hold one token of visible ASCII characters and nothing else")
        return key

    def _read_key(self, path: Path, source: str) -> str | None:
        try:
            with path.open("rb") as file:
                content = file.read(API_KEY_MAX_BYTES + 1)
        except OSError as error:
            self.problems.append(f"{source}: {path}: cannot be read: {error.strerror}")
            return None
        key = content.decode("ascii", "replace").strip()
        if not key or len(content) > API_KEY_MAX_BYTES:
            self.problems.append(f"{source}: {path}: {'is larger than a token' if key else 'is empty'}")
            return None
        return key
