"""Throw-away vector stores that earlier runs could not delete."""

import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hook.llamastack.api import TRIAL_TEXT
from tests.fake_llamastack import CANARY, GRANITE_ID, FakeLlamaStack
from tests.unit.conftest import Run, entries
from tests.unit.registration.conftest import canaries, ids

DELETED = "DELETE /v1/vector_stores/"
ONE = entries("red_hat_docs")


def leave(server: FakeLlamaStack, *contents: str, **fields: Any) -> str:
    """Leave a throw-away store behind as a killed run would, two hours ago, and return its id."""
    made_at = int(time.time()) + server.clock_seconds - 7200
    # As earlier versions called it, by a UUID that tells when that was.
    ticks = made_at * 10**7 + 0x01B21DD213814000
    fields_of_uuid = (ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF | 0x1000, 0x80, 0, 1)
    name = f"{CANARY}{uuid.UUID(fields=fields_of_uuid)}"
    store_id = server.add(name, **({"run_id": "an earlier one", "declared_as": name, "created_at": made_at} | fields))
    server.chunks[store_id] = [*contents]
    return store_id


@pytest.mark.parametrize("clock_seconds", [0, -86_400, 86_400])
@pytest.mark.parametrize("fields", [{}, {"declared_as": None}], ids=["of-now", "of-an-earlier-version"])
def test_a_leftover_of_an_earlier_hour_is_swept(
    milvus: FakeLlamaStack, run: Run, fields: dict[str, Any], clock_seconds: int
) -> None:
    """By the server's own clock."""
    milvus.clock_seconds = clock_seconds
    left = leave(milvus, TRIAL_TEXT, **fields)

    outcome = run(milvus.url, collections=ONE)

    assert left not in ids(milvus)
    assert (outcome.exit_code, milvus.names()) == (0, ["red_hat_docs"])
    assert outcome.event_names().count("canary.deleted") == 2


def test_a_leftover_without_a_chunk_is_swept_where_that_is_told(run: Run) -> None:
    """Its run was killed before the insert: qdrant says so, and Milvus answers as if it were dead."""
    with FakeLlamaStack("0.3", provider_type="remote::qdrant") as server:
        del server.chunks[leave(server)]
        run(server.url, collections=ONE)

    assert server.names() == ["red_hat_docs"]


OTHERS: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
    "made by nobody": ([TRIAL_TEXT], {"run_id": None, "declared_as": None}),
    "made by another program": ([TRIAL_TEXT], {"run_id": None}),
    "with a file": ([TRIAL_TEXT], {"file_counts": {"total": 1}}),
    "with a file that failed": ([TRIAL_TEXT], {"file_counts": {"failed": 1, "total": 0}}),
    "with another chunk": ([TRIAL_TEXT, "a text of somebody's"], {}),
    "with one chunk of somebody's": (["a text of somebody's"], {}),
    "younger than an hour": ([TRIAL_TEXT], {"created_at": int(time.time()) - 3000}),
    "of no known age": ([TRIAL_TEXT], {"created_at": -1}),
    "made at the epoch": ([TRIAL_TEXT], {"created_at": 0}),
    "renamed, a collection's": ([TRIAL_TEXT], {"declared_as": "hr_docs"}),
    "of another provider": ([TRIAL_TEXT], {"provider_id": "faiss-first"}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_leftover_stays(milvus: FakeLlamaStack, run: Run, what: str) -> None:
    contents, fields = OTHERS[what]
    left = leave(milvus, *contents, **fields)
    if what == "made by another program":
        milvus.stores[-1]["metadata"]["created_by"] = "register-collections-ui 1"

    outcome = run(milvus.url, collections=ONE)

    assert outcome.exit_code == 0
    assert left in ids(milvus)


@pytest.mark.parametrize(
    "name", [f"{CANARY}notes", f"{CANARY}{'-' * 36}", f"x{CANARY}{uuid.UUID(int=1)}", "docs", None]
)
def test_what_is_not_called_like_one_is_no_leftover(milvus: FakeLlamaStack, run: Run, name: str | None) -> None:
    left = leave(milvus, TRIAL_TEXT, declared_as=None)
    milvus.stores[-1]["name"] = name

    run(milvus.url, collections=ONE)

    assert left in ids(milvus)


@pytest.mark.parametrize("key", ["vector_store_id", "vector_store_name"])
@pytest.mark.parametrize("provider_id", ["milvus-shared", "__disabled__"])
def test_a_declared_collection_is_no_leftover(
    milvus: FakeLlamaStack, run: Run, tmp_path: Path, key: str, provider_id: str
) -> None:
    """By its id or by its alias, in whatever case the server shows that, and also where it is switched off."""
    left = leave(milvus, TRIAL_TEXT, declared_as=None)
    common = {"embedding_model": GRANITE_ID, "provider_id": "milvus-shared"}
    declared = common | {"vector_store_id": "x", key: str(milvus.names()[0]).upper(), "provider_id": provider_id}
    config = tmp_path / "assets.yaml"
    stores = [common | {"vector_store_id": "red_hat_docs"}, declared]
    config.write_text(json.dumps({"registered_resources": {"vector_stores": stores}}))

    run(milvus.url, config=str(config))

    assert canaries(milvus)
    assert left in ids(milvus)


def test_without_the_server_s_clock_nothing_is_swept(milvus: FakeLlamaStack, run: Run) -> None:
    """The pod's own may be two hours ahead."""
    milvus.tells_time = False
    left = leave(milvus, TRIAL_TEXT)

    run(milvus.url, collections=ONE)

    assert left in ids(milvus)


def test_the_clock_of_the_pod_does_not_count(milvus: FakeLlamaStack, run: Run) -> None:
    """By ours it is two hours old, and by the server's it was made now, by a run that goes on."""
    milvus.clock_seconds = -7200
    left = leave(milvus, TRIAL_TEXT, created_at=int(time.time()) - 7200)

    run(milvus.url, collections=ONE)

    assert left in ids(milvus)


@pytest.mark.parametrize("gateway_seconds", [-7200, 7200])
def test_where_a_gateway_writes_the_date_nothing_is_swept(
    milvus: FakeLlamaStack, run: Run, gateway_seconds: int
) -> None:
    """By its clock what another run makes now may be two hours old, and this run's own is."""
    milvus.gateway_seconds = gateway_seconds
    left = leave(milvus, TRIAL_TEXT)

    run(milvus.url, collections=ONE)

    assert left in ids(milvus)


@pytest.mark.parametrize("path", ["GET /v1/vector_stores", "POST /v1/vector-io/query", "DELETE"])
def test_a_leftover_that_cannot_be_looked_at_is_named(milvus: FakeLlamaStack, run: Run, path: str) -> None:
    """A person may delete it."""
    left = leave(milvus, TRIAL_TEXT)
    path = f"DELETE /v1/vector_stores/{left}" if path == "DELETE" else path

    def fail(handler: Any) -> None:
        request = handler.taken
        is_left = left in request.path or (request.body or {}).get("vector_store_id") == left
        is_last = request.method == "GET" and DELETED in milvus.lines()[-2]
        handler.reply(*((403, {"detail": "no"}) if is_left or is_last else handler._answer(request)))

    milvus.fault(path, fail)

    outcome = run(milvus.url, collections=ONE)

    assert left in ids(milvus)
    named = [event["vector_store_ids"] for event in outcome.events if event["event"] == "canary.left_over"]
    assert named == ([] if path.startswith("GET") else [[left]])


def test_where_no_metadata_are_shown_a_leftover_is_only_named(run: Run) -> None:
    """Up to 0.2.24 nothing tells who made it, or when."""
    left, other = f"{CANARY}{uuid.uuid1()}", f"{CANARY}notes"
    with FakeLlamaStack("dbs", provider_type="remote::milvus") as server:
        for name in (left, other):
            server.ask("POST", "/v1/vector-dbs", {}, server_body(name))
        outcome = run(server.url, collections=ONE)

    assert outcome.exit_code == 0
    assert server.names() == [left, other, "red_hat_docs"]
    (told,) = [event for event in outcome.events if event["event"] == "canary.left_over"]
    assert (told["vector_store_ids"], told["level"]) == ([left], "warning")


def server_body(name: str) -> dict[str, Any]:
    """Return what makes a vector store up to 0.2.24."""
    return {"vector_db_id": name, "provider_id": "milvus-shared", "embedding_model": "m", "embedding_dimension": 768}
