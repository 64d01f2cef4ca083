"""The token of each request, also where it changes during the run."""

from typing import Any

from hook.errors import RefusedError
from hook.http.endpoint import Endpoint
from hook.secrets import read_token


def bearer_token(server: Endpoint) -> str | None:
    """Return the token, from its file where it has one. Raises RefusedError where the file has become unusable."""
    if server.api_key_file is None:
        return server.api_key
    try:
        return read_token(server.api_key_file)
    except ValueError as error:
        hints = server.hints
        raise RefusedError(f"{hints.credential} in {server.api_key_file} {error}; {hints.key}") from error


def sent_with_new_token(server: Endpoint, response: Any, **sending: Any) -> Any:
    """Return the answer to the same request with the file's present token, where a 401 met an older one.

    A 401 says that nothing was done, so a create can be repeated, too: once, on a new connection. `sending` is how
    requests sent it. Raises RefusedError where the file has no token any more.
    """
    if response.status_code != 401 or server.api_key_file is None:
        return response
    try:
        authorization = f"Bearer {bearer_token(server)}"
    except RefusedError:
        response.close()
        raise
    if response.request.headers["Authorization"] == authorization:
        return response
    response.close()
    request = response.request.copy()
    request.headers["Authorization"] = authorization
    return response.connection.send(request, **sending)
