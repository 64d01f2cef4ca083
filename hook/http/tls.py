"""Certificates: what is trusted, what the client shows, and what a failed handshake means."""

import re
import socket
import ssl
from collections.abc import Iterable
from http.client import BadStatusLine
from pathlib import Path
from urllib.parse import urlsplit

from hook import files
from hook.errors import ConfigError, RefusedError, one_line
from hook.http.endpoint import Endpoint

USE_HTTPS = "use https:// in LLAMA_STACK_URL"
"""What to do where http:// is wrong; only LlamaStack's URL can be one."""

HTTP_PORT = 80
"""That of http:// without one (RFC 9110, 4.2.1)."""

HANDSHAKE_SECONDS = 2.0
"""What a handshake may take that is only tried to say what is wrong."""

ANSWERS = 2
"""How often that is answered before it is believed: behind one URL may be a pod that goes and one that comes."""

_WANTS_TLS = re.compile(
    "Client sent an HTTP request to an HTTPS server"  # Go
    "|plain HTTP request was sent to HTTPS port"  # nginx
    "|speaking plain HTTP to an SSL-enabled server port"  # Apache
    "|This combination of host and port requires TLS"  # Tomcat
)
"""What servers of TLS write into the 400 with which they answer plain HTTP."""

_ALERTS = ("SSLV3_", "TLSV1_", "TLSV13_")
"""How OpenSSL's reasons begin that stand for an alert of the other end, of whichever version (SSL_R_TLSV1_…)."""

_ALERT = "\x15\x03"
"""How a TLS alert begins: its type and the major version, whichever the minor one is (RFC 8446, 5.1)."""


def check_files(server: Endpoint) -> None:
    """Raise ConfigError if the files for TLS are not what they should be; requests would say it too late."""
    if not server.url.startswith("https:"):
        # Nobody asks for them, and reading a bundle takes a tenth of the time of a run.
        return
    # Not the default context, which would read the system's certificates, too.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if server.ca_bundle is not None:
            is_folder = Path(server.ca_bundle).is_dir()
            if not is_folder:
                files.check(Path(server.ca_bundle))
            context.load_verify_locations(
                cafile=None if is_folder else server.ca_bundle, capath=server.ca_bundle if is_folder else None
            )
    except (OSError, ValueError) as error:
        cause = one_line(f"{server.ca_bundle}: {error}")
        raise ConfigError([f"{server.advice.authorities}: no certificates to trust: {cause}"]) from error
    try:
        if server.client_certificate is not None:
            for path in server.client_certificate:
                files.check(Path(path))
            # An encrypted key would ask for its password on the terminal.
            context.load_cert_chain(*server.client_certificate, password=lambda: "")
    except (OSError, ValueError) as error:
        names = "LLAMA_STACK_CLIENT_CERT, LLAMA_STACK_CLIENT_KEY"
        raise ConfigError([f"{names}: no certificate with its key: {one_line(str(error))}"]) from error


def system_ca_bundle() -> str | None:
    """Return the system's certificate store, which requests would pass over for the one that it brings along."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath


def wanted(server: Endpoint, status: int, text: str) -> bool:
    """Tell whether an answer to plain HTTP, which is not JSON, says that the server wants TLS."""
    return status == 400 and server.url.startswith("http:") and _WANTS_TLS.search(text) is not None


def may_be_wanted(causes: Iterable[BaseException], url: str) -> bool:
    """Tell whether a server of http:// hung up without a word.

    OpenSSL sends no alert where a request of HTTP comes instead of a handshake (SSL_R_HTTP_REQUEST, SSL_AD_NO_ALERT),
    so uvicorn and every other server of Python that speaks TLS does that, as does one that is about to go.
    """
    # The one with which http.client says so without a reset, RemoteDisconnected, is one, too.
    return url.startswith("http:") and any(isinstance(cause, ConnectionResetError) for cause in causes)


def is_spoken(url: str) -> bool:
    """Tell whether a handshake is answered in TLS, with whichever certificate; nothing is sent over it.

    It may take longer than HANDSHAKE_SECONDS, whose end is the caller's business.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    parts = urlsplit(url)
    try:
        with (
            socket.create_connection((str(parts.hostname), parts.port or HTTP_PORT), 2 * HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError) as error:
        # Up to TLS 1.2 one that wants a client certificate says so with an alert, as one does that wants another name.
        return isinstance(error, ssl.SSLError) and str(error.reason).startswith(_ALERTS)


def refused(what: str, url: str) -> RefusedError:
    """Return the sentence for a server of http:// that speaks TLS."""
    return RefusedError(f"{what}: {url} speaks TLS; {USE_HTTPS}")


def refusal(causes: Iterable[BaseException], what: str, server: Endpoint) -> RefusedError | None:
    """Return what a failed handshake means, if one is among the causes of a failure; waiting would not help."""
    url, advice = server.url, server.advice
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RefusedError(
                f"{what}: the certificate of {url} does not verify: {one_line(cause.verify_message)}; "
                f"{advice.authority}"
            )
        if isinstance(cause, BadStatusLine) and str(cause).startswith(_ALERT):
            return refused(what, url)
        reason = str(cause.reason) if isinstance(cause, ssl.SSLError) else ""
        if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return RefusedError(f"{what}: {url} does not speak TLS; {advice.plain}")
        if reason.startswith(_ALERTS):
            return RefusedError(f"{what}: {url} ends the TLS handshake with {reason}: {advice.handshake}")
    return None
