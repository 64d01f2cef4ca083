"""What comes before the first question about a collection: the server and its list."""

import json
from typing import Any

import pytest

from tests.fake_llamastack import FakeLlamaStack, answer, closed_port
from tests.unit.conftest import Run, entries

CREATE = "POST /v1/vector_stores"
LIST = "GET /v1/vector_stores"
PROVE = "POST /v1/vector-io/insert"


def test_the_whole_list_is_read(server: FakeLlamaStack, run: Run) -> None:
    """A store on the last of several pages is found."""
    first = server.add("red_hat_docs", created_at=1)
    for number in range(250):
        server.add(f"other-{number}")

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.report["collections"][0]["id"] == first
    assert outcome.states == ["present"]
    assert server.lines().count(LIST) == 3


def test_a_list_that_shifts_while_it_is_read_is_read_again(server: FakeLlamaStack, run: Run) -> None:
    """The server starts anew at a cursor that it does not know; the rest of the list was then not seen."""
    wanted = server.add("red_hat_docs", created_at=1)
    for number in range(150):
        server.add(f"other-{number}")
    stores = sorted(server.stores, key=lambda store: store["created_at"], reverse=True)[:100]
    page = {"data": stores, "has_more": True, "last_id": "vs_gone"}
    server.fault(LIST, answer(200, page), times=2)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]
    assert outcome.report["collections"][0]["id"] == wanted


def test_a_list_whose_order_changes_between_pages_is_read_again(server: FakeLlamaStack, run: Run) -> None:
    """What moved to a page that was read already is not missing."""
    wanted = server.add("red_hat_docs", created_at=1)
    for number in range(150):
        server.add(f"other-{number}")
    stores = sorted(server.stores, key=lambda store: store["created_at"], reverse=True)
    last = stores[99]["id"]
    server.fault(LIST, answer(200, {"data": stores[:100], "has_more": True, "last_id": last}), times=1)
    # The wanted one was the last, and went to the front; what was before it came a place nearer to the end.
    server.fault(LIST, answer(200, {"data": stores[99:150], "has_more": False}), times=1)

    outcome = run(server.url, collections=entries("red_hat_docs"))

    assert outcome.states == ["present"]
    assert outcome.report["collections"][0]["id"] == wanted
    assert CREATE not in server.lines()


def test_a_token_that_may_only_read_is_told_how(server: FakeLlamaStack, run: Run) -> None:
    """Red Hat's policy lets only the owner insert."""
    server.add("red_hat_docs")
    server.fault(PROVE, answer(403))

    outcome = run(server.url, "check", collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert outcome.detail().endswith("; if this token may only read, set HOOK_PROVE=read")


def test_a_list_without_an_end_creates_nothing(server: FakeLlamaStack, run: Run) -> None:
    """Where the list cannot be read to its end, absence proves nothing."""
    server.fault(LIST, answer(200, {"data": [{"id": "vs_1", "name": "x"}], "has_more": True}))

    outcome = run(server.url, "--timeout", "1")

    assert outcome.exit_code == 3
    assert "the list changed while it was read ('vs_1' came twice); run it again" in outcome.report["message"]
    assert CREATE not in server.lines()


def test_a_list_that_only_grows_is_refused(server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pager that always has something new is no LlamaStack."""
    monkeypatch.setattr("hook.llamastack.dialects.MAX_PAGES", 3)
    for number in range(400):
        server.add(f"other-{number}")

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert "no end of the list after 3 pages; probably not LlamaStack" in outcome.report["message"]


def test_an_empty_page_ends_the_list(server: FakeLlamaStack, run: Run) -> None:
    """Whatever `has_more` says."""
    server.fault(LIST, answer(200, {"data": [], "has_more": True}), times=1)

    assert run(server.url).exit_code == 0


def test_it_waits_until_health_is_ok(server: FakeLlamaStack, run: Run) -> None:
    """Gateway errors and other statuses of its own are waited out, each retry being one event."""
    server.fault("GET /v1/health", answer(503, b"<html>no server</html>"), times=1)
    server.fault("GET /v1/health", answer(200, {"status": "Error"}), times=1)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert [event["cause"] for event in outcome.events if event["event"] == "health.retry_scheduled"] == [
        "GET /v1/health answered 503 with an HTML page; see LlamaStack's log",
        "GET /v1/health answered the status 'Error'",
    ]


def test_it_waits_until_the_list_answers_too(server: FakeLlamaStack, run: Run) -> None:
    """Healthy is not ready: the very call that the run will use has to work."""
    server.fault(LIST, answer(503), times=2)

    outcome = run(server.url)

    assert outcome.exit_code == 0
    assert outcome.event_names().count("health.retry_scheduled") == 2


def test_a_server_that_never_gets_ready_is_unavailable(run: Run) -> None:
    """The budget is named, and so is the last cause."""
    with closed_port() as url:
        outcome = run(url, "--timeout", "0.6")

    assert outcome.exit_code == 3
    assert outcome.states == ["unknown"] * 3
    assert outcome.report["message"] == (
        f"The server {url} was not ready within 0.6 s: "
        f"GET /v1/health: nothing listens on {url.removeprefix('http://')} "
        "(Connection refused); check the port, then the pods (kubectl get pods,endpointslices -n NAMESPACE)"
    )


@pytest.mark.parametrize("status", [400, 403, 404, 302])
def test_a_refusal_ends_the_wait_at_once(server: FakeLlamaStack, run: Run, status: int) -> None:
    """Waiting would not help."""
    server.fault("GET /v1/health", answer(status))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert server.lines() == ["GET /v1/health"]


@pytest.mark.parametrize("body", [[], {"status": 1}, {"message": "hello"}, "OK"])
def test_something_else_than_llamastack_is_refused(server: FakeLlamaStack, run: Run, body: Any) -> None:
    """JSON is not yet LlamaStack."""
    server.fault("GET /v1/health", answer(200, body))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert "the response has no status; probably not LlamaStack: check LLAMA_STACK_URL" in outcome.report["message"]


def test_a_server_with_neither_api_is_refused(server: FakeLlamaStack, run: Run) -> None:
    """A LlamaStack without vector_io is named by its URL."""
    server.fault(LIST, answer(404, {"detail": "Not Found"}))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert f"{server.url} answers 404 to both GET /v1/vector_stores and GET /v1/vector-dbs" in outcome.report["message"]


def test_a_key_is_used_everywhere(server: FakeLlamaStack, run: Run) -> None:
    """Every request carries it, and nothing that is printed does."""
    server.api_key = "s3cret-key"

    outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "s3cret-key"})

    assert outcome.exit_code == 0
    assert {request.headers.get("Authorization") for request in server.requests} == {"Bearer s3cret-key"}
    assert "s3cret-key" not in json.dumps([outcome.report, outcome.events])


def test_an_unknown_version_is_no_fault(server: FakeLlamaStack, run: Run) -> None:
    """It is only for the report."""
    server.fault("GET /v1/version", answer(404), times=1)
    server.fault("GET /v1/version", answer(200, {"version": 7}), times=1)

    assert run(server.url).report["server"] == {"url": server.url, "version": None}
    assert run(server.url).report["server"] == {"url": server.url, "version": None}
    assert run(server.url).report["server"] == {"url": server.url, "version": "1.5.0"}
