"""Certificates: what is trusted, what the client shows, and what a failed handshake means."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from hook import files
from hook.errors import ConfigError, RefusedError, one_line
from hook.settings import Server


def check_files(server: Server) -> None:
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
        raise ConfigError([f"REQUESTS_CA_BUNDLE: no certificates to trust: {cause}"]) from error
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


def refusal(causes: Iterable[BaseException], what: str, url: str) -> RefusedError | None:
    """Return what a failed handshake means, if one is among the causes of a failure; waiting would not help."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RefusedError(
                f"{what}: the certificate of {url} does not verify: {one_line(cause.verify_message)}; "
                "mount the CA that signed it and name it in REQUESTS_CA_BUNDLE"
            )
        reason = str(cause.reason) if isinstance(cause, ssl.SSLError) else ""
        if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return RefusedError(f"{what}: {url} does not speak TLS; use http:// in LLAMA_STACK_URL")
        if "_ALERT_" in reason:
            return RefusedError(
                f"{what}: {url} ends the TLS handshake with {reason}: it wants another client certificate, or one at "
                "all; check LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY"
            )
    return None
