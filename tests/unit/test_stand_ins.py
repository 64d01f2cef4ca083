"""The stand-in servers say nothing where the hook writes its log, unless they are wrong themselves."""

import socket
import ssl
import struct
from http.client import HTTPConnection, HTTPSConnection, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.fake_kubernetes import FakeKubernetes
from tests.fake_llamastack import FakeLlamaStack
from tests.stand_in import StandInServer


def ask_and_go_away(connection: HTTPConnection) -> None:
    """Make one request, so that the server has this connection, and reset it in the middle of a second one."""
    connection.request("GET", "/version")
    connection.getresponse().read()
    connection.sock.sendall(b"GET /ver")
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture(autouse=True)
def _ends_with_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandInServer, "daemon_threads", False)


def test_a_client_that_goes_away_is_passed_over(capfd: pytest.CaptureFixture[str]) -> None:
    """With TLS or without."""
    with FakeLlamaStack() as llamastack, FakeKubernetes() as kubernetes:
        context = ssl.create_default_context()
        kubernetes.authority.configure_trust(context)
        ask_and_go_away(HTTPConnection(urlsplit(llamastack.url).netloc))
        ask_and_go_away(HTTPSConnection("127.0.0.1", kubernetes.port, context=context))

    assert capfd.readouterr().err == ""


def test_a_mistake_of_the_stand_in_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """A test that reads the hook's log fails of it then."""

    def mistake(_: Any) -> None:
        raise KeyError("of the stand-in")

    with FakeLlamaStack() as server:
        server.fault("GET /v1/health", mistake)
        with pytest.raises(RemoteDisconnected):
            urlopen(f"{server.url}/v1/health")

    assert "KeyError: 'of the stand-in'" in capfd.readouterr().err
