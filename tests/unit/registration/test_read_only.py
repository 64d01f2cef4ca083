"""A provider that only reads: a query alone proves its collections, and the others are proven as always."""

from collections.abc import Iterator
from typing import Any

import pytest

from hook.errors import RefusedError, UnavailableError
from hook.llamastack.verdicts import takes_no_inserts
from tests.fake_llamastack import CANARY, FakeLlamaStack, answer
from tests.unit.conftest import Run, entries

INSERT = "POST /v1/vector-io/insert"
CREATE = "POST /v1/vector_stores"
NOTE = "verified by a query alone, since its provider takes no inserts (POST /v1/vector-io/insert answered 501: "


@pytest.fixture
def solr() -> Iterator[FakeLlamaStack]:
    """Return a server whose second provider only reads."""
    with FakeLlamaStack(provider_type="remote::solr_vector_io", read_only_ids={"milvus-shared"}) as fake:
        yield fake


def portal(server: FakeLlamaStack) -> str:
    """Declare a collection in the server's own configuration, and fill it."""
    store_id = server.add("portal", id="portal")
    server.chunks[store_id] = ["what the portal knows"]
    return store_id


@pytest.mark.parametrize("command", ["register", "check"])
def test_what_a_query_finds_a_chunk_in_is_verified(solr: FakeLlamaStack, run: Run, command: str) -> None:
    portal(solr)
    solr.add("notes", provider_id="faiss-first")

    outcome = run(solr.url, command, collections=[*entries("portal"), *entries("notes", provider_id="faiss-first")])

    assert (outcome.exit_code, outcome.states) == (0, ["present"] * 2)
    assert [found["verified"] for found in outcome.report["collections"]] == [True, True]
    assert outcome.detail("portal").startswith(NOTE)
    assert outcome.detail("notes") == ""
    assert CREATE not in solr.lines()


def test_all_workers_are_asked_by_a_query(solr: FakeLlamaStack, run: Run) -> None:
    """Nothing else tells them apart."""
    solr.processes = 2
    solr.known_to[portal(solr)] = {0}

    assert run(solr.url, "--connections", "20", collections=entries("portal")).states == ["divided"]


@pytest.mark.parametrize("strict", [[], ["--on-unproven", "fail"]])
@pytest.mark.parametrize("command", ["register", "check"])
def test_one_without_a_hit_is_unverified_and_ends_nothing(
    solr: FakeLlamaStack, run: Run, command: str, strict: list[str]
) -> None:
    """Where its Solr does not answer, that provider finds nothing; and no write could tell."""
    solr.add("portal", id="portal")

    outcome = run(solr.url, command, *strict, collections=entries("portal"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert outcome.report["collections"][0]["verified"] is False
    assert "a query alone" in outcome.detail("portal")
    assert "a query finds nothing" in outcome.detail("portal")
    assert CREATE not in solr.lines()


def test_a_trial_tells_it_where_an_empty_insert_does_not(solr: FakeLlamaStack, run: Run) -> None:
    solr.takes_empty_inserts = True
    solr.add("portal", id="portal")

    outcome = run(solr.url, collections=entries("portal"))

    assert (outcome.exit_code, outcome.states, solr.names()) == (0, ["present"], ["portal"])
    assert outcome.detail("portal").startswith("unverified: its provider takes no inserts (")


@pytest.mark.parametrize("takes_empty", [False, True])
def test_a_missing_one_is_not_created(solr: FakeLlamaStack, run: Run, takes_empty: bool) -> None:
    """Nobody could insert into it; the trial is deleted."""
    solr.takes_empty_inserts = takes_empty

    outcome = run(solr.url, collections=entries("portal"))

    assert (outcome.exit_code, outcome.states, solr.names()) == (4, ["rejected"], [])
    assert outcome.detail("portal").startswith("not created: its provider takes no inserts (")
    created = [request.body["name"] for request in solr.requests if request.line == CREATE]
    assert [name.startswith(CANARY) for name in created] == [True]


def test_one_that_was_created_before_it_was_known_is_no_success(run: Run) -> None:
    """Without a trial the first insert tells it."""
    with FakeLlamaStack(read_only_ids={"milvus-shared"}) as server:
        outcome = run(server.url, collections=entries("portal"))

        assert (outcome.exit_code, outcome.states, server.names()) == (4, ["rejected"], ["portal"])
        assert "; its provider takes no inserts (" in outcome.detail("portal")


def test_a_query_that_fails_is_a_failure(solr: FakeLlamaStack, run: Run) -> None:
    solr.dead_ids.add(portal(solr))

    assert run(solr.url, collections=entries("portal")).states == ["unavailable"]


def test_what_its_provider_does_not_know_is_lost(solr: FakeLlamaStack, run: Run) -> None:
    solr.lost_ids.add(portal(solr))

    assert run(solr.url, collections=entries("portal")).states == ["lost"]


def test_a_gateway_that_answers_501_is_no_provider(server: FakeLlamaStack, run: Run) -> None:
    """Its page is none of LlamaStack's answers."""
    server.add("docs")
    server.fault(INSERT, answer(501, b"<html>", Content_Type="text/html"))

    assert run(server.url, "--timeout", "3", collections=entries("docs")).exit_code == 3


@pytest.mark.parametrize(
    ("error", "takes_none"),
    [
        (UnavailableError("x", status=501, in_json=True), True),
        (UnavailableError("x", status=501), False),
        (UnavailableError("x", status=500, in_json=True), False),
        (RefusedError("x", status=400, detail="Invalid value: the provider 'solr' is read-only"), True),
        (RefusedError("x", status=403, detail="this token is read-only"), False),
        (RefusedError("x", status=400, detail="cannot execute INSERT in a read-only transaction"), False),
        (None, False),
    ],
)
def test_a_provider_says_that_it_only_reads(error: Any, takes_none: bool) -> None:
    """Neither a policy, nor a database that is read-only for now."""
    assert takes_no_inserts(error) is takes_none
