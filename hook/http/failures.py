"""What it means that a request got no answer: each cause in a sentence with its own remedy."""

from http.client import BadStatusLine
from socket import gaierror
from ssl import SSLError
from urllib.parse import urlsplit

from hook.errors import RefusedError, UnavailableError, causes_of, one_line
from hook.http import proxies, tls
from hook.http.endpoint import Endpoint

_NEVER_SENT = {"ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "NameResolutionError", "ProxyError"}
"""The errors of requests and urllib3 with which a request did not get as far as the server."""


def is_timeout(error: Exception) -> bool:
    """Tell whether a request went out and its answer did not come in time."""
    causes = causes_of(error)
    return any(isinstance(cause, TimeoutError) for cause in causes) and _names(causes).isdisjoint(_NEVER_SENT)


def no_answer(
    error: Exception, what: str, server: Endpoint, proxy: str | None, *, has_answered: bool
) -> UnavailableError | RefusedError:
    """Return the error for a request to a server that failed in any other way, perhaps at a proxy before it."""
    causes = causes_of(error)
    refused = tls.refusal(causes, what, server)
    if refused is not None:
        return refused
    names = _names(causes)
    if isinstance(error, ValueError) or "InvalidJSONError" in names:
        # An invalid URL, scheme or header, or NaN in the body: never sent, and never better.
        return RefusedError(f"{what}: cannot be sent to {server.url}: {one_line(str(error))}; {server.hints.address}")
    is_plain = server.url.startswith("http:")
    if proxy is not None and (is_plain or "ProxyError" in names):
        server = proxies.endpoint(proxy, str(urlsplit(server.url).hostname))
    else:
        proxy = None
    sentence = _sentence(causes[-1], server, may_speak_tls=is_plain and proxy is None and not has_answered)
    return UnavailableError(f"{what}: {sentence}", in_flight=what.startswith("POST ") and names.isdisjoint(_NEVER_SENT))


def _sentence(cause: BaseException, server: Endpoint, *, may_speak_tls: bool) -> str:
    address, hints = server.address, server.hints
    word = one_line(str(getattr(cause, "strerror", None) or cause), 200)
    if isinstance(cause, gaierror):
        return f"the name {urlsplit(server.url).hostname} does not resolve from here ({word}); {hints.unresolved}"
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens on {address} ({word}); {hints.refused}"
    if isinstance(cause, ConnectionError):
        # OpenSSL sends no alert where plain HTTP comes instead of a handshake, nor do uvicorn and Python's servers.
        tls_hint = f"if it speaks TLS, {hints.secure}; otherwise " if may_speak_tls else ""
        return f"{address} closed the connection without an answer; {tls_hint}{hints.failed}"
    if isinstance(cause, BadStatusLine):
        return f"{address} does not answer in HTTP ({word}); {hints.address}"
    if isinstance(cause, OSError) and not isinstance(cause, SSLError):
        return f"{address} cannot be reached ({word}); {hints.unreachable}"
    return f"no complete answer from {address} ({word}); {hints.failed}"


def _names(causes: list[BaseException]) -> set[str]:
    return {type(cause).__name__ for cause in causes}
