"""Several processes behind one URL, each with a list of its own."""

import math
import re
from collections import Counter
from typing import Any

import pytest

from hook.registration.carry_out import Performer
from hook.survey import connections, survey, turns
from hook.survey.answers import FEWEST_PROOFS, FULLY_PROVEN
from hook.survey.survey import QUERIES
from hook.survey.turns import LISTS_BEFORE, QUESTIONS
from hook.timings import DEFAULT_TIMINGS
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.pages import PAGES
from tests.unit.conftest import Run, Waits, entries

APART_SECONDS = 0.001

LIST = "GET /v1/vector_stores"
CREATE = "POST /v1/vector_stores"
QUERY = "POST /v1/vector-io/query"
INSERT = "POST /v1/vector-io/insert"
ONE = entries("red_hat_docs")
ALL = ("--connections", "20")
TURNS = ("--connections", "6")
"""Enough where each of two processes takes its turn, and chance decides nothing."""


@pytest.fixture(params=["per-connection", "per-request"])
def two(request: pytest.FixtureRequest) -> Any:
    """Return a stand-in of two processes, whatever balances between them."""
    with FakeLlamaStack(processes=2, per_request=request.param == "per-request") as fake:
        yield fake


def test_what_one_process_made_is_divided(two: FakeLlamaStack, run: Run) -> None:
    """And said so now, not when half of the inserts fail."""
    outcome = run(two.url, *ALL)

    assert outcome.exit_code == 5
    assert outcome.states == ["divided"] * 3
    assert re.search(r"\([1-9]\d* of \d+ connections (know|list) it; on the others: ", outcome.detail())
    assert "declare it in registered_resources.vector_stores" in outcome.detail()
    assert len(two.stores) == 3


@pytest.mark.parametrize("replica", range(4))
def test_each_replica_is_asked_for_its_list_though_they_take_turns(
    run: Run, monkeypatch: pytest.MonkeyPatch, replica: int
) -> None:
    """Where as many requests as replicas go over each connection, each list would be the same one's."""
    monkeypatch.setattr(survey, "AT_ONCE", 1)
    with FakeLlamaStack(processes=4, per_request=True) as fake:
        fake.known_to[fake.add("red_hat_docs")] = {replica}
        outcome = run(fake.url, *ALL, collections=ONE)

        assert outcome.states == ["divided"]
        assert CREATE not in fake.lines()


def test_a_worker_that_takes_many_connections_hides_no_other(run: Run) -> None:
    """As one does on a busy machine, where the others wait for a core; while it is busy, another one answers."""
    with FakeLlamaStack(processes=2, keeps_connections=True) as fake:
        outcome = run(fake.url, *ALL, collections=ONE)

    assert outcome.states == ["divided"]


def test_what_lists_take_turns_to_show_is_never_lost(two: FakeLlamaStack, run: Run) -> None:
    """Each proof may have met a process that does not know it; made anew, it would be there twice."""
    store_id = two.add("red_hat_docs")
    two.known_to[store_id] = {0}
    two.lost_ids.add(store_id)

    outcome = run(two.url, *ALL, "--on-lost", "recreate", collections=ONE)

    assert outcome.states == ["divided"]
    assert re.search(r"[1-9]\d* of \d+ connections list it", outcome.detail())
    assert CREATE not in two.lines()


def test_more_lists_are_asked_where_a_first_proof_is_lost(server: FakeLlamaStack, run: Run) -> None:
    """What they take turns to show needs one such proof, where chance took three: each is a traceback in the log."""
    store_id = server.add("red_hat_docs")
    run(server.url, "check", *ALL, collections=ONE)
    before = server.lines().count(LIST)
    server.lost_ids.add(store_id)
    run(server.url, "check", *ALL, collections=ONE)

    # And one more that tells whether the server was replaced.
    assert server.lines().count(LIST) == 2 * before + LISTS_BEFORE + 1


def test_a_store_that_goes_while_it_is_looked_at_is_not_divided(server: FakeLlamaStack, run: Run) -> None:
    """As one that another run takes back: no list shows it again."""
    kept, gone = server.add("red_hat_docs"), server.add("red_hat_docs", run_id="another")
    asked: list[int] = []

    def listed(handler: Any) -> None:
        asked.append(1)
        if len(asked) == 8:
            server.stores[:] = [store for store in server.stores if store["id"] == kept]
        handler.reply(*handler._list({}))

    server.fault(LIST, listed)

    outcome = run(server.url, "check", *ALL, collections=ONE)

    assert gone not in str(outcome.report)
    assert outcome.states == ["present"]


def test_what_another_run_makes_meanwhile_is_not_divided(run: Run) -> None:
    """A list shows it from then on; and on Milvus up to 0.3.5 nothing else tells which processes know it."""
    with FakeLlamaStack(generation="0.3", provider_type="inline::milvus") as fake:
        asked: list[int] = []

        def listed(handler: Any) -> None:
            asked.append(1)
            if len(asked) == 8:
                fake.add("red_hat_docs", run_id="another")
            handler.reply(*handler._list({}))

        fake.fault(LIST, listed)

        assert run(fake.url, "check", *ALL, collections=ONE).states == ["present"]


def test_what_seems_to_be_made_in_each_look_ends_it_all_the_same(server: FakeLlamaStack, run: Run) -> None:
    """As where a balancer sends the first connections elsewhere each time: three looks, and no more."""
    server.add("red_hat_docs")
    asked: list[int] = []

    def listed(handler: Any) -> None:
        asked.append(1)
        is_early = (len(asked) - 1) % 24 < 10
        handler.reply(200, {"data": [], "has_more": False}) if is_early else handler.reply(*handler._list({}))

    server.fault(LIST, listed)

    outcome = run(server.url, "check", "--connections", "12", collections=ONE)

    assert outcome.states == ["present"]
    assert "but 10 of 24 connections do not list it" in outcome.detail()
    assert len(asked) == 3 * 24


@pytest.mark.parametrize("command", ["check", "register"])
def test_a_server_that_goes_away_in_the_second_look_ends_the_run(
    server: FakeLlamaStack, run: Run, command: str
) -> None:
    """What the first one heard, in whose middle a store appeared, is void."""
    server.add("red_hat_docs")
    server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)
    asked: list[int] = []

    def listed(handler: Any) -> None:
        asked.append(1)
        handler.reply(*(handler._list({}) if len(asked) <= 3 else (503, {"detail": "scripted"})))

    server.fault(LIST, listed)

    outcome = run(server.url, command, "--connections", "3", "--timeout", "1", collections=ONE)

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown"]


def test_no_cookie_ties_a_run_to_one_process(run: Run) -> None:
    """A Route sets one by default, and whoever sends it back meets the same pod for ever."""
    with FakeLlamaStack(processes=2, sticky=True) as two:
        two.known_to[two.add("red_hat_docs")] = {0}

        outcome = run(two.url, *ALL, collections=ONE)

        assert outcome.states == ["divided"]


def test_data_that_each_process_keeps_for_itself_is_divided(two: FakeLlamaStack, run: Run) -> None:
    """Faiss: all list it and take inserts, and what one process took the other one never finds."""
    store_id = two.add("red_hat_docs", provider_id="faiss-first")
    two.found[store_id, 0] = "a chunk that the other process does not have"

    outcome = run(two.url, *ALL, collections=entries("red_hat_docs", provider_id="faiss-first"))

    assert outcome.exit_code == 5
    assert outcome.states == ["divided"]
    assert outcome.detail().startswith("workers return different chunks for the same query: faiss keeps")


def test_what_somebody_inserts_meanwhile_divides_nothing(run: Run) -> None:
    """A pipeline at work: each answer may be another one, but none comes back."""
    with FakeLlamaStack() as fake:
        store_id = fake.add("red_hat_docs", provider_id="faiss-first")
        answers = iter([None, None, "a chunk", "a chunk", "a better one"])

        def find(handler: Any) -> None:
            found = next(answers, "the best one")
            chunks = [] if found is None else [{"content": found, "metadata": {}}]
            handler.reply(200, {"chunks": chunks, "scores": [0.5] * len(chunks)})

        fake.fault(QUERY, find)
        outcome = run(fake.url, *ALL, collections=entries("red_hat_docs", provider_id="faiss-first"))

        assert store_id in str(outcome.report)
        assert outcome.states == ["present"]


def test_a_shared_backend_may_find_as_it_likes(two: FakeLlamaStack, run: Run) -> None:
    """Only faiss searches exactly; an index of others may answer the same query in two ways."""
    store_id = two.add("red_hat_docs")
    two.found |= {(store_id, 0): "a chunk", (store_id, 1): "another one"}

    assert run(two.url, *ALL, collections=ONE).states == ["present"]


def test_duplicates_on_a_divided_server_are_told_at_once(two: FakeLlamaStack, run: Run) -> None:
    """No run takes its own one back there, so there is nothing to wait for."""
    for process, made_by in enumerate(("one", "another")):
        two.known_to[two.add("red_hat_docs", run_id=made_by)] = {process}

    outcome = run(two.url, "check", *ALL, collections=ONE)

    assert outcome.states == ["duplicated"]
    assert "race.found" not in outcome.event_names()


def test_nothing_more_is_made_on_a_divided_server(two: FakeLlamaStack, run: Run) -> None:
    """However often it runs, also where what is lost should be made anew."""
    two.lost_ids.add(two.add("eu_ai_act"))
    two.known_to[two.add("red_hat_docs")] = {0}

    for _ in range(3):
        outcome = run(two.url, *ALL, "--on-lost", "recreate")
        assert outcome.states == ["divided", "missing", "lost"]

    for name in ("acme_corporate", "eu_ai_act"):
        assert outcome.detail(name).endswith("disagree about which stores exist; restart LlamaStack, all pods at once")
    assert len(two.stores) == 2
    assert CREATE not in two.lines()


def test_what_another_process_lists_is_not_missing(two: FakeLlamaStack, run: Run) -> None:
    """0.7.3 and newer with a shared backend: only the lists differ, and all is well."""
    two.shared_backend = True

    first = run(two.url, *ALL)
    second = run(two.url, *ALL)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.states == ["registered"] * 3
    assert second.states == ["present"] * 3
    assert "inserts and queries work, but " in second.detail()
    assert len(two.stores) == 3


def test_two_of_a_name_on_different_processes_are_duplicated(two: FakeLlamaStack, run: Run) -> None:
    """Neither is deleted: consumers may use either."""
    for process in range(2):
        two.known_to[two.add("red_hat_docs")] = {process}

    outcome = run(two.url, *ALL, collections=ONE)

    assert outcome.exit_code == 5
    assert outcome.states == ["duplicated"]
    assert len(two.stores) == 2


def test_its_own_is_not_taken_back_from_a_divided_server(two: FakeLlamaStack, run: Run) -> None:
    """The earlier one is of no use where only some workers know it."""
    two.known_to[two.add("red_hat_docs")] = {0}
    two.fault(LIST, answer(200, {"data": [], "has_more": False}), times=40)

    outcome = run(two.url, *ALL, collections=ONE)

    assert outcome.states == ["duplicated"]
    assert len(two.stores) == 2
    assert [request for request in two.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("generation", ["dbs", "0.7"])
def test_what_any_process_lists_differently_is_drifted(run: Run, generation: Any, first: int) -> None:
    """As in a rollout that changes a declared collection; whichever answers first, and nothing is sent over it."""
    with FakeLlamaStack(generation, processes=2, shared_backend=True) as fake:
        run(fake.url, *TURNS, collections=ONE)
        fake.restart()
        fake.listed_elsewhere = {"provider_id": "faiss-first"}
        fake.turn = first
        fake.requests.clear()
        outcome = run(fake.url, *TURNS, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (5, ["drifted"])
    assert outcome.detail().startswith("provider_id: the server has 'faiss-first', your file says ")
    assert not {"POST /v1/vector-dbs", CREATE} & {*fake.lines()}


def test_lost_is_only_what_all_processes_have_lost(two: FakeLlamaStack, run: Run) -> None:
    """And that can be made anew, since they agree."""
    two.lost_ids.add(two.add("red_hat_docs"))

    outcome = run(two.url, *ALL, collections=ONE)

    assert outcome.states == ["lost"]


def test_a_create_whose_answer_is_lost_is_looked_for_everywhere(two: FakeLlamaStack, run: Run) -> None:
    """Another process would not list it, and a second create would make a second one."""
    two.shared_backend = True
    two.fault(CREATE, answer(503), times=1, apply=True)

    outcome = run(two.url, *ALL, collections=ONE)

    assert outcome.exit_code == 0
    assert len(two.stores) == 1


def test_up_to_0_2_24_the_create_is_repeated_until_all_know_it(run: Run) -> None:
    """The same POST keeps the data there."""
    with FakeLlamaStack("dbs", processes=2) as server:
        outcome = run(server.url, *TURNS)
        assert server.known_to == {name: {0, 1} for name in ("red_hat_docs", "acme_corporate", "eu_ai_act")}
        assert run(server.url, "check", *TURNS).exit_code == 0

    assert outcome.exit_code == 0


def test_each_process_gets_each_create_though_they_take_turns(run: Run) -> None:
    """As many collections as processes, each on a connection of its own, would meet the same ones in all turns."""
    declared = entries(provider_id="faiss-first")
    with FakeLlamaStack("dbs", processes=3) as fake:
        run(fake.url, *ALL, collections=declared)
        fake.known_to = {name: {number} for number, name in enumerate(fake.known_to)}

        outcome = run(fake.url, *ALL, collections=declared)

    assert (outcome.exit_code, outcome.states) == (0, ["present"] * 3)


def test_a_gateway_that_fails_between_two_of_them_ends_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes on a fresh connection, before which the health is asked on another one every other time, at random."""
    with FakeLlamaStack("dbs", processes=2) as fake:
        run(fake.url, *TURNS, collections=ONE)
        fake.known_to["red_hat_docs"] = {0}

        repeat = Performer._repeat

        def fail_once(*arguments: Any) -> None:
            fake.fault("GET /v1/health", answer(503), times=1)
            repeat(*arguments)

        monkeypatch.setattr(Performer, "_repeat", fail_once)
        outcome = run(fake.url, *TURNS, collections=ONE)

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_no_create_is_repeated_where_processes_hold_other_chunks(run: Run) -> None:
    """Each would read the last ones that were written, and forget its own (0.2.24 with faiss)."""
    with FakeLlamaStack("dbs", processes=2) as two:
        run(two.url, *ALL, collections=entries("red_hat_docs", provider_id="faiss-first"))
        two.requests.clear()
        two.found["red_hat_docs", 0] = "a chunk that the other process does not have"

        outcome = run(two.url, *ALL, collections=entries("red_hat_docs", provider_id="faiss-first"))

        assert outcome.states == ["divided"]
        assert "POST /v1/vector-dbs" not in two.lines()


def test_check_repeats_no_create(run: Run) -> None:
    """It changes nothing."""
    with FakeLlamaStack("dbs", processes=2) as server:
        server.known_to["red_hat_docs"] = {0}
        server.stores.append(
            {
                "identifier": "red_hat_docs",
                "name": "red_hat_docs",
                "provider_id": "milvus-shared",
                "embedding_model": "ibm-granite/granite-embedding-125m-english",
                "embedding_dimension": 768,
            }
        )
        outcome = run(server.url, "check", *ALL, collections=ONE)

    assert outcome.states == ["divided"]
    assert not [line for line in server.lines() if line == "POST /v1/vector-dbs"]


def test_each_question_is_asked_on_each_connection(server: FakeLlamaStack, run: Run) -> None:
    """A round is one connection."""
    run(server.url)
    server.requests.clear()

    run(server.url, "check", "--connections", "7")

    assert server.lines().count(LIST) == 7
    assert server.lines().count(QUERY) == 3 * QUERIES
    assert server.lines().count(INSERT) == 3 * 7


@pytest.mark.parametrize(("collections", "connections", "inserts"), [(20, 6, 120), (30, 6, 120), (60, 6, 180)])
def test_many_collections_are_proven_on_fewer_connections_each(
    server: FakeLlamaStack, run: Run, collections: int, connections: int, inserts: int
) -> None:
    """The number of proofs stays linear: 20 for each connection, and at least 3 for each collection."""
    names = [f"docs-{number}" for number in range(collections)]
    for name in names:
        server.add(name)

    outcome = run(server.url, "--connections", str(connections), "--timeout", "60", collections=entries(*names))

    assert outcome.exit_code == 0
    assert server.lines().count(INSERT) == inserts


def test_what_seems_lost_is_asked_on_each_connection(run: Run) -> None:
    """As long as that is quick: one process that knows it is enough."""
    with FakeLlamaStack(version="0.7.3") as server:
        server.lost_ids.add(server.add("red_hat_docs"))
        run(server.url, "check", *ALL, collections=ONE)

    assert server.lines().count(INSERT) == 20


def test_slow_errors_are_not_asked_for_on_each_connection(run: Run, waits: Waits) -> None:
    """Each costs the server a log; 20 for all that is lost, and at least 3 for each."""
    waits.set(lost_seconds=0.0)
    with FakeLlamaStack(version="0.7.3") as server:
        for name in ("red_hat_docs", "acme_corporate", "eu_ai_act"):
            server.lost_ids.add(server.add(name))
        outcome = run(server.url, "check", *ALL)

    assert outcome.states == ["lost"] * 3
    assert server.lines().count(INSERT) <= 3 * 6 + 2 * 3


def test_a_process_that_goes_away_meanwhile_starts_all_anew(server: FakeLlamaStack, run: Run) -> None:
    """What it said before is void."""
    run(server.url)
    server.requests.clear()
    server.fault(QUERY, answer(503), times=1)

    outcome = run(server.url, "check", "--connections", "3")

    assert outcome.exit_code == 0
    assert outcome.event_names().count("request.retry_scheduled") == 1
    assert server.lines().count(QUERY) == 1 + 3 * 3


def test_a_gateway_that_fails_every_other_request_needs_patience(server: FakeLlamaStack, run: Run) -> None:
    """No look would ever come to its end without."""
    run(server.url)
    asked: list[int] = []

    def every_other(handler: Any) -> None:
        asked.append(1)
        if len(asked) % 2:
            handler.reply(503, {"detail": "busy"})
        else:
            handler.reply(200, {"chunks": [], "scores": []})

    server.fault(QUERY, every_other)

    outcome = run(server.url, "check", "--connections", "2")

    assert outcome.exit_code == 0
    assert outcome.states == ["present"] * 3


def test_a_restart_that_patience_bridged_is_noticed_at_the_end(server: FakeLlamaStack, run: Run) -> None:
    """What was proven before it is proven once more."""
    run(server.url)
    asked: list[int] = []

    def restart_at_the_fifth(handler: Any) -> None:
        asked.append(1)
        if len(asked) == 5:
            server.lost_ids |= {store["id"] for store in server.stores}
        if len(asked) in (1, 2, 3, 5):
            handler.reply(503, {"detail": "no endpoints"})
        else:
            handler.reply(*handler._query(handler.taken.body))

    server.fault(QUERY, restart_at_the_fifth)

    outcome = run(server.url, "check")

    assert outcome.exit_code == 5
    assert outcome.states == ["lost"] * 3


def test_a_server_that_goes_away_for_good_ends_the_run(server: FakeLlamaStack, run: Run) -> None:
    """What was heard before is not what is."""
    run(server.url)
    server.fault(QUERY, answer(503))

    outcome = run(server.url, "check", "--timeout", "1")

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown"] * 3


def test_one_process_that_fails_is_a_failure_of_all(server: FakeLlamaStack, run: Run) -> None:
    """Some inserts meet it."""
    run(server.url)
    server.known_to.clear()
    server.processes = 2

    def fail_in_one(handler: Any) -> None:
        handler.reply(500 if handler.process == 1 else 200, {"chunks": [], "scores": []})

    server.fault(QUERY, fail_in_one, times=math.inf)

    assert run(server.url, "check", "--connections", "10").exit_code == 3


def test_one_connection_needs_neither_pause_nor_thread(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as fast as it was."""
    opened: list[range] = []

    def noted(turns: range, *others: Any) -> None:
        opened.append(turns)
        connections.overlap(turns, *others)

    monkeypatch.setattr("hook.survey.survey.overlap", noted)

    run(server.url, "check")
    run(server.url, "check", "--connections", "4")

    assert [len(turns) for turns in opened] == [0, 7]


def test_the_documentation_says_how_many_requests_there_are() -> None:
    """The bounds are those of the program."""
    page = " ".join(PAGES["docs/maintainers/proofs.md"].split())

    assert f"Up to {FULLY_PROVEN} collections are proven on every connection, more than that on" in page
    assert f"on at least {FEWEST_PROOFS} and on {20 * FULLY_PROVEN} together" in page
    assert f"Up to {connections.AT_ONCE} connections are under way at once, a new one every " in page
    assert f"every {1000 * DEFAULT_TIMINGS.apart_seconds:.0f} ms" in page
    assert f"each connection sends at least {QUESTIONS} requests" in page
    assert f"queried at most {QUERIES} times a run" in page
    assert f"waits for {DEFAULT_TIMINGS.flooded_pause_seconds} s after each proof" in page


def test_a_run_of_three_asks_little(server: FakeLlamaStack, run: Run) -> None:
    """New or there, with all connections: a query costs an embedding, and a small server dies of too many."""
    for _ in range(2):
        server.requests.clear()
        run(server.url, *ALL)
        queried = Counter(request.body["vector_store_id"] for request in server.requests if request.line == QUERY)
        assert max(queried.values()) <= QUERIES
        assert len(server.requests) <= 200


@pytest.mark.parametrize(("version", "at_once"), [("0.2.17", 1), ("0.2.18", connections.AT_ONCE)])
def test_a_server_that_is_flooded_easily_is_asked_slowly(
    run: Run, waits: Waits, monkeypatch: pytest.MonkeyPatch, version: str, at_once: int
) -> None:
    """One connection at a time, with a pause after each proof."""
    waits.set(flooded_pause_seconds=0.001)
    opened: list[int] = []
    slept: list[float] = []

    def noted(turns: range, ask: Any, count: int, apart_seconds: float) -> None:
        opened.append(count)
        connections.overlap(turns, ask, count, apart_seconds)

    monkeypatch.setattr(survey, "overlap", noted)
    monkeypatch.setattr(turns, "sleep", slept.append)
    with FakeLlamaStack("dbs", version=version) as fake:
        outcome = run(fake.url, *ALL, collections=ONE)
        proofs = fake.lines().count(INSERT)

    assert outcome.exit_code == 0
    assert set(opened) == {at_once}
    assert slept == ([0.001] * proofs if at_once == 1 else [])
