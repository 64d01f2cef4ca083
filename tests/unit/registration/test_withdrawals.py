"""What this program deletes of a collection's vector stores, and what stays."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from hook.app import main
from hook.deadline import Deadline
from hook.errors import RefusedError
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.retry import retry
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import Run as RunHook
from tests.unit.conftest import Waits, entries
from tests.unit.registration.conftest import CREATE, LIST, start


def test_what_a_killed_run_left_an_hour_later_is_named(server: FakeLlamaStack, run: RunHook) -> None:
    """The one that holds nothing: nobody can tell that its own run would have taken it back."""
    used = server.add("red_hat_docs", created_at=100, run_id="one")
    left = server.add("red_hat_docs", created_at=3_800, run_id="another")
    server.found[used, 0] = "a chunk"

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert outcome.detail().endswith(f"delete the empty ones: {left} (DELETE /v1/vector_stores/ID)")
    assert len(server.stores) == 2


def leave_two(server: FakeLlamaStack, apart: int = 1, age: int = 600, **fields: object) -> tuple[str, str]:
    """Let two runs of an instant have made the same collection, of which the later one was killed; return both ids."""
    made_at = int(time.time()) + server.clock_seconds - age
    first = server.add("red_hat_docs", run_id="one", created_at=made_at - apart)
    return first, server.add("red_hat_docs", **({"run_id": "another", "created_at": made_at} | fields))


@pytest.mark.parametrize("clock_seconds", [0, -86_400, 86_400])
@pytest.mark.parametrize(("apart", "age"), [(0, 100), (1, 600), (59, 10**6)])
def test_what_a_killed_run_left_is_withdrawn_by_any_later_one(
    server: FakeLlamaStack, run: RunHook, apart: int, age: int, clock_seconds: int
) -> None:
    """Its own run would have taken it back; the older one may be in use."""
    server.clock_seconds = clock_seconds
    first, second = leave_two(server, apart, age)
    server.found[first, 0] = "a chunk"

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]
    (told,) = [event for event in outcome.events if event["event"] == "collection.withdrawn"]
    assert (told["collection"], told["vector_store_id"], told["kept"]) == ("red_hat_docs", second, first)


@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, 3)])
def test_what_cannot_be_withdrawn_is_named(server: FakeLlamaStack, run: RunHook, status: int, times: int) -> None:
    """And not tried again: a server that fails a few times will not do it."""
    first, second = leave_two(server)
    server.found[first, 0] = "a chunk"
    server.fault(f"DELETE /v1/vector_stores/{second}", answer(status))

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert [store["id"] for store in server.stores] == [first, second]
    assert server.lines().count(f"DELETE /v1/vector_stores/{second}") == times


def test_one_on_another_provider_is_not_withdrawn(run: RunHook) -> None:
    """By the file it is on faiss, which shows emptiness; a full one on Milvus may answer the same."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        first, second = leave_two(server)
        of_faiss, of_milvus = server.stores
        of_faiss["metadata"]["provider_id"] = "faiss-first"

        outcome = run(server.url, collections=entries("red_hat_docs", provider_id="faiss-first"))

        assert outcome.states == ["duplicated"]
        assert [store["id"] for store in server.stores] == [first, second]
        assert f"{second} (made " in outcome.detail("red_hat_docs")
        assert "unknown whether it holds data" in outcome.detail("red_hat_docs")
        assert of_milvus["metadata"]["provider_id"] == "milvus-shared"


def test_all_that_killed_runs_left_is_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    first, _ = leave_two(server)
    server.add("red_hat_docs", run_id="a third", created_at=server.stores[-1]["created_at"])

    outcome = run(server.url, "--on-duplicate", "oldest", collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert [store["id"] for store in server.stores] == [first]


@pytest.mark.parametrize(
    "fields",
    [
        {"run_id": None},
        {"file_counts": {"total": 1}},
        {"apart": 61},
        {"age": 40},
        {"name": "red_hat_docs", "created_at": 0},
    ],
    ids=["by-somebody-else", "with-a-file", "not-together", "too-young", "of-no-age"],
)
def test_what_nobody_can_tell_to_be_left_stays_duplicated(
    server: FakeLlamaStack, run: RunHook, fields: dict[str, object], waits: Waits
) -> None:
    waits.set(bystander_seconds=0.3)
    made = [*leave_two(server, **{key: value for key, value in fields.items() if key != "name"})]  # type: ignore[arg-type]

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert [store["id"] for store in server.stores] == made


def test_only_register_withdraws(server: FakeLlamaStack, run: RunHook, tmp_path: Path) -> None:
    leave_two(server)

    assert run(server.url, "check", collections=entries("red_hat_docs")).exit_code == 5
    config = ["--config", str(tmp_path / "collections.yaml"), "--connections", "1"]
    assert main(["resolve", "red_hat_docs", "--url", server.url, *config], {}) == 5
    assert len(server.stores) == 2


def test_what_holds_a_chunk_is_not_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    _, second = leave_two(server)
    server.found[second, 0] = "a chunk"

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert len(server.stores) == 2


def test_what_is_filled_at_the_last_moment_is_not_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    _, second = leave_two(server)

    def fill(handler: Any) -> None:
        handler.reply(*handler._query(handler.taken.body))
        if handler.taken.body["vector_store_id"] == second:
            server.found[second, 0] = "a chunk"

    server.fault("POST /v1/vector-io/query", fill)

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert len(server.stores) == 2


def test_nothing_is_withdrawn_for_one_that_is_dead_or_lost(server: FakeLlamaStack, run: RunHook) -> None:
    """The younger one may be all that is left."""
    dead, _ = leave_two(server)
    server.dead_ids.add(dead)

    assert run(server.url, collections=entries("red_hat_docs")).exit_code == 5
    server.dead_ids.clear()
    server.lost_ids.add(dead)
    assert run(server.url, collections=entries("red_hat_docs")).states == ["present"]
    assert len(server.stores) == 2


def test_where_nobody_tells_what_it_holds_nothing_is_withdrawn(run: RunHook) -> None:
    with FakeLlamaStack(version="1.5.0", provider_type="remote::milvus") as server:
        leave_two(server)
        outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    assert len(server.stores) == 2


def test_where_the_server_tells_no_time_nothing_is_withdrawn(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    waits.set(bystander_seconds=0.3)
    server.tells_time = False
    leave_two(server)

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]


def test_a_delete_that_does_nothing_is_not_repeated(server: FakeLlamaStack, run: RunHook) -> None:
    """As behind a gateway that answers for the server."""
    _, second = leave_two(server)
    server.fault(f"DELETE /v1/vector_stores/{second}", answer(200, {}))

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert [request.method for request in server.requests].count("DELETE") == 1


@pytest.mark.parametrize("status", [403, 500])
def test_what_cannot_be_deleted_stays_duplicated(server: FakeLlamaStack, run: RunHook, status: int) -> None:
    """It belongs to another principal, or the server fails."""
    _, second = leave_two(server)
    server.fault(f"DELETE /v1/vector_stores/{second}", answer(status))

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]


@pytest.mark.parametrize(
    ("version", "kind"), [("0.7.3", "remote::milvus"), ("0.7.3", "inline::qdrant"), ("1.5.0", "remote::milvus")]
)
def test_what_a_killed_run_left_is_named_whatever_it_holds(run: RunHook, version: str, kind: str) -> None:
    """No chunk found there is no proof that there is none: the message must not say so."""
    with FakeLlamaStack(version=version, provider_type=kind) as server:
        server.add("red_hat_docs", created_at=100, run_id="one")
        left = server.add("red_hat_docs", created_at=101, run_id="another")
        outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert outcome.detail().endswith(
        f"{left} (made 1970-01-01 00:01:41 UTC by this program, unknown whether it holds data); find out which one is "
        "meant, and declare its id, with vector_store_name: red_hat_docs"
    )


def test_what_is_in_use_is_not_named(run: RunHook) -> None:
    """Neither by its chunk, nor by its file, nor because others made it."""
    with FakeLlamaStack(version="1.5.0", provider_type="remote::milvus") as server:
        server.found[server.add("red_hat_docs", created_at=100, run_id="one"), 0] = "a chunk"
        server.add("red_hat_docs", created_at=101, run_id="another", file_counts={"total": 1})
        server.add("red_hat_docs", created_at=102)
        outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert outcome.detail().endswith(
        "by something else, unknown whether it holds data); find out which one is meant, and declare its id, with "
        "vector_store_name: red_hat_docs"
    )


def test_a_store_whose_metadata_are_not_kept_stays(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """What the server answered to the create may be anything, so nothing tells that this run made it."""
    rival()

    def forget(handler: Any) -> None:
        body = handler.taken.body
        body.pop("metadata")
        handler.reply(*handler._create(body))

    server.fault(CREATE, forget, times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_only_what_this_run_made_is_ever_deleted(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """A store that the list showed after a lost answer could be anybody's."""
    rival()
    server.fault(CREATE, answer(503), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert [request.method for request in server.requests if request.method == "DELETE"] == []


def test_a_store_that_is_gone_already_was_deleted(server: FakeLlamaStack) -> None:
    """A repeated delete gets a 400; another refusal is one."""
    deadline = Deadline(10)
    stack = LlamaStack(Http(Endpoint(server.url), 5, deadline))

    retry(lambda: stack.delete_vector_store("vs_gone"), deadline, "e")

    assert server.lines()[-1] == "DELETE /v1/vector_stores/vs_gone"
    server.fault("DELETE /v1/vector_stores/vs_x", answer(403))
    with pytest.raises(Exception, match="answered 403"):
        stack.delete_vector_store("vs_x")


def test_an_id_cannot_change_the_path(server: FakeLlamaStack) -> None:
    """Whatever a server calls its stores."""
    stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))

    stack.delete_vector_store("../models?x#y")

    assert server.lines()[-1] == "DELETE /v1/vector_stores/..%2Fmodels%3Fx%23y"
    assert LIST in server.lines()


@pytest.mark.parametrize("store_id", ["", ".", "..", "...", "\udc80"])
@pytest.mark.parametrize("generation", ["dbs", "0.7"])
def test_an_id_that_is_no_segment_of_a_path_is_not_sent(generation: str, store_id: str) -> None:
    """Every HTTP library takes dots out of a path: it would be `DELETE /v1/vector_stores/`, or `DELETE /v1/`."""
    with FakeLlamaStack(generation) as server:  # type: ignore[arg-type]
        stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))
        with pytest.raises(RefusedError, match="cannot be a part of a path, so nothing was sent"):
            stack.delete_vector_store(store_id)

    assert [request for request in server.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize("store_id", ["%2e", "%2e%2e", "..%2f", "a/b", "../..", "a b", "é", "vs_1.", ".vs_1"])
def test_any_other_id_is_one_segment(server: FakeLlamaStack, store_id: str) -> None:
    stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))

    stack.delete_vector_store(store_id)

    before, _, segment = server.requests[-1].path.rpartition("/")
    assert (before, unquote(segment)) == ("/v1/vector_stores", store_id)


def test_the_older_dialect_takes_nothing_back() -> None:
    """There two runs write the same one entry."""
    with FakeLlamaStack("dbs") as server:
        barrier = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: start(server.url, barrier), range(2)))

    assert len(server.stores) == 3
    assert [request.method for request in server.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize("listed_before", [True, False])
def test_an_old_store_is_never_taken_back(server: FakeLlamaStack, run: RunHook, listed_before: bool) -> None:
    """Not even where the server answers a create with its id, and had left it out of the list before."""
    server.add("red_hat_docs", created_at=1)
    old = server.add("red_hat_docs", created_at=2)
    if listed_before:
        renamed = [store | {"name": "other"} for store in server.stores]
        server.fault(LIST, answer(200, {"data": renamed, "has_more": False}), times=1)
    else:
        server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)
    server.fault(CREATE, answer(200, {"id": old, "name": "red_hat_docs"}), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert len(server.stores) == 2
    assert [request for request in server.requests if request.method == "DELETE"] == []


def test_a_failed_delete_of_what_is_too_many_is_tried_again(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    first = rival()

    def create(handler: Any) -> None:
        status, store = handler._create(handler.taken.body)
        server.fault(f"DELETE /v1/vector_stores/{store['id']}", answer(503), times=1)
        handler.reply(status, store)

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert [store["id"] for store in server.stores] == [first]
    assert "request.retry_scheduled" in outcome.event_names()


def test_what_was_taken_back_is_not_taken_back_again(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """A list that lags goes on to show it."""
    first = rival()
    shown: list[object] = []

    def create(handler: Any) -> None:
        handler.reply(*handler._create(handler.taken.body))
        shown.extend(server.stores)
        server.fault(LIST, answer(200, {"data": shown, "has_more": False}), times=3)

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]
    assert len([request for request in server.requests if request.method == "DELETE"]) == 1
