"""Several vector stores of one name: which one is taken, and what is said of each."""

import json
from pathlib import Path
from typing import Any

import pytest

from hook.domain import Finding, Proof, State, VectorStore, Verdict
from hook.llamastack.dialects import UNKNOWN_AGE
from hook.registration import duplicates
from tests.fake_llamastack import GRANITE, FakeLlamaStack
from tests.unit.conftest import Run, entries
from tests.unit.registration.test_judge import compare, store

EMPTY, FULL, UNKNOWN = (Proof(Verdict.ALIVE, empty=each) for each in (True, False, None))


def two(on_duplicate: str, first: Proof, second: Proof, **fields: Any) -> Finding:
    """Return the finding where `vs_1` is the older of two; `fields` are those of `vs_2`."""
    younger = store("vs_2", created_at=2, **fields)
    return compare(younger, store("vs_1", made_by="a run"), on_duplicate=on_duplicate, vs_1=first, vs_2=second)


@pytest.mark.parametrize(
    ("first", "second", "fields", "taken"),
    [
        (EMPTY, FULL, {}, "vs_2"),
        (FULL, EMPTY, {}, "vs_1"),
        (EMPTY, EMPTY, {}, "vs_1"),
        (EMPTY, EMPTY, {"files": 1}, "vs_2"),
        (EMPTY, UNKNOWN, {}, "vs_2"),
        (FULL, FULL, {}, None),
        (FULL, EMPTY, {"files": 1}, None),
        (FULL, UNKNOWN, {}, None),
        (UNKNOWN, UNKNOWN, {}, None),
        (EMPTY, Proof(Verdict.LOST), {}, "vs_1"),
    ],
)
def test_the_filled_one_is_taken_if_only_one_may_be(
    first: Proof, second: Proof, fields: dict[str, Any], taken: str | None
) -> None:
    """Else the oldest, if none is; what the server does not tell may be data."""
    finding = two("filled", first, second, **fields)

    assert finding.id == taken
    assert finding.state is (State.DUPLICATED if taken is None else State.PRESENT)


@pytest.mark.parametrize("generation", ["0.3", "0.7"])
def test_a_pipeline_s_store_is_taken_before_an_older_empty_one(run: Run, generation: Any) -> None:
    """Nothing is created, nothing deleted."""
    with FakeLlamaStack(generation) as server:
        empty = server.add("docs", run_id="a run", created_at=100)
        filled = server.add("docs", created_at=200)
        server.chunks[filled] = ["a chunk"]
        outcome = run(server.url, "--on-duplicate", "filled", collections=entries("docs"))

    assert (outcome.exit_code, outcome.report["collections"][0]["id"]) == (0, filled)
    assert outcome.detail("docs").startswith(
        f"the filled one of 2 is used: {empty} (made 1970-01-01 00:01:40 UTC by this program, holds nothing), {filled} "
        "(made 1970-01-01 00:03:20 UTC by something else, holds data)"
    )
    assert len(server.stores) == 2


def test_several_are_listed_with_what_they_hold() -> None:
    finding = two("fail", EMPTY, FULL)

    assert (finding.state, finding.id) == (State.DUPLICATED, None)
    assert finding.detail == (
        "2 vector stores have this name: vs_1 (made 1970-01-01 00:00:01 UTC by this program, holds nothing), vs_2 "
        "(made 1970-01-01 00:00:02 UTC by something else, holds data); set HOOK_ON_DUPLICATE=filled, which uses "
        "vs_2, or delete the empty ones: vs_1 (DELETE /v1/vector_stores/ID)"
    )


def test_the_oldest_is_taken_with_what_the_others_hold() -> None:
    """It may be the empty one, which people should know."""
    finding = two("oldest", EMPTY, FULL)

    assert (finding.state, finding.id) == (State.PRESENT, "vs_1")
    assert finding.detail == (
        "the oldest of 2 is used: vs_1 (made 1970-01-01 00:00:01 UTC by this program, holds nothing), vs_2 (made "
        "1970-01-01 00:00:02 UTC by something else, holds data); HOOK_ON_DUPLICATE=filled would use the other"
    )


@pytest.mark.parametrize(("first", "second"), [(FULL, EMPTY), (EMPTY, EMPTY), (FULL, FULL), (UNKNOWN, UNKNOWN)])
def test_no_other_is_named_where_the_oldest_is_as_good(first: Proof, second: Proof) -> None:
    assert "would use" not in two("oldest", first, second).detail


def test_where_none_holds_anything_the_oldest_stays() -> None:
    """Every run says the same."""
    assert two("fail", EMPTY, EMPTY).detail.endswith(
        "; all are empty: set HOOK_ON_DUPLICATE=oldest, which uses vs_1, or delete the others: vs_2 (DELETE "
        "/v1/vector_stores/ID)"
    )


@pytest.mark.parametrize(("first", "second"), [(FULL, FULL), (UNKNOWN, FULL), (UNKNOWN, UNKNOWN)])
def test_what_may_hold_data_is_never_to_be_deleted(first: Proof, second: Proof) -> None:
    detail = two("fail", first, second).detail

    assert detail.endswith("; find out which one is meant, and declare its id, with vector_store_name: docs")
    assert "delete" not in detail.lower()


def test_an_empty_one_beside_several_that_are_filled_can_go() -> None:
    finding = compare(store(), store("vs_2"), store("vs_3"), vs_1=FULL, vs_2=FULL, vs_3=EMPTY)

    assert "; delete the empty ones: vs_3 (" in finding.detail


def test_the_id_of_one_of_them_can_be_declared(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    """As the message says."""
    ids = [server.add("docs"), server.add("docs")]
    entry = {"vector_store_id": ids[1], "vector_store_name": "docs", "provider_id": "milvus-shared"}
    entry["embedding_model"] = GRANITE
    config = tmp_path / "declared.json"
    config.write_text(json.dumps({"registered_resources": {"vector_stores": [entry]}}))

    outcome = run(server.url, config=str(config))

    assert (outcome.exit_code, outcome.report["collections"][0]["id"]) == (0, ids[1])


def test_of_many_a_few_are_described() -> None:
    stores = [store(f"vs_{number}") for number in range(10)]

    said = duplicates.described(stores, {each.id: EMPTY for each in stores})

    assert said.count("holds nothing") == 6
    assert said.endswith(", and 4 more")


@pytest.mark.parametrize("created_at", [UNKNOWN_AGE, 0, -1])
def test_a_time_that_is_none_is_unknown(created_at: int) -> None:
    said = duplicates.described([VectorStore("vs_1", "docs", created_at=created_at)], {"vs_1": EMPTY})

    assert said == "vs_1 (made at an unknown time by something else, holds nothing)"
