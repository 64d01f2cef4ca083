"""Which connections are kept busy while the next one is opened."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from hook.http import busy
from hook.http.busy import Busy
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Run, entries

HEALTH = "GET /v1/health"
ONE = entries("red_hat_docs")
ALL = ("--connections", "20")


class Connections:
    """What is kept, and what became of it."""

    def __init__(self, kept: Busy) -> None:
        self.kept = kept
        self.asked: list[str] = []
        self.closed: list[str] = []

    def keep(self, name: str, answer: Callable[[], bool] = lambda: True) -> None:
        """Keep a connection of this name."""

        def ask() -> bool:
            self.asked.append(name)
            return answer()

        self.kept.keep(ask, lambda: self.closed.append(name))

    def ask_all(self) -> list[str]:
        """Return which were asked, after all of them were answered."""
        self.asked.clear()
        before = set(threading.enumerate())
        self.kept.ask_all()
        for thread in set(threading.enumerate()) - before:
            thread.join()
        return sorted(self.asked)


@pytest.fixture
def connections() -> Connections:
    """Return none yet."""
    return Connections(Busy())


def broken() -> bool:
    """Fail as a connection that was reset."""
    raise ConnectionResetError


def test_the_last_eight_are_asked(connections: Connections) -> None:
    """And the one before them is closed."""
    for name in "abcdefghi":
        connections.keep(name)

    assert connections.ask_all() == list("bcdefghi")
    assert connections.closed == ["a"]


def test_one_that_has_not_answered_yet_is_not_asked_again(connections: Connections) -> None:
    """Another request would open another connection beside the one that everybody waits for."""
    begun, silence = threading.Event(), threading.Event()

    def be_silent() -> bool:
        begun.set()
        return silence.wait()

    connections.keep("slow", be_silent)
    connections.kept.ask_all()
    begun.wait()
    connections.keep("b")

    assert connections.ask_all() == ["b"]
    silence.set()


@pytest.mark.parametrize("answer", [broken, lambda: False], ids=["reset", "refused"])
def test_one_that_fails_is_closed(connections: Connections, answer: Callable[[], bool]) -> None:
    connections.keep("a", answer)
    connections.keep("b")

    assert connections.ask_all() == ["a", "b"]
    assert connections.ask_all() == ["b"]
    assert connections.closed == ["a"]


def test_one_that_was_not_used_for_long_is_closed(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may have closed it, and a new one is no way to the process that took it."""
    monkeypatch.setattr(busy, "IDLE_SECONDS", 0.0)
    connections.keep("a")

    assert connections.ask_all() == []
    assert connections.closed == ["a"]


def test_after_three_failures_none_is_kept(connections: Connections) -> None:
    """Somebody may limit connections or requests."""
    for _ in range(busy.MOST_FAILURES):
        connections.keep("a", broken)
        connections.ask_all()
    connections.ask_all()
    connections.keep("b")

    assert connections.ask_all() == []
    assert connections.closed == ["a"] * busy.MOST_FAILURES + ["b"]


def test_a_failure_of_another_request_closes_all(connections: Connections) -> None:
    """And counts once, however often that is tried again while nothing is open."""
    for _ in range(busy.MOST_FAILURES):
        connections.kept.failed()
    connections.keep("a")
    connections.kept.failed()
    connections.keep("b")

    assert connections.closed == ["a"]
    assert connections.ask_all() == ["b"]


def test_a_pod_without_another_thread_asks_nobody(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no reason to fail."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    connections.keep("a")
    monkeypatch.setattr(threading.Thread, "start", start)

    assert connections.ask_all() == []


def test_those_that_answered_are_asked_on_the_connections_that_they_have(server: FakeLlamaStack, run: Run) -> None:
    """A new one could be taken by any process."""
    run(server.url, "check", *ALL, collections=ONE)

    ports = list(dict.fromkeys(request.port for request in server.requests))
    asked = [number for number, port in enumerate(ports) if lines_of(server, port).count(HEALTH) > 1]
    assert len(ports) == 20
    assert len(asked) >= 15


def lines_of(server: FakeLlamaStack, port: int) -> list[str]:
    """Return what was asked on one connection."""
    return [request.line for request in server.requests if request.port == port]


def test_a_gateway_that_limits_connections_is_no_failure(server: FakeLlamaStack, run: Run) -> None:
    """None but the one in use is kept open, as soon as that is told."""
    server.most_connections = 5
    server.add("red_hat_docs")

    outcome = run(server.url, "check", *ALL, "--timeout", "20", collections=ONE)

    assert outcome.states == ["present"]


def test_a_gateway_that_refuses_requests_beside_others_is_left_alone(server: FakeLlamaStack, run: Run) -> None:
    """After the third of them, and those that were under way with it, nobody is kept busy."""
    server.add("red_hat_docs")
    refused: list[int] = []

    def limit(handler: Any) -> None:
        port = handler.client_address[1]
        if len(lines_of(server, port)) == 1:
            handler.reply(200, {"status": "OK"})
        else:
            refused.append(port)
            handler.reply(429, {})

    server.fault(HEALTH, limit)

    outcome = run(server.url, "check", "--connections", "60", "--timeout", "60", collections=ONE)

    assert outcome.states == ["present"]
    assert 0 < len(refused) <= (busy.MOST_FAILURES + 1) * busy.MOST_CONNECTIONS


@pytest.mark.parametrize(("status", "connections"), [(429, 19), (503, 20)])
def test_where_requests_are_refused_nobody_is_kept_busy(
    server: FakeLlamaStack, run: Run, status: int, connections: int
) -> None:
    """What is tried anew is all that the gateway has to answer; after a 5xx on another connection."""
    server.add("red_hat_docs")
    before: list[set[int]] = []

    def refuse(handler: Any) -> None:
        ports = {request.port for request in server.requests}
        is_new = len(ports) > 1 and len(lines_of(server, handler.client_address[1])) == 1
        if is_new and len(before) < busy.MOST_FAILURES:
            before.append(ports)
            handler.reply(status, {})
        else:
            handler.reply(200, {"status": "OK"})

    server.fault(HEALTH, refuse)

    outcome = run(server.url, "check", *ALL, "--timeout", "60", collections=ONE)

    after = {request.port for request in server.requests} - before[-1]
    assert outcome.states == ["present"]
    assert (len(before), len(after)) == (busy.MOST_FAILURES, connections)
    assert [port for port in after if HEALTH in lines_of(server, port)[1:]] == []
