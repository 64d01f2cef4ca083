"""The proxy on the way to a server, if there is one: it sees what is sent over http://, the token included."""

import os
import re
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from hook.errors import SettingError
from hook.http.endpoint import DEFAULT_PORTS, Endpoint
from hook.http.hints import of_proxy
from hook.http.url import Address, read_address
from hook.secrets import keep_out

_ENTRY = re.compile(r"(?:\[(?P<literal>[^\]]*)\]|(?P<host>[^:]*|.*:.*:.*))(?::(?P<port>\d+))?")
"""A host and its port. An IPv6 address without brackets has more than one colon, and no port."""


def checked_proxy(url: str) -> str | None:
    """Return the proxy for a URL, None where it needs none, and keep the passwords of all proxies out of all output.

    Raises SettingError where the one that is needed has no address.
    """
    proxies = getproxies_environment()
    needed = None if is_exempt(url) else proxies.get(urlsplit(url).scheme, proxies.get("all"))
    for key, text in proxies.items():
        try:
            keep_out(_address(text).secret)
        except ValueError as error:
            if text == needed:
                raise SettingError([f"{key.upper()}_PROXY: the proxy's address {error}"]) from error
    return needed


def endpoint(proxy: str, host: str) -> Endpoint:
    """Return the endpoint that a proxy on the way to a host is, for a message."""
    return Endpoint(_address(proxy).url, hints=of_proxy(host))


def behind(proxy: str, server: Endpoint) -> Endpoint:
    """Return the endpoint whose answer, since it is not JSON, may be that of a proxy before it, for a message."""
    host = urlsplit(server.url).hostname
    name = Endpoint(_address(proxy).url).address
    remedy = f"it may come from the proxy {name} of HTTP_PROXY or ALL_PROXY: correct that, or name {host} in NO_PROXY"
    return replace(server, hints=replace(server.hints, address=remedy, failed=remedy, in_front=remedy))


def _address(text: str) -> Address:
    return read_address(text if "://" in text else f"http://{text}", "http://proxy:3128")


def is_exempt(url: str) -> bool:
    """Tell whether NO_PROXY, or `no_proxy`, names the server of a URL.

    As with curl, Go and requests together: `*` is every server; a name includes its subdomains, with a dot before it
    or without; an IP address may be a network (CIDR); and each may have a port, which is then the only one.
    """
    parts = urlsplit(url)
    host, port = _plain(parts.hostname or ""), DEFAULT_PORTS.get(parts.scheme)
    # An invalid port is reported where the request is sent.
    with suppress(ValueError):
        port = parts.port or port
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return any(_names(entry, host, port) for entry in re.split(r"[\s,]+", named) if entry)


def _names(entry: str, host: str, port: int | None) -> bool:
    found = _ENTRY.fullmatch(entry)
    if found is None or (found["port"] is not None and int(found["port"]) != port):
        return False
    named, address = found["host"] if found["literal"] is None else found["literal"], _ip_address(host)
    if named == "*":
        return True
    if address is not None:
        with suppress(ValueError):
            return address in ip_network(named.partition("%")[0], strict=False)
        return False
    named = _plain(named.removeprefix("*").removeprefix("."))
    return named != "" and (host == named or host.endswith(f".{named}"))


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        return ip_address(host.partition("%")[0])
    return None
