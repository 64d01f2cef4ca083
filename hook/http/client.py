"""One HTTP request at a time, bounded in time and size."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from http.client import CONTINUE, HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any

import requests
from urllib3.connection import HTTPConnection

from hook import __version__
from hook.deadline import Deadline, within
from hook.errors import BudgetError, RefusedError, UnavailableError, one_line
from hook.http import tls
from hook.http.answers import Answer, is_compressed, read
from hook.http.credentials import credentials
from hook.http.endpoint import Endpoint
from hook.http.failures import is_timeout, no_answer
from hook.http.hints import Hints
from hook.http.oauth import Tokens
from hook.http.proxies import behind, checked_proxy
from hook.logs import log

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A page of 100 vector stores, each with 20 metadata keys, is under 1 MB; a list that ignores `limit` fits, too."""
_UNWRAPPED = (requests.exceptions.BaseHTTPError, HTTPException, ValueError)  # type: ignore[attr-defined]
"""What requests lets through of the layers below, such as urllib3's of an address that it cannot parse."""
_GRACE_SECONDS = 0.2
"""How much later the timeout around a request ends than the one inside it, whose error says more."""


class FinalResponse(HTTPResponse):
    """The first answer that is not interim (1xx; RFC 9110, 15.2); http.client itself skips only 100.

    Raises TimeoutError where interim answers go on for longer than one read may take.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._limit = Deadline(sock.gettimeout())

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if not 100 <= status < 200:
            return version, status, reason
        if self._limit.remaining() == 0:
            raise TimeoutError("nothing but interim answers")
        return version, CONTINUE, reason


HTTPConnection.response_class = FinalResponse


class Http:
    """One connection to a server, with its credentials: a request at a time, inside the budget of the run."""

    def __init__(self, server: Endpoint, request_timeout_seconds: float, deadline: Deadline) -> None:
        self._server = server
        self._request_timeout_seconds = request_timeout_seconds
        self._deadline = deadline
        self._has_answered = False
        self._session: requests.Session | None = None
        self._has_failed = False
        """Whether the last answer on that connection was an error."""
        tls.check_files(server)
        self._proxy = checked_proxy(server.url)
        self._tokens: Tokens | None = None
        if server.oauth is not None:
            issuer = Http(server.oauth.server, request_timeout_seconds, deadline)
            self._tokens = Tokens(server.oauth, issuer.post_form)

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # Proxies and certificates were already read from the environment, by other rules; ~/.netrc is ignored.
        session.trust_env = False
        session.proxies = {} if self._proxy is None else {"all": self._proxy}
        session.verify = self._server.ca_bundle or tls.system_ca_bundle() or True
        # Else requests prepares the redirect that is not followed: it reads all of it, and fails at a bad address.
        session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
        # Else the cookie with which a Route ties a client to one pod would hide the others.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Not compressed, so that the size that is counted is the size in memory.
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"register-collections/{__version__}"})
        session.cert = self._server.client_certificate
        return session

    @property
    def url(self) -> str:
        """The server's URL, without credentials."""
        return self._server.url

    def another(self) -> "Http":
        """Return one more connection to the same server, which another worker of it may take."""
        other = copy(self)
        other._session = None
        return other

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout_seconds: float | None = None) -> Any:
        """Return the JSON of an answer; `timeout_seconds` replaces the timeout of each request.

        Raises UnavailableError where the same request may work later, and RefusedError where it never will.
        """
        return read(self._send("GET", path, timeout_seconds, params=query))

    def get_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Return the JSON of an answer, and the time of the server's own clock in it. Raises as `get` does."""
        return read(answer := self._send("GET", path, params=query)), answer.date

    def post(
        self, path: str, body: Mapping[str, Any], *, timeout_seconds: float | None = None, once: bool = False
    ) -> Any:
        """Send JSON and return the JSON of the answer, or None for an empty one. Raises as `get` does.

        The UnavailableError is `in_flight` where the server may still be working on the request. What must take place
        `once` goes on a new connection, since the server may be about to close a used one.
        """
        if once:
            self.close()
        return read(self._send("POST", path, timeout_seconds, json=body))

    def post_form(self, path: str, form: str) -> Answer:
        """Send a form and return the answer, whatever its status. Raises as `get` does where there is none."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return self._send("POST", path, data=form, headers=headers)

    def delete(self, path: str) -> Any:
        """Return the JSON of the answer. Raises as `get` does."""
        return read(self._send("DELETE", path))

    def apply(self, path: str, query: Mapping[str, str], manifest: Mapping[str, Any]) -> Any:
        """Send a Kubernetes object for server-side apply (JSON is YAML, too). Raises as `get` does."""
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return read(self._send("PATCH", path, params=query, json=manifest, headers=headers))

    def _send(self, method: str, path: str, timeout_seconds: float | None = None, **content: Any) -> Answer:
        """Return the answer to a request, where a 401 met a token that has been replaced to the same with the new one.

        A 401 says that nothing was done, so a create can be repeated, too: once, on a new connection.
        """
        sent = credentials(self._server, self._tokens)
        answer = self._exchange(method, path, sent, timeout_seconds, **content)
        if answer.status != 401 or (present := credentials(self._server, self._tokens, sent)) == sent:
            return answer
        self.close()
        return self._exchange(method, path, present, timeout_seconds, **content)

    def _exchange(
        self, method: str, path: str, own: Mapping[str, str], timeout_seconds: float | None, **content: Any
    ) -> Answer:
        """Return the answer to a request whose `content` is what requests calls params, json and headers."""
        what = f"{method} {path}"
        content["headers"] = {**own, **content.get("headers", {})}
        timeout = self._request_timeout_seconds if timeout_seconds is None else timeout_seconds
        timeout = min(timeout, self._deadline.remaining())
        if timeout <= 0:
            limit, remedy = self._limit()
            raise BudgetError(f"{what}: not sent: {limit} is over{remedy}")
        may_be_closed = self._session is not None and self._has_failed
        session, self._session = self._session or self._new_session(), None

        def exchange() -> tuple[requests.Response, bytes]:
            options: dict[str, Any] = {"timeout": timeout, "allow_redirects": False, "stream": True}
            with session.request(method, f"{self._server.url}{path}", **options, **content) as response:
                self._has_answered = True
                return response, _read(response, what, self._server.hints)

        # The timeout of requests starts anew with every byte and does not cover name resolution.
        try:
            response, body = _logged(method, path, lambda: within(timeout + _GRACE_SECONDS, exchange))
        except TimeoutError as error:
            raise self._timeout_error(what, timeout) from error
        except (requests.RequestException, *_UNWRAPPED) as error:
            if is_timeout(error):
                raise self._timeout_error(what, timeout) from error
            if may_be_closed:
                # From 0.5.4 on a server closes the connection once it has logged an error, up to 2 s after its answer.
                return self._exchange(method, path, own, timeout_seconds, **content)
            raise no_answer(error, what, self._server, self._proxy, has_answered=self._has_answered) from error
        except OSError as error:
            # requests has no type of its own for a certificate's file that has gone since the start.
            raise RefusedError(f"{what}: cannot be sent: {one_line(str(error))}; mount it again") from error
        self._has_failed = response.status_code >= 400
        if response.status_code < 500:
            self._session = session
        else:
            # 0.7.3 closes the connection once it has logged its error, and resets what is sent on it meanwhile.
            session.close()
        answer = Answer(what, response.status_code, response.headers, body, bool(own), self._server)
        if self._proxy is not None and not answer.is_json and self._server.url.startswith("http:"):
            return replace(answer, server=behind(self._proxy, self._server))
        return answer

    def _limit(self) -> tuple[str, str]:
        """Return the deadline in words, and what helps where a setting has it."""
        seconds = f"{self._deadline.seconds:g} s"
        if self._deadline.is_part:
            return f"the time limit of {seconds}", ""
        return f"the run's timeout of {seconds}", "; raise HOOK_TIMEOUT_SECONDS (Helm: timeoutSeconds)"

    def _timeout_error(self, what: str, timeout: float) -> UnavailableError:
        # After a POST, what to do depends on what it was for, which the caller knows.
        hint = f"; {self._server.hints.failed}" if what.startswith("GET ") else ""
        kind = UnavailableError
        if self._deadline.remaining() == 0:
            limit, remedy = self._limit()
            kind, hint = BudgetError, f", at the end of {limit}{remedy}"
        sentence = f"{what}: no answer within {timeout:.3g} s from {self._server.address}{hint}"
        return kind(sentence, in_flight=what.startswith("POST "), timed_out=True)


def _logged(
    method: str, path: str, exchange: Callable[[], tuple[requests.Response, bytes]]
) -> tuple[requests.Response, bytes]:
    """Log an exchange, without headers, query and the texts of errors, which may hold credentials."""
    start, request = monotonic(), {"method": method, "path": path}
    try:
        response, body = exchange()
    except Exception as error:
        log.debug("http.failed", **request, error=type(error).__name__, seconds=round(monotonic() - start, 3))
        raise
    log.debug("http.answered", **request, status=response.status_code, seconds=round(monotonic() - start, 3))
    return response, body


def _read(response: requests.Response, what: str, hints: Hints) -> bytes:
    if 300 <= response.status_code < 400:
        return b""
    if is_compressed(response.headers):
        if response.status_code >= 400:
            return b""
        raise RefusedError(f"{what}: the response is compressed, which the request forbids: a proxy; {hints.in_front}")
    content = bytearray()
    for chunk in response.iter_content(64 * 1024):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            size = f"{MAX_ANSWER_BYTES >> 20} MiB"
            raise RefusedError(f"{what}: response over {size}; probably not {hints.server}: {hints.address}")
    return bytes(content)
