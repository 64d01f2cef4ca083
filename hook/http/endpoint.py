"""Where a server is, and how to be let in."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hook.http.hints import LLAMA_STACK, Hints

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is, and how to be let in."""

    url: str
    """Scheme, host, port and path, without credentials and without a slash at the end."""
    api_key: str | None = field(default=None, repr=False)
    """The bearer token, where it is in the environment."""
    api_key_file: Path | None = None
    """The file that holds it, which is read for each request."""
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    """User and password, where the URL carries them."""
    client_certificate: tuple[str, str] | None = None
    """The files of the client's certificate and of its key, for mTLS."""
    ca_bundle: str | None = None
    """The file of the certificate authorities to trust, or None for the system's."""
    hints: Hints = LLAMA_STACK

    @property
    def address(self) -> str:
        """The host and the port, for a message."""
        parts = urlsplit(self.url)
        return parts.netloc if parts.port else f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"
