"""The API with nothing behind it, for uvicorn: each worker lists one vector store of its own, which tells it apart."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

NAME = "red_hat_docs"
STORES = int(os.environ.get("BARE_STORES", "3"))
BUSY_SECONDS = float(os.environ.get("BARE_BUSY_SECONDS", "0.001"))
"""What a query or an insert computes."""
MODEL = {"id": "granite", "custom_metadata": {"model_type": "embedding", "embedding_dimension": 768}}

Message = MutableMapping[str, Any]


def stores() -> list[dict[str, Any]]:
    """Return those that all workers have, and the one of this worker."""
    names = [f"docs-{number}" for number in range(STORES)]
    shared = {"created_at": 1, "status": "completed", "metadata": {"provider_id": "p"}}
    own = {"id": f"worker-{os.getpid()}", "name": "worker", **shared}
    return [own, *({"id": f"vs_{name}", "name": name, **shared} for name in names)]


def answer(path: str) -> tuple[int, Any]:
    """Return the status and JSON of an answer."""
    if path == "/v1/vector_stores":
        return 200, {"data": stores(), "has_more": False}
    if path in ("/v1/vector-io/insert", "/v1/vector-io/query"):
        until = time.perf_counter() + BUSY_SECONDS
        while time.perf_counter() < until:
            pass
        return (204, None) if path.endswith("insert") else (200, {"chunks": [], "scores": []})
    return 200, {"status": "OK"}


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        await asyncio.sleep(0)
    status, body = answer(scope["path"])
    content = b"" if status == 204 else json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
