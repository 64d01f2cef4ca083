"""`register`, the whole way, against a server on a real socket."""

import json
import re
import threading
import time
from typing import Any

import pytest

from tests.fake_llamastack import GRANITE, GRANITE_ID, FakeLlamaStack, answer, closed_port, hang, reset
from tests.unit.conftest import NAMES, Run, Waits, entries

CREATE = "POST /v1/vector_stores"
LIST = "GET /v1/vector_stores"
QUERY = "POST /v1/vector-io/query"
PROVE = "POST /v1/vector-io/insert"


def test_missing_collections_are_registered_and_verified(server: FakeLlamaStack, run: Run) -> None:
    """The main job: nothing is there, and then everything is, on the right provider and model."""
    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert outcome.states == ["registered"] * 3
    assert server.names() == list(NAMES)
    assert [item["id"] for item in outcome.report["collections"]] == [store["id"] for store in server.stores]
    assert server.stores[0]["metadata"] == {
        "created_by": server.stores[1]["metadata"]["created_by"],
        "declared_as": "red_hat_docs",
        "embedding_model": GRANITE_ID,
        "embedding_dimension": "768",
        "provider_id": "milvus-shared",
        "provider_vector_store_id": server.stores[0]["id"],
    }


def test_the_body_is_the_one_that_every_release_reads(server: FakeLlamaStack, run: Run) -> None:
    """Flat, with the server's own model id, and without the keys that releases ignore or refuse."""
    run(server.url)

    body = next(request.body for request in server.requests if request.line == CREATE)
    assert re.fullmatch("register-collections [0-9a-f]{32}", body["metadata"].pop("created_by"))
    assert body == {
        "name": "red_hat_docs",
        "provider_id": "milvus-shared",
        "embedding_model": GRANITE_ID,
        "embedding_dimension": 768,
        "metadata": {"declared_as": "red_hat_docs", "embedding_model": GRANITE_ID, "embedding_dimension": "768"},
    }


@pytest.mark.parametrize("strategy", [{"type": "auto"}, {"type": "static", "static": {"max_chunk_size_tokens": 512}}])
def test_a_chunking_strategy_is_passed_on(server: FakeLlamaStack, run: Run, strategy: Any) -> None:
    """And one that is there is not compared with it."""
    assert run(server.url, collections=entries("red_hat_docs", chunking_strategy=strategy)).states == ["registered"]
    assert run(server.url, collections=entries("red_hat_docs", chunking_strategy={"type": "auto"})).states == [
        "present"
    ]

    (body,) = [request.body for request in server.requests if request.line == CREATE]
    assert body["chunking_strategy"] == strategy


def test_up_to_0_2_24_a_chunking_strategy_has_no_place(run: Run) -> None:
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries("red_hat_docs", chunking_strategy={"type": "auto"}))

    (body,) = [request.body for request in server.requests if request.line == "POST /v1/vector-dbs"]
    assert "chunking_strategy" not in body


@pytest.mark.parametrize("generation", ["dbs", "0.3", "0.7"])
def test_each_create_goes_on_a_connection_of_its_own(run: Run, generation: Any) -> None:
    """One that was used may be closed by the server meanwhile; what became of the create would not be clear."""
    with FakeLlamaStack(generation) as server:
        run(server.url)

    creates = ("POST /v1/vector_stores", "POST /v1/vector-dbs")
    sent = [index for index, request in enumerate(server.requests) if request.line in creates]
    assert len(sent) == 3
    for index in sent:
        assert server.requests[index].port not in {request.port for request in server.requests[:index]}


def test_a_second_run_creates_nothing(server: FakeLlamaStack, run: Run) -> None:
    """And it asks for nothing that it does not need: no second list."""
    run(server.url)
    server.requests.clear()
    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert outcome.states == ["present"] * 3
    assert server.lines() == [
        "GET /v1/health",
        LIST,
        "GET /v1/version",
        "GET /v1/providers",
        "GET /v1/models",
        *["POST /v1/embeddings"] * 2,
        *[PROVE, QUERY] * 3,
    ]


def test_only_what_is_missing_is_created(server: FakeLlamaStack, run: Run) -> None:
    """A store that was deleted behind the hook's back comes back; the others stay."""
    run(server.url)
    kept = [store["id"] for store in server.stores if store["name"] != "acme_corporate"]
    server.stores[:] = [store for store in server.stores if store["name"] != "acme_corporate"]

    assert run(server.url).states == ["present", "registered", "present"]
    assert [store["id"] for store in server.stores if store["name"] != "acme_corporate"] == kept


def test_the_whole_list_is_read(server: FakeLlamaStack, run: Run) -> None:
    """A store on the last of several pages is found."""
    first = server.add("red_hat_docs", created_at=1)
    for number in range(250):
        server.add(f"other-{number}")

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.report["collections"][0]["id"] == first
    assert outcome.states == ["present"]
    assert server.lines().count(LIST) == 3


def test_a_list_that_shifts_while_it_is_read_is_read_again(server: FakeLlamaStack, run: Run) -> None:
    """The server starts anew at a cursor that it does not know; the rest of the list was then not seen."""
    wanted = server.add("red_hat_docs", created_at=1)
    for number in range(150):
        server.add(f"other-{number}")
    stores = sorted(server.stores, key=lambda store: store["created_at"], reverse=True)[:100]
    page = {"data": stores, "has_more": True, "last_id": "vs_gone"}
    server.fault(LIST, answer(200, page), times=2)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]
    assert outcome.report["collections"][0]["id"] == wanted


def test_a_list_whose_order_changes_between_two_pages_is_read_again(server: FakeLlamaStack, run: Run) -> None:
    """What moved to a page that was read already is not missing."""
    wanted = server.add("red_hat_docs", created_at=1)
    for number in range(150):
        server.add(f"other-{number}")
    stores = sorted(server.stores, key=lambda store: store["created_at"], reverse=True)
    last = stores[99]["id"]
    server.fault(LIST, answer(200, {"data": stores[:100], "has_more": True, "last_id": last}), times=1)
    # The wanted one was the last, and went to the front; what was before it came a place nearer to the end.
    server.fault(LIST, answer(200, {"data": stores[99:150], "has_more": False}), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]
    assert outcome.report["collections"][0]["id"] == wanted
    assert CREATE not in server.lines()


def test_an_unnamed_store_is_no_collection(server: FakeLlamaStack, run: Run) -> None:
    """Not even one that is called None."""
    server.stores.append({"id": "vs_unnamed", "name": None, "status": "completed", "created_at": 1, "metadata": {}})

    assert run(server.url, "check", collections=entries("None")).states == ["missing"]


def test_the_prefix_of_a_model_is_understood_where_ids_have_none(run: Run) -> None:
    """As up to 0.2.15, where `identifier` is the model's name at its provider (GET /v1/models)."""
    with FakeLlamaStack("dbs") as server:
        models = [
            {
                "identifier": GRANITE,
                "provider_resource_id": GRANITE,
                "provider_id": "sentence-transformers",
                "model_type": "embedding",
                "metadata": {"embedding_dimension": 768},
            }
        ]
        server.fault("GET /v1/models", answer(200, {"data": models}))

        outcome = run(server.url, collections=entries("red_hat_docs", embedding_model=GRANITE_ID))

        assert outcome.states == ["registered"]
        assert server.stores[0]["embedding_model"] == GRANITE


def test_a_server_that_restarts_between_two_creates_leaves_no_old_verdict(server: FakeLlamaStack, run: Run) -> None:
    """What was proven before may be lost since."""
    early = server.add("red_hat_docs")

    def restart(handler: Any) -> None:
        server.lost_ids.add(early)
        handler.reply(*handler._create(server.requests[-1].body))

    server.fault(CREATE, restart, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert (outcome.exit_code, outcome.states) == (5, ["lost", "registered"])


def lag(server: FakeLlamaStack, seconds: float) -> None:
    """Let the list show each vector store only so long after its create."""
    made: dict[str, float] = {}

    def listed(handler: Any) -> None:
        now = time.monotonic()
        shown = [store for store in server.stores if now - made.setdefault(store["id"], now) >= seconds]
        handler.reply(200, {"data": shown, "has_more": False})

    server.fault(LIST, listed)


def test_a_list_that_lags_is_waited_for(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """A good vector store is no mismatch, and the next run makes no second one."""
    waits.set(lag_seconds=10.0)
    lag(server, 0.5)

    first = run(server.url, "--timeout", "20")
    second = run(server.url)

    assert (first.exit_code, first.states) == (0, ["registered"] * 3)
    assert (second.exit_code, second.states) == (0, ["present"] * 3)
    assert server.names() == list(NAMES)


def test_no_verdict_is_given_before_the_list_shows_what_was_made(
    server: FakeLlamaStack, run: Run, waits: Waits
) -> None:
    """Where the budget ends before that, nobody knows."""
    waits.set(lag_seconds=10.0)
    lag(server, 10.0)

    outcome = run(server.url, "--timeout", "1", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])


def test_a_store_of_another_run_that_goes_again_is_not_waited_for(server: FakeLlamaStack, run: Run) -> None:
    """It was found in the list after a create without an answer, and its own run has taken it back since."""
    first, taken_back = (server.add("red_hat_docs", run_id=each, created_at=each) for each in (100, 200))
    shown = {store["id"]: store for store in server.stores}

    def lists(*ids: str) -> Any:
        return answer(200, {"data": [shown[each] for each in ids], "has_more": False})

    server.stores[:] = [shown[first]]
    server.fault(LIST, lists(), times=1)
    server.fault(CREATE, reset, times=1)
    server.fault(LIST, lists(taken_back), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert outcome.report["collections"][0]["id"] == first


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_create_that_the_list_shows_is_not_late(server: FakeLlamaStack, run: Run, waits: Waits, status: int) -> None:
    """It says which run made it: nothing of this run can take place any more, and nothing is waited for."""
    waits.set(late_seconds=60.0)
    server.fault(CREATE, answer(status), times=1, apply=True)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(server.stores) == 1


@pytest.mark.parametrize(("others", "status"), [(0, 502), (1, 502), (1, 200)])
def test_a_create_that_the_list_shows_of_another_run_is_late(
    server: FakeLlamaStack, run: Run, waits: Waits, others: int, status: int
) -> None:
    """The own one may still take place; also where a 2xx does not say which one it is."""
    waits.set(late_seconds=60.0)

    def fail(handler: Any) -> None:
        for _ in range(others):
            server.add("red_hat_docs", run_id="another")
        handler.reply(status, {"detail": "scripted"})

    server.fault(CREATE, fail, times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "the outcome of its create is unknown (" in outcome.detail()


def test_a_create_that_the_server_puts_off_is_not_late(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """It says itself that nothing took place."""
    waits.set(late_seconds=60.0)
    server.fault(CREATE, answer(429), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(server.stores) == 1


def test_a_create_that_may_take_place_twice_is_not_waited_for(run: Run, waits: Waits) -> None:
    """As up to 0.2.24, where it changes nothing (POST /v1/vector-dbs)."""
    waits.set(late_seconds=30.0)
    with FakeLlamaStack("dbs") as server:
        server.fault("POST /v1/vector-dbs", answer(500), times=1)

        assert run(server.url, collections=entries("red_hat_docs")).states == ["registered"]


def test_a_token_that_may_only_read_is_told_how(server: FakeLlamaStack, run: Run) -> None:
    """Red Hat's policy lets only the owner insert."""
    server.add("red_hat_docs")
    server.fault(PROVE, answer(403))

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert outcome.detail().endswith("; if this token may only read, set HOOK_PROVE=read")


def test_a_list_without_an_end_creates_nothing(server: FakeLlamaStack, run: Run) -> None:
    """Where the list cannot be read to its end, absence proves nothing."""
    server.fault(LIST, answer(200, {"data": [{"id": "vs_1", "name": "x"}], "has_more": True}))

    outcome = run(server.url, "--timeout", "1")

    assert outcome.exit_code == 3
    assert "the list changed while it was read ('vs_1' came twice); run it again" in outcome.report["message"]
    assert CREATE not in server.lines()


def test_a_list_that_only_grows_is_refused(server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pager that always has something new is no LlamaStack."""
    monkeypatch.setattr("hook.llamastack.dialects.MAX_PAGES", 3)
    for number in range(400):
        server.add(f"other-{number}")

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert "no end of the list after 3 pages; probably not LlamaStack" in outcome.report["message"]


def test_an_empty_page_ends_the_list(server: FakeLlamaStack, run: Run) -> None:
    """Whatever `has_more` says."""
    server.fault(LIST, answer(200, {"data": [], "has_more": True}), times=1)

    assert run(server.url).exit_code == 0


def test_it_waits_until_health_is_ok(server: FakeLlamaStack, run: Run) -> None:
    """Gateway errors and other statuses of its own are waited out, each retry being one event."""
    server.fault("GET /v1/health", answer(503, b"<html>no server</html>"), times=1)
    server.fault("GET /v1/health", answer(200, {"status": "Error"}), times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert [event["cause"] for event in outcome.events if event["event"] == "health.retry_scheduled"] == [
        "GET /v1/health answered 503 with an HTML page; see LlamaStack's log",
        "GET /v1/health answered the status 'Error'",
    ]


def test_it_waits_until_the_list_answers_too(server: FakeLlamaStack, run: Run) -> None:
    """Healthy is not ready: the very call that the run will use has to work."""
    server.fault(LIST, answer(503), times=2)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert outcome.event_names().count("health.retry_scheduled") == 2


def test_a_server_that_never_gets_ready_is_unavailable(run: Run) -> None:
    """The budget is named, and so is the last cause."""
    with closed_port() as url:
        outcome = run(url, "--timeout", "0.6")

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown"] * 3
    assert outcome.report["message"] == (
        f"The server {url} was not ready within 0.6 s: "
        f"GET /v1/health: nothing listens on {url.removeprefix('http://')} "
        "(Connection refused); check the port, then the pods (kubectl get pods,endpointslices -n NAMESPACE)"
    )


@pytest.mark.parametrize("status", [400, 403, 404, 302])
def test_a_refusal_ends_the_wait_at_once(server: FakeLlamaStack, run: Run, status: int) -> None:
    """Waiting would not help."""
    server.fault("GET /v1/health", answer(status))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert server.lines() == ["GET /v1/health"]


@pytest.mark.parametrize("body", [[], {"status": 1}, {"message": "hello"}, "OK"])
def test_something_else_than_llamastack_is_refused(server: FakeLlamaStack, run: Run, body: Any) -> None:
    """JSON is not yet LlamaStack."""
    server.fault("GET /v1/health", answer(200, body))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert "the response has no status; probably not LlamaStack: check LLAMA_STACK_URL" in outcome.report["message"]


def test_a_server_with_neither_api_is_refused(server: FakeLlamaStack, run: Run) -> None:
    """A LlamaStack without vector_io is named by its URL."""
    server.fault(LIST, answer(404, {"detail": "Not Found"}))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert f"{server.url} answers 404 to both GET /v1/vector_stores and GET /v1/vector-dbs" in outcome.report["message"]


def test_a_key_is_used_everywhere(server: FakeLlamaStack, run: Run) -> None:
    """Every request carries it, and nothing that is printed does."""
    server.api_key = "s3cret-key"

    outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "s3cret-key"})

    assert outcome.exit_code == 0
    assert {request.headers.get("Authorization") for request in server.requests} == {"Bearer s3cret-key"}
    assert "s3cret-key" not in json.dumps([outcome.report, outcome.events])


def test_an_unknown_version_is_no_fault(server: FakeLlamaStack, run: Run) -> None:
    """It is only for the report."""
    server.fault("GET /v1/version", answer(404), times=1)
    server.fault("GET /v1/version", answer(200, {"version": 7}), times=1)

    assert run(server.url).report["server"] == {"url": server.url, "version": None}
    assert run(server.url).report["server"] == {"url": server.url, "version": None}
    assert run(server.url).report["server"] == {"url": server.url, "version": "1.5.0"}


def test_what_the_server_does_not_have_is_rejected_before_anything_is_written(server: FakeLlamaStack, run: Run) -> None:
    """And the other collections are registered all the same."""
    wanted = [
        *entries("bad_model", embedding_model="nope"),
        *entries("bad_provider", provider_id="nope"),
        *entries("bad_dimension", embedding_dimension=100),
        *entries("good"),
    ]

    outcome = run(server.url, collections=wanted)

    assert outcome.exit_code == 4
    assert outcome.states == ["rejected", "rejected", "rejected", "registered"]
    assert outcome.detail("bad_model").startswith("the server has no embedding model 'nope'; set one of 'sentence-")
    assert server.names() == ["good"]


def test_an_llm_that_makes_no_vector_is_refused(server: FakeLlamaStack, run: Run) -> None:
    """The server would take it, and every insert would fail."""
    server.fault("POST /v1/embeddings", answer(400), times=1)
    models = [
        {"id": "llm", "custom_metadata": {"model_type": "llm"}},
        {"id": 7},
        {"id": GRANITE_ID, "custom_metadata": {"model_type": "embedding", "embedding_dimension": "768"}},
    ]
    server.fault("GET /v1/models", answer(200, {"data": models}))

    outcome = run(server.url, collections=[*entries("a", embedding_model="llm"), *entries("b")])

    assert outcome.states == ["rejected", "registered"]
    assert outcome.detail("a").startswith("the server lists 'llm' as llm, and it makes no vector: ")


def test_the_only_provider_is_taken(server: FakeLlamaStack, run: Run) -> None:
    """Where the configuration names none and the server has one, there is nothing to choose."""
    server.provider_ids = ("milvus-shared",)

    outcome = run(server.url, collections=entries("a", provider_id=None, embedding_dimension=None))

    assert outcome.exit_code == 0


def test_a_refused_create_does_not_stop_the_others(server: FakeLlamaStack, run: Run) -> None:
    """Each collection has its own result, with the server's words."""
    server.fault(CREATE, answer(400, {"error": {"message": "quota exceeded"}}), times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert outcome.states == ["rejected", "registered", "registered"]
    assert outcome.detail() == "POST /v1/vector_stores answered 400: quota exceeded"
    assert outcome.report["message"].startswith(
        f"1 of 3 collections failed on {server.url}: 'red_hat_docs' is rejected: POST /v1/vector_stores answered 400"
    )


def test_an_answer_lost_after_the_store_was_made_makes_no_second_one(server: FakeLlamaStack, run: Run) -> None:
    """The list decides whether the create took place."""
    server.fault(CREATE, reset, times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_failure_after_the_store_was_made_makes_no_second_one(server: FakeLlamaStack, run: Run) -> None:
    """The server's own word for it may be wrong."""
    server.fault(CREATE, answer(500), times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_create_that_hangs_is_found_in_the_list(server: FakeLlamaStack, run: Run) -> None:
    """It took place, only the answer did not come."""
    server.fault(CREATE, hang(1.5), times=1, apply=True)

    outcome = run(server.url, "--request-timeout", "0.5")

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_create_that_may_still_happen_is_not_repeated(server: FakeLlamaStack, run: Run) -> None:
    """Only the next run may try again, and the message says why."""
    server.fault(CREATE, answer(504), times=1)

    outcome = run(server.url, "--request-timeout", "0.5", "--timeout", "3")

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"] * 3)
    assert server.lines().count(CREATE) == 1
    cause = "(POST /v1/vector_stores answered 504: scripted); run it again"
    assert outcome.detail() == f"the outcome of its create is unknown {cause}"
    assert outcome.detail("eu_ai_act") == f"not created, since the outcome of another create is unknown {cause}"


def test_a_server_that_fails_every_create_is_not_hammered(server: FakeLlamaStack, run: Run) -> None:
    """Each attempt can leave an orphan behind (ogx 1.5.0 without its Milvus)."""
    server.fault(CREATE, answer(500, {"error": {"message": "Internal server error"}}))

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"] * 3)
    assert server.lines().count(CREATE) == 1
    assert run(server.url).states == ["unavailable"] * 3
    server.faults.clear()
    assert run(server.url).states == ["registered"] * 3


@pytest.mark.parametrize("others", [0, 1])
def test_a_create_that_the_list_never_shows_is_unknown(server: FakeLlamaStack, run: Run, others: int) -> None:
    """It may be a list that lags further: no verdict, also where it shows another one of the name by now."""

    def make_nothing(handler: Any) -> None:
        for _ in range(others):
            server.add("red_hat_docs")
        handler.reply(200, {"id": "vs_ghost", "name": "red_hat_docs", "status": "completed"})

    server.fault(CREATE, make_nothing, times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown", "registered", "registered"]
    assert outcome.detail() == (
        "created as vs_ghost, and the list does not show it: see the server's log, then run it again"
    )


def test_a_create_that_becomes_nobodys_is_missing(server: FakeLlamaStack, run: Run) -> None:
    """The list shows it without its name and metadata, and so there is a verdict."""

    def rename(handler: Any) -> None:
        handler.reply(*handler._create(server.requests[-1].body | {"name": "other", "metadata": {}}))

    server.fault(CREATE, rename, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["missing"])
    made = server.stores[0]["id"]
    assert outcome.detail() == (
        f"created as {made}, but the list does not show it under this name: see the server's log"
    )


def test_a_store_that_turns_out_different_is_a_mismatch(server: FakeLlamaStack, run: Run) -> None:
    """The fresh list is compared field by field, too."""
    server.fault(CREATE, lambda handler: handler.reply(200, server.stores[0]), times=1)
    server.add("red_hat_docs", provider_id="faiss-first", created_at=7)
    listed = server.stores.copy()
    server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert outcome.states == ["drifted"]
    assert server.stores == listed


def test_a_drifted_store_is_left_as_it_is(server: FakeLlamaStack, run: Run) -> None:
    """The hook never changes and never deletes."""
    server.add("red_hat_docs", provider_id="faiss-first", embedding_dimension="384")
    before = json.dumps(server.stores)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert outcome.detail().startswith(
        "provider_id: the server has 'faiss-first', your file says 'milvus-shared'; embedding_dimension: the "
    )
    assert json.dumps(server.stores) == before


def test_duplicates_fail_unless_the_oldest_is_accepted(server: FakeLlamaStack, run: Run) -> None:
    """Both by flag and by variable."""
    oldest = server.add("red_hat_docs", created_at=1)
    server.add("red_hat_docs", created_at=2)
    wanted = entries("red_hat_docs")

    assert run(server.url, collections=wanted).exit_code == 5
    outcome = run(server.url, collections=wanted, environ={"HOOK_ON_DUPLICATE": "oldest"})
    assert outcome.exit_code == 0
    assert outcome.report["collections"][0]["id"] == oldest
    assert "collection.noted" in outcome.event_names()
    assert len(server.stores) == 2


def test_a_lost_store_is_a_mismatch(server: FakeLlamaStack, run: Run) -> None:
    """It is listed, but an insert would get a 404."""
    server.lost_ids.add(server.add("red_hat_docs"))

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert outcome.states == ["lost"]
    assert len(server.stores) == 1


def test_a_lost_store_can_be_recreated(server: FakeLlamaStack, run: Run) -> None:
    """The fresh one is the live one from then on, without the flag, too; the dead one is left alone and told."""
    dead = server.add("red_hat_docs")
    server.lost_ids.add(dead)
    wanted = entries("red_hat_docs")

    outcome = run(server.url, "--on-lost", "recreate", collections=wanted)

    assert outcome.exit_code == 0
    assert outcome.states == ["registered"]
    assert outcome.report["collections"][0]["lost_ids"] == [dead]
    assert [store["id"] for store in server.stores] == [dead, outcome.report["collections"][0]["id"]]
    again = run(server.url, collections=wanted)
    assert again.states == ["present"]
    assert len(server.stores) == 2


def test_recreating_does_not_mistake_the_dead_store_for_the_new_one(server: FakeLlamaStack, run: Run) -> None:
    """After a lost answer the list has the dead store of that name all the same."""
    server.lost_ids.add(server.add("red_hat_docs"))
    server.fault(CREATE, answer(503), times=1)

    outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs")).states == ["registered"]
    assert len(server.stores) == 2


def test_an_insert_that_is_refused_is_a_rejection(server: FakeLlamaStack, run: Run) -> None:
    """For another reason than an unknown id, or by a server that has no such path."""
    server.fault(PROVE, answer(404, {"detail": "Not Found"}), times=1)
    server.fault(PROVE, answer(400, {"detail": "read only"}), times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert sorted(outcome.states) == ["registered", "rejected", "rejected"]
    details = {item["detail"] for item in outcome.report["collections"]}
    assert "a proof is refused: POST /v1/vector-io/insert answered 404: Not Found" in details


def test_a_proof_is_repeated_when_it_gets_no_answer(server: FakeLlamaStack, run: Run) -> None:
    """It changes nothing, so it can be."""
    server.fault(PROVE, hang(1), times=1)
    server.fault(PROVE, answer(503), times=1)

    outcome = run(server.url, "--request-timeout", "0.5")

    assert outcome.exit_code == 0
    assert outcome.event_names().count("proof.retry_scheduled") == 1
    assert outcome.event_names().count("request.retry_scheduled") == 1


def test_the_dimension_that_faiss_tells_is_compared(run: Run) -> None:
    """On 0.3.x the list does not show it, but the proof does."""
    with FakeLlamaStack("0.3") as server:
        server.add("red_hat_docs", embedding_model=None, embedding_dimension=None)
        server.fault(PROVE, answer(400, {"detail": "Embedding dimension mismatch. Expected 384, got 0"}))
        outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert outcome.detail().startswith("inserts expect length 384, not 768")


def test_the_older_dialect_makes_literal_names_resolve(run: Run) -> None:
    """Up to 0.2.24 the pipeline's `vector_db_id: red_hat_docs` has to work as it is."""
    with FakeLlamaStack("dbs") as server:
        first = run(server.url)
        second = run(server.url)

    assert (first.exit_code, first.states) == (0, ["registered"] * 3)
    assert (second.exit_code, second.states) == (0, ["present"] * 3)
    assert [item["addressed_by"] for item in second.report["collections"]] == ["name"] * 3
    assert server.lines().count("POST /v1/vector-dbs") == 3
    assert next(request.body for request in server.requests if request.line == "POST /v1/vector-dbs") == {
        "vector_db_id": "red_hat_docs",
        "provider_vector_db_id": "red_hat_docs",
        "provider_id": "milvus-shared",
        "embedding_model": GRANITE_ID,
        "embedding_dimension": 768,
    }


def test_the_older_dialect_is_not_posted_over_drift(run: Run) -> None:
    """Its create would replace what is there without a word."""
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries("red_hat_docs", provider_id="faiss-first"))
        outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert outcome.states == ["drifted"]
    assert server.lines().count("POST /v1/vector-dbs") == 1


def test_the_older_dialect_recreates_under_the_same_name(run: Run) -> None:
    """There the dead and the fresh one are one entry."""
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries("red_hat_docs"))
        server.fault(PROVE, answer(404, {"detail": "Vector_db `red_hat_docs` not served by any"}), times=1)
        outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])


def test_the_older_dialect_shows_models_by_either_name(run: Run) -> None:
    """A store that the server's own configuration declared has the model as it was written there."""
    with FakeLlamaStack("dbs") as server:
        server.stores.append(
            {
                "identifier": "red_hat_docs",
                "provider_id": "milvus-shared",
                "embedding_model": GRANITE,
                "embedding_dimension": 768,
            }
        )
        outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]


def test_ids_are_warned_about_once(server: FakeLlamaStack, run: Run) -> None:
    """On 0.3.0 and newer consumers have to know the ids."""
    outcome = run(server.url)

    assert [item["addressed_by"] for item in outcome.report["collections"]] == ["id"] * 3
    assert [e["collections"] for e in outcome.events if e["event"] == "collections.addressed_by_id"] == [3]


def test_a_declared_store_is_present_and_resolves_by_name(server: FakeLlamaStack, run: Run) -> None:
    """`registered_resources.vector_stores` of 0.4.3 and newer gives it the name as its id."""
    server.add("red_hat_docs", id="red_hat_docs")

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.report["collections"][0]["addressed_by"] == "name"
    assert "collections.addressed_by_id" not in outcome.event_names()


def test_the_older_dialect_does_not_replace_a_lost_store_that_differs(run: Run) -> None:
    """Re-creating it would be an upsert with another provider."""
    with FakeLlamaStack("dbs") as server:
        run(server.url, collections=entries("red_hat_docs", provider_id="faiss-first"))
        server.fault(PROVE, answer(404, {"detail": "Vector_db 'red_hat_docs' not found"}))
        outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["drifted"])
    assert outcome.detail().startswith("it is lost, and provider_id: the server has 'faiss-first', your file says")
    assert server.lines().count("POST /v1/vector-dbs") == 1


def test_not_found_alone_is_not_lost(server: FakeLlamaStack, run: Run) -> None:
    """A proxy's page, or a model's, would have a fresh store made at every run."""
    server.add("red_hat_docs")
    server.add("acme_corporate")
    server.fault(PROVE, answer(404, b"<html>404 Not Found</html>"), times=1)
    server.fault(PROVE, answer(404, {"error": {"message": "Model 'x' not found"}}), times=1)

    outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs", "acme_corporate"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"] * 2)
    assert len(server.stores) == 2


def test_an_insert_that_answers_something_is_not_proven(server: FakeLlamaStack, run: Run) -> None:
    """Every release answers with nothing."""
    server.add("red_hat_docs")
    server.fault(PROVE, answer(200, {"error": "no such store"}))

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])


def test_a_proxy_s_page_is_not_an_inconclusive_proof(run: Run) -> None:
    """Only LlamaStack's own words for it are, and only up to 0.3.5."""
    with FakeLlamaStack("0.3") as server:
        server.fault(PROVE, answer(500, b"<html>Internal Server Error</html>"))
        outcome = run(server.url)

    assert outcome.exit_code == 3


def test_present_collections_are_looked_at_again_after_a_write(server: FakeLlamaStack, run: Run) -> None:
    """Somebody may delete one while another is registered; then it is made anew."""
    server.add("red_hat_docs")

    def delete_the_other(handler: Any) -> None:
        del server.stores[0]
        handler.reply(*handler._create(server.requests[-1].body))

    server.fault(CREATE, delete_the_other, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered", "registered"])


@pytest.mark.parametrize(("refused", "states"), [(False, ["lost", "registered"]), (True, ["lost", "rejected"])])
def test_what_a_restart_lost_in_the_middle_of_the_run_is_not_present(
    server: FakeLlamaStack, run: Run, refused: bool, states: list[str]
) -> None:
    """It was proven before the last write; all is proven anew after it, whatever came of it."""
    early = server.add("red_hat_docs")

    def restart(handler: Any) -> None:
        server.lost_ids.add(early)
        status, body = (400, {"error": {"message": "no"}}) if refused else handler._create(server.requests[-1].body)
        handler.reply(status, body)

    server.fault(CREATE, restart, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert outcome.states == states
    assert outcome.exit_code == (4 if refused else 5)


@pytest.mark.parametrize("body", [{}, b"<html>created</html>"])
def test_an_answer_that_cannot_be_read_says_that_something_took_place(
    server: FakeLlamaStack, run: Run, body: Any
) -> None:
    """The list shows what."""
    server.fault(CREATE, answer(200, body), times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


@pytest.mark.parametrize(
    ("body", "said"),
    [({}, "POST /v1/vector_stores"), (b"<html>created</html>", "{} is not LlamaStack: POST /v1/vector_stores")],
)
def test_no_create_follows_one_whose_answer_cannot_be_read(
    server: FakeLlamaStack, run: Run, body: Any, said: str
) -> None:
    """It took place, so another one would be the second, however long the list does not show it."""
    server.fault(CREATE, answer(200, body), times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert server.lines().count(CREATE) == 1
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert outcome.detail().startswith(f"the outcome of its create is unknown ({said.format(server.url)}")


def test_a_create_that_hangs_is_looked_for_in_half_of_the_budget(server: FakeLlamaStack, run: Run) -> None:
    """The rest is for the others; and the server may carry it out whenever it likes, so there is no other one."""
    server.fault(CREATE, hang(), times=1)

    outcome = run(server.url, "--request-timeout", "0.4", "--timeout", "2", collections=entries("red_hat_docs"))

    assert server.lines().count(CREATE) == 1
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "no answer within 0.4 s" in outcome.detail()


def test_a_create_that_hangs_is_looked_for_longer_than_one_whose_connection_broke(
    server: FakeLlamaStack, run: Run, waits: Waits
) -> None:
    """A server that takes its time shows it in the end."""
    waits.set(late_seconds=0.3)
    timers: list[threading.Timer] = []

    def slowly(handler: Any) -> None:
        body = server.requests[-1].body
        # Well after `late_seconds`.
        timers.append(threading.Timer(1.2, lambda: handler._create(body)))
        timers[0].start()
        time.sleep(0.6)

    server.fault(CREATE, slowly, times=1)

    outcome = run(server.url, "--request-timeout", "0.4", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, server.names()) == (0, ["red_hat_docs"])
    assert server.lines().count(CREATE) == 1


@pytest.mark.parametrize("status", [300, 302])
def test_a_create_that_is_redirected_is_rejected(server: FakeLlamaStack, run: Run, status: int) -> None:
    """Nothing took place, so there is nothing to wait for, and the others are tried."""
    server.fault(CREATE, answer(status, b"", Location="https://login.example/"), times=1)

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.states) == (4, ["rejected", "registered", "registered"])


def test_a_create_that_takes_place_later_is_waited_for(server: FakeLlamaStack, run: Run) -> None:
    """The connection broke, and the server carries on."""

    def later(handler: Any) -> None:
        threading.Timer(0.4, server.add, ["red_hat_docs"]).start()
        reset(handler)

    server.fault(CREATE, later, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert server.names() == ["red_hat_docs"]


def test_a_create_whose_connection_breaks_every_time_is_given_up(server: FakeLlamaStack, run: Run) -> None:
    """At once: another try could make it twice."""
    server.fault(CREATE, reset)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert server.lines().count(CREATE) == 1


@pytest.mark.parametrize("fields", [{"status": None}, {"status": 5}, {"status": "expired"}, {"provider_id": 7}])
def test_a_field_of_the_wrong_type_is_a_difference(server: FakeLlamaStack, run: Run, fields: dict[str, Any]) -> None:
    """And so is a status that is not there."""
    server.add("red_hat_docs", **fields)

    assert run(server.url, collections=entries("red_hat_docs")).states == ["drifted"]


@pytest.mark.parametrize("fields", [{"id": ""}, {"id": 7}])
def test_a_store_without_an_id_is_no_llamastack_s(server: FakeLlamaStack, run: Run, fields: dict[str, Any]) -> None:
    """Nobody could address it."""
    server.add("red_hat_docs", **fields)

    assert run(server.url).exit_code == 4


@pytest.mark.parametrize("created_at", [None, "1", float("nan"), [], True, -5])
def test_a_time_that_is_none_is_not_the_oldest(server: FakeLlamaStack, run: Run, created_at: Any) -> None:
    """`--on-duplicate oldest` must not take it."""
    server.add("red_hat_docs", created_at=created_at)
    oldest = server.add("red_hat_docs", created_at=1000.5)
    server.fault(LIST, answer(200, {"data": server.stores, "has_more": False}))

    outcome = run(server.url, "--on-duplicate", "oldest", collections=entries("red_hat_docs"))

    assert outcome.report["collections"][0]["id"] == oldest


@pytest.mark.parametrize("has_more", [None, "false", 0])
def test_a_list_that_does_not_say_if_there_is_more_is_no_llamastack_s(
    server: FakeLlamaStack, run: Run, has_more: Any
) -> None:
    """To take it for the whole would make the rest twice."""
    server.fault(LIST, answer(200, {"data": [], "has_more": has_more}))

    assert run(server.url).exit_code == 4


def test_one_store_does_not_stand_for_two_collections(server: FakeLlamaStack, run: Run) -> None:
    """Its id is one of them, its name another."""
    server.add("acme_corporate", id="red_hat_docs")

    outcome = run(server.url, "check", collections=entries("red_hat_docs", "acme_corporate"))

    assert outcome.states == ["present", "missing"]


def test_a_wish_for_more_than_the_budget_is_told(server: FakeLlamaStack, run: Run) -> None:
    """Nobody has to guess why it ended so soon."""
    server.fault("GET /v1/health", answer(503, Retry_After="4000"))

    outcome = run(server.url)

    assert outcome.exit_code == 3
    assert re.search(r"Retry-After is 4000 s, more than the \d+ s that are left", outcome.report["message"])


def test_a_slow_version_costs_little(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """It is only for the report."""
    waits.set(version_seconds=0.2)
    server.fault("GET /v1/version", hang(9))

    assert run(server.url).exit_code == 0


def test_a_create_that_the_server_puts_off_for_ever_ends_the_run(server: FakeLlamaStack, run: Run) -> None:
    server.fault(CREATE, answer(429))

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, server.names()) == (3, [])
    assert outcome.report["message"].startswith("'red_hat_docs' is not registered: POST /v1/vector_stores answered 429")


def test_up_to_0_2_24_a_create_whose_answer_was_lost_is_found_by_its_id(run: Run) -> None:
    """And the others are made."""
    with FakeLlamaStack("dbs") as server:
        server.fault("POST /v1/vector-dbs", reset, times=1, apply=True)
        outcome = run(server.url)

    assert (outcome.exit_code, sorted(outcome.states)) == (0, ["present", "registered", "registered"])
    assert server.lines().count("POST /v1/vector-dbs") == 3


def test_up_to_0_2_24_a_create_whose_answer_was_lost_is_repeated_for_the_other_worker(run: Run) -> None:
    with FakeLlamaStack("dbs", processes=2) as server:
        server.fault("POST /v1/vector-dbs", reset, times=1, apply=True)
        outcome = run(server.url, "--connections", "20", collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0


def test_a_500_that_is_not_json_may_have_created_something(server: FakeLlamaStack, run: Run) -> None:
    """It is a gateway's, and the server behind it may be working on it."""
    server.fault(CREATE, answer(500, b"<html>Oops</html>", Content_Type="text/html"), times=1)

    outcome = run(server.url, "--timeout", "5", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "the outcome of its create is unknown (" in outcome.detail()


def test_what_is_too_many_is_withdrawn_before_a_run_ends_without_a_verdict(server: FakeLlamaStack, run: Run) -> None:
    """Else it would stay for ever."""

    def create(handler: Any) -> None:
        server.add("red_hat_docs", run_id="a rival")
        handler.reply(*handler._create(server.requests[-1].body))
        server.fault(CREATE, answer(429, Retry_After="86400"))

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "eu_ai_act"))

    assert (outcome.exit_code, server.names()) == (3, ["red_hat_docs"])
    assert "a rival" in str(server.stores)
