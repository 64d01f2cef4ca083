"""What lets a request in: read from its files for each request, since they may be replaced under the run."""

import base64
from collections.abc import Mapping

from hook.errors import RefusedError
from hook.http.endpoint import Endpoint
from hook.http.headers import read_headers
from hook.http.oauth import Tokens


def credentials(server: Endpoint, tokens: Tokens | None, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the headers with which a server knows who asks, with a new token where these were `refused`.

    Raises RefusedError where a file has become unusable, and what getting a token raises.
    """
    headers: dict[str, str] = {}
    if server.headers_file is not None:
        try:
            headers |= read_headers(server.headers_file, may_authorize=not server.has_credentials)
        except ValueError as error:
            raise RefusedError(f"the headers in {server.headers_file}: {error}; correct the file") from error
    token = server.api_key
    if tokens is not None:
        token = tokens.present((refused or {}).get("Authorization", "").removeprefix("Bearer "))
    elif server.api_key_file is not None:
        token = server.read_secret(server.api_key_file)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    elif server.basic_auth is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(server.basic_auth).encode()).decode()}"
    return headers
