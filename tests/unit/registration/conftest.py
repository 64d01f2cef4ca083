"""What several of these tests share: other runs at the same instant, and throw-away vector stores."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from hook.cli.settings import Settings, parse
from hook.cli.usage import parse_arguments
from hook.deadline import Deadline
from hook.domain import Collection, Finding
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.progress import Progress
from hook.registration.run import Run
from tests.fake_llamastack import CANARY, GRANITE, FakeLlamaStack, answer
from tests.unit.conftest import NAMES

CREATE = "POST /v1/vector_stores"
LIST = "GET /v1/vector_stores"


def asked() -> Settings:
    """Return the default settings."""
    return parse(parse_arguments(["--connections", "1"]), {})


def start(url: str, barrier: threading.Barrier) -> dict[str, Finding]:
    """Run the use-case, beginning together with the others."""
    progress, deadline = Progress(), Deadline(60)
    server = LlamaStack(Http(Endpoint(url), 30, deadline))
    barrier.wait()
    Run(asked(), server, None, deadline, progress).carry_out(
        [Collection(name, GRANITE, "milvus-shared") for name in NAMES]
    )
    return progress.findings


@pytest.fixture
def rival(server: FakeLlamaStack) -> Callable[..., str]:
    """Return a function by which another run registers a collection after our list and before our create."""

    def register(name: str = "red_hat_docs", **fields: object) -> str:
        rival_id = server.add(name, run_id="a rival", **fields)
        server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)
        return rival_id

    return register


@pytest.fixture
def milvus() -> Any:
    """Return a stand-in of 0.7.3 with Milvus."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as fake:
        yield fake


def canaries(server: FakeLlamaStack) -> list[str]:
    """Return the names of the throw-away stores that were created, by the requests."""
    bodies = [request.body for request in server.requests if request.line in (CREATE, "POST /v1/vector-dbs")]
    names = [str(body.get("name") or body.get("vector_db_id")) for body in bodies]
    return [name for name in names if name.startswith(CANARY)]


def ids(server: FakeLlamaStack) -> set[str]:
    return {store["id"] for store in server.stores}
