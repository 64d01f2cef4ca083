"""A company's proxy: it opens TLS with certificates of its own authority, and passes on what is in it."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import trustme


class Interceptor(socketserver.ThreadingTCPServer):
    """Listens on the loopback; `hosts` are those that were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.authority = trustme.CA()
        self.hosts: list[str] = []

    @property
    def url(self) -> str:
        """Return what `HTTPS_PROXY` takes."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @cache  # noqa: B019  # it lives as long as its test
    def context(self, host: str) -> ssl.SSLContext:
        """Return the TLS of a host, with a certificate that only this authority has signed."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(host).configure_cert(context)
        return context


class _Connection(socketserver.BaseRequestHandler):
    server: Interceptor

    def handle(self) -> None:
        head = self.request.recv(65536).decode()
        method, target, _ = head.split(" ", 2)
        assert method == "CONNECT", head
        host, port = target.split(":")
        self.server.hosts.append(host)
        self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            inside = self.server.context(host).wrap_socket(self.request, server_side=True)
            with socket.create_connection((host, int(port))) as outside:
                beyond = ssl.create_default_context().wrap_socket(outside, server_hostname=host)
                threading.Thread(target=_pass_on, args=(inside, beyond), daemon=True).start()
                _pass_on(beyond, inside)


def _pass_on(source: ssl.SSLSocket, target: ssl.SSLSocket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)


@contextmanager
def interceptor() -> Iterator[Interceptor]:
    """Run one."""
    with Interceptor() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
