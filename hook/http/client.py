"""One HTTP request at a time, bounded in time and size."""

import json
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import requests
from urllib3.connection import HTTPConnection

from hook import __version__
from hook.deadline import Deadline
from hook.errors import BudgetError, RefusedError, UnavailableError, causes_of, one_line
from hook.http import tls
from hook.http.answers import Answer, is_compressed, read
from hook.http.credentials import bearer_token, sent_with_new_token
from hook.http.endpoint import Endpoint
from hook.http.interim import FinalResponse
from hook.http.proxies import checked_proxy
from hook.http.request_log import traced
from hook.http.total_timeout import within

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A page of 100 vector stores, each with 20 metadata keys, is under 1 MB; a list that ignores `limit` fits, too."""
_NEVER_SENT = ("ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "NameResolutionError", "ProxyError")
"""The errors of requests and urllib3 with which a request did not get as far as the server."""
_UNWRAPPED = (requests.exceptions.BaseHTTPError, HTTPException, ValueError)  # type: ignore[attr-defined]
"""What requests lets through of the layers below, such as urllib3's of an address that it cannot parse."""
_GRACE_SECONDS = 0.2
"""How much later the clock around a request ends than the one inside it, whose error says more."""
HTTPConnection.response_class = FinalResponse


class Http:
    """One connection to a server, with its credentials: a request at a time, inside the budget of the run."""

    def __init__(self, server: Endpoint, request_timeout_seconds: float, deadline: Deadline) -> None:
        self._server = server
        self._request_timeout_seconds = request_timeout_seconds
        self._deadline = deadline
        self._answered, self._tls_answers = False, 0
        self._session: requests.Session | None = None
        tls.check_files(server)
        self._proxy = checked_proxy(server.url)

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # What the environment says of proxies, certificates and ~/.netrc was read already, by rules of our own.
        session.trust_env = False
        session.proxies = {} if self._proxy is None else {"all": self._proxy}
        session.verify = self._server.ca_bundle or tls.system_ca_bundle() or True
        session.auth = self._authorize
        # Else requests prepares the redirect that is never followed: it reads all of it, and fails at a bad address.
        session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
        # Else the cookie with which a Route ties a client to one pod would hide all the others.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Not compressed, so that the size that is counted is the size in memory.
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"register-collections/{__version__}"})
        session.cert = self._server.client_certificate
        return session

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = bearer_token(self._server)
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
            request.hooks["response"].append(partial(sent_with_new_token, self._server))
        elif self._server.basic_auth is not None:
            requests.auth.HTTPBasicAuth(*(part.encode() for part in self._server.basic_auth))(request)
        return request

    @property
    def url(self) -> str:
        """The server's URL, without credentials."""
        return self._server.url

    def another(self) -> "Http":
        """Return one more connection to the same server, which another process of it may take."""
        other = copy(self)
        other._session = None
        return other

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout_seconds: float | None = None) -> Any:
        """Return the JSON of an answer; `timeout_seconds` is for what has a time limit of its own.

        Raises UnavailableError where the same request may work later, and RefusedError where it never will.
        """
        return read(self._send("GET", path, query=query, timeout_seconds=timeout_seconds))

    def get_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, float | None]:
        """Return the JSON of an answer, and the time of the server's own clock in it. Raises as `get` does."""
        return read(answer := self._send("GET", path, query=query)), answer.date

    def post(
        self, path: str, body: Mapping[str, Any], *, timeout_seconds: float | None = None, once: bool = False
    ) -> Any:
        """Send JSON and return the JSON of the answer, or None for an empty one. Raises as `get` does.

        The UnavailableError is `in_flight` where the server may still be working on the request. What has to take place
        `once` is sent on a new connection: of one that was used, the server may be about to close it, unsaid.
        """
        if once:
            self.close()
        return read(self._send("POST", path, body=body, timeout_seconds=timeout_seconds))

    def delete(self, path: str) -> Any:
        """Return the JSON of the answer. Raises as `get` does."""
        return read(self._send("DELETE", path))

    def apply(self, path: str, query: Mapping[str, str], manifest: Mapping[str, Any]) -> Any:
        """Send a Kubernetes object for server-side apply (JSON is YAML, too). Raises as `get` does."""
        return read(self._send("PATCH", path, query=query, body=manifest, content_type="application/apply-patch+yaml"))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float | None = None,
    ) -> Answer:
        what = f"{method} {path}"
        limit = self._request_timeout_seconds if timeout_seconds is None else timeout_seconds
        seconds = min(limit, self._deadline.remaining())
        if seconds <= 0:
            raise BudgetError(f"{what}: the budget of {self._deadline.seconds:g} s is used up")
        session, self._session = self._session or self._new_session(), None
        exchange = partial(self._exchange, session, method, path, seconds, query, body, content_type)
        try:
            response, content = traced(method, path, lambda: within(seconds + _GRACE_SECONDS, exchange))
        except TimeoutError as error:
            raise self._timeout(what, method, seconds) from error
        except (requests.RequestException, *_UNWRAPPED) as error:
            if _is_timeout(error):
                raise self._timeout(what, method, seconds) from error
            self._tls_answers += tls.may_be_wanted(causes_of(error), self._server.url) and self._speaks_tls()
            if self._tls_answers == tls.ANSWERS:
                raise tls.refused(what, self._server.url) from error
            raise _transport_error(error, what, self._server, method) from error
        except OSError as error:
            # What requests says, without a type of its own, where a certificate's file has gone since the start.
            raise RefusedError(f"{what}: cannot be sent: {one_line(str(error))}") from error
        if response.status_code < 500:
            self._session = session
        else:
            # 0.7.3 closes the connection once it has logged its error, and resets what is sent on it meanwhile.
            session.close()
        authorized = "Authorization" in response.request.headers
        return Answer(what, response.status_code, response.headers, content, authorized, self._server)

    def _exchange(
        self,
        session: requests.Session,
        method: str,
        path: str,
        seconds: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> tuple[requests.Response, bytes]:
        with session.request(
            method,
            f"{self._server.url}{path}{'?' + urlencode(query) if query else ''}",
            data=None if body is None else json.dumps(body),
            headers=None if body is None else {"Content-Type": content_type},
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            self._answered = True
            return response, _read(response, f"{method} {path}", self._server.advice.name)

    def _speaks_tls(self) -> bool:
        """Tell whether the server, which has never answered, does; past a proxy it may be out of reach."""
        url = self._server.url
        seconds = min(tls.HANDSHAKE_SECONDS, self._deadline.remaining())
        if self._answered or self._proxy is not None or seconds <= 0:
            return False
        with suppress(TimeoutError):
            return within(seconds, lambda: tls.is_spoken(url))
        return False

    def _timeout(self, what: str, method: str, seconds: float) -> UnavailableError:
        kind, whose = UnavailableError, ""
        if self._deadline.remaining() == 0:
            kind, whose = BudgetError, f", the last of the budget of {self._deadline.seconds:g} s"
        return kind(f"{what}: no answer within {seconds:.3g} s{whose}", in_flight=method == "POST", timed_out=True)


def _read(response: requests.Response, what: str, name: str) -> bytes:
    if 300 <= response.status_code < 400:
        return b""
    if is_compressed(response.headers):
        if response.status_code >= 400:
            return b""
        raise RefusedError(f"{what}: the answer is compressed although the request forbids it: a proxy is in between")
    content = bytearray()
    for chunk in response.iter_content(64 * 1024):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise RefusedError(f"{what}: the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB: it is none of {name}")
    return bytes(content)


def _is_timeout(error: Exception) -> bool:
    """Tell whether a request went out and its answer did not come in time."""
    timed_out = any(isinstance(cause, TimeoutError) for cause in causes_of(error))
    return timed_out and not isinstance(error, requests.ConnectTimeout)


def _transport_error(error: Exception, what: str, server: Endpoint, method: str) -> UnavailableError | RefusedError:
    causes = causes_of(error)
    if (refused := tls.refusal(causes, what, server)) is not None:
        return refused
    if isinstance(error, ValueError):
        # An invalid URL, scheme or header: never sent, and never better.
        return RefusedError(
            f"{what}: cannot be sent to {server.url}: {one_line(str(error))}; check {server.advice.settings}"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        what += " through the proxy of HTTP_PROXY or HTTPS_PROXY (NO_PROXY names what needs none)"
    never_sent = any(type(cause).__name__ in _NEVER_SENT for cause in causes)
    return UnavailableError(
        f"{what}: no answer from {server.url}: {one_line(str(causes[-1]), 200)}",
        in_flight=method == "POST" and not never_sent,
    )
