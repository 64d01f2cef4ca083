"""Where a server is, and how to be let in."""

from dataclasses import dataclass, field
from pathlib import Path

from hook.http.hints import LLAMA_STACK, Advice


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is, and how to be let in."""

    url: str
    """Scheme, host, port and path, without credentials and without a slash at the end."""
    api_key: str | None = field(default=None, repr=False)
    """The bearer token, where it stands in the environment."""
    api_key_file: Path | None = None
    """The file that holds it, which is read for each request."""
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    """User and password, where the URL carries them."""
    client_certificate: tuple[str, str] | None = None
    """The files of the client's certificate and of its key, for servers that want mTLS."""
    ca_bundle: str | None = None
    """The file of the certificate authorities to trust, or None for the system's."""
    advice: Advice = LLAMA_STACK
    """What it is called, and what to do where it does not do what it should."""
