"""A stand-in for the one corner of a Kubernetes API server that the hook uses, on a real TLS socket.

It knows server-side apply as far as that: a PATCH of the right content type with a field manager creates the object
or replaces what that manager owned; anything else, or another token, is refused in the API server's own words.
"""

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

TOKEN = "pod-token-7f3a"


@dataclass
class FakeKubernetes:
    """The server's state: its ConfigMaps and Deployments by path, and what it was asked."""

    deployments: dict[str, list[Any]] = field(default_factory=dict)
    """What each read of a Deployment answers, one after the other; the last one for ever."""
    configmaps: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    applied_keys: set[str] = field(default_factory=set)
    forbidden: bool = False
    failures: int = 0

    def __enter__(self) -> "FakeKubernetes":
        self.authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def mount(self, folder: Path, namespace: str = "private-ai-demo") -> None:
        """Write what Kubernetes mounts into a pod."""
        folder.mkdir(exist_ok=True)
        (folder / "token").write_text(TOKEN)
        (folder / "namespace").write_text(namespace)
        self.authority.cert_pem.write_to_path(str(folder / "ca.crt"))

    def environ(self) -> dict[str, str]:
        """Return the variables by which a pod finds its API server."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.fake.requests.append(f"{self.command} {url.path}")
        status, body = self._answer(url.path, {k: v[0] for k, v in parse_qs(url.query).items()}, content)
        answer = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, path: str, query: dict[str, str], content: bytes) -> tuple[int, Any]:
        fake: FakeKubernetes = self.server.fake
        if fake.failures:
            fake.failures -= 1
            return self._status(503, "the server is currently unable to handle the request")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._status(401, "Unauthorized")
        if fake.forbidden:
            return self._status(403, 'configmaps "ids" is forbidden: User cannot patch resource')
        if path in fake.deployments:
            seen = fake.deployments[path]
            return 200, seen.pop(0) if len(seen) > 1 else seen[0]
        if self.command == "GET":
            found = fake.configmaps.get(path)
            return (200, found) if found else self._status(404, f"{path} not found")
        if self.headers.get("Content-Type") != "application/apply-patch+yaml":
            return self._status(415, "the body of the request was in an unknown format")
        if not query.get("fieldManager"):
            return self._status(400, "PatchOptions.fieldManager: Required value")
        applied = json.loads(content)
        before = fake.configmaps.get(path, {}).get("data", {})
        foreign = {key: value for key, value in before.items() if key not in fake.applied_keys}
        fake.applied_keys = set(applied["data"])
        fake.configmaps[path] = applied | {"data": foreign | applied["data"]}
        return 200, fake.configmaps[path]

    def _status(self, code: int, message: str) -> tuple[int, Any]:
        return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}
