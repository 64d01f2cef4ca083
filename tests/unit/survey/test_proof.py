"""What proves a vector store, and what the hook says where it cannot be proven."""

import random
import time
from typing import Any

import pytest

from hook.deadline import Deadline
from hook.domain import Model, Observation, Proof, Provider, Target, Verdict
from hook.llamastack.api import MAX_FAILURES
from hook.llamastack.releases import parse_release
from hook.registration import remedies
from hook.registration.causes import explained
from hook.survey import proof
from tests.fake_llamastack import FakeLlamaStack, answer, hang
from tests.unit.conftest import Run, entries

INSERT = "POST /v1/vector-io/insert"
QUERY = "POST /v1/vector-io/query"
EMBED = "POST /v1/embeddings"
ONE = entries("red_hat_docs")
OWN_WORDS = {"detail": "Internal server error: An unexpected error occurred."}


def test_a_backend_that_is_down_is_found_by_the_query(server: FakeLlamaStack, run: Run) -> None:
    """From 0.4 on the empty insert never reaches it; the embedding model answers, so it is not that."""
    run(server.url)
    server.dead_provider_ids.add("milvus-shared")

    outcome = run(server.url, "check")

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable"] * 3
    assert outcome.detail() == (
        "inserts or queries fail (POST /v1/vector-io/query answered 500: Internal server error: An unexpected error "
        "occurred.): the backend of the provider 'milvus-shared' does not answer, or its table is gone: look at that "
        "backend and at LlamaStack's log; if its table is gone, restart LlamaStack, which makes an empty one, and "
        "ingest the documents again"
    )


def test_a_store_that_fails_is_asked_a_few_times(server: FakeLlamaStack, run: Run) -> None:
    """A backend may be about to come back, and each failure costs the server a long log."""
    server.dead_ids.add(server.add("red_hat_docs"))

    assert run(server.url, collections=ONE).exit_code == 3
    assert server.lines().count(QUERY) == 2 * MAX_FAILURES


def test_a_store_that_fails_for_a_moment_is_proven(server: FakeLlamaStack, run: Run) -> None:
    """And with it all others, anew: the backend may have restarted."""
    server.fault(QUERY, answer(500, OWN_WORDS), times=2)

    outcome = run(server.url)

    assert outcome.states == ["registered"] * 3
    assert server.lines().count(QUERY) == 2 + 2 + 3


def test_a_failure_that_is_not_repeated_is_told_with_its_count(server: FakeLlamaStack, run: Run) -> None:
    """A server that fails now and then does what it is asked."""
    server.add("red_hat_docs")
    server.fault(QUERY, answer(500, OWN_WORDS), times=1)

    outcome = run(server.url, "check", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert outcome.detail().startswith("1 request failed, and worked when it was repeated (POST /v1/vector-io/query")
    assert "request.failed_once" in outcome.event_names()


def test_a_list_that_fails_once_is_asked_for_again(server: FakeLlamaStack, run: Run) -> None:
    """On the same connection, and what was heard before still counts."""
    server.add("red_hat_docs")
    server.fault("GET /v1/vector_stores", lambda handler: handler.reply(*handler._list({})), times=1)
    server.fault("GET /v1/vector_stores", answer(500, OWN_WORDS), times=1)

    outcome = run(server.url, "check", "--connections", "2", collections=ONE)

    assert outcome.exit_code == 0
    assert server.lines().count("GET /v1/vector_stores") == 1 + 2


@pytest.mark.parametrize("processes", [2, 4])
def test_a_process_whose_backend_is_gone_is_no_passing_failure(run: Run, processes: int) -> None:
    """Each of its failures is followed by another process that works; but there is more than one of them."""
    with FakeLlamaStack(processes=processes) as fake:
        fake.add("red_hat_docs")
        fake.fault(QUERY, lambda handler: handler.reply(*_failing_at_one(handler)))
        outcome = run(fake.url, "check", "--connections", "20", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])


def _failing_at_one(handler: Any) -> tuple[int, Any]:
    return (500, OWN_WORDS) if handler.process == 1 else (200, {"chunks": [], "scores": []})


def test_one_in_a_hundred_failures_ends_nothing(server: FakeLlamaStack, run: Run) -> None:
    """Whichever requests they hit."""
    draw = random.Random(5)
    run(server.url)
    for line in ("GET /v1/vector_stores", QUERY, "POST /v1/vector-io/insert"):
        server.fault(line, lambda handler: _now_and_then(handler, draw))

    assert [run(server.url, "--connections", "20").exit_code for _ in range(5)] == [0] * 5


def _now_and_then(handler: Any, draw: random.Random) -> None:
    fails = draw.random() < 0.01
    handler.reply(*((500, OWN_WORDS) if fails else handler._answer(handler.taken)))


def test_a_backend_that_refuses_connections_is_no_restart(server: FakeLlamaStack, run: Run) -> None:
    """LlamaStack answers 502 for it, in JSON, as 0.3.5 does with chroma; a gateway's own page is waited for."""
    server.add("red_hat_docs")
    server.fault(QUERY, answer(502, b"<html>Bad Gateway</html>", Content_Type="text/html"), times=2)
    server.fault(QUERY, answer(502, {"detail": "All connection attempts failed"}))

    outcome = run(server.url, collections=ONE)

    assert outcome.states == ["unavailable"]
    assert server.lines().count(QUERY) == 2 + 2 * MAX_FAILURES


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_of_the_model_that_fails_is_no_restart(server: FakeLlamaStack, run: Run, status: int) -> None:
    """LlamaStack answers with the status that OpenAI's client has met there."""
    server.add("red_hat_docs")
    server.fault(QUERY, answer(status, {"detail": f"Error code: {status} - {{'error': 'scaled to zero'}}"}))

    outcome = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert server.lines().count(QUERY) == 2 * MAX_FAILURES
    assert "Error code: " in outcome.detail()


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_of_the_model_s_endpoint_is_not_the_hook_s(server: FakeLlamaStack, run: Run, status: int) -> None:
    server.add("red_hat_docs")
    server.fault(QUERY, answer(status, {"detail": f"Error code: {status} - {{'error': 'the key has expired'}}"}))

    outcome = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert "a model or a backend behind LlamaStack answered that; check its settings there" in outcome.detail()
    assert "API_KEY" not in outcome.detail()
    assert "denied" not in outcome.detail()


def test_a_server_that_stops_answering_is_told_as_that(server: FakeLlamaStack, run: Run) -> None:
    """And not as the backend of each collection, though a proof was what it did not answer first."""
    server.add("red_hat_docs")
    for line in (QUERY, EMBED):
        server.fault(line, hang(5.0))
    server.fault("GET /v1/health", lambda handler: handler.reply(200, {"status": "OK"}), times=1)
    server.fault("GET /v1/health", hang(5.0))

    outcome = run(server.url, "check", "--request-timeout", "0.2", "--timeout", "2", collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert outcome.report["message"].startswith("LlamaStack stopped answering in the middle of the run: GET /v1/health")


def test_one_dead_provider_leaves_the_findings_of_the_others(server: FakeLlamaStack, run: Run) -> None:
    """Their proofs stand."""
    collections = [*entries("red_hat_docs"), *entries("eu_ai_act", provider_id="faiss-first")]
    run(server.url, collections=collections)
    server.dead_provider_ids.add("milvus-shared")

    outcome = run(server.url, "check", collections=collections)

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable", "present"]


def test_a_provider_that_fails_at_a_create_gets_no_second_one(server: FakeLlamaStack, run: Run) -> None:
    """Each failing create may leave something behind; those of other providers are made."""
    server.dead_provider_ids.add("milvus-shared")
    collections = [*entries("red_hat_docs", "acme_corporate"), *entries("eu_ai_act", provider_id="faiss-first")]

    outcome = run(server.url, collections=collections)

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable", "unavailable", "registered"]
    assert server.lines().count("POST /v1/vector_stores") == 2
    assert outcome.detail("acme_corporate").startswith("not created: the provider 'milvus-shared' fails (")


def test_a_create_without_its_backend_leaves_the_others(server: FakeLlamaStack, run: Run) -> None:
    """Where the list does not show it either."""
    refused = answer(502, {"detail": "All connection attempts failed"})
    server.fault("POST /v1/vector_stores", refused, times=1)
    collections = [*entries("red_hat_docs"), *entries("eu_ai_act", provider_id="faiss-first")]

    outcome = run(server.url, collections=collections)

    assert outcome.states == ["unavailable", "registered"]


@pytest.mark.parametrize(
    ("generation", "version", "kind", "remedy"),
    [
        (
            "0.3",
            "0.4.2",
            "remote::pgvector",
            "once its PostgreSQL is back, restart LlamaStack, which up to 0.7.3 never",
        ),
        (
            "0.7",
            "0.6.1",
            "remote::pgvector",
            "once its PostgreSQL is back, restart LlamaStack, which up to 0.7.3 never",
        ),
        (
            "0.7",
            "unknown",
            "remote::pgvector",
            "restart LlamaStack, which up to 0.7.3 never connects again; if its table",
        ),
        ("0.7", "1.5.0", "remote::pgvector", "if its table is gone, restart LlamaStack, which makes an empty one"),
        (
            "0.7",
            "1.1.3",
            "remote::pgvector",
            "if it answers, upgrade: pgvector of ogx 1.1 fails after each restart of PostgreSQL or",
        ),
        (
            "dbs",
            "0.2.20",
            "inline::sqlite-vec",
            "forget it: run `register`, which makes it known again with its chunks",
        ),
        ("0.3", "0.3.5", "inline::sqlite-vec", "or its table is gone: look at that backend and at LlamaStack's log"),
    ],
)
def test_the_remedy_is_what_helps_on_that_release(
    run: Run, generation: Any, version: str, kind: str, remedy: str
) -> None:
    """Each was tried on the real server."""
    with FakeLlamaStack(generation, version=version, provider_type=kind) as server:
        run(server.url, collections=ONE)
        server.dead_provider_ids.add("milvus-shared")
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == ["unavailable"]
    assert remedy in outcome.detail()


@pytest.mark.parametrize("version", ["0.4.2", "0.6.1", "0.7.3"])
def test_a_first_create_needs_a_restart_of_llamastack_too(run: Run, version: str) -> None:
    """PostgreSQL is back, and pgvector up to 0.7.3 does not notice."""
    with FakeLlamaStack(version=version) as server:
        server.fault("POST /v1/vector_stores", answer(500, OWN_WORDS))
        outcome = run(server.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert outcome.detail().endswith(
        "once its PostgreSQL is back, restart LlamaStack, which up to 0.7.3 never connects again"
    )


@pytest.mark.parametrize(("version", "restart"), [("1.1.3", False), ("1.2.5", True)])
def test_a_restart_that_breaks_pgvector_is_not_advised(version: str, restart: bool) -> None:
    """There that is what made it fail."""
    target = Target("docs", Provider("pg", "pgvector"), Model("m", None, 768), 768)

    assert ("restart all of its pods" in remedies.divided(target, parse_release(version))) is restart


def test_a_query_that_hangs_is_not_repeated_for_the_next_one(server: FakeLlamaStack, run: Run) -> None:
    """Milvus that was killed does not answer at all."""
    run(server.url)
    server.requests.clear()
    server.fault(QUERY, hang(3))

    outcome = run(server.url, "check", "--timeout", "2", "--request-timeout", "0.5")

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable"] * 3
    assert "POST /v1/vector-io/query: no answer within" in outcome.detail()
    assert server.lines().count(QUERY) == 1


def test_the_first_query_may_take_longer_than_a_request(server: FakeLlamaStack, run: Run) -> None:
    """It loads the embedding model."""
    server.add("red_hat_docs")

    def load(handler: Any) -> None:
        time.sleep(0.6)
        handler.reply(200, {"chunks": [], "scores": []})

    server.fault(QUERY, load, times=1)

    outcome = run(server.url, "--request-timeout", "0.3", collections=ONE)

    assert outcome.exit_code == 0
    assert server.lines().count(QUERY) == 1


def test_prove_read_leaves_the_empty_insert_out(server: FakeLlamaStack, run: Run) -> None:
    """A token that may only read, on vector stores that others made."""
    server.add("red_hat_docs")
    server.fault(INSERT, answer(403, {"detail": "no right to update"}))

    assert run(server.url, "check", collections=ONE).exit_code == 4
    assert run(server.url, "check", "--prove", "read", collections=ONE).exit_code == 0


def test_what_answers_a_query_with_something_else_is_refused(server: FakeLlamaStack, run: Run) -> None:
    """No release answers without `chunks`."""
    server.add("red_hat_docs")
    server.fault(QUERY, answer(200, {"ok": True}))

    outcome = run(server.url, collections=ONE)

    assert outcome.exit_code == 4
    assert "unexpected answer to the query: {'ok': True}; a proxy may have changed it" in outcome.detail()


@pytest.mark.parametrize("generation", ["dbs", "0.3"])
def test_chroma_up_to_0_3_5_is_alive_with_its_own_400(run: Run, generation: Any) -> None:
    """It wants embeddings, so it knows the vector store."""
    with FakeLlamaStack(generation, provider_type="remote::chromadb") as server:
        assert run(server.url).states == ["registered"] * 3
        server.requests.clear()
        assert run(server.url, "check", "--connections", "5").exit_code == 0

    # What costs the server a log is asked once.
    assert (server.lines().count(INSERT), server.lines().count(QUERY)) == (3, 15)


def test_one_list_tells_of_all_lost_ones_that_the_server_is_the_same(run: Run) -> None:
    """Another release in its place would not list them; that is asked after the proof, which need not wait for it."""
    with FakeLlamaStack(version="0.7.3") as server:
        for name in ("red_hat_docs", "acme_corporate", "eu_ai_act"):
            server.lost_ids.add(server.add(name))
        outcome = run(server.url, "check", "--connections", "1")

    assert outcome.states == ["lost"] * 3
    assert server.lines().count("GET /v1/vector_stores") == 2


@pytest.mark.parametrize("generation", ["dbs", "0.3"])
def test_what_one_answer_tells_nothing_of_is_not_queried_too(run: Run, generation: Any) -> None:
    """Both answers are errors, and that to the query takes a real server of 0.3.5 a second to log."""
    with FakeLlamaStack(generation, provider_type="remote::milvus") as server:
        for name in ("red_hat_docs", "acme_corporate", "eu_ai_act"):
            server.add(name, id=name, identifier=name)
        outcome = run(server.url, "check", "--connections", "5")

    assert (outcome.exit_code, outcome.states) == (0, ["present"] * 3)
    # The first one's query tells of the model, too.
    assert (server.lines().count(INSERT), server.lines().count(QUERY)) == (9, 1)


@pytest.mark.parametrize("generation", ["dbs", "0.3"])
def test_a_qdrant_that_is_down_is_no_fresh_one(run: Run, generation: Any) -> None:
    """Its empty insert fails as that of a fresh Milvus does; what it answers to the query tells them apart."""
    with FakeLlamaStack(generation, provider_type="remote::qdrant", dead_provider_ids={"milvus-shared"}) as server:
        for name in ("red_hat_docs", "acme_corporate", "eu_ai_act"):
            server.add(name, id=name, identifier=name)
        outcome = run(server.url, "check", "--connections", "5")

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"] * 3)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_model_that_refuses_is_told_of_a_fresh_one_on_milvus(run: Run, is_lost: bool) -> None:
    """Only the query asks the model, which a lost one is not sent."""
    with FakeLlamaStack("0.3", provider_type="remote::milvus") as server:
        server.lost_ids |= {server.add("red_hat_docs")} if is_lost else set()
        for name in ("red_hat_docs", "acme_corporate", "eu_ai_act"):
            server.add(name)
        server.fault(QUERY, answer(401, {"detail": "Incorrect API key provided"}))
        outcome = run(server.url, "check", "--connections", "5")

    assert outcome.exit_code == 4
    assert outcome.states[0] == "rejected"


@pytest.mark.parametrize("generation", ["dbs", "0.3"])
def test_another_provider_s_500_to_an_empty_insert_is_a_failure(run: Run, generation: Any) -> None:
    """Only Milvus and qdrant have nothing to insert into yet."""
    with FakeLlamaStack(generation) as server:
        run(server.url)
        server.dead_provider_ids.add("milvus-shared")
        assert run(server.url, "check").states == ["unavailable"] * 3


@pytest.mark.parametrize("provider_type", ["inline::milvus", "inline::qdrant"])
@pytest.mark.parametrize(
    ("generation", "version"), [("dbs", "0.2.24"), ("0.3", "0.3.5"), ("0.7", "0.7.3"), ("0.7", "unknown")]
)
def test_what_is_fresh_cannot_be_proven_by_check(run: Run, provider_type: str, generation: Any, version: str) -> None:
    """Milvus and qdrant up to 0.7.3; it is said so, and not called verified."""
    with FakeLlamaStack(generation, version=version, provider_type=provider_type) as server:
        run(server.url)
        outcome = run(server.url, "check", "--connections", "4")

    assert outcome.exit_code == 0
    assert outcome.states == ["present"] * 3
    assert outcome.detail().startswith("unverified: on this release an empty store ")
    assert outcome.report["message"] == (
        f"3 collections registered on {server.url}: 0 new, 3 already there; 0 verified, 3 unverified"
    )


@pytest.mark.parametrize(
    ("generation", "version", "state"),
    [("dbs", "0.2.24", "unavailable"), ("0.3", "0.3.5", "unavailable"), ("0.3", "unknown", "present")],
)
def test_a_milvus_that_takes_an_empty_insert_alone_is_not_fresh(
    run: Run, generation: Any, version: str, state: str
) -> None:
    """Up to 0.3.5 a fresh one fails both (0.2.24 with another dimension in Milvus takes inserts and fails queries)."""
    with FakeLlamaStack(generation, version=version, provider_type="remote::milvus") as server:
        used = run(server.url, collections=ONE).report["collections"][0]["id"]
        server.chunks[used] = []
        server.dead_ids.add(used)
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == [state]


@pytest.mark.parametrize("provider_type", ["remote::milvus", "inline::qdrant"])
@pytest.mark.parametrize(
    ("version", "state"), [("0.4.0", "unavailable"), ("0.7.3", "unavailable"), ("unknown", "present")]
)
def test_what_fails_an_empty_insert_from_0_4_on_is_not_fresh(
    run: Run, provider_type: str, version: str, state: str
) -> None:
    """Nothing of it reaches the backend, so that a fresh one takes it (0.4.0 with Milvus fails every insert)."""
    with FakeLlamaStack(version=version, provider_type=provider_type) as server:
        server.add("red_hat_docs")
        server.fault(INSERT, answer(500, OWN_WORDS))
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == [state]


def test_an_empty_insert_that_fails_on_one_process_is_not_fresh(run: Run) -> None:
    """There the insert alone is asked, since the query tells nothing."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.add("red_hat_docs")
        server.fault(INSERT, answer(204), times=1)
        server.fault(INSERT, answer(500, OWN_WORDS))
        outcome = run(server.url, "check", "--connections", "4", collections=ONE)

    assert outcome.states == ["unavailable"]


@pytest.mark.parametrize(
    ("provider_type", "total", "completed", "state"),
    [
        ("remote::milvus", 7, 7, "unavailable"),
        ("inline::qdrant", 7, 7, "unavailable"),
        ("remote::milvus", 1, 0, "present"),
    ],
)
def test_what_files_were_inserted_into_is_not_fresh(
    run: Run, provider_type: str, total: int, completed: int, state: str
) -> None:
    """The list says so, and a query would find them."""
    with FakeLlamaStack(version="0.7.3", provider_type=provider_type) as server:
        server.add("red_hat_docs", file_counts={"total": total, "completed": completed})
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == [state]
    assert ("does not answer, or its table is gone" in outcome.detail()) == (state == "unavailable")


def test_what_a_query_has_found_a_chunk_in_is_not_fresh(run: Run) -> None:
    """Where another process cannot reach the backend, its answer would be that of a fresh one."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        store_id = server.add("red_hat_docs")
        server.chunks[store_id] = []
        server.found[store_id, 0] = "a chunk"
        server.fault(QUERY, lambda handler: handler.reply(*handler._query(handler.taken.body)), times=1)
        server.fault(QUERY, answer(500, OWN_WORDS))
        outcome = run(server.url, "check", "--connections", "4", collections=ONE)

    assert outcome.states == ["unavailable"]


@pytest.mark.parametrize("fault", [answer(500), hang(2.5)], ids=["500", "late"])
def test_a_version_that_was_not_told_at_once_is_asked_again(run: Run, fault: Any) -> None:
    """A dead backend can make it late, and without it nobody can tell that this one is dead."""
    with FakeLlamaStack(version="1.5.0", provider_type="remote::milvus") as server:
        server.dead_ids.add(server.add("red_hat_docs"))
        server.fault("GET /v1/version", fault, times=1)
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == ["unavailable"]


def test_a_version_that_is_never_told_is_asked_twice(run: Run) -> None:
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.add("red_hat_docs")
        server.fault("GET /v1/version", answer(404))
        outcome = run(server.url, "check", "--connections", "4", collections=ONE)

    assert outcome.states == ["present"]
    assert server.lines().count("GET /v1/version") == 2


def test_an_ogx_that_answers_500_of_a_fresh_milvus_is_dead(run: Run) -> None:
    """There a fresh one answers 200."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        server.dead_ids.add(server.add("red_hat_docs"))
        assert run(server.url, "check", collections=ONE).states == ["unavailable"]


def test_what_cannot_be_told_is_dead_where_the_model_is(run: Run) -> None:
    """A fresh Milvus answers 500 as well."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.add("red_hat_docs")
        server.model_is_down = True
        outcome = run(server.url, "check", collections=ONE)

    assert outcome.states == ["unavailable"]
    assert "the embedding model" in outcome.detail()


def test_a_restart_in_the_middle_voids_what_was_proven_before(server: FakeLlamaStack, run: Run) -> None:
    """The first connection proves all three; then the server is gone, and back without them."""
    run(server.url)

    def restart(handler: Any) -> None:
        server.lost_ids |= {store["id"] for store in server.stores}
        handler.reply(503, {"detail": "no endpoints"})

    server.fault(QUERY, restart, times=1)

    outcome = run(server.url, "check")

    assert outcome.exit_code == 5
    assert outcome.states == ["lost"] * 3


def test_a_proxy_s_page_is_no_proof(run: Run) -> None:
    """It does not have LlamaStack's own words for an exception."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.add("red_hat_docs")
        server.fault(QUERY, answer(500, b"<html>oops</html>", Content_Type="text/html"))
        assert run(server.url, "check", collections=ONE).states == ["unavailable"]


def test_the_same_create_revives_what_0_2_24_cannot_use(run: Run) -> None:
    """sqlite-vec after a restart: the POST keeps the data."""
    with FakeLlamaStack("dbs", provider_type="inline::sqlite-vec") as server:
        run(server.url)
        server.dead_ids |= {"red_hat_docs", "eu_ai_act"}
        server.requests.clear()

        def revive(handler: Any) -> None:
            name = handler.taken.body["vector_db_id"]
            server.dead_ids.discard(name)
            handler.reply(*handler._upsert(handler.taken.body))

        server.fault("POST /v1/vector-dbs", revive)
        outcome = run(server.url)

    assert outcome.exit_code == 0
    posted = [request.body["vector_db_id"] for request in server.requests if request.line == "POST /v1/vector-dbs"]
    assert posted == ["red_hat_docs", "eu_ai_act"]


class Asked:
    """What a Prover asks, without a server."""

    release = None

    def __init__(self) -> None:
        self.limits: list[float | None] = []

    def prove(self, _: str, __: str, ___: list[str], limit_seconds: float | None) -> Proof:
        """Note the time limit."""
        self.limits.append(limit_seconds)
        return Proof(Verdict.ALIVE)

    def embed(self, _: Model, __: float) -> list[float]:
        """Answer as a model that works."""
        return [0.5]


TARGET = Target("docs", Provider("milvus", "milvus"), Model("granite", None, 768), 768)


def test_only_the_first_query_of_a_model_has_longer() -> None:
    """It loads the model; an insert alone asks for none."""
    asked: Any = Asked()
    prover = proof.Prover(Deadline(300), 5, write=True)
    only_insert = Proof(Verdict.ALIVE, next_questions=frozenset({"insert"}))

    for before in (only_insert, None, None):
        prover.prove(asked, "vs_1", TARGET, before)

    assert asked.limits == [None, proof.FIRST_QUERY_SECONDS, None]


def test_each_dead_one_is_explained() -> None:
    """Whatever comes before it."""
    asked: Any = Asked()
    proofs = {"vs_1": Proof(Verdict.ALIVE), "vs_2": Proof(Verdict.DEAD, "500"), "vs_3": Proof(Verdict.DEAD, "502")}
    look = Observation(1, (), {}, proofs)

    told = explained(asked, look, dict.fromkeys(proofs, TARGET), Deadline(300)).proofs

    assert told["vs_1"] == proofs["vs_1"]
    assert told["vs_2"].detail.startswith("inserts or queries fail (500): ")
    assert told["vs_3"].detail.startswith("inserts or queries fail (502): ")
