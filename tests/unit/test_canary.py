"""The throw-away vector store: only where nothing else can tell, and never left behind."""

import os
import signal
import uuid
from typing import Any

import pytest

from hook import canary
from tests.fake_llamastack import CANARY, FakeLlamaStack, answer, hang, reset
from tests.unit.conftest import Run, entries

CREATE = "POST /v1/vector_stores"
INSERT = "POST /v1/vector-io/insert"
EMBED = "POST /v1/embeddings"
ONE = entries("red_hat_docs")


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


def test_an_insert_that_fails_there_makes_the_collections_unavailable(milvus: FakeLlamaStack, run: Run) -> None:
    """Milvus is dead, which neither the empty insert nor the query of a fresh store can tell."""
    milvus.fault(INSERT, answer(204), times=1)

    def dies(handler: Any) -> None:
        milvus.dead_provider_ids.add("milvus-shared")
        handler.reply(*handler._embed())

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, dies, times=1)

    outcome = run(milvus.url)

    assert outcome.exit_code == 3
    assert outcome.states == ["unavailable"] * 3
    assert "a trial insert failed: POST /v1/vector-io/insert answered 500" in outcome.detail()
    assert not [name for name in milvus.names() if name.startswith(CANARY)]


@pytest.mark.parametrize(("generation", "version"), [("0.3", "0.3.5"), ("0.7", "0.7.3")])
def test_the_next_try_of_a_job_proves_what_the_first_one_made(run: Run, generation: Any, version: str) -> None:
    """Else what the first has proven to be dead would be a success of the second.

    From 0.4 on nothing of an empty insert reaches the backend.
    """

    def fail_at_the_backend(handler: Any) -> None:
        if generation == "0.7" and not handler.fake.requests[-1].body["chunks"]:
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
    assert "a trial insert failed: POST /v1/vector-io/insert answered 500" in outcome.detail()
    assert (mended.exit_code, mended.states) == (0, ["present"])
    assert " registered and verified on " in mended.report["message"]
    assert [store["id"] for store in server.stores] == [made]


@pytest.mark.parametrize(
    "fields", [{"run_id": "the first", "created_at": 1_000}, {}], ids=["of-another-hour", "of-somebody-else"]
)
def test_for_what_was_there_before_none_is_made(milvus: FakeLlamaStack, run: Run, fields: dict[str, Any]) -> None:
    """Each costs the server something, and a run every 15 minutes may find the collection empty for days."""
    milvus.add("red_hat_docs", **fields)

    outcome = run(milvus.url, collections=ONE)

    assert canaries(milvus) == []
    assert outcome.exit_code == 0
    assert "cannot be proven" in outcome.detail()


def test_a_connection_that_breaks_before_one_is_made_is_no_failure(milvus: FakeLlamaStack, run: Run) -> None:
    """What was made is asked again."""
    milvus.fault(INSERT, reset, times=1)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(canaries(milvus)) == 1


def test_a_query_that_hangs_is_not_repeated_for_each_collection(milvus: FakeLlamaStack, run: Run) -> None:
    """It would take the whole budget, and the cause would not be told."""
    milvus.fault("POST /v1/vector-io/query", hang(5))

    outcome = run(milvus.url, "--request-timeout", "0.5", "--timeout", "6")

    assert outcome.states == ["unavailable"] * 3
    assert "POST /v1/vector-io/query: no answer within" in outcome.detail()
    assert canaries(milvus) == []
    # One when what was made is tried, and one of the look.
    assert milvus.lines().count("POST /v1/vector-io/query") == 2


@pytest.mark.parametrize("arguments", [["check"], ["register", "--prove", "read"]])
def test_only_a_run_that_may_write_makes_one(milvus: FakeLlamaStack, run: Run, arguments: list[str]) -> None:
    """`check` changes nothing, and neither does a proof that only reads."""
    if arguments == ["check"]:
        milvus.add("red_hat_docs")

    outcome = run(milvus.url, *arguments, collections=ONE)

    assert outcome.exit_code == 0
    assert canaries(milvus) == []
    assert "cannot be proven" in outcome.detail()


def test_where_the_answers_tell_there_is_none(run: Run) -> None:
    """Fresh vector stores answer on ogx."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        run(server.url)

    assert canaries(server) == []


def test_another_process_that_takes_its_insert_proves_nothing(milvus: FakeLlamaStack, run: Run) -> None:
    """Where requests are balanced one by one, the insert may meet a process that does not know it."""
    made: list[str] = []

    def lose(handler: Any) -> None:
        store_id = milvus.requests[-1].body["vector_store_id"]
        if milvus.requests[-1].body["chunks"]:
            made.append(store_id)
            handler.reply(404, {"detail": f"Vector Store '{store_id}' not found"})
        else:
            handler.reply(204, None)

    milvus.fault(INSERT, lose)

    outcome = run(milvus.url)

    assert made
    assert outcome.exit_code == 0
    assert "cannot be proven" in outcome.detail()


def test_one_whose_create_lost_its_answer_is_deleted_too(milvus: FakeLlamaStack, run: Run) -> None:
    """It is found by its name."""

    def lose_canary(handler: Any) -> None:
        body = milvus.requests[-1].body
        status, created = handler._create(body)
        handler.reply(503 if body["name"].startswith(CANARY) else status, created)

    milvus.fault(CREATE, lose_canary)

    outcome = run(milvus.url, collections=ONE)

    assert outcome.exit_code == 3
    assert len(canaries(milvus)) == 1
    assert milvus.names() == ["red_hat_docs"]


def test_one_that_cannot_be_deleted_is_told(milvus: FakeLlamaStack, run: Run) -> None:
    """The next run of another hour sweeps it."""

    def forbid(handler: Any) -> None:
        milvus.fault(f"DELETE /v1/vector_stores/{milvus.stores[-1]['id']}", answer(500, {"detail": "no"}))
        handler.reply(*handler._embed())

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, forbid, times=1)

    outcome = run(milvus.url, collections=ONE)

    assert "canary.not_deleted" in outcome.event_names()


def test_leftovers_of_an_earlier_hour_are_swept(
    milvus: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Younger ones may be in use, and what only looks like one is somebody's."""
    young, strange = f"{CANARY}{uuid.uuid1()}", f"{CANARY}{uuid.uuid4()}"
    for name in (canary._new_name(), young, strange, f"{CANARY}notes", f"{CANARY}{'-' * 36}"):
        milvus.add(name)
    old = milvus.names()[0]
    real = canary._age_seconds
    monkeypatch.setattr(canary, "_age_seconds", lambda name: real(name) + (4000 if name == old else 0))

    run(milvus.url, collections=ONE)

    assert old not in milvus.names()
    assert {young, strange, f"{CANARY}notes"} <= set(milvus.names())


def test_the_age_stands_in_the_name() -> None:
    """Also on releases that do not show when a vector store was made."""
    assert 0 <= canary._age_seconds(canary._new_name()) < 60
    made = uuid.uuid1()
    ticks = made.time - 7200 * 10**7
    earlier = uuid.UUID(fields=(ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF | 0x1000, 0x80, 0, 1))
    assert canary._age_seconds(f"{CANARY}{earlier}") == pytest.approx(7200, abs=60)


def test_without_time_to_delete_it_none_is_made(milvus: FakeLlamaStack, run: Run) -> None:
    """What the run cannot delete, it does not make; and what it has registered is not proven by that."""
    outcome = run(milvus.url, "--timeout", "0.9", collections=ONE)

    assert canaries(milvus) == []
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "no time for a trial insert, which has to prove 'red_hat_docs'" in outcome.report["message"]


def test_up_to_0_2_24_what_nobody_can_prove_is_said_to_be_so(run: Run) -> None:
    """The next run would not know when it was made, so that exit code 3 would help nobody."""
    with FakeLlamaStack("dbs", provider_type="remote::milvus") as server:
        outcome = run(server.url, "--timeout", "0.9", collections=ONE)

    assert canaries(server) == []
    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert "cannot be proven" in outcome.detail()


def test_the_next_run_makes_the_one_that_the_budget_had_no_time_for(milvus: FakeLlamaStack, run: Run) -> None:
    """So one exit code 3 is all that comes of it."""
    run(milvus.url, "--timeout", "0.9", collections=ONE)

    outcome = run(milvus.url, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert len(canaries(milvus)) == 1
    assert " registered and verified on " in outcome.report["message"]


@pytest.mark.usefixtures("listening")
def test_a_signal_leaves_none_behind(milvus: FakeLlamaStack, run: Run) -> None:
    """The pod has its grace period."""

    def stop(handler: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        hang(1)(handler)

    milvus.fault(EMBED, embeds, times=2)
    milvus.fault(EMBED, stop, times=1)

    outcome = run(milvus.url, "--timeout", "30", collections=ONE)

    assert outcome.exit_code == 143
    assert len(canaries(milvus)) == 1
    assert milvus.names() == ["red_hat_docs"]
