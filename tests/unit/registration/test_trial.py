"""The throw-away vector store: only where nothing else can tell, and never left behind."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from hook.llamastack.api import TRIAL_TEXT
from hook.registration.deletion import MAX_WORKERS
from tests.fake_llamastack import CANARY, FakeLlamaStack, answer, hang, reset
from tests.unit.conftest import Run, Waits, entries
from tests.unit.registration.conftest import CREATE, LIST, canaries, ids

INSERT = "POST /v1/vector-io/insert"
QUERY = "POST /v1/vector-io/query"
EMBED = "POST /v1/embeddings"
ONE = entries("red_hat_docs")


def embeds(handler: Any) -> None:
    """Answer the first two of these requests: how long vectors are, and whether files can be attached."""
    handler.reply(*handler._embed())


@pytest.mark.parametrize("provider_type", ["inline::milvus", "remote::qdrant"])
@pytest.mark.parametrize(("generation", "version"), [("dbs", "0.2.24"), ("0.3", "0.3.5"), ("0.7", "0.7.3")])
def test_one_proves_all_that_was_made_on_a_provider(
    run: Run, generation: Any, version: str, provider_type: str
) -> None:
    """It is deleted, and the collections are verified."""
    with FakeLlamaStack(generation, version=version, provider_type=provider_type) as server:
        outcome = run(server.url)

    assert outcome.exit_code == 0
    assert outcome.states == ["registered"] * 3
    assert " registered and verified on " in outcome.report["message"]
    assert len(canaries(server)) == 1
    assert len(server.stores) == 3


def test_an_insert_that_fails_makes_collections_unavailable(milvus: FakeLlamaStack, run: Run) -> None:
    """Milvus is dead, which neither the empty insert nor the query of a fresh store can tell."""

    def dies(handler: Any) -> None:
        milvus.dead_provider_ids.add("milvus-shared")
        handler.reply(*handler._embed())

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, dies, times=1)

    outcome = run(milvus.url)

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable"] * 3
    assert outcome.detail().startswith(
        "not created: the verification with a throw-away store failed: POST /v1/vector-io/insert answered 500"
    )
    assert milvus.names() == []


@pytest.mark.parametrize(("generation", "version"), [("0.3", "0.3.5"), ("0.7", "0.7.3")])
def test_the_next_try_of_a_job_proves_what_the_first_one_made(run: Run, generation: Any, version: str) -> None:
    """Else what the first has proven to be dead would be a success of the second.

    From 0.4 on nothing of an empty insert reaches the backend.
    """

    def fail_at_the_backend(handler: Any) -> None:
        if generation == "0.7" and not handler.taken.body["chunks"]:
            answer(204)(handler)
        else:
            answer(500, {"detail": "Internal server error: An unexpected error occurred."})(handler)

    with FakeLlamaStack(generation, version=version, provider_type="remote::milvus") as server:
        made = server.add("red_hat_docs", run_id="the first")
        server.fault(INSERT, fail_at_the_backend)
        outcome = run(server.url, collections=ONE)
        server.faults.clear()
        mended = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert "the verification with a throw-away store failed: POST /v1/vector-io/insert answered 500" in outcome.detail()
    assert (mended.exit_code, mended.states) == (0, ["present"])
    assert " registered and verified on " in mended.report["message"]
    assert [store["id"] for store in server.stores] == [made]


@pytest.mark.parametrize(
    "fields", [{"run_id": "the first", "created_at": 1_000}, {}], ids=["of-another-hour", "of-somebody-else"]
)
def test_what_was_there_before_is_tried_too(milvus: FakeLlamaStack, run: Run, fields: dict[str, Any]) -> None:
    """So exit code 0 of `register` is a proof without reserve."""
    milvus.add("red_hat_docs", **fields)

    outcome = run(milvus.url, collections=ONE)

    assert len(canaries(milvus)) == 1
    assert (outcome.exit_code, outcome.states, outcome.detail()) == (0, ["present"], "")


def test_a_connection_that_breaks_before_the_trial_is_no_failure(milvus: FakeLlamaStack, run: Run) -> None:
    """The chunk is sent again."""
    milvus.fault(INSERT, reset, times=1)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(canaries(milvus)) == 1


@pytest.mark.parametrize("action", [answer(500), answer(400), reset], ids=["500", "400", "reset twice"])
def test_a_chunk_is_not_sent_again_and_again(milvus: FakeLlamaStack, run: Run, action: Any) -> None:
    milvus.fault(INSERT, action)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert outcome.detail().startswith(
        "not created: the verification with a throw-away store failed: POST /v1/vector-io/insert"
    )
    assert milvus.lines().count(INSERT) == (1 if action is not reset else 2)


def test_a_query_that_hangs_is_not_repeated_for_each_collection(milvus: FakeLlamaStack, run: Run) -> None:
    """It would take the whole budget, and the cause would not be told."""
    milvus.fault("POST /v1/vector-io/query", hang(5))

    outcome = run(milvus.url, "--request-timeout", "0.5", "--timeout", "6")

    assert outcome.states == ["unavailable"] * 3
    assert "POST /v1/vector-io/query: no answer within" in outcome.detail()
    assert len(canaries(milvus)) == 1
    assert milvus.lines().count("POST /v1/vector-io/query") <= 2


@pytest.mark.parametrize("arguments", [["check"], ["register", "--prove", "read"]])
def test_only_a_run_that_may_write_makes_one(milvus: FakeLlamaStack, run: Run, arguments: list[str]) -> None:
    """`check` changes nothing, and neither does a proof that only reads."""
    if arguments == ["check"]:
        milvus.add("red_hat_docs")

    outcome = run(milvus.url, *arguments, collections=ONE)

    assert outcome.exit_code == 0
    assert canaries(milvus) == []
    assert outcome.detail().startswith("unverified: ")


def test_where_the_answers_tell_there_is_none(run: Run) -> None:
    """Fresh vector stores answer on ogx."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        run(server.url)

    assert canaries(server) == []


@pytest.mark.parametrize("per_request", [True, False])
def test_none_is_left_on_a_replica_that_another_one_does_not_know(run: Run, per_request: bool) -> None:
    """Where replicas take turns, the delete may meet one that says that it is gone."""
    server = FakeLlamaStack(version="0.7.3", provider_type="remote::milvus", processes=3, per_request=per_request)
    with server:
        run(server.url, "--connections", "6")

        assert len(canaries(server)) == 1
        assert not any(str(store["name"]).startswith(CANARY) for store in server.stores)


def test_another_process_that_takes_its_insert_proves_nothing(milvus: FakeLlamaStack, run: Run) -> None:
    """Where requests are balanced one by one, the insert may meet a process that does not know it."""
    made: list[str] = []

    def lose(handler: Any) -> None:
        store_id = handler.taken.body["vector_store_id"]
        if handler.taken.body["chunks"]:
            made.append(store_id)
            handler.reply(404, {"detail": f"Vector Store '{store_id}' not found"})
        else:
            handler.reply(204, None)

    milvus.fault(INSERT, lose)

    outcome = run(milvus.url)

    assert len(made) == MAX_WORKERS
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"] * 3)
    assert outcome.detail().startswith("unverified: ")


def test_one_whose_create_lost_its_answer_is_deleted_too(milvus: FakeLlamaStack, run: Run) -> None:
    """It is found by its name."""

    def lose_canary(handler: Any) -> None:
        body = handler.taken.body
        status, created = handler._create(body)
        handler.reply(503 if body["name"].startswith(CANARY) else status, created)

    milvus.fault(CREATE, lose_canary)

    outcome = run(milvus.url, collections=ONE)

    assert outcome.exit_code == 3
    assert len(canaries(milvus)) == 1
    assert milvus.names() == []


def test_one_that_cannot_be_deleted_is_told(milvus: FakeLlamaStack, run: Run) -> None:
    """The next run of another hour sweeps it."""

    def forbid(handler: Any) -> None:
        milvus.fault(f"DELETE /v1/vector_stores/{milvus.stores[-1]['id']}", answer(500, {"detail": "no"}))
        handler.reply(*handler._embed())

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, forbid, times=1)

    outcome = run(milvus.url, collections=ONE)

    assert "canary.not_deleted" in outcome.event_names()


# What the server answers to its create


def inserted(server: FakeLlamaStack) -> list[str]:
    """Return the ids of the vector stores into which a chunk was to be inserted."""
    return [each.body["vector_store_id"] for each in server.requests if each.line == INSERT and each.body["chunks"]]


def deleted(server: FakeLlamaStack) -> list[str]:
    """Return the ids that were to be deleted."""
    return [request.path.rpartition("/")[2] for request in server.requests if request.method == "DELETE"]


ECHOES: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "another store": lambda _, other: other,
    "another id": lambda made, other: made | {"id": other["id"]},
    "another id in capitals": lambda made, other: made | {"id": other["id"].upper()},
    "another name": lambda made, other: made | {"name": other["name"]},
    "no name": lambda made, _: made | {"name": None},
    "another run": lambda made, _: made | {"metadata": {"created_by": "register-collections another"}},
    "no metadata": lambda made, _: made | {"metadata": {}},
    "a file": lambda made, _: made | {"file_counts": {"total": 1}},
}


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("what", ECHOES)
def test_an_answer_that_is_not_the_trial_s_own_is_refused(
    milvus: FakeLlamaStack, run: Run, what: str, is_made: bool
) -> None:
    """As a cache or an idempotent gateway gives: nothing goes into it, and only what the list shows is deleted."""
    milvus.add("red_hat_docs", id="vs_used", run_id="another", created_at=int(time.time()) - 60)
    made: list[str] = []

    def echo(handler: Any) -> None:
        status, store = handler._create(handler.taken.body)
        made.append(store["id"])
        store, other = dict(store), dict(milvus.stores[0])
        if not is_made:
            milvus.stores.pop()
        handler.reply(status, ECHOES[what](store, other))

    milvus.fault(CREATE, echo)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert (
        "the verification with a throw-away store failed: the server answered the create of 'register-collect"
        in outcome.detail()
    )
    assert inserted(milvus) == []
    assert deleted(milvus) == (made if is_made else [])
    assert ids(milvus) == {"vs_used"}


def pass_on(server: FakeLlamaStack, line: str) -> None:
    """Let one request of this line be answered as it should be."""
    server.fault(line, lambda handler: handler.reply(*handler._answer(handler.taken)), times=1)


def test_up_to_0_2_24_an_answer_of_another_id_is_refused(run: Run) -> None:
    """There the id is the name."""
    with FakeLlamaStack("dbs", provider_type="remote::milvus") as server:
        server.provider_type = "inline::faiss"
        run(server.url, collections=ONE)
        server.provider_type = "remote::milvus"
        server.fault("POST /v1/vector-dbs", lambda handler: handler.reply(200, server.stores[0]))
        outcome = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert server.names() == ["red_hat_docs"]
    assert (inserted(server), deleted(server)) == ([], [])


def test_a_create_that_is_answered_from_a_cache_touches_nothing(milvus: FakeLlamaStack, run: Run) -> None:
    """The trial's own answer comes again for the collection."""
    answers: list[Any] = []

    def cached(handler: Any) -> None:
        answers.append(answers[0] if answers else handler._create(handler.taken.body))
        handler.reply(*answers[0])

    milvus.fault(CREATE, cached)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states, len(answers)) == (3, ["unknown"], 2)
    trial_id = answers[0][1]["id"]
    assert (inserted(milvus), deleted(milvus), milvus.names()) == ([trial_id], [trial_id], [])


@pytest.mark.parametrize("lists", [1, 3])
def test_a_list_that_lags_is_waited_for(milvus: FakeLlamaStack, run: Run, lists: int) -> None:
    def lag(handler: Any) -> None:
        body = handler.taken.body
        before = list(milvus.stores)
        handler.reply(*handler._create(body))
        if body["name"].startswith(CANARY):
            milvus.fault(LIST, answer(200, {"data": before, "has_more": False}), times=lists)

    milvus.fault(CREATE, lag)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, milvus.names()) == (0, ["red_hat_docs"])


def test_into_what_no_list_shows_nothing_is_inserted(milvus: FakeLlamaStack, run: Run) -> None:
    def hide(handler: Any) -> None:
        handler.reply(*handler._create(handler.taken.body))
        shown = [store for store in milvus.stores if not store["name"].startswith(CANARY)]
        milvus.fault(LIST, answer(200, {"data": shown, "has_more": False}))

    milvus.fault(CREATE, hide)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert "and its list does not show it" in outcome.detail()
    assert "canary.not_deleted" in outcome.event_names()
    assert (inserted(milvus), deleted(milvus)) == ([], [])


def test_a_create_that_is_refused_is_not_looked_for(milvus: FakeLlamaStack, run: Run) -> None:
    """The server says itself that there is nothing."""

    def refuse(handler: Any) -> None:
        is_trial = handler.taken.body["name"].startswith(CANARY)
        handler.reply(*((400, {"detail": "no room"}) if is_trial else handler._answer(handler.taken)))

    milvus.fault(CREATE, refuse)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    told = "not created: the server refuses to create a throw-away store: "
    assert outcome.detail() == f"{told}POST /v1/vector_stores answered 400: no room"
    assert not {"canary.deleted", "canary.not_deleted"} & {*outcome.event_names()}


# What a query finds


UNMEASURED = ["remote::weaviate", "remote::elasticsearch", "remote::infinispan", "remote::oci", "remote::neo4j", ""]


@pytest.mark.parametrize(
    ("version", "kind"),
    [("0.7.3", "remote::milvus"), ("0.7.3", "remote::qdrant"), *(("1.5.0", kind) for kind in UNMEASURED)],
)
def test_a_chunk_that_no_query_finds_is_unavailable(run: Run, version: str, kind: str) -> None:
    """An insert that is answered by 204 and kept nowhere; so it is for the next try of the Job."""
    with FakeLlamaStack(version=version, provider_type=kind, forgets_chunks=True) as server:
        outcomes = [run(server.url), run(server.url)]
        server.forgets_chunks = False
        mended = run(server.url)

    for outcome in outcomes:
        assert (outcome.exit_code, outcome.states) == (3, ["unavailable"] * 3)
        told = "not created: an inserted chunk is not found by a query: the provider 'milvus-shared' "
        assert outcome.detail().startswith(told)
    assert (mended.exit_code, mended.states) == (0, ["registered"] * 3)
    assert len(server.stores) == 3


@pytest.mark.parametrize("kind", UNMEASURED)
def test_a_kind_that_nobody_has_measured_is_tried(run: Run, kind: str) -> None:
    with FakeLlamaStack(provider_type=kind) as server:
        outcome = run(server.url)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"] * 3)
    assert len(canaries(server)) == 1
    assert len(server.stores) == 3


def test_a_fresh_one_that_answers_like_a_full_one_needs_a_trial(run: Run) -> None:
    """Milvus Lite 3.0 with 0.5.4 finds nothing, and never fails."""
    with FakeLlamaStack(version="0.5.4", provider_type="inline::milvus") as server:
        server.fault(QUERY, answer(200, {"chunks": [], "scores": []}))
        outcome = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert "an inserted chunk is not found by a query" in outcome.detail()


@pytest.mark.parametrize("connections", ["1", "3"])
@pytest.mark.parametrize(("version", "kind"), [("0.5.4", "inline::milvus"), ("1.5.0", "remote::weaviate")])
def test_what_a_query_finds_nothing_in_is_not_called_verified(
    run: Run, version: str, kind: str, connections: str
) -> None:
    """It may be full, and `check` inserts nothing that would tell."""
    with FakeLlamaStack(version=version, provider_type=kind) as server:
        store_id = server.add("red_hat_docs", run_id="the first", created_at=7)
        server.chunks[store_id] = []
        outcome = run(server.url, "check", "--connections", connections, collections=ONE)
        later = run(server.url, collections=ONE)
        server.chunks[store_id] = ["a text of somebody's"]
        found = run(server.url, "check", "--connections", connections, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert outcome.detail().startswith("unverified: the query found nothing")
    assert outcome.report["message"].endswith("; 0 verified, 1 unverified")
    assert (later.exit_code, later.states, later.detail()) == (0, ["present"], "")
    assert len(canaries(server)) == 1
    assert (found.exit_code, found.detail()) == (0, "")


def fail_queries_of_trials(server: FakeLlamaStack, action: Any, times: int = 1_000) -> None:
    """Let the first queries of the throw-away store meet an action."""
    left = [times]

    def either(handler: Any) -> None:
        request = handler.taken
        store = next(each for each in server.stores if each["id"] == request.body["vector_store_id"])
        if store["name"].startswith(CANARY) and left[0]:
            left[0] -= 1
            action(handler)
        else:
            handler.reply(*handler._answer(request))

    server.fault(QUERY, either)


@pytest.mark.parametrize(
    "action", [answer(200, {"chunks": [], "scores": []}), answer(500), answer(400), reset], ids=["empty", 500, 400, "-"]
)
def test_a_query_is_asked_again_for_some_seconds(milvus: FakeLlamaStack, run: Run, action: Any, waits: Waits) -> None:
    """A read of Milvus lags, and some kinds refuse the very words of a chunk."""
    waits.set(trial_found_seconds=10.0)
    fail_queries_of_trials(milvus, action, times=2)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states, milvus.names()) == (0, ["registered"], ["red_hat_docs"])
    queries = [
        each.body["query"] for each in milvus.requests if each.line == QUERY and each.body["query"] != TRIAL_TEXT
    ]
    assert len(set(queries)) == 1


def unknown(handler: Any) -> None:
    store_id = handler.taken.body["vector_store_id"]
    handler.reply(404, {"detail": f"Vector Store '{store_id}' not found"})


@pytest.mark.parametrize(("action", "said"), [(answer(500), "500: scripted"), (unknown, "404: Vector Store 'vs_")])
def test_a_query_that_goes_on_failing_is_told(milvus: FakeLlamaStack, run: Run, action: Any, said: str) -> None:
    """Also where what has just taken the chunk does not know it any more."""
    fail_queries_of_trials(milvus, action)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert f"not found by a query: POST /v1/vector-io/query answered {said}" in outcome.detail()
    assert milvus.names() == []


def test_without_time_to_delete_it_none_is_made(milvus: FakeLlamaStack, run: Run) -> None:
    """What the run cannot delete, it does not make, and neither what it cannot prove."""
    outcome = run(milvus.url, "--timeout", "0.9", collections=ONE)

    assert canaries(milvus) == []
    assert (outcome.exit_code, milvus.names()) == (3, [])
    assert "too little time is left to verify 'red_hat_docs' with a throw-away store" in outcome.report["message"]


def test_the_next_run_makes_what_the_budget_had_no_time_for(milvus: FakeLlamaStack, run: Run) -> None:
    """So one exit code 3 is all that comes of it."""
    run(milvus.url, "--timeout", "0.9", collections=ONE)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(canaries(milvus)) == 1


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_leaves_none_behind(milvus: FakeLlamaStack, run: Run, number: int, code: int) -> None:
    """The pod has its grace period."""

    def stop(handler: Any) -> None:
        os.kill(os.getpid(), number)
        hang(1)(handler)

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, stop, times=1)

    outcome = run(milvus.url, "--timeout", "30", collections=ONE)

    assert outcome.exit_code == code
    assert len(canaries(milvus)) == 1
    assert milvus.names() == []


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("line", ["DELETE", LIST])
def test_a_signal_while_it_is_deleted_leaves_none_behind(milvus: FakeLlamaStack, run: Run, line: str) -> None:
    """Neither in the list that shows it nor in the delete itself."""

    def stop_at_the_delete(handler: Any) -> None:
        if handler.taken.body["chunks"]:
            store_id = handler.taken.body["vector_store_id"]
            milvus.fault(f"DELETE {LIST[4:]}/{store_id}" if line == "DELETE" else LIST, stop, times=1)
        handler.reply(*handler._answer(handler.taken))

    def stop(handler: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        hang(0.5)(handler)

    milvus.fault(INSERT, stop_at_the_delete)

    outcome = run(milvus.url, "--timeout", "30", collections=ONE)

    assert (outcome.exit_code, milvus.names()) == (143, [])


def test_what_another_run_makes_during_the_trial_is_made_once(milvus: FakeLlamaStack, run: Run) -> None:
    """A trial takes its time, so what is missing is asked anew after it."""

    def meanwhile(handler: Any) -> None:
        if handler.taken.body["chunks"]:
            milvus.add("red_hat_docs", run_id="another")
        handler.reply(*handler._answer(handler.taken))

    milvus.fault(INSERT, meanwhile)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert milvus.lines().count(CREATE) == len(canaries(milvus)) == 1
