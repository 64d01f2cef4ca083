"""Credentials: the token that goes with each request, and the proxies' passwords, which no output may show."""

from urllib.request import getproxies

from hook.addresses import read_address
from hook.errors import ConfigError, RefusedError
from hook.secrets import keep_out, read_token
from hook.settings import Server


def bearer_token(server: Server) -> str | None:
    """Return the token, from its file where it has one. Raises RefusedError where that is not what it was at first."""
    path, advice = server.api_key_file, server.advice
    if path is None:
        return server.api_key
    try:
        return read_token(path)
    except ValueError as error:
        raise RefusedError(f"{advice.credential}'s file {path} {error}; {advice.key}") from error


def check_proxies(needed: str | None) -> None:
    """Keep the proxies' passwords out of all output. Raises ConfigError where the one that is needed has no address."""
    for key, text in getproxies().items():
        variable = f"{key.upper()}_PROXY"
        try:
            address = read_address(text if "://" in text else f"http://{text}", "http://proxy:3128")
        except ValueError as error:
            if text == needed:
                raise ConfigError([f"{variable}: the proxy's address {error}"]) from error
            continue
        keep_out(address.secret)
