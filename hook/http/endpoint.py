"""One server that is asked: its address, its credentials, and what to say where it does not answer."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hook.errors import RefusedError
from hook.http.hints import Hints
from hook.secrets import read_token

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
    headers_file: Path | None = None
    """The file with further headers, which is read for each request."""
    oauth: "OAuthClient | None" = None
    """As which client the token is got, where an authorization server gives it."""
    client_certificate: tuple[str, str] | None = None
    """The files of the client's certificate and of its key, for mTLS."""
    ca_bundle: str | None = None
    """The file of the certificate authorities to trust, or None for the system's."""
    hints: Hints = field(default_factory=Hints)

    @property
    def address(self) -> str:
        """The host and the port, for a message."""
        parts = urlsplit(self.url)
        return parts.netloc if parts.port else f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"

    @property
    def has_credentials(self) -> bool:
        """Whether an `Authorization` is made of the settings."""
        return any((self.api_key, self.api_key_file, self.basic_auth, self.oauth))

    def read_secret(self, path: Path) -> str:
        """Return the token or secret in a file. Raises RefusedError where there is none."""
        try:
            return read_token(path)
        except ValueError as error:
            raise RefusedError(f"{self.hints.credential} in {path} {error}; {self.hints.key}") from error


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A client of an authorization server, which gives it tokens for its secret (RFC 6749, 4.4)."""

    server: Endpoint
    """The authorization server, without a path."""
    path: str
    """Of its token endpoint."""
    client_id: str
    secret_file: Path
    """The file with its secret, which is read for each token."""
