"""`prune` lists what nobody needs any more, and deletes it only where it is asked to, one by one."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from hook.domain import Finding
from hook.registration.prune import STILL_LISTED, Pruner
from tests.fake_llamastack import GRANITE, FakeLlamaStack, answer
from tests.unit.conftest import Outcome, Run, entries

OLD = 7_200


def made(server: FakeLlamaStack, name: str, **fields: Any) -> str:
    """Add what an earlier run made for a collection of this name."""
    age = fields.pop("age", OLD)
    own = {"run_id": "0123456789abcdef", "declared_as": name, "created_at": int(time.time()) - age}
    return server.add(name, **{**own, **fields})


def prune(server: FakeLlamaStack, run: Run, *flags: str, **options: Any) -> Outcome:
    return run(server.url, "prune", *flags, collections=entries("docs"), **options)


def ids(server: FakeLlamaStack) -> set[str]:
    return {str(each["id"]) for each in server.stores}


def test_it_lists_what_nobody_declares_and_deletes_nothing(server: FakeLlamaStack, run: Run) -> None:
    made(server, "docs")
    old = made(server, "laws", created_at=1_700_000_000)

    outcome = prune(server, run)

    (item,) = outcome.report["collections"]
    assert (outcome.exit_code, item["name"], item["id"], item["state"]) == (0, "laws", old, "orphaned")
    assert item["detail"] == (
        "declared by no collection, made 2023-11-14 22:13 UTC by run 0123456…: empty; `prune --yes` deletes it"
    )
    assert outcome.report["message"] == f"1 vector store on {server.url} no longer needed: 0 deleted, 1 kept"
    assert {request.method for request in server.requests} == {"GET", "POST"}
    assert {request.line for request in server.requests if request.method == "POST"} == {
        "POST /v1/embeddings",
        "POST /v1/vector-io/query",
    }


def test_with_yes_it_deletes_what_is_empty_and_no_more(server: FakeLlamaStack, run: Run) -> None:
    docs, empty, full, files = (made(server, name) for name in ("docs", "a", "b", "c"))
    server.chunks[full] = ["a text of somebody's"]
    server.stores[-1]["file_counts"] = {"total": 2}

    outcome = prune(server, run, "--yes")

    assert ids(server) == {docs, full, files}
    assert {item["id"]: item["state"] for item in outcome.report["collections"]} == {
        empty: "deleted",
        full: "orphaned",
        files: "orphaned",
    }
    assert [event["vector_store_id"] for event in outcome.events if event["event"] == "vector_store.deleted"] == [empty]
    assert outcome.detail("a").endswith(": empty; deleted")
    assert {event["level"] for event in outcome.events} == {"info"}
    assert outcome.detail("b").endswith(": holds chunks; `prune --yes --with-data` deletes it with what it holds")
    assert ": holds 2 files;" in outcome.detail("c")


def test_what_another_worker_still_lists_is_not_called_deleted(run: Run) -> None:
    """As after a restart, when each has read all that there was."""
    with FakeLlamaStack(processes=2) as fake:
        made(fake, "docs")
        old = made(fake, "laws")
        outcome = prune(fake, run, "--yes", "--connections", "6")

        assert old in ids(fake)
    (item,) = outcome.report["collections"]
    assert (item["state"], item["detail"].rpartition(": empty; ")[2]) == ("orphaned", STILL_LISTED)


def test_with_data_it_deletes_what_it_lists(server: FakeLlamaStack, run: Run) -> None:
    docs, full = made(server, "docs"), made(server, "b", file_counts={"total": 1})
    server.chunks[full] = ["a text of somebody's"]

    outcome = prune(server, run, "--yes", "--with-data")

    assert ids(server) == {docs}
    assert ": holds 1 file and chunks; deleted" in outcome.detail("b")


@pytest.mark.parametrize("name", ["cafe\u0301", "CAFE\u0301", "ｃａｆé"])
def test_a_name_is_declared_in_whatever_characters(server: FakeLlamaStack, run: Run, name: str) -> None:
    """An editor may write an accent as a character of its own: nobody sees a difference in the list."""
    kept = made(server, name, file_counts={"total": 1})

    outcome = run(server.url, "prune", "--yes", "--with-data", collections=entries("caf\u00e9"))

    assert (outcome.report["collections"], ids(server)) == ([], {kept})


def test_with_data_alone_deletes_nothing(server: FakeLlamaStack, run: Run) -> None:
    made(server, "b")

    assert prune(server, run, "--with-data").states == ["orphaned"]
    assert len(server.stores) == 1


def test_what_nobody_can_tell_to_be_empty_holds_data(server: FakeLlamaStack, run: Run) -> None:
    """On Milvus a query finds nothing also in a full one."""
    server.provider_type = "remote::milvus"
    made(server, "b")
    made(server, "c", provider_id=None)

    outcome = prune(server, run, "--yes")

    assert (outcome.states, len(server.stores)) == (["orphaned"] * 2, 2)
    assert ": unknown whether it is empty; `prune --yes --with-data`" in outcome.detail("b")


@pytest.mark.parametrize(
    "fields",
    [
        {"run_id": None},
        {"declared_as": None},
        {"declared_as": "DOCS"},
        {"name": "Docs"},
        {"id": "docs"},
        {"name": "Second"},
        {"name": "off"},
        {"age": 3_000},
        {"age": -7_200},
        {"created_at": 0},
    ],
)
def test_it_never_lists(server: FakeLlamaStack, run: Run, fields: dict[str, Any], tmp_path: Path) -> None:
    """What another program made, what is declared by any name, also one that is switched off, and what is young."""
    made(server, **({"name": "b"} | fields))
    path = tmp_path / "config.yaml"
    declared = {"vector_store_id": "docs", "vector_store_name": "second", "embedding_model": GRANITE}
    off = {"vector_dbs": entries("OFF", provider_id="__disabled__")}
    path.write_text(json.dumps({"registered_resources": {"vector_stores": [declared]}, **off}))

    outcome = run(server.url, "prune", "--yes", "--with-data", config=str(path))

    assert (outcome.exit_code, outcome.report["collections"]) == (0, [])
    assert outcome.report["message"] == f"nothing to prune on {server.url}"
    assert len(server.stores) == 1


def test_two_clocks_have_to_agree_that_it_is_old(server: FakeLlamaStack, run: Run) -> None:
    """A gateway whose clock is ahead makes everything look old."""
    made(server, "b", age=60)
    server.gateway_seconds = 86_400

    assert prune(server, run, "--yes").report["collections"] == []


def test_an_empty_duplicate_of_its_own_goes(server: FakeLlamaStack, run: Run) -> None:
    """The oldest stays, and each one with data."""
    spare, full, young = made(server, "docs", age=9_000), made(server, "docs"), made(server, "docs", age=10)
    foreign = server.add("docs", created_at=1)
    server.chunks[full] = ["a text of somebody's"]

    assert prune(server, run).detail("docs").startswith(f"a duplicate of {foreign}, made ")
    outcome = prune(server, run, "--yes", "--with-data")
    assert ids(server) == {full, young, foreign}
    assert [item["id"] for item in outcome.report["collections"]] == [spare]


def test_the_oldest_stays_beside_a_filled_one(server: FakeLlamaStack, run: Run) -> None:
    """`register` may have published its id."""
    oldest, filled = made(server, "docs", age=9_000), made(server, "docs")
    server.chunks[filled] = ["a text of somebody's"]

    prune(server, run, "--yes", "--with-data")
    assert ids(server) == {oldest, filled}


@pytest.mark.parametrize("elsewhere", ["oldest", "youngest"])
def test_a_store_on_another_provider_is_no_duplicate(run: Run, elsewhere: str) -> None:
    """On Milvus a query that finds nothing says nothing, and what differs from the file is not what stays."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        ages = {"oldest": 9_000, "youngest": 5_000}
        for name, age in ages.items():
            provider = "milvus-shared" if name == elsewhere else "faiss-first"
            server.chunks[made(server, "docs", age=age, provider_id=provider)] = ["x"] if name != elsewhere else []
        before = ids(server)

        run(server.url, "prune", "--yes", collections=entries("docs", provider_id="faiss-first"))

        assert ids(server) == before


def test_none_goes_beside_one_that_is_not_as_the_file_says(server: FakeLlamaStack, run: Run) -> None:
    """Though that works: the file wants the younger one."""
    made(server, "docs", age=9_000, provider_id="milvus-shared")
    made(server, "docs", provider_id="faiss-first")

    outcome = run(server.url, "prune", "--yes", collections=entries("docs", provider_id="faiss-first"))
    assert (outcome.report["collections"], len(server.stores)) == ([], 2)


def test_a_lost_one_is_not_the_one_that_stays(server: FakeLlamaStack, run: Run) -> None:
    """A restart has lost the oldest: the next is kept, and its duplicate goes."""
    lost, kept, spare = made(server, "docs", age=9_000), made(server, "docs", age=8_000), made(server, "docs")
    server.lost_ids.add(lost)

    outcome = prune(server, run, "--yes")
    assert ids(server) == {lost, kept}
    assert [item["id"] for item in outcome.report["collections"]] == [spare]


def test_duplicates_of_two_collections_go(server: FakeLlamaStack, run: Run) -> None:
    """Each one beside the oldest of its own collection."""
    kept = {name: made(server, name, age=9_000) for name in ("docs", "laws")}
    for name in kept:
        made(server, name)

    outcome = run(server.url, "prune", "--yes", collections=entries("docs", "laws"))
    assert ids(server) == set(kept.values())
    for name, store_id in kept.items():
        assert outcome.detail(name).startswith(f"a duplicate of {store_id}, made ")


def test_of_empty_duplicates_the_oldest_stays(server: FakeLlamaStack, run: Run) -> None:
    oldest = made(server, "docs", age=9_000)
    made(server, "docs")

    prune(server, run, "--yes")
    assert ids(server) == {oldest}


def test_without_one_that_works_no_duplicate_goes(server: FakeLlamaStack, run: Run) -> None:
    server.lost_ids |= {made(server, "docs", age=9_000), made(server, "docs")}

    assert prune(server, run, "--yes", "--with-data").report["collections"] == []
    assert len(server.stores) == 2


def test_workers_that_disagree_are_an_end(server: FakeLlamaStack, run: Run) -> None:
    """No list says then what is there."""
    server.processes = 2
    server.known_to[made(server, "b")] = {0}

    outcome = prune(server, run, "--yes", "--connections", "20")

    assert (outcome.exit_code, len(server.stores)) == (3, 1)
    assert outcome.report["message"].startswith("nothing was deleted: workers list different stores")


def test_workers_that_show_one_differently_are_an_end(server: FakeLlamaStack, run: Run) -> None:
    """As two servers do that one URL leads to."""
    server.processes = 2
    made(server, "b")
    server.listed_elsewhere = {"provider_id": "faiss-first"}

    outcome = prune(server, run, "--yes", "--with-data", "--connections", "20")

    assert (outcome.exit_code, len(server.stores)) == (3, 1)


def test_a_release_without_metadata_is_refused(run: Run) -> None:
    with FakeLlamaStack("dbs") as server:
        outcome = run(server.url, "prune", "--yes")

    assert outcome.exit_code == 4
    assert outcome.report["message"] == (
        "prune needs the metadata of vector stores, which releases up to 0.2.24 do not show; upgrade to 0.3.0 or newer"
    )
    assert "DELETE" not in {request.method for request in server.requests}


def test_nothing_declared_is_an_error_also_where_it_is_allowed(server: FakeLlamaStack, run: Run) -> None:
    """A file that is empty by mistake would make an orphan of all."""
    made(server, "b")

    outcome = run(server.url, "prune", "--yes", "--with-data", "--allow-empty", collections=[])

    assert (outcome.exit_code, len(server.stores)) == (2, 1)
    assert server.requests == []


@pytest.mark.parametrize("change", ["filled", "gone", "kept one gone"])
def test_what_changes_meanwhile_stays(
    server: FakeLlamaStack, run: Run, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for once more at the last moment."""
    kept, spare = made(server, "docs", age=9_000), made(server, "docs")
    original = Pruner._deleted

    def changed(pruner: Pruner, *arguments: Any) -> Finding:
        if change == "filled":
            server.chunks[spare] = ["a text of somebody's"]
        else:
            gone = kept if change.startswith("kept") else spare
            server.stores[:] = [each for each in server.stores if each["id"] != gone]
        return original(pruner, *arguments)

    monkeypatch.setattr(Pruner, "_deleted", changed)
    outcome = prune(server, run, "--yes")

    assert "DELETE" not in {request.method for request in server.requests}
    assert (outcome.exit_code, outcome.states) == (0, ["orphaned"])
    assert outcome.detail("docs").endswith("; kept: it changed during the run; run `prune` again")


def test_a_delete_that_fails_ends_the_run_with_what_was_done(server: FakeLlamaStack, run: Run) -> None:
    made(server, "a", age=9_000)
    refused = made(server, "b")
    server.fault(f"DELETE /v1/vector_stores/{refused}", answer(403))

    outcome = prune(server, run, "--yes")

    assert outcome.exit_code == 4
    assert outcome.states == ["deleted", "orphaned"]


def test_what_another_file_declares_is_declared(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    made(server, "laws")
    path = tmp_path / "more.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("laws")}))

    assert prune(server, run, "--yes", "--config", str(path)).report["collections"] == []
