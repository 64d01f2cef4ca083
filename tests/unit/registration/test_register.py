"""`register`, the whole way, against a server on a real socket."""

import json
import re
from typing import Any

import pytest

from hook.llamastack import TRIAL_TEXT
from tests.fake_llamastack import GRANITE, GRANITE_ID, FakeLlamaStack, answer, hang
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


def test_what_the_server_does_not_have_is_rejected_unwritten(server: FakeLlamaStack, run: Run) -> None:
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


def test_what_a_restart_revives_during_the_trial_is_not_recreated(run: Run) -> None:
    """An upgrade of the server may bring it back, with all that it holds."""
    with FakeLlamaStack("0.3", provider_type="remote::milvus") as server:
        server.lost_ids.add(server.add("red_hat_docs"))

        def revive(handler: Any) -> None:
            server.lost_ids.clear()
            handler.reply(200, {"chunks": [{"content": TRIAL_TEXT}], "scores": [1.0]})

        server.fault(QUERY, revive, times=1)
        outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

        assert (outcome.exit_code, outcome.states) == (0, ["present"])
        assert server.names() == ["red_hat_docs"]


def test_recreating_takes_no_dead_store_for_the_new_one(server: FakeLlamaStack, run: Run) -> None:
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
    assert "the server refused a test insert or query: POST /v1/vector-io/insert answered 404: Not Found" in details


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


def test_the_older_dialect_replaces_no_lost_store_that_differs(run: Run) -> None:
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
        handler.reply(*handler._create(handler.taken.body))

    server.fault(CREATE, delete_the_other, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered", "registered"])


@pytest.mark.parametrize(("refused", "states"), [(False, ["lost", "registered"]), (True, ["lost", "rejected"])])
def test_what_a_restart_lost_meanwhile_is_not_present(
    server: FakeLlamaStack, run: Run, refused: bool, states: list[str]
) -> None:
    """It was proven before the last write; all is proven anew after it, whatever came of it."""
    early = server.add("red_hat_docs")

    def restart(handler: Any) -> None:
        server.lost_ids.add(early)
        status, body = (400, {"error": {"message": "no"}}) if refused else handler._create(handler.taken.body)
        handler.reply(status, body)

    server.fault(CREATE, restart, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert outcome.states == states
    assert outcome.exit_code == (4 if refused else 5)


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
def test_a_list_that_hides_whether_it_ends_is_no_llamastack_s(server: FakeLlamaStack, run: Run, has_more: Any) -> None:
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
