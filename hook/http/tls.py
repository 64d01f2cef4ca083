"""Certificates: what is trusted, what the client shows, and what a failed handshake means."""

import re
import ssl
from collections.abc import Iterable
from http.client import BadStatusLine
from pathlib import Path

from hook import files
from hook.errors import RefusedError, SettingError, one_line
from hook.http.endpoint import Endpoint

_WANTS_TLS = re.compile(
    "to (an )?HTTPS (server|port)|SSL-enabled server port|This combination of host and port requires TLS"
)
"""What TLS servers write into the 400 with which they answer plain HTTP: Go and nginx, Apache, Tomcat."""

_ALERTS = ("SSLV3_", "TLSV1_", "TLSV13_")
"""How OpenSSL's names of the alerts begin that the other end sends, in every version (SSL_R_TLSV1_…)."""
_CERTIFICATE_ALERTS = re.compile("CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|ACCESS_DENIED")
"""Those about the client's certificate; up to TLS 1.2 a missing one is a handshake failure."""

_ALERT = "\x15\x03"
"""The first bytes of an alert that comes instead of an answer: its type and the major version (RFC 8446, 5.1)."""

_EXPIRED, _WRONG_NAME = (10,), (62, 64)
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED, and those of a wrong host name or IP address."""


def check_files(server: Endpoint) -> None:
    """Raise SettingError if the files for TLS are unusable; requests would say so too late. http:// needs none."""
    if not server.url.startswith("https:"):
        return
    # Not the default context, which would also read the system's certificates.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if server.ca_bundle is not None:
            is_folder = Path(server.ca_bundle).is_dir()
            if not is_folder:
                files.check(Path(server.ca_bundle))
            context.load_verify_locations(**{"capath" if is_folder else "cafile": server.ca_bundle})
    except (OSError, ValueError) as error:
        cause = one_line(f"{server.ca_bundle}: {error}")
        raise SettingError([f"{server.hints.authorities}: no certificates to trust: {cause}"]) from error
    try:
        if server.client_certificate is not None:
            for path in server.client_certificate:
                files.check(Path(path))
            # An encrypted key would ask for its password on the terminal.
            context.load_cert_chain(*server.client_certificate, password=lambda: "")
    except (OSError, ValueError) as error:
        names = "LLAMA_STACK_CLIENT_CERT, LLAMA_STACK_CLIENT_KEY"
        raise SettingError([f"{names}: no certificate with its key: {one_line(str(error))}"]) from error


def system_ca_bundle() -> str | None:
    """Return the system's certificate store, in place of the one that requests brings along."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath


def is_wanted(server: Endpoint, status: int, text: str) -> bool:
    """Tell whether an answer to plain HTTP says that the server wants TLS."""
    return status == 400 and server.url.startswith("http:") and _WANTS_TLS.search(text) is not None


def refusal(causes: Iterable[BaseException], what: str, server: Endpoint) -> RefusedError | None:
    """Return what a failed handshake means, if there is one among the causes of a failure."""
    for cause in causes:
        if isinstance(cause, BadStatusLine) and str(cause).startswith(_ALERT):
            return RefusedError(f"{what}: {server.address} speaks TLS; {server.hints.secure}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            word, remedy = one_line(cause.verify_message).rstrip("."), server.hints.authority
            if cause.verify_code in _EXPIRED:
                remedy = "renew it"
            elif cause.verify_code in _WRONG_NAME:
                remedy = f"use a host name that the certificate holds; {server.hints.address}"
            return RefusedError(f"{what}: the certificate of {server.address} does not verify: {word}; {remedy}")
        reason = str(cause.reason) if isinstance(cause, ssl.SSLError) else ""
        if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return RefusedError(f"{what}: {server.address} does not speak TLS; {server.hints.plain}")
        if reason.startswith(_ALERTS):
            meaning = server.hints.address
            if _CERTIFICATE_ALERTS.search(reason):
                meaning = (
                    f"the server requires a client certificate, or a different one; {server.hints.client_certificate}"
                )
            return RefusedError(f"{what}: {server.address} ended the TLS handshake ({reason}): {meaning}")
    return None
