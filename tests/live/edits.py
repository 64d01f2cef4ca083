"""What tests change in a server's configuration: who may ask, what is declared, and a Milvus that is not there."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers import configuration, free_port

Edit = Callable[[dict[str, Any]], None]
TOKEN = "the-right-token"


def declare(release: str) -> Edit:
    """Return the edit that declares in another configuration what `run-decl.yaml` of the release does."""
    declaring = configuration(release, "run-decl.yaml")

    def edit(content: dict[str, Any]) -> None:
        if "registered_resources" in declaring:
            content["registered_resources"]["vector_stores"] = declaring["registered_resources"]["vector_stores"]
        else:
            content["vector_dbs"] = declaring["vector_dbs"]

    return edit


def without_milvus(content: dict[str, Any]) -> None:
    """Make the wanted provider a Milvus server that nobody runs."""
    provider = content["providers"]["vector_io"][1]
    provider["provider_type"] = "remote::milvus"
    provider["config"] |= {"uri": f"http://127.0.0.1:{free_port()}", "token": "unused"}


class TokenServer:
    """The endpoint that the server asks about each token; it knows one."""

    def __enter__(self) -> "TokenServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _TokenHandler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def guard(self, release: str) -> Edit:
        """Return the edit of a configuration that makes the server ask here."""
        endpoint = f"http://127.0.0.1:{self._server.server_port}/"

        def edit(content: dict[str, Any]) -> None:
            if release == "0.2.12":
                auth: dict[str, Any] = {"provider_type": "custom", "config": {"endpoint": endpoint}}
            else:
                auth = {"provider_config": {"type": "custom", "endpoint": endpoint}}
            content["server"]["auth"] = auth

        return edit


class _TokenHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["api_key"] == TOKEN
        body = json.dumps({"principal": "hook", "attributes": {"roles": ["admin"]}} if known else {}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
