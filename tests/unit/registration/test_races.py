"""Runs that start at the same instant: one vector store a name, and every run content."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hook import logs
from hook.domain import State, VectorStore
from hook.registration.journal import Journal, Withdrawn
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import NAMES, Waits, entries
from tests.unit.conftest import Run as RunHook
from tests.unit.registration.conftest import CREATE, LIST, start

INSERT = "POST /v1/vector-io/insert"


@pytest.mark.parametrize("count", [2, 5])
def test_runs_at_the_same_instant_agree_on_one_store_a_name(server: FakeLlamaStack, count: int) -> None:
    """Whichever came first stays, and each run finds it present or its own."""
    logs.configure("info", "json", {})
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(lambda _: start(server.url, barrier), range(count)))

    assert sorted(server.names()) == sorted(NAMES)
    ids = {store["name"]: store["id"] for store in server.stores}
    for findings in results:
        assert {name: finding.id for name, finding in findings.items()} == ids
        assert {finding.state for finding in findings.values()} <= {State.PRESENT, State.REGISTERED}


def let_rival_give_way(server: FakeLlamaStack, lists: int) -> None:
    """Let another run register the collection just after ours, and take its own back after so many lists."""

    def create_two(handler: Any) -> None:
        handler.reply(*handler._create(handler.taken.body))
        server.add("red_hat_docs", run_id="a rival")
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=lists)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: Any) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))

    server.fault(CREATE, create_two, times=1)


def test_the_later_store_is_taken_back(server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]) -> None:
    """Within one second the order of insertion counts."""
    first = rival()

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]
    (told,) = (event for event in outcome.events if event["event"] == "collection.taken_back")
    (created,) = (event for event in outcome.events if event["event"] == "collection.registered")
    assert (told["collection"], told["vector_store_id"]) == ("red_hat_docs", created["vector_store_id"])


def test_what_is_taken_back_in_the_middle_of_its_proof_is_gone(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The next list tells, and the next of the older ones decides."""
    first = rival(created_at=int(time.time()) - 2)
    second = server.add("red_hat_docs", run_id="another rival", created_at=int(time.time()) - 1)
    proofs = []

    def insert(handler: Any) -> None:
        proofs.append(handler.taken.body["vector_store_id"])
        if proofs.count(first) == 2:
            server.stores[:] = [store for store in server.stores if store["id"] != first]
        handler.reply(*handler._insert(handler.taken.body))

    server.fault(INSERT, insert)
    # The second connection of the first look sees nothing either.
    server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)

    outcome = run(server.url, "--connections", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [second]


def test_what_the_next_list_still_shows_has_not_vanished(server: FakeLlamaStack, run: RunHook) -> None:
    """The last connection did not know it, but it is there: nobody takes it back, and nobody waits for that."""
    first = server.add("red_hat_docs", run_id="a rival")
    server.add("red_hat_docs", run_id="another rival")
    proofs = []

    def insert(handler: Any) -> None:
        proofs.append(handler.taken.body["vector_store_id"])
        known = proofs[-1] != first or proofs.count(first) % 2 == 1
        unknown = 400, {"error": {"message": f"Vector_store `{first}` not served by any of the providers"}}
        handler.reply(*(handler._insert(handler.taken.body) if known else unknown))

    server.fault(INSERT, insert)

    outcome = run(server.url, "check", "--connections", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert "race.found" not in outcome.event_names()


def test_a_run_that_gave_way_asks_the_oldest_and_not_the_newest(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The newest is the next to be taken back, and the oldest tells all."""
    first = rival(created_at=int(time.time()) - 1)

    def create_two(handler: Any) -> None:
        handler.reply(*handler._create(handler.taken.body))
        server.add("red_hat_docs", run_id="a rival", created_at=int(time.time()) + 1)
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=3)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: Any) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))

    server.fault(CREATE, create_two, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    (created,) = (event for event in outcome.events if event["event"] == "collection.registered")
    asked = {request.body["vector_store_id"] for request in server.requests if request.line == INSERT}
    assert asked == {first, created["vector_store_id"]}


def test_a_store_with_files_is_not_taken_back(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str], monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    """Somebody uses it already; then it is for people to decide."""
    waits.set(race_seconds=0.3)
    rival()
    add = server.add

    def add_with_files(name: str, **fields: object) -> str:
        return add(name, file_counts={"total": 1}, **fields)

    monkeypatch.setattr(server, "add", add_with_files)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_a_store_that_holds_a_chunk_is_not_taken_back(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str], waits: Waits
) -> None:
    """What was inserted as a chunk is in no count of the list, so it is asked at the last moment."""
    waits.set(race_seconds=0.3)
    rival()

    def create_and_fill(handler: Any) -> None:
        status, made = handler._create(handler.taken.body)
        server.found[made["id"], 0] = "a chunk"
        handler.reply(status, made)

    server.fault(CREATE, create_and_fill, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_what_two_runs_have_both_taken_back_is_told(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The other one's is gone as well: it is missing, and nothing is wrong with the server."""
    first = rival()

    def delete_both(handler: Any) -> None:
        server.stores.clear()
        handler.reply(200, {})

    def created(handler: Any) -> None:
        status, made = handler._create(handler.taken.body)
        server.fault(f"DELETE /v1/vector_stores/{made['id']}", delete_both)
        handler.reply(status, made)

    server.fault(CREATE, created, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["missing"])
    assert outcome.detail().endswith("in favour of another run's store, which has since disappeared; run it again")
    assert first not in outcome.detail()


def test_the_earlier_store_stays_and_the_other_run_is_waited_for(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """It may have been killed; then the duplicate is told."""
    waits.set(race_seconds=0.3)

    def create_two(handler: Any) -> None:
        assert handler
        own = server.stores[0] if server.stores else None
        assert own is None
        handler.reply(*handler._create(handler.taken.body))
        server.add("red_hat_docs", run_id="a rival")

    server.fault(CREATE, create_two, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


@pytest.mark.parametrize("clock_seconds", [-90, 0, 90])
def test_a_run_that_made_nothing_waits_too(server: FakeLlamaStack, run: RunHook, clock_seconds: int) -> None:
    """`check` may come while two others sort it out, and its clock may be wrong."""
    server.clock_seconds = clock_seconds
    server.add("red_hat_docs", run_id="one")
    server.add("red_hat_docs", run_id="another")

    def one_left(handler: Any) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))

    server.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=8)
    server.fault(LIST, one_left, times=1)

    outcome = run(server.url, "check", "--connections", "1", collections=entries("red_hat_docs"))

    assert "race.found" in outcome.event_names()
    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_old_duplicates_are_told_at_once(server: FakeLlamaStack, run: RunHook) -> None:
    """No run of this hour made them."""
    server.add("red_hat_docs", created_at=1)
    server.add("red_hat_docs", created_at=2)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    assert "race.found" not in outcome.event_names()


def test_duplicates_that_no_run_made_are_told_at_once(server: FakeLlamaStack, run: RunHook) -> None:
    """However new they are: nobody is about to take one back."""
    server.add("red_hat_docs")
    server.add("red_hat_docs")

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    assert "race.found" not in outcome.event_names()


@pytest.mark.parametrize("command", ["check", "register"])
def test_a_race_of_others_is_waited_for_only_while_it_goes_on(
    server: FakeLlamaStack, run: RunHook, waits: Waits, command: str
) -> None:
    """Where nothing changes any more, nobody is left who would."""
    waits.set(bystander_seconds=0.3)
    server.add("red_hat_docs", run_id="one")
    server.add("red_hat_docs", run_id="another")

    outcome = run(server.url, command, collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    # For half of the budget, these would be a hundred.
    assert 1 <= outcome.event_names().count("race.found") <= 6


def test_others_are_waited_for_as_long_as_they_change_something(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """On a busy server twenty runs take longer than any one of them is waited for."""
    waits.set(race_seconds=0.6, bystander_seconds=0.6)
    for number in range(8):
        server.add("red_hat_docs", run_id=f"run {number}")

    def take_one_back(handler: Any) -> None:
        server.stores.pop()
        handler.reply(*handler._list({}))

    server.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=1)
    server.fault(LIST, take_one_back, times=7)
    # Seven pauses take at least twice as long as one of them is waited for.
    waits.set(race_pause_seconds=(0.18, 0.2))

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_a_run_that_keeps_its_own_waits_longer_than_a_bystander(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """The other one, which has to take its own back, may have more to do before."""
    waits.set(bystander_seconds=0.1)

    let_rival_give_way(server, lists=6)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])


def test_a_race_goes_on_however_old_its_stores_become(server: FakeLlamaStack, run: RunHook) -> None:
    """On a busy server twenty runs make all that they want before any of them takes something back."""
    for number in range(8):
        server.add("red_hat_docs", run_id=f"run {number}", created_at=int(time.time()) - 1)

    def take_one_back(handler: Any) -> None:
        server.clock_seconds += 30
        server.stores.pop()
        handler.reply(*handler._list({}))

    server.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=1)
    server.fault(LIST, take_one_back, times=7)

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


@pytest.mark.parametrize("clock_seconds", [0, -90, 90])
def test_who_took_its_own_back_waits_for_others_by_any_clock(
    server: FakeLlamaStack, run: RunHook, clock_seconds: int
) -> None:
    """It knows when it was, by the server's clock."""
    server.clock_seconds = clock_seconds

    def create(handler: Any) -> None:
        server.add("red_hat_docs", run_id="the first")
        handler.reply(*handler._create(handler.taken.body))
        server.add("red_hat_docs", run_id="a third")
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=3)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: Any) -> None:
        server.stores[:] = [store for store in server.stores if "a third" not in str(store["metadata"])]
        handler.reply(*handler._list({}))

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_what_takes_place_late_is_withdrawn_for_what_came_first(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """Before there is any verdict, and as soon as the list shows it: the other run waits for that."""
    waits.set(late_seconds=10.0)
    timers: list[threading.Timer] = []

    def fail(handler: Any) -> None:
        server.add("red_hat_docs", run_id="a rival")
        body = handler.taken.body
        timers.append(threading.Timer(0.3, lambda: handler._create(body)))
        timers[0].start()
        handler.reply(502, {"detail": "scripted"})

    server.fault(CREATE, fail, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    timers[0].join()
    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [request.method for request in server.requests].count("DELETE") == 1
    assert "a rival" in str(server.stores)


def test_lists_that_take_turns_are_no_change(server: FakeLlamaStack, run: RunHook, waits: Waits) -> None:
    """Where one connection meets one process, and the next another: nobody is about to take anything back."""
    waits.set(bystander_seconds=0.4)
    # Else chance says which list a wait ends with, and what that one does not show is waited for anew.
    waits.set(race_pause_seconds=(0.1, 0.1))
    for name in ("one", "another", "a third"):
        server.add("red_hat_docs", run_id=name)
    shown = itertools.cycle((2, 2, 3))

    def turn(handler: Any) -> None:
        handler.reply(200, {"data": server.stores[: next(shown)], "has_more": False})

    server.fault(LIST, turn)

    outcome = run(server.url, "check", "--timeout", "40", collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    # For half of the budget, these would be some two hundred.
    assert outcome.event_names().count("race.found") <= 16


def test_what_lists_show_in_another_order_each_time_is_no_change(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """As two processes do: nobody is about to take anything back."""
    waits.set(bystander_seconds=0.4)
    server.add("red_hat_docs", run_id="one")
    server.add("red_hat_docs", run_id="another")

    def turned(handler: Any) -> None:
        server.stores.reverse()
        handler.reply(200, {"data": server.stores, "has_more": False})

    server.fault(LIST, turned, times=200)

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    # For half of the budget, these would be a hundred.
    assert 1 <= outcome.event_names().count("race.found") <= 12


def test_a_race_leaves_half_of_the_budget_for_the_verdict(server: FakeLlamaStack, run: RunHook) -> None:
    """And says meanwhile how long it goes on; what is alone of its name is in no race."""
    server.add("eu_ai_act", run_id="one")
    server.add("red_hat_docs", run_id="one")
    server.add("red_hat_docs", run_id="another")

    outcome = run(server.url, "check", "--timeout", "2", collections=entries("red_hat_docs", "eu_ai_act"))

    assert outcome.states == ["duplicated", "present"]
    told = [event for event in outcome.events if event["event"] == "race.found"]
    assert {event["collections"] for event in told} == {1}
    left = [event["remaining_seconds"] for event in told]
    assert left == sorted(left, reverse=True)
    assert 0 <= left[-1] < left[0] <= 1
    assert left == [round(seconds, 2) for seconds in left] != [round(seconds) for seconds in left]


@pytest.mark.parametrize("clock_seconds", [-90, 90])
def test_a_run_of_this_instant_is_waited_for_by_any_clock(
    server: FakeLlamaStack, run: RunHook, clock_seconds: int
) -> None:
    """The vector store that this run made itself tells what the server calls now."""
    server.clock_seconds = clock_seconds

    let_rival_give_way(server, lists=3)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])


@pytest.mark.parametrize("clock_seconds", [-90, 90])
def test_a_run_knows_its_own_store_whatever_the_clocks_say(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str], clock_seconds: int
) -> None:
    """It is told by the metadata."""
    server.clock_seconds = clock_seconds
    first = rival()

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]


def test_of_two_that_a_run_made_the_one_it_was_told_of_stays(server: FakeLlamaStack, run: RunHook) -> None:
    """A gateway has sent the create twice."""

    def create(handler: Any) -> None:
        handler._create(handler.taken.body)
        handler.reply(*handler._create(handler.taken.body))

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    (kept,) = server.stores
    told = [event for event in outcome.events if event["event"] == "collection.registered"]
    assert [event["vector_store_id"] for event in told] == [kept["id"]]
    assert (outcome.exit_code, outcome.states) == (0, ["registered"])


def test_a_race_proves_only_what_decides_it_and_that_once(server: FakeLlamaStack, run: RunHook, waits: Waits) -> None:
    """However often it looks whether the others have agreed."""
    waits.set(bystander_seconds=0.4)
    names = ("red_hat_docs", "eu_ai_act")
    for name in names:
        server.add(name, run_id="one")
        server.add(name, run_id="another")

    outcome = run(server.url, "check", collections=entries(*names))

    assert outcome.states == ["duplicated"] * 2
    assert outcome.event_names().count("race.found") > 1
    # The oldest of each for the race, and all four for the verdict.
    assert server.lines().count("POST /v1/vector-io/query") == 2 + 4


def test_an_old_one_is_not_proven_for_a_race(server: FakeLlamaStack, run: RunHook) -> None:
    """Each proof of what a restart has lost is an error, whose log can take the server seconds (0.7.3)."""
    lost = server.add("red_hat_docs", created_at=1, run_id="one")
    server.lost_ids.add(lost)
    server.add("red_hat_docs", created_at=2, run_id="two")

    outcome = run(server.url, "check", "--connections", "4", collections=entries("red_hat_docs"))

    inserts = [request.body["vector_store_id"] for request in server.requests if request.line == INSERT]
    assert outcome.states == ["present"]
    assert inserts.count(lost) == 4


def test_a_lost_one_is_in_no_race(server: FakeLlamaStack, run: RunHook) -> None:
    """However lately another run has made the other one."""
    server.lost_ids.add(server.add("red_hat_docs", created_at=1, run_id="one"))
    server.add("red_hat_docs", run_id="another")

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]
    assert "race.found" not in outcome.event_names()


@pytest.mark.parametrize("known", ["preexisting", "withdrawn"])
def test_what_was_there_before_or_is_gone_is_not_its_own(known: str) -> None:
    """Whatever its metadata say."""
    store = VectorStore("vs_1", "red_hat_docs", made_by="this run")
    journal = Journal("this run")
    assert journal.is_ours(store)

    if known == "preexisting":
        journal.preexisting_ids = frozenset({"vs_1"})
    else:
        journal.add(Withdrawn("red_hat_docs", store))

    assert not journal.is_ours(store)


def test_what_is_lost_is_proven_once(run: RunHook) -> None:
    """Each proof is an error in the server's log."""
    with FakeLlamaStack(version="0.7.3") as server:
        lost_id = server.add("red_hat_docs", run_id="another")
        server.lost_ids.add(lost_id)

        outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

    asked = [each for each in server.requests if each.line == INSERT and each.body["vector_store_id"] == lost_id]
    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(asked) == 1
