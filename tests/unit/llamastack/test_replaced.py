"""A server that is upgraded, or set back, in the middle of a run: what was heard before is void."""

from typing import Any

import pytest

from tests.fake_llamastack import GRANITE_ID, FakeLlamaStack, Generation, answer
from tests.unit.conftest import Run, entries

CHANGES: list[tuple[Generation, Generation]] = [("dbs", "0.3"), ("dbs", "0.7"), ("0.3", "dbs"), ("0.7", "dbs")]


@pytest.mark.parametrize("command", ["register", "check"])
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_server_may_be_replaced_at_any_moment(run: Run, command: str, before: Generation, after: Generation) -> None:
    """No verdict comes from two releases, nothing is made twice, and the next run is right."""
    for moment in range(200):
        with FakeLlamaStack(generation=before, successor=after, replaced_after=moment) as server:
            if command == "check":
                server.stores += existing(before)
            arguments = (command, "--connections", "2")
            outcome = run(server.url, *arguments, collections=entries("a"))
            asked = len(server.requests)
            names = [str(each.get("name")) for each in server.stores]
            ids = {str(each.get("id", each.get("identifier"))) for each in server.stores}
            assert len(set(names)) == len(names), moment
            if asked <= moment:
                assert outcome.exit_code == 0
                break
            # The new one has nothing, so what was there before may truly be missing.
            assert outcome.exit_code in ((0, 3) if command == "register" else (0, 3, 5)), (moment, outcome.report)
            told = {each["id"] for each in outcome.report["collections"] if each["state"] in ("registered", "present")}
            if outcome.exit_code == 0 and asked > moment + 1:
                assert told == ids, moment
            if outcome.exit_code == 5:
                assert set(outcome.states) == {"missing"}, (moment, outcome.report)
            if command == "register":
                again = run(server.url, *arguments, collections=entries("a"))
                assert (again.exit_code, server.names()) == (0, ["a"]), moment
    else:
        pytest.fail("the run does not end")


def existing(generation: Generation) -> list[dict[str, Any]]:
    """Return the collection as that release keeps it."""
    with FakeLlamaStack(generation=generation) as other:
        if generation == "dbs":
            body = {"vector_db_id": "a", "provider_id": "milvus-shared"}
            other.ask("POST", "/v1/vector-dbs", {}, body | {"embedding_model": GRANITE_ID, "embedding_dimension": 768})
        else:
            other.add("a")
        return other.stores


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_replaced_server_is_told_as_that(run: Run, before: Generation, after: Generation) -> None:
    path = "/v1/vector-dbs" if before == "dbs" else "/v1/vector_stores"
    with FakeLlamaStack(generation=before, successor=after, replaced_after=5) as server:
        outcome = run(server.url, collections=entries("a"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert outcome.report["message"] == (
        "The server was replaced during the run by another release: it listed its vector stores before, and now "
        f"GET {path} answered 404: Not Found. Run the hook again"
    )


def test_a_create_of_the_other_kind_is_never_sent(run: Run) -> None:
    """Which one is right depends on what was listed, which is void."""
    with FakeLlamaStack(generation="dbs", successor="0.3") as server:
        server.fault("POST /v1/vector-dbs", lambda handler: replaced(server, handler), times=1)
        outcome = run(server.url, collections=entries("a"))

    assert (outcome.exit_code, server.stores) == (3, [])
    assert [line for line in server.lines() if line.startswith("POST /v1/vector")] == ["POST /v1/vector-dbs"]


def replaced(server: FakeLlamaStack, handler: Any) -> None:
    """Let the other release answer that it has no such path."""
    server.generation = server.successor
    answer(404, {"detail": "Not Found"})(handler)


def test_a_model_that_is_not_there_is_no_other_release(run: Run) -> None:
    """0.3.5 answers 404 to that, too, and its list stands."""
    with FakeLlamaStack(generation="0.3") as server:
        server.fault("POST /v1/vector_stores", answer(404, {"detail": "Model 'x' not found"}))
        outcome = run(server.url, collections=entries("a"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert "Model 'x' not found" in outcome.detail("a")
