"""What tests change in a server's configuration: who may ask, what is declared, and a Milvus that is not there."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from client import DIMENSION, MODEL, PROVIDER
from servers import configuration, free_port

Edit = Callable[[dict[str, Any]], None]
TOKEN = "the-right-token"
DEFAULTS = {
    "default_provider_id": PROVIDER,
    "default_embedding_model": {
        "provider_id": "sentence-transformers",
        "model_id": MODEL,
        "embedding_dimensions": DIMENSION,
    },
}
PRINCIPALS = {TOKEN: {"principal": "hook", "attributes": {"roles": ["admin"]}}}
"""By token, who that is, and what attributes they have."""


def declare(release: str) -> Edit:
    """Return the edit that declares in another configuration what `run-decl.yaml` of the release does."""
    declaring = configuration(release, "run-decl.yaml")

    def edit(content: dict[str, Any]) -> None:
        if "registered_resources" in declaring:
            content["registered_resources"]["vector_stores"] = declaring["registered_resources"]["vector_stores"]
        else:
            content["vector_dbs"] = declaring["vector_dbs"]

    return edit


def with_defaults(content: dict[str, Any]) -> None:
    """Name what the server's own create takes for what a request leaves out, from 0.3 on."""
    if "registered_resources" in content:
        content["vector_stores"] = DEFAULTS


def without_milvus(content: dict[str, Any]) -> None:
    """Make the wanted provider a Milvus server that nobody runs."""
    provider = content["providers"]["vector_io"][1]
    provider["provider_type"] = "remote::milvus"
    provider["config"] |= {"uri": f"http://127.0.0.1:{free_port()}", "token": "unused"}


class TokenServer:
    """The endpoint that the server asks about each token; it knows these."""

    def __init__(self, principals: Mapping[str, Any] = PRINCIPALS) -> None:
        self._principals = principals

    def __enter__(self) -> "TokenServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _TokenHandler)
        self._server.principals = self._principals  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def guard(self, release: str, policy: Sequence[Mapping[str, Any]] = ()) -> Edit:
        """Return the edit of a configuration that makes the server ask here, and go by this policy or its own."""
        endpoint = f"http://127.0.0.1:{self._server.server_port}/"

        def edit(content: dict[str, Any]) -> None:
            if release == "0.2.12":
                auth: dict[str, Any] = {"provider_type": "custom", "config": {"endpoint": endpoint}}
            else:
                auth = {"provider_config": {"type": "custom", "endpoint": endpoint}}
            content["server"]["auth"] = auth | ({"access_policy": list(policy)} if policy else {})

        return edit


class _TokenHandler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        principal = self.server.principals.get(asked["api_key"])
        body = json.dumps(principal or {}).encode()
        self.send_response(401 if principal is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
