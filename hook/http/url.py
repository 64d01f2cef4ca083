"""The addresses of servers and proxies: what a request can be sent to, and what of it is a secret.

A message about a wrong address never holds a part of it, since nobody can tell where its password ends.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff<>\"\\^`{|}]")
"""What a URL cannot hold, also as an international name: white space, control characters, brackets, invalid UTF-8."""
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where something answers, and how to be let in."""

    url: str
    """Scheme, host, port and path, without credentials and without a slash at the end."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User and password, where it carries them."""

    @property
    def secret(self) -> str:
        """Return what no output may show: the password, or a user without one, as which some proxies take a token."""
        user, password = self.credentials or ("", "")
        return password or user


def check_expanded(text: str) -> None:
    """Raise ValueError where Kubernetes left a reference to another variable as it was (core/v1, EnvVar `value`).

    It expands `$(NAME)` only where NAME stands above it in `env`, and kustomize puts a variable of a patch first.
    """
    if "$(" in text:
        raise ValueError("has a $(…) in it that was not expanded; write the value itself")


def read_address(text: str, example: str) -> Address:
    """Return the address that a URL means. Raises ValueError with what is wrong with it; `example` is a right one."""
    if "${" in text:
        raise ValueError("has a ${…} in it, which nothing expands; write the value itself")
    check_expanded(text)
    if _FORBIDDEN.search(text):
        raise ValueError("has a space or another character in it that a URL cannot have")
    nonsense = "is not a URL; write % / # ? @ in a password as %25 %2F %23 %3F %40"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", "" if parts.port is None else f":{parts.port}"
        is_host = _is_host(host)
    except ValueError:
        raise ValueError(nonsense) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ValueError(f"must look like {example}, without ? or #")
    if not is_host or ("[" in parts.netloc) != (":" in host) or set("@[]") & set(parts.path):
        raise ValueError(nonsense)
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    host = f"[{host}]" if ":" in host else host
    return Address(f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}", credentials)


def _is_host(host: str) -> bool:
    """Tell whether a name can be looked up. Raises ValueError where it is no IP address, or no international name."""
    if ":" in host:
        return ip_address(host.partition("%")[0]).version == 6
    return _HOST.fullmatch(host.encode("idna").decode()) is not None
