"""What a create brings about, and what is done where its answer is not clear."""

import threading
import time
from typing import Any

import pytest

from tests.fake_llamastack import FakeLlamaStack, answer, hang, reset
from tests.unit.conftest import NAMES, Run, Waits, entries

CREATE = "POST /v1/vector_stores"
LIST = "GET /v1/vector_stores"


def test_a_restart_between_two_creates_leaves_no_old_verdict(server: FakeLlamaStack, run: Run) -> None:
    """What was proven before may be lost since."""
    early = server.add("red_hat_docs")

    def restart(handler: Any) -> None:
        server.lost_ids.add(early)
        handler.reply(*handler._create(handler.taken.body))

    server.fault(CREATE, restart, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "acme_corporate"))

    assert (outcome.exit_code, outcome.states) == (5, ["lost", "registered"])


def lag(server: FakeLlamaStack, seconds: float) -> None:
    """Let the list show each vector store only so long after its create."""
    made: dict[str, float] = {}

    def listed(handler: Any) -> None:
        now = time.monotonic()
        shown = [store for store in server.stores if now - made.setdefault(store["id"], now) >= seconds]
        handler.reply(200, {"data": shown, "has_more": False})

    server.fault(LIST, listed)


def test_a_list_that_lags_is_waited_for(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """A good vector store is no mismatch, and the next run makes no second one."""
    waits.set(lag_seconds=10.0)
    lag(server, 0.5)

    first = run(server.url, "--timeout", "20")
    second = run(server.url)

    assert (first.exit_code, first.states) == (0, ["registered"] * 3)
    assert (second.exit_code, second.states) == (0, ["present"] * 3)
    assert server.names() == list(NAMES)


def test_no_verdict_is_given_before_the_list_shows_what_was_made(
    server: FakeLlamaStack, run: Run, waits: Waits
) -> None:
    """Where the budget ends before that, nobody knows."""
    waits.set(lag_seconds=10.0)
    lag(server, 10.0)

    outcome = run(server.url, "--timeout", "1", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])


def test_another_run_s_store_that_goes_again_is_not_waited_for(server: FakeLlamaStack, run: Run) -> None:
    """It was found in the list after a create without an answer, and its own run has taken it back since."""
    first, taken_back = (server.add("red_hat_docs", run_id=each, created_at=each) for each in (100, 200))
    shown = {store["id"]: store for store in server.stores}

    def lists(*ids: str) -> Any:
        return answer(200, {"data": [shown[each] for each in ids], "has_more": False})

    server.stores[:] = [shown[first]]
    server.fault(LIST, lists(), times=1)
    server.fault(CREATE, reset, times=1)
    server.fault(LIST, lists(taken_back), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["present"])
    assert outcome.report["collections"][0]["id"] == first


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_create_that_the_list_shows_is_not_late(server: FakeLlamaStack, run: Run, waits: Waits, status: int) -> None:
    """It says which run made it: nothing of this run can take place any more, and nothing is waited for."""
    waits.set(late_seconds=60.0)
    server.fault(CREATE, answer(status), times=1, apply=True)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(server.stores) == 1


@pytest.mark.parametrize(("others", "status"), [(0, 502), (1, 502), (1, 200)])
def test_a_create_that_the_list_shows_of_another_run_is_late(
    server: FakeLlamaStack, run: Run, waits: Waits, others: int, status: int
) -> None:
    """The own one may still take place; also where a 2xx does not say which one it is."""
    waits.set(late_seconds=60.0)

    def fail(handler: Any) -> None:
        for _ in range(others):
            server.add("red_hat_docs", run_id="another")
        handler.reply(status, {"detail": "scripted"})

    server.fault(CREATE, fail, times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "the outcome of its create is unknown (" in outcome.detail()


def test_a_create_that_the_server_puts_off_is_not_late(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """It says itself that nothing took place."""
    waits.set(late_seconds=60.0)
    server.fault(CREATE, answer(429), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert len(server.stores) == 1


def test_a_create_that_may_take_place_twice_is_not_waited_for(run: Run, waits: Waits) -> None:
    """As up to 0.2.24, where it changes nothing (POST /v1/vector-dbs)."""
    waits.set(late_seconds=30.0)
    with FakeLlamaStack("dbs") as server:
        server.fault("POST /v1/vector-dbs", answer(500), times=1)

        assert run(server.url, collections=entries("red_hat_docs")).states == ["registered"]


def test_a_refused_create_does_not_stop_the_others(server: FakeLlamaStack, run: Run) -> None:
    """Each collection has its own result, with the server's words."""
    server.fault(CREATE, answer(400, {"error": {"message": "quota exceeded"}}), times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert outcome.states == ["rejected", "registered", "registered"]
    assert outcome.detail() == "POST /v1/vector_stores answered 400: quota exceeded"
    assert outcome.report["message"].startswith(
        f"1 of 3 collections failed on {server.url}: 'red_hat_docs' is rejected: POST /v1/vector_stores answered 400"
    )


def test_an_answer_lost_after_the_create_makes_no_second_one(server: FakeLlamaStack, run: Run) -> None:
    """The list decides whether the create took place."""
    server.fault(CREATE, reset, times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_failure_after_the_store_was_made_makes_no_second_one(server: FakeLlamaStack, run: Run) -> None:
    """The server's own word for it may be wrong."""
    server.fault(CREATE, answer(500), times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_create_that_hangs_is_found_in_the_list(server: FakeLlamaStack, run: Run) -> None:
    """It took place, only the answer did not come."""
    server.fault(CREATE, hang(1.5), times=1, apply=True)

    outcome = run(server.url, "--request-timeout", "0.5")

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


def test_a_create_that_may_still_happen_is_not_repeated(server: FakeLlamaStack, run: Run) -> None:
    """Only the next run may try again, and the message says why."""
    server.fault(CREATE, answer(504), times=1)

    outcome = run(server.url, "--request-timeout", "0.5", "--timeout", "3")

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"] * 3)
    assert server.lines().count(CREATE) == 1
    cause = "(POST /v1/vector_stores answered 504: scripted); run it again"
    assert outcome.detail() == f"the outcome of its create is unknown {cause}"
    assert outcome.detail("eu_ai_act") == f"not created, since the outcome of another create is unknown {cause}"


def test_a_server_that_fails_every_create_is_not_hammered(server: FakeLlamaStack, run: Run) -> None:
    """Each attempt can leave an orphan behind (ogx 1.5.0 without its Milvus)."""
    server.fault(CREATE, answer(500, {"error": {"message": "Internal server error"}}))

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"] * 3)
    assert server.lines().count(CREATE) == 1
    assert run(server.url).states == ["unavailable"] * 3
    server.faults.clear()
    assert run(server.url).states == ["registered"] * 3


@pytest.mark.parametrize("others", [0, 1])
def test_a_create_that_the_list_never_shows_is_unknown(server: FakeLlamaStack, run: Run, others: int) -> None:
    """It may be a list that lags further: no verdict, also where it shows another one of the name by now."""

    def make_nothing(handler: Any) -> None:
        for _ in range(others):
            server.add("red_hat_docs")
        handler.reply(200, {"id": "vs_ghost", "name": "red_hat_docs", "status": "completed"})

    server.fault(CREATE, make_nothing, times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown", "registered", "registered"]
    assert outcome.detail() == (
        "created as vs_ghost, and the list does not show it: see the server's log, then run it again"
    )


def test_a_create_that_becomes_nobodys_is_missing(server: FakeLlamaStack, run: Run) -> None:
    """The list shows it without its name and metadata, and so there is a verdict."""

    def rename(handler: Any) -> None:
        handler.reply(*handler._create(handler.taken.body | {"name": "other", "metadata": {}}))

    server.fault(CREATE, rename, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (5, ["missing"])
    made = server.stores[0]["id"]
    assert outcome.detail() == (
        f"created as {made}, but the list does not show it under this name: see the server's log"
    )


@pytest.mark.parametrize("body", [{}, b"<html>created</html>"])
def test_an_unreadable_answer_says_that_something_took_place(server: FakeLlamaStack, run: Run, body: Any) -> None:
    """The list shows what."""
    server.fault(CREATE, answer(200, body), times=1, apply=True)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert server.names() == list(NAMES)


@pytest.mark.parametrize(
    ("body", "said"),
    [({}, "POST /v1/vector_stores"), (b"<html>created</html>", "{} is not LlamaStack: POST /v1/vector_stores")],
)
def test_no_create_follows_one_whose_answer_cannot_be_read(
    server: FakeLlamaStack, run: Run, body: Any, said: str
) -> None:
    """It took place, so another one would be the second, however long the list does not show it."""
    server.fault(CREATE, answer(200, body), times=1)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert server.lines().count(CREATE) == 1
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert outcome.detail().startswith(f"the outcome of its create is unknown ({said.format(server.url)}")


def test_a_create_that_hangs_is_looked_for_in_half_of_the_budget(server: FakeLlamaStack, run: Run) -> None:
    """The rest is for the others; and the server may carry it out whenever it likes, so there is no other one."""
    server.fault(CREATE, hang(), times=1)

    outcome = run(server.url, "--request-timeout", "0.4", "--timeout", "2", collections=entries("red_hat_docs"))

    assert server.lines().count(CREATE) == 1
    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "no answer within 0.4 s" in outcome.detail()


def test_a_create_that_hangs_is_looked_for_longer_than_others(server: FakeLlamaStack, run: Run, waits: Waits) -> None:
    """A server that takes its time shows it in the end."""
    waits.set(late_seconds=0.3)
    timers: list[threading.Timer] = []

    def slowly(handler: Any) -> None:
        body = handler.taken.body
        # Well after `late_seconds`.
        timers.append(threading.Timer(1.2, lambda: handler._create(body)))
        timers[0].start()
        time.sleep(0.6)

    server.fault(CREATE, slowly, times=1)

    outcome = run(server.url, "--request-timeout", "0.4", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, server.names()) == (0, ["red_hat_docs"])
    assert server.lines().count(CREATE) == 1


@pytest.mark.parametrize("status", [300, 302])
def test_a_create_that_is_redirected_is_rejected(server: FakeLlamaStack, run: Run, status: int) -> None:
    """Nothing took place, so there is nothing to wait for, and the others are tried."""
    server.fault(CREATE, answer(status, b"", Location="https://login.example/"), times=1)

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.states) == (4, ["rejected", "registered", "registered"])


def test_a_create_that_takes_place_later_is_waited_for(server: FakeLlamaStack, run: Run) -> None:
    """The connection broke, and the server carries on."""

    def later(handler: Any) -> None:
        threading.Timer(0.4, server.add, ["red_hat_docs"]).start()
        reset(handler)

    server.fault(CREATE, later, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert server.names() == ["red_hat_docs"]


def test_a_create_whose_connection_breaks_every_time_is_given_up(server: FakeLlamaStack, run: Run) -> None:
    """At once: another try could make it twice."""
    server.fault(CREATE, reset)

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert server.lines().count(CREATE) == 1


def test_a_create_that_the_server_puts_off_for_ever_ends_the_run(server: FakeLlamaStack, run: Run) -> None:
    server.fault(CREATE, answer(429))

    outcome = run(server.url, "--timeout", "2", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, server.names()) == (3, [])
    assert outcome.report["message"].startswith("'red_hat_docs' is not registered: POST /v1/vector_stores answered 429")


def test_up_to_0_2_24_a_create_without_answer_is_found_by_its_id(run: Run) -> None:
    """And the others are made."""
    with FakeLlamaStack("dbs") as server:
        server.fault("POST /v1/vector-dbs", reset, times=1, apply=True)
        outcome = run(server.url)

    assert (outcome.exit_code, sorted(outcome.states)) == (0, ["present", "registered", "registered"])
    assert server.lines().count("POST /v1/vector-dbs") == 3


def test_up_to_0_2_24_a_create_is_repeated_for_the_other_worker(run: Run) -> None:
    with FakeLlamaStack("dbs", processes=2) as server:
        server.fault("POST /v1/vector-dbs", reset, times=1, apply=True)
        outcome = run(server.url, "--connections", "20", collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0


def test_a_500_that_is_not_json_may_have_created_something(server: FakeLlamaStack, run: Run) -> None:
    """It is a gateway's, and the server behind it may be working on it."""
    server.fault(CREATE, answer(500, b"<html>Oops</html>", Content_Type="text/html"), times=1)

    outcome = run(server.url, "--timeout", "5", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (3, ["unknown"])
    assert "the outcome of its create is unknown (" in outcome.detail()


def test_a_run_without_a_verdict_withdraws_what_is_too_many(server: FakeLlamaStack, run: Run) -> None:
    """Else it would stay for ever."""

    def create(handler: Any) -> None:
        server.add("red_hat_docs", run_id="a rival")
        handler.reply(*handler._create(handler.taken.body))
        server.fault(CREATE, answer(429, Retry_After="86400"))

    server.fault(CREATE, create, times=1)

    outcome = run(server.url, collections=entries("red_hat_docs", "eu_ai_act"))

    assert (outcome.exit_code, server.names()) == (3, ["red_hat_docs"])
    assert "a rival" in str(server.stores)
