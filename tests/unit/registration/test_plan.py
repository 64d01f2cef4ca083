"""`plan` says what `register` would do, and does nothing of it."""

from pathlib import Path

import pytest

from hook.domain import Finding, Model, Provider, State, Target, VectorStore, Verdict
from hook.registration.decide import Repeat, Withdraw
from hook.registration.deletion import Surplus
from hook.registration.plan import planned
from tests.fake_llamastack import GRANITE_ID, FakeLlamaStack
from tests.unit.conftest import Run, entries

TARGET = Target("docs", Provider("milvus-shared"), Model("m", None, 768), 768)


def test_what_is_missing_would_be_created(server: FakeLlamaStack, run: Run) -> None:
    server.add("red_hat_docs")

    outcome = run(server.url, "plan")

    assert (outcome.exit_code, outcome.states) == (0, ["present", "planned", "planned"])
    assert outcome.detail("eu_ai_act") == (
        f"would create eu_ai_act on milvus-shared, {GRANITE_ID}, 768: the server does not list it"
    )
    assert outcome.report["message"] == (f"would create 2 of 3 collections on {server.url}: acme_corporate, eu_ai_act")
    assert outcome.event_names()[-1] == "hook.finished"


def test_nothing_is_written(server: FakeLlamaStack, run: Run) -> None:
    run(server.url, "plan", "--on-lost", "recreate")

    assert {request.line for request in server.requests if request.method != "GET"} <= {"POST /v1/embeddings"}
    assert server.stores == []


@pytest.mark.parametrize(("names", "code"), [((), 7), (("a",), 0)])
def test_changes_have_an_exit_code_where_asked_for(
    server: FakeLlamaStack, run: Run, names: tuple[str, ...], code: int
) -> None:
    for name in names:
        server.add(name)

    outcome = run(server.url, "plan", "--detailed-exitcode", collections=entries("a"))

    assert (outcome.exit_code, outcome.report["outcome"]) == (code, "changes" if code else "ok")


def test_another_fault_ends_it_as_it_ends_check(server: FakeLlamaStack, run: Run) -> None:
    server.add("a", provider_id="faiss-first")

    outcome = run(server.url, "plan", "--detailed-exitcode", collections=entries("a", "b"))

    assert (outcome.exit_code, outcome.states) == (5, ["drifted", "planned"])


def test_a_lost_one_is_planned_where_it_would_be_replaced(server: FakeLlamaStack, run: Run) -> None:
    lost = server.add("a")
    server.lost_ids.add(lost)

    assert run(server.url, "plan", collections=entries("a")).states == ["lost"]
    outcome = run(server.url, "plan", "--on-lost", "recreate", collections=entries("a"))
    assert (outcome.exit_code, outcome.states) == (0, ["planned"])
    assert outcome.detail("a").endswith(f"768: {lost} is lost, and stays as it is")


def test_nothing_to_create_is_said(server: FakeLlamaStack, run: Run) -> None:
    server.add("a")

    outcome = run(server.url, "plan", collections=entries("a"))

    assert outcome.report["message"] == f"nothing to create: 1 collection on {server.url}"


def test_the_consumers_are_asked_as_in_check(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("consumer")
    server.consumer_key = "consumer"
    server.hidden_ids.add(server.add("a"))

    outcome = run(server.url, "plan", "--consumer-api-key-file", str(key), collections=entries("a", "b"))

    assert (outcome.exit_code, outcome.states) == (5, ["hidden", "planned"])


def test_workers_that_disagree_get_nothing_and_it_is_a_fault(server: FakeLlamaStack, run: Run) -> None:
    server.processes = 2
    server.known_to[server.add("a")] = {0}

    outcome = run(server.url, "plan", "--connections", "20", collections=entries("a", "b"))

    assert (outcome.exit_code, outcome.states) == (5, ["divided", "missing"])


def test_what_else_would_be_done_stands_in_the_detail() -> None:
    store = VectorStore("vs_2", "docs")
    found = {"docs": Finding("docs", State.DUPLICATED, detail="two")}
    withdraw = Withdraw(TARGET, store, Surplus(store, Verdict.ALIVE, empty=True))

    both = planned([withdraw, Repeat(TARGET, "docs", on_each_connection=True)], found)["docs"]

    assert both.state is State.DUPLICATED
    assert both.detail == (
        "two; `register` would delete the empty duplicate vs_2; "
        "`register` would send its create again, so that each worker knows it"
    )
