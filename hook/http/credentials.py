"""What lets a request in: read from its files for each request, since they may be replaced under the run."""

import base64
from collections.abc import Mapping

from hook.errors import RefusedError
from hook.http.endpoint import Endpoint
from hook.http.headers import read_headers
from hook.http.oauth import Tokens
from hook.secrets import read_token


class Credentials:
    """The headers with which a server knows who asks."""

    def __init__(self, server: Endpoint, tokens: Tokens | None) -> None:
        self._server = server
        self._tokens = tokens

    def headers(self, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """Return the headers for the next request, with a new token where these were `refused`.

        Raises RefusedError where a file has become unusable, and what getting a token raises.
        """
        further = self._further_headers()
        if (token := self._bearer_token(refused or {})) is not None:
            return {**further, "Authorization": f"Bearer {token}"}
        if self._server.basic_auth is not None:
            user = base64.b64encode(":".join(self._server.basic_auth).encode()).decode()
            return {**further, "Authorization": f"Basic {user}"}
        return further

    def _bearer_token(self, refused: Mapping[str, str]) -> str | None:
        server = self._server
        if self._tokens is not None:
            return self._tokens.present(refused.get("Authorization", "").removeprefix("Bearer "))
        if server.api_key_file is None:
            return server.api_key
        try:
            return read_token(server.api_key_file)
        except ValueError as error:
            sentence = f"{server.hints.credential} in {server.api_key_file} {error}; {server.hints.key}"
            raise RefusedError(sentence) from error

    def _further_headers(self) -> Mapping[str, str]:
        server = self._server
        if server.headers_file is None:
            return {}
        try:
            return read_headers(server.headers_file, may_authorize=not server.has_credentials)
        except ValueError as error:
            raise RefusedError(f"the headers in {server.headers_file}: {error}; correct the file") from error
