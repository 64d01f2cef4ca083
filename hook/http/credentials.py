"""Credentials: the token that goes with each request, also where it changes under way."""

from typing import Any

from hook.errors import RefusedError
from hook.http.endpoint import Endpoint
from hook.secrets import read_token


def bearer_token(server: Endpoint) -> str | None:
    """Return the token, from its file where it has one. Raises RefusedError where that is not what it was at first."""
    path, advice = server.api_key_file, server.advice
    if path is None:
        return server.api_key
    try:
        return read_token(path)
    except ValueError as error:
        raise RefusedError(f"{advice.credential}'s file {path} {error}; {advice.key}") from error


def sent_with_new_token(server: Endpoint, response: Any, **sending: Any) -> Any:
    """Return the answer to the same request with the token that is in the file now, where a 401 met an older one.

    A 401 says that nothing was done, so this is safe for a create, too; it is sent once more, on a new connection.
    `sending` is how requests sent it. Raises RefusedError where the file holds no token any more.
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
