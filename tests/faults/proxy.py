"""A proxy on loopback that stands between the hook and a server and does to each request what a script says.

It keeps a ledger of what each run made and removed, past everything that the hook could claim.
"""

import base64
import http.client
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

ANY = "*"
"""The line of a rule that every request meets."""
UPSTREAM_SECONDS = 30.0
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What the server answered, or what the proxy says in its place."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    def raw(self) -> bytes:
        """Return it as it goes over the wire."""
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body

    def json(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request, and all that an action needs to answer it, or not to."""

    proxy: "FaultProxy"
    client: socket.socket
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    owner: str
    """Which run sent it."""

    @property
    def line(self) -> str:
        """Return `METHOD /path`."""
        return f"{self.method} {urlsplit(self.target).path}"

    def send(self, content: bytes) -> None:
        """Send bytes to the hook as they are."""
        self.client.sendall(content)

    def forward(self) -> Answer:
        """Let the server carry the request out, and return its answer."""
        return self.proxy.ask(self)

    def wait(self, seconds: float) -> bool:
        """Let time pass, and tell whether the proxy still runs."""
        return not self.proxy.closing.wait(seconds)


Action = Callable[[Exchange], None]
"""What happens to a request. An exception, or closing the socket, ends the connection."""


@dataclass
class Rule:
    """Which requests meet an action."""

    line: str
    action: Action
    times: float
    skip: int

    def takes(self, line: str) -> bool:
        """Tell whether the next request of this line is one, and count it."""
        if self.line not in (ANY, line) or self.times <= 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class FaultProxy:
    """The proxy. Use it as a context manager; `url` is where it listens."""

    upstream: str
    owner: Callable[[Mapping[str, str]], str] = lambda _: "run"
    """Tells by the headers which run sent a request."""
    signal: Callable[[int], None] = lambda _: None
    """Sends the program a signal."""
    lines: list[str] = field(default_factory=list)
    """`METHOD /path` of every request so far."""
    created: dict[str, str] = field(default_factory=dict)
    """The ids that the server minted, and the run that asked for each."""
    deleted: list[tuple[str, str]] = field(default_factory=list)
    """The run and the id of each delete."""
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._rules: list[Rule] = []
        self._accept_rules: list[Rule] = []
        self._lock = threading.Lock()
        self._late: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.reserve()
        self.open()
        return self

    def reserve(self) -> None:
        """Take a port, at which connections are refused as yet."""
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def open(self) -> None:
        """Take connections from now on."""
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.closing.set()
        # Without the shutdown, the thread that waits for a connection would go on waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def on(self, line: str, action: Action, *, times: float = float("inf"), skip: int = 0) -> None:
        """Let requests of `METHOD /path` meet an action: `times` of them, after the first `skip`."""
        self._rules.append(Rule(line, action, times, skip))

    def on_accept(self, action: Callable[[socket.socket], None], *, times: float = float("inf")) -> None:
        """Let new connections meet an action before anything is read from them."""
        self._accept_rules.append(Rule(ANY, lambda exchange: action(exchange.client), times, 0))

    def heal(self) -> None:
        """Forget every rule, and let what comes late come first."""
        with self._lock:
            self._rules.clear()
            self._accept_rules.clear()
        for thread in self._late:
            thread.join()

    def later(self, seconds: float, exchange: Exchange) -> None:
        """Let the server carry the request out so much later."""

        def carry_out() -> None:
            time.sleep(seconds)
            exchange.forward()

        self._late.append(threading.Thread(target=carry_out))
        self._late[-1].start()

    def ask(self, exchange: Exchange) -> Answer:
        """Send a request to the server, write into the ledger what it changed, and return the answer."""
        at = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=UPSTREAM_SECONDS)
        hop = ("connection", "host", "content-length")
        headers = {name: value for name, value in exchange.headers.items() if name not in hop}
        try:
            connection.request(
                exchange.method, exchange.target, exchange.body or None, headers | {"connection": "close"}
            )
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        dropped = ("connection", "content-length", "transfer-encoding", "keep-alive")
        kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in dropped)
        answer = Answer(response.status, content, kept)
        self._note(exchange, answer)
        return answer

    def _note(self, exchange: Exchange, answer: Answer) -> None:
        path = urlsplit(exchange.target).path
        with self._lock:
            if exchange.method == "DELETE":
                self.deleted.append((exchange.owner, path.rsplit("/", 1)[-1]))
            elif exchange.line in ("POST /v1/vector_stores", "POST /v1/vector-dbs") and answer.status == 200:
                made = answer.json()
                self.created[made.get("id") or made["identifier"]] = exchange.owner

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                rule = self._next(self._accept_rules, "")
                if rule is not None:
                    rule.action(Exchange(self, client, "", "", {}, b"", ""))
                with client.makefile("rb") as reader:
                    while self._exchange(client, reader):
                        pass
            except (OSError, http.client.HTTPException):
                # Either side went away, which is what many faults are about.
                return

    def _exchange(self, client: socket.socket, reader: Any) -> bool:
        """Serve one request, and tell whether the connection can carry another."""
        if not reader.peek(1)[:1].isalpha():
            # Nothing any more, or TLS where none is spoken: servers say so in plain text.
            client.sendall(Answer(400, b"Invalid HTTP request received.").raw())
            return False
        method, target, _ = reader.readline(PIECE_BYTES).decode("latin-1").split()
        parsed = http.client.parse_headers(reader)
        headers = {name.lower(): value for name, value in parsed.items()}
        body = reader.read(int(headers.get("content-length", "0")))
        exchange = Exchange(self, client, method, target, headers, body, self.owner(headers))
        with self._lock:
            self.lines.append(exchange.line)
        rule = self._next(self._rules, exchange.line)
        (rule.action if rule else pass_on)(exchange)
        return client.fileno() != -1

    def _next(self, rules: list[Rule], line: str) -> Rule | None:
        with self._lock:
            return next((rule for rule in rules if rule.takes(line)), None)


def pass_on(exchange: Exchange) -> None:
    """Do what a proxy does."""
    exchange.send(exchange.forward().raw())


def refuse(client: socket.socket) -> None:
    """Close a connection with a TCP reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _end(client)


def _end(client: socket.socket) -> None:
    """Close a socket now; its own `close` would wait for the reader that shares it."""
    os.close(client.detach())


def reset(exchange: Exchange) -> None:
    """End the connection with a TCP reset."""
    refuse(exchange.client)


def close(exchange: Exchange) -> None:
    """End the connection without an answer."""
    _end(exchange.client)


def hang(seconds: float) -> Action:
    """Say nothing for so long, then end the connection."""

    def action(exchange: Exchange) -> None:
        exchange.wait(seconds)
        close(exchange)

    return action


def raw(content: bytes) -> Action:
    """Send these bytes, then end the connection."""

    def action(exchange: Exchange) -> None:
        exchange.send(content)
        close(exchange)

    return action


def answer(status: int, body: Any = None, **headers: str) -> Action:
    """Answer with JSON, or with bytes as they are (an underscore in a header's name stands for a hyphen)."""
    content = body if isinstance(body, bytes) else json.dumps({"detail": "scripted"} if body is None else body).encode()
    named = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda exchange: exchange.send(Answer(status, content, tuple(named.items())).raw())


def drip(start: bytes, interval_seconds: float = 1.0, piece: bytes = b"x") -> Action:
    """Send these bytes and then a piece every so often: each of them resets the timeout of a naive client."""

    def action(exchange: Exchange) -> None:
        exchange.send(start)
        while exchange.wait(interval_seconds):
            exchange.send(piece)

    return action


def decoded(authorization: str) -> str:
    """Return the token, or user and password, of a header."""
    kind, _, token = authorization.partition(" ")
    return base64.b64decode(token).decode() if kind == "Basic" else token


def flood(start: bytes, piece: bytes, count: int) -> Action:
    """Send these bytes and then the same piece over and over."""

    def action(exchange: Exchange) -> None:
        exchange.send(start)
        for _ in range(count):
            exchange.send(piece)
        close(exchange)

    return action


def delay(seconds: float) -> Action:
    """Pass the request on so much later."""

    def action(exchange: Exchange) -> None:
        if exchange.wait(seconds):
            pass_on(exchange)

    return action


def applied(then: Action) -> Action:
    """Let the server carry the request out, and do something else with its answer."""

    def action(exchange: Exchange) -> None:
        exchange.forward()
        then(exchange)

    return action


def applied_late(seconds: float, first: Action) -> Action:
    """Do something else with the answer at once, and let the server carry the request out so much later."""

    def action(exchange: Exchange) -> None:
        exchange.proxy.later(seconds, exchange)
        first(exchange)

    return action


def changed(change: Callable[[Any], Any], **headers: str) -> Action:
    """Change the JSON of the answer, and its headers."""

    def action(exchange: Exchange) -> None:
        given = exchange.forward()
        content = json.dumps(change(given.json())).encode() if given.body else b""
        kept = {name.lower(): value for name, value in given.headers}
        kept |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        exchange.send(replace(given, body=content, headers=tuple(kept.items())).raw())

    return action
