"""Runs that start at the same instant: one vector store a name, and every run content."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

from hook import logs
from hook.app import main
from hook.cli.settings import Settings, parse
from hook.cli.usage import parse_arguments
from hook.deadline import Deadline
from hook.domain import Collection, Finding, State, VectorStore
from hook.errors import RefusedError
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.llamastack.api import LlamaStack
from hook.progress import Progress
from hook.registration.journal import Journal, Withdrawn
from hook.registration.run import Run
from hook.retry import retry
from hook.survey.answers import Answers
from hook.survey.order import in_order
from hook.timings import DEFAULT_TIMINGS
from tests.fake_llamastack import GRANITE, FakeLlamaStack, answer
from tests.unit.conftest import NAMES, Waits, entries
from tests.unit.conftest import Run as RunHook

CREATE = "POST /v1/vector_stores"
INSERT = "POST /v1/vector-io/insert"
LIST = "GET /v1/vector_stores"


def asked() -> Settings:
    """Return the default settings."""
    return parse(parse_arguments(["--connections", "1"]), {})


def start(url: str, barrier: threading.Barrier) -> dict[str, Finding]:
    """Run the use-case, beginning together with the others."""
    progress, deadline = Progress(), Deadline(60)
    server = LlamaStack(Http(Endpoint(url), 30, deadline))
    barrier.wait()
    Run(asked(), server, None, deadline, progress).carry_out(
        [Collection(name, GRANITE, "milvus-shared") for name in NAMES]
    )
    return progress.findings


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


@pytest.fixture
def rival(server: FakeLlamaStack) -> Callable[..., str]:
    """Return a function by which another run registers a collection after our list and before our create."""

    def register(name: str = "red_hat_docs", **fields: object) -> str:
        rival_id = server.add(name, run_id="a rival", **fields)
        server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)
        return rival_id

    return register


def let_rival_give_way(server: FakeLlamaStack, lists: int) -> None:
    """Let another run register the collection just after ours, and take its own back after so many lists."""

    def create_two(handler: object) -> None:
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]
        server.add("red_hat_docs", run_id="a rival")
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=lists)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: object) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

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


def test_what_is_taken_back_in_the_middle_of_its_proof_is_not_known_to_some_processes_only(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The next list tells, and the next of the older ones decides."""
    first = rival(created_at=int(time.time()) - 2)
    second = server.add("red_hat_docs", run_id="another rival", created_at=int(time.time()) - 1)
    proofs = []

    def insert(handler: object) -> None:
        proofs.append(server.requests[-1].body["vector_store_id"])
        if proofs.count(first) == 2:
            server.stores[:] = [store for store in server.stores if store["id"] != first]
        handler.reply(*handler._insert(server.requests[-1].body))  # type: ignore[attr-defined]

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

    def insert(handler: object) -> None:
        proofs.append(server.requests[-1].body["vector_store_id"])
        known = proofs[-1] != first or proofs.count(first) % 2 == 1
        unknown = 400, {"error": {"message": f"Vector_store `{first}` not served by any of the providers"}}
        handler.reply(*(handler._insert(server.requests[-1].body) if known else unknown))  # type: ignore[attr-defined]

    server.fault(INSERT, insert)

    outcome = run(server.url, "check", "--connections", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert "race.found" not in outcome.event_names()


def test_a_run_that_gave_way_asks_the_oldest_and_not_the_newest(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The newest is the next to be taken back, and the oldest tells all."""
    first = rival(created_at=int(time.time()) - 1)

    def create_two(handler: object) -> None:
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]
        server.add("red_hat_docs", run_id="a rival", created_at=int(time.time()) + 1)
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=3)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: object) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

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

    def create_and_fill(handler: object) -> None:
        status, made = handler._create(server.requests[-1].body)  # type: ignore[attr-defined]
        server.found[made["id"], 0] = "a chunk"
        handler.reply(status, made)  # type: ignore[attr-defined]

    server.fault(CREATE, create_and_fill, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_what_two_runs_have_both_taken_back_is_told(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """The other one's is gone as well: it is missing, and nothing is wrong with the server."""
    first = rival()

    def delete_both(handler: object) -> None:
        server.stores.clear()
        handler.reply(200, {})  # type: ignore[attr-defined]

    def created(handler: object) -> None:
        status, made = handler._create(server.requests[-1].body)  # type: ignore[attr-defined]
        server.fault(f"DELETE /v1/vector_stores/{made['id']}", delete_both)
        handler.reply(status, made)  # type: ignore[attr-defined]

    server.fault(CREATE, created, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["missing"])
    assert outcome.detail().endswith("in favour of another run's store, which has since disappeared; run it again")
    assert first not in outcome.detail()


@pytest.mark.parametrize(
    ("lists", "order"),
    [
        ([["a", "b"], ["b"]], "ab"),
        ([["b", "a"]], "ba"),
        ([["b"], ["b", "a"]], "ba"),
        ([["a"], ["b", "a"]], "ba"),
        ([["b"], ["a"]], "ab"),
        ([["a"], ["b"]], "ab"),
        ([["c", "b"], ["b", "a"]], "cba"),
        ([["b", "a"], ["d", "b"], ["d", "c"]], "dbca"),
        ([["b", "a"], ["a", "b"]], "ab"),
        ([["c", "b", "a"], ["c", "a", "b"]], "cab"),
        ([["c", "b"], ["b", "a"], ["a", "c"]], "abc"),
    ],
)
def test_all_runs_have_the_same_order_of_one_second(lists: list[list[str]], order: str) -> None:
    """That of the lists that show two of them; where each lists its own, no run may go by which it has heard first.

    A third one that is taken back between two lists of a run, or made there, must not turn the others around: each of
    the runs would take its own back for another's, and none be left.
    """
    heard = dict.fromkeys(store_id for ids in lists for store_id in ids)
    stores = [VectorStore(store_id, "docs", created_at=1) for store_id in heard]
    places = [{store_id: place for place, store_id in enumerate(ids)} for ids in lists]

    assert "".join(store.id for store in in_order(stores, places)) == order

    sweep = Answers(len(lists), 0, DEFAULT_TIMINGS)
    for ids in lists:
        sweep.add_list([VectorStore(store_id, "docs", created_at=1) for store_id in ids], sweep.now())
    assert [store.id for store in sweep.together().stores] == [*order]


def test_the_order_of_other_names_and_seconds_is_as_it_was() -> None:
    stores = [VectorStore("d", "docs", created_at=2), VectorStore("c", "docs"), VectorStore("b", "acme")]

    assert in_order(stores, [{"c": 0}, {"d": 0}]) == tuple(stores)


def test_the_earlier_store_stays_and_the_other_run_is_waited_for(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """It may have been killed; then the duplicate is told."""
    waits.set(race_seconds=0.3)

    def create_two(handler: object) -> None:
        assert handler
        own = server.stores[0] if server.stores else None
        assert own is None
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]
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

    def one_left(handler: object) -> None:
        del server.stores[1:]
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

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

    def take_one_back(handler: object) -> None:
        server.stores.pop()
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

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

    def take_one_back(handler: object) -> None:
        server.clock_seconds += 30
        server.stores.pop()
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

    server.fault(LIST, lambda handler: handler.reply(*handler._list({})), times=1)
    server.fault(LIST, take_one_back, times=7)

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


@pytest.mark.parametrize("clock_seconds", [0, -90, 90])
def test_a_run_that_has_taken_its_own_back_waits_for_the_others_whatever_the_clocks_say(
    server: FakeLlamaStack, run: RunHook, clock_seconds: int
) -> None:
    """It knows when it was, by the server's clock."""
    server.clock_seconds = clock_seconds

    def create(handler: object) -> None:
        server.add("red_hat_docs", run_id="the first")
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]
        server.add("red_hat_docs", run_id="a third")
        server.fault(LIST, lambda listing: listing.reply(*listing._list({})), times=3)
        server.fault(LIST, take_back, times=1)

    def take_back(handler: object) -> None:
        server.stores[:] = [store for store in server.stores if "a third" not in str(store["metadata"])]
        handler.reply(*handler._list({}))  # type: ignore[attr-defined]

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])


def test_what_takes_place_late_is_withdrawn_for_what_came_first(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    """Before there is any verdict, and as soon as the list shows it: the other run waits for that."""
    waits.set(late_seconds=10.0)
    timers: list[threading.Timer] = []

    def fail(handler: object) -> None:
        server.add("red_hat_docs", run_id="a rival")
        body = server.requests[-1].body
        timers.append(threading.Timer(0.3, lambda: handler._create(body)))  # type: ignore[attr-defined]
        timers[0].start()
        handler.reply(502, {"detail": "scripted"})  # type: ignore[attr-defined]

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

    def turn(handler: object) -> None:
        handler.reply(200, {"data": server.stores[: next(shown)], "has_more": False})  # type: ignore[attr-defined]

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

    def turned(handler: object) -> None:
        server.stores.reverse()
        handler.reply(200, {"data": server.stores, "has_more": False})  # type: ignore[attr-defined]

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
def test_another_run_of_this_instant_is_waited_for_whatever_the_clocks_say(
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


def test_what_a_killed_run_left_an_hour_later_is_named(server: FakeLlamaStack, run: RunHook) -> None:
    """The one that holds nothing: nobody can tell that its own run would have taken it back."""
    used = server.add("red_hat_docs", created_at=100, run_id="one")
    left = server.add("red_hat_docs", created_at=3_800, run_id="another")
    server.found[used, 0] = "a chunk"

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert outcome.detail().endswith(f"delete the empty ones: {left} (DELETE /v1/vector_stores/ID)")
    assert len(server.stores) == 2


def leave_two(server: FakeLlamaStack, apart: int = 1, age: int = 600, **fields: object) -> tuple[str, str]:
    """Let two runs of an instant have made the same collection, of which the later one was killed; return both ids."""
    made_at = int(time.time()) + server.clock_seconds - age
    first = server.add("red_hat_docs", run_id="one", created_at=made_at - apart)
    return first, server.add("red_hat_docs", **({"run_id": "another", "created_at": made_at} | fields))


@pytest.mark.parametrize("clock_seconds", [0, -86_400, 86_400])
@pytest.mark.parametrize(("apart", "age"), [(0, 100), (1, 600), (59, 10**6)])
def test_what_a_killed_run_left_is_withdrawn_by_any_later_one(
    server: FakeLlamaStack, run: RunHook, apart: int, age: int, clock_seconds: int
) -> None:
    """Its own run would have taken it back; the older one may be in use."""
    server.clock_seconds = clock_seconds
    first, second = leave_two(server, apart, age)
    server.found[first, 0] = "a chunk"

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]
    (told,) = [event for event in outcome.events if event["event"] == "collection.withdrawn"]
    assert (told["collection"], told["vector_store_id"], told["kept"]) == ("red_hat_docs", second, first)


def test_one_on_another_provider_is_not_withdrawn(run: RunHook) -> None:
    """By the file it is on faiss, which shows emptiness; a full one on Milvus may answer the same."""
    with FakeLlamaStack(provider_type="remote::milvus") as server:
        first, second = leave_two(server)
        of_faiss, of_milvus = server.stores
        of_faiss["metadata"]["provider_id"] = "faiss-first"

        outcome = run(server.url, collections=entries("red_hat_docs", provider_id="faiss-first"))

        assert outcome.states == ["duplicated"]
        assert [store["id"] for store in server.stores] == [first, second]
        assert f"{second} (made " in outcome.detail("red_hat_docs")
        assert "unknown whether it holds data" in outcome.detail("red_hat_docs")
        assert of_milvus["metadata"]["provider_id"] == "milvus-shared"


def test_all_that_killed_runs_left_is_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    first, _ = leave_two(server)
    server.add("red_hat_docs", run_id="a third", created_at=server.stores[-1]["created_at"])

    outcome = run(server.url, "--on-duplicate", "oldest", collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert [store["id"] for store in server.stores] == [first]


@pytest.mark.parametrize(
    "fields",
    [
        {"run_id": None},
        {"file_counts": {"total": 1}},
        {"apart": 61},
        {"age": 40},
        {"name": "red_hat_docs", "created_at": 0},
    ],
    ids=["by-somebody-else", "with-a-file", "not-together", "too-young", "of-no-age"],
)
def test_what_nobody_can_tell_to_be_left_stays_duplicated(
    server: FakeLlamaStack, run: RunHook, fields: dict[str, object], waits: Waits
) -> None:
    waits.set(bystander_seconds=0.3)
    made = [*leave_two(server, **{key: value for key, value in fields.items() if key != "name"})]  # type: ignore[arg-type]

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert [store["id"] for store in server.stores] == made


def test_only_register_withdraws(server: FakeLlamaStack, run: RunHook, tmp_path: Path) -> None:
    leave_two(server)

    assert run(server.url, "check", collections=entries("red_hat_docs")).exit_code == 5
    config = ["--config", str(tmp_path / "collections.yaml"), "--connections", "1"]
    assert main(["resolve", "red_hat_docs", "--url", server.url, *config], {}) == 5
    assert len(server.stores) == 2


def test_what_holds_a_chunk_is_not_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    _, second = leave_two(server)
    server.found[second, 0] = "a chunk"

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert len(server.stores) == 2


def test_what_is_filled_at_the_last_moment_is_not_withdrawn(server: FakeLlamaStack, run: RunHook) -> None:
    _, second = leave_two(server)

    def fill(handler: object) -> None:
        handler.reply(*handler._query(server.requests[-1].body))  # type: ignore[attr-defined]
        if server.requests[-1].body["vector_store_id"] == second:
            server.found[second, 0] = "a chunk"

    server.fault("POST /v1/vector-io/query", fill)

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert len(server.stores) == 2


def test_nothing_is_withdrawn_for_one_that_is_dead_or_lost(server: FakeLlamaStack, run: RunHook) -> None:
    """The younger one may be all that is left."""
    dead, _ = leave_two(server)
    server.dead_ids.add(dead)

    assert run(server.url, collections=entries("red_hat_docs")).exit_code == 5
    server.dead_ids.clear()
    server.lost_ids.add(dead)
    assert run(server.url, collections=entries("red_hat_docs")).states == ["present"]
    assert len(server.stores) == 2


def test_where_nobody_can_tell_what_it_holds_nothing_is_withdrawn(run: RunHook) -> None:
    with FakeLlamaStack(version="1.5.0", provider_type="remote::milvus") as server:
        leave_two(server)
        outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["duplicated"]
    assert len(server.stores) == 2


def test_where_the_server_tells_no_time_nothing_is_withdrawn(
    server: FakeLlamaStack, run: RunHook, waits: Waits
) -> None:
    waits.set(bystander_seconds=0.3)
    server.tells_time = False
    leave_two(server)

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]


def test_a_delete_that_does_nothing_is_not_repeated(server: FakeLlamaStack, run: RunHook) -> None:
    """As behind a gateway that answers for the server."""
    _, second = leave_two(server)
    server.fault(f"DELETE /v1/vector_stores/{second}", answer(200, {}))

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]
    assert [request.method for request in server.requests].count("DELETE") == 1


@pytest.mark.parametrize("status", [403, 500])
def test_what_cannot_be_deleted_stays_duplicated(server: FakeLlamaStack, run: RunHook, status: int) -> None:
    """It belongs to another principal, or the server fails."""
    _, second = leave_two(server)
    server.fault(f"DELETE /v1/vector_stores/{second}", answer(status))

    assert run(server.url, collections=entries("red_hat_docs")).states == ["duplicated"]


@pytest.mark.parametrize(
    ("version", "kind"), [("0.7.3", "remote::milvus"), ("0.7.3", "inline::qdrant"), ("1.5.0", "remote::milvus")]
)
def test_what_a_killed_run_left_is_named_where_nobody_can_tell_what_it_holds(
    run: RunHook, version: str, kind: str
) -> None:
    """No chunk found there is no proof that there is none: the message must not say so."""
    with FakeLlamaStack(version=version, provider_type=kind) as server:
        server.add("red_hat_docs", created_at=100, run_id="one")
        left = server.add("red_hat_docs", created_at=101, run_id="another")
        outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert outcome.detail().endswith(
        f"{left} (made 1970-01-01 00:01:41 UTC by this program, unknown whether it holds data); find out which one is "
        "meant, and declare its id, with vector_store_name: red_hat_docs"
    )


def test_what_is_in_use_is_not_named(run: RunHook) -> None:
    """Neither by its chunk, nor by its file, nor because others made it."""
    with FakeLlamaStack(version="1.5.0", provider_type="remote::milvus") as server:
        server.found[server.add("red_hat_docs", created_at=100, run_id="one"), 0] = "a chunk"
        server.add("red_hat_docs", created_at=101, run_id="another", file_counts={"total": 1})
        server.add("red_hat_docs", created_at=102)
        outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert outcome.detail().endswith(
        "by something else, unknown whether it holds data); find out which one is meant, and declare its id, with "
        "vector_store_name: red_hat_docs"
    )


def test_a_store_whose_metadata_are_not_kept_stays(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """What the server answered to the create may be anything, so nothing tells that this run made it."""
    rival()

    def forget(handler: object) -> None:
        body = server.requests[-1].body
        body.pop("metadata")
        handler.reply(*handler._create(body))  # type: ignore[attr-defined]

    server.fault(CREATE, forget, times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["duplicated"])
    assert len(server.stores) == 2


def test_only_what_this_run_made_is_ever_deleted(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """A store that the list showed after a lost answer could be anybody's."""
    rival()
    server.fault(CREATE, answer(503), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert [request.method for request in server.requests if request.method == "DELETE"] == []


def test_a_store_that_is_gone_already_was_deleted(server: FakeLlamaStack) -> None:
    """A repeated delete gets a 400; another refusal is one."""
    deadline = Deadline(10)
    stack = LlamaStack(Http(Endpoint(server.url), 5, deadline))

    retry(lambda: stack.delete_vector_store("vs_gone"), deadline, "e")

    assert server.lines()[-1] == "DELETE /v1/vector_stores/vs_gone"
    server.fault("DELETE /v1/vector_stores/vs_x", answer(403))
    with pytest.raises(Exception, match="answered 403"):
        stack.delete_vector_store("vs_x")


def test_an_id_cannot_change_the_path(server: FakeLlamaStack) -> None:
    """Whatever a server calls its stores."""
    stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))

    stack.delete_vector_store("../models?x#y")

    assert server.lines()[-1] == "DELETE /v1/vector_stores/..%2Fmodels%3Fx%23y"
    assert LIST in server.lines()


@pytest.mark.parametrize("store_id", ["", ".", "..", "...", "\udc80"])
@pytest.mark.parametrize("generation", ["dbs", "0.7"])
def test_an_id_that_is_no_segment_of_a_path_is_not_sent(generation: str, store_id: str) -> None:
    """Every HTTP library takes dots out of a path: it would be `DELETE /v1/vector_stores/`, or `DELETE /v1/`."""
    with FakeLlamaStack(generation) as server:  # type: ignore[arg-type]
        stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))
        with pytest.raises(RefusedError, match="cannot be a part of a path, so nothing was sent"):
            stack.delete_vector_store(store_id)

    assert [request for request in server.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize("store_id", ["%2e", "%2e%2e", "..%2f", "a/b", "../..", "a b", "é", "vs_1.", ".vs_1"])
def test_any_other_id_is_one_segment(server: FakeLlamaStack, store_id: str) -> None:
    stack = LlamaStack(Http(Endpoint(server.url), 5, Deadline(10)))

    stack.delete_vector_store(store_id)

    before, _, segment = server.requests[-1].path.rpartition("/")
    assert (before, unquote(segment)) == ("/v1/vector_stores", store_id)


def test_the_older_dialect_takes_nothing_back() -> None:
    """There two runs write the same one entry."""
    with FakeLlamaStack("dbs") as server:
        barrier = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: start(server.url, barrier), range(2)))

    assert len(server.stores) == 3
    assert [request.method for request in server.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize("listed_before", [True, False])
def test_an_old_store_is_never_taken_back(server: FakeLlamaStack, run: RunHook, listed_before: bool) -> None:
    """Not even where the server answers a create with its id, and had left it out of the list before."""
    server.add("red_hat_docs", created_at=1)
    old = server.add("red_hat_docs", created_at=2)
    if listed_before:
        renamed = [store | {"name": "other"} for store in server.stores]
        server.fault(LIST, answer(200, {"data": renamed, "has_more": False}), times=1)
    else:
        server.fault(LIST, answer(200, {"data": [], "has_more": False}), times=1)
    server.fault(CREATE, answer(200, {"id": old, "name": "red_hat_docs"}), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 5
    assert len(server.stores) == 2
    assert [request for request in server.requests if request.method == "DELETE"] == []


def test_a_failed_delete_of_what_is_too_many_is_tried_again(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    first = rival()

    def create(handler: object) -> None:
        status, store = handler._create(server.requests[-1].body)  # type: ignore[attr-defined]
        server.fault(f"DELETE /v1/vector_stores/{store['id']}", answer(503), times=1)
        handler.reply(status, store)  # type: ignore[attr-defined]

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert [store["id"] for store in server.stores] == [first]
    assert "request.retry_scheduled" in outcome.event_names()


def test_what_was_taken_back_is_not_taken_back_again(
    server: FakeLlamaStack, run: RunHook, rival: Callable[..., str]
) -> None:
    """A list that lags goes on to show it."""
    first = rival()
    shown: list[object] = []

    def create(handler: object) -> None:
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]
        shown.extend(server.stores)
        server.fault(LIST, answer(200, {"data": shown, "has_more": False}), times=3)

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert [store["id"] for store in server.stores] == [first]
    assert len([request for request in server.requests if request.method == "DELETE"]) == 1


def test_of_two_that_a_run_made_the_one_that_it_was_told_of_stays(server: FakeLlamaStack, run: RunHook) -> None:
    """A gateway has sent the create twice."""

    def create(handler: object) -> None:
        handler._create(server.requests[-1].body)  # type: ignore[attr-defined]
        handler.reply(*handler._create(server.requests[-1].body))  # type: ignore[attr-defined]

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


def test_what_is_lost_is_not_proven_again_for_the_race(run: RunHook) -> None:
    """Nothing revives it, and each proof is an error in the server's log."""
    with FakeLlamaStack(version="0.7.3") as server:
        lost_id = server.add("red_hat_docs", run_id="another")
        server.lost_ids.add(lost_id)

        outcome = run(server.url, "--on-lost", "recreate", collections=entries("red_hat_docs"))

    asked = [each for each in server.requests if each.line == INSERT and each.body["vector_store_id"] == lost_id]
    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(asked) == 2
