"""Tokens of an authorization server, for a client and its secret: OAuth 2 client credentials (RFC 6749, 4.4)."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any

from hook.errors import BudgetError, RefusedError, UnavailableError, one_line
from hook.http.answers import Answer, read
from hook.http.endpoint import OAuthClient
from hook.secrets import check_token, keep_out

RENEW_SECONDS = 30.0
"""How long before its end a token is replaced, since a request may wait in the server; at most half of its time."""
_CLIENT_STATUSES = (400, 401, 403)
"""With which an authorization server refuses a client (RFC 6749, 5.2; Keycloak, Auth0)."""

_TOKENS = ("access_token", "refresh_token", "id_token")
_MAX_BYTES = 64 * 1024
"""What is read of an answer; a header holds less."""


class Tokens:
    """The present token of a client, shared by all connections."""

    def __init__(self, client: OAuthClient, post: Callable[[str, str], Answer]) -> None:
        """Take how a form is sent to a path."""
        self._client = client
        self._post = post
        self._lock = Lock()
        self._token = ""
        self._renew_at = 0.0

    def present(self, refused: str | None = None) -> str:
        """Return the token, a new one where it ends soon or was `refused`.

        Raises UnavailableError where the authorization server does not answer, and RefusedError where it refuses.
        """
        with self._lock:
            if not self._token or self._token == refused or monotonic() >= self._renew_at:
                self._fetch()
            return self._token

    def _fetch(self) -> None:
        sent = monotonic()
        try:
            found = self._grant()
        # The caller's own request was not sent: its status, and what may still take place, are another server's.
        except UnavailableError as error:
            kind = BudgetError if isinstance(error, BudgetError) else UnavailableError
            raise kind(str(error), retry_after_seconds=error.retry_after_seconds) from error
        except RefusedError as error:
            raise RefusedError(str(error)) from error
        seconds = found.get("expires_in")
        self._renew_at = sent + seconds - min(RENEW_SECONDS, seconds / 2) if seconds else float("inf")
        self._token = found["access_token"]

    def _grant(self) -> Mapping[str, Any]:
        """Return what the authorization server grants, with an `access_token` in it."""
        # It takes a quarter of a second to be imported, and most runs need none of it.
        from oauthlib.oauth2 import BackendApplicationClient, MissingTokenError, OAuth2Error

        secret = self._client.server.read_secret(self._client.secret_file)
        client = BackendApplicationClient(self._client.client_id)
        form = client.prepare_request_body(include_client_id=True, client_secret=secret)
        answer = self._post(self._client.path, form)
        sentence, hints = f"{answer.what} answered {answer.status}", answer.server.hints
        if answer.status not in _CLIENT_STATUSES:
            read(answer)
        found: Mapping[str, Any] = {}
        # For what is no answer of a token endpoint, the library has errors of all kinds.
        with suppress(MissingTokenError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            try:
                found = client.parse_request_body_response(answer.content[:_MAX_BYTES].decode("utf-8", "replace"))
                keep_out(*(found[key] for key in _TOKENS if isinstance(found.get(key), str)))
                check_token(found["access_token"])
                return found
            except MissingTokenError:
                raise
            except OAuth2Error as error:
                word = one_line(f"{error.error}: {error.description}" if error.description else str(error.error))
                raise RefusedError(f"{sentence} ({word}): {hints.key}") from error
        read(answer)
        raise RefusedError(f"{sentence} without an access_token; probably not {hints.server}: {hints.address}")
