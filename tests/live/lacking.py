"""A server that lacks a model's endpoint at first, inserts of one provider, and what cuts files into chunks."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers import free_port

READ_ONLY = "portal-of-others"
LATE_MODEL, LATE_DIMENSION = "text-embedding-3-small", 1536
LATE_PROVIDER = "emb"
REFRESH_SECONDS = 2
"""How often the server asks for models; 300 unless it is told otherwise."""


class LateEndpoint:
    """An embedding model behind OpenAI's API, whose endpoint starts after the server."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "LateEndpoint":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def start(self) -> None:
        """Answer from now on."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def configure(self, content: dict[str, Any]) -> None:
        """Make the model's provider, the read-only one and no file processor part of a configuration of ogx."""
        endpoint = {"api_key": "unused", "base_url": f"http://127.0.0.1:{self.port}/v1", "refresh_models": True}
        providers = content["providers"]
        providers["inference"].append(
            {"provider_id": LATE_PROVIDER, "provider_type": "remote::openai", "config": endpoint}
        )
        persistence = {"namespace": "vector_io::read_only", "backend": "kv_default"}
        providers["vector_io"].append(
            {
                "provider_id": READ_ONLY,
                "provider_type": "inline::read-only",
                "module": "read_only_vector_io",
                "config": {"persistence": persistence},
            }
        )
        del providers["file_processors"]
        content["apis"].remove("file_processors")
        content["server"]["registry_refresh_interval_seconds"] = REFRESH_SECONDS


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._reply([{"id": LATE_MODEL, "object": "model", "created": 1, "owned_by": "tests"}])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vector = [1.0] * LATE_DIMENSION
        self._reply([{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(texts)])

    def _reply(self, data: list[dict[str, Any]]) -> None:
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        content = json.dumps({"object": "list", "data": data, "model": LATE_MODEL, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
