"""The consumers' token: what it cannot see is of no use to them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.fake_llamastack import ANY_EXCEPTION, FakeLlamaStack
from tests.unit.conftest import Run, entries

ONE = entries("red_hat_docs")
QUERY = "POST /v1/vector-io/query"


@pytest.fixture
def keys(server: FakeLlamaStack, tmp_path: Path) -> tuple[str, ...]:
    """Return the flags with which the hook and the consumers have a token each."""
    server.api_key, server.consumer_key = "the-hook-s", "the-consumers-"
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    own.write_text("the-hook-s")
    theirs.write_text("the-consumers-\n")
    return ("--api-key-file", str(own), "--consumer-api-key-file", str(theirs))


def test_what_the_consumers_see_is_fine(server: FakeLlamaStack, run: Run, keys: tuple[str, ...]) -> None:
    """Both are asked the same."""
    outcome = run(server.url, *keys)

    assert outcome.exit_code == 0
    assert outcome.states == ["registered"] * 3
    tokens = [r.headers["Authorization"] for r in server.requests if r.line == QUERY]
    assert tokens == ["Bearer the-hook-s"] * 3 + ["Bearer the-consumers-"] * 3


def test_what_they_do_not_see_is_hidden(server: FakeLlamaStack, run: Run, keys: tuple[str, ...]) -> None:
    """The owner is whoever made it."""
    server.hidden_ids.add(server.add("red_hat_docs"))

    outcome = run(server.url, *keys)

    assert outcome.exit_code == 5
    assert outcome.states == ["hidden", "registered", "registered"]
    assert "another user owns it; register it with the consumer's credentials, or declare it" in outcome.detail()
    assert outcome.report["collections"][0]["addressed_by"] is None


def test_what_is_wrong_for_the_hook_is_not_asked_again(server: FakeLlamaStack, run: Run, keys: tuple[str, ...]) -> None:
    """The finding stands."""
    server.lost_ids.add(server.add("red_hat_docs"))

    outcome = run(server.url, *keys, collections=ONE)

    assert outcome.states == ["lost"]


def theirs_only(status: int, body: Any) -> Any:
    """Return a fault that only the consumers' token meets."""

    def action(handler: Any) -> None:
        if handler.taken.headers["Authorization"] == "Bearer the-consumers-":
            handler.reply(status, body)
        else:
            handler.reply(*handler._query(handler.taken.body))

    return action


@pytest.mark.parametrize(
    ("status", "body", "state", "said"),
    [
        (
            403,
            {"detail": "no"},
            "rejected",
            "the server refuses the consumer token: POST /v1/vector-io/query answered 403",
        ),
        (
            500,
            {"detail": "no"},
            "unavailable",
            "it fails with the consumer token, and works with the hook's: inserts or queries fail",
        ),
    ],
)
def test_what_does_not_work_for_them_does_not_work(
    server: FakeLlamaStack, run: Run, keys: tuple[str, ...], status: int, body: Any, state: str, said: str
) -> None:
    """Whatever works for the hook."""
    server.add("red_hat_docs")
    server.fault(QUERY, theirs_only(status, body))

    outcome = run(server.url, *keys, collections=ONE)

    assert outcome.states == [state]
    assert outcome.detail().startswith(said)
    assert outcome.detail().endswith("; compare the roles of both") == (state == "unavailable")


def test_some_processes_may_know_them_and_others_not(server: FakeLlamaStack, run: Run, keys: tuple[str, ...]) -> None:
    """As for the hook."""
    store_id = server.add("red_hat_docs")
    answers = iter([False, True] * 50)

    def alternate(handler: Any) -> None:
        theirs = handler.taken.headers["Authorization"] == "Bearer the-consumers-"
        if theirs and next(answers):
            handler.reply(400, {"error": {"message": f"Vector_store '{store_id}' not found"}})
        else:
            handler.reply(*handler._query(handler.taken.body))

    server.fault(QUERY, alternate)

    outcome = run(server.url, *keys, "--connections", "6", collections=ONE)

    assert outcome.states == ["divided"]
    told = r"with the consumer token, only some workers know it \(\d+ of \d+ connections know it; on the others: "
    assert re.match(told, outcome.detail())


def test_a_token_that_nobody_accepts_is_named(
    server: FakeLlamaStack, run: Run, keys: tuple[str, ...], tmp_path: Path
) -> None:
    """It is not the hook's own."""
    (tmp_path / "theirs").write_text("wrong")

    outcome = run(server.url, *keys, collections=ONE)

    assert outcome.exit_code == 4
    assert "HOOK_CONSUMER_API_KEY_FILE" in outcome.report["message"]


def test_a_key_is_read_anew_for_each_request(
    server: FakeLlamaStack, run: Run, keys: tuple[str, ...], tmp_path: Path
) -> None:
    """A projected token changes while a run waits."""

    def rotate(handler: Any) -> None:
        server.api_key = "the-next"
        (tmp_path / "own").write_text("the-next")
        handler.reply(200, {"version": "1.5.0"})

    server.fault("GET /v1/version", rotate, times=1)

    assert run(server.url, *keys[:2], collections=ONE).exit_code == 0
    assert server.requests[-1].headers["Authorization"] == "Bearer the-next"


def test_a_key_whose_file_is_gone_is_told(
    server: FakeLlamaStack, run: Run, keys: tuple[str, ...], tmp_path: Path
) -> None:
    """With the file's name."""

    def lose(handler: Any) -> None:
        (tmp_path / "own").unlink()
        handler.reply(200, {"version": "1.5.0"})

    server.fault("GET /v1/version", lose, times=1)

    outcome = run(server.url, *keys[:2], collections=ONE)

    assert outcome.exit_code == 4
    assert str(tmp_path / "own") in outcome.report["message"]


def test_milvus_is_undecided_for_them_as_for_the_hook(run: Run, tmp_path: Path) -> None:
    """What nobody can tell is no failure of theirs."""
    theirs = tmp_path / "theirs"
    theirs.write_text("the-consumers-")
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.add("red_hat_docs")
        outcome = run(server.url, "check", "--consumer-api-key-file", str(theirs), collections=ONE)

    assert outcome.exit_code == 0
    assert outcome.detail().startswith("unverified: ")


def test_what_holds_a_chunk_for_the_hook_is_not_fresh_for_them(run: Run, tmp_path: Path) -> None:
    """So a query of theirs that fails is no answer of an empty vector store."""
    with FakeLlamaStack(version="0.7.3", provider_type="remote::milvus") as server:
        server.api_key, server.consumer_key = "the-hook-s", "the-consumers-"
        theirs = tmp_path / "theirs"
        theirs.write_text("the-consumers-")
        store_id = server.add("red_hat_docs")
        server.chunks[store_id] = []
        server.found[store_id, 0] = "a chunk"
        server.fault(QUERY, theirs_only(500, {"error": {"message": ANY_EXCEPTION}}))
        flags = ("check", "--consumer-api-key-file", str(theirs))
        outcome = run(server.url, *flags, collections=ONE, environ={"LLAMA_STACK_API_KEY": "the-hook-s"})

    assert (outcome.exit_code, outcome.states) == (3, ["unavailable"])
    assert outcome.detail().startswith(
        "it fails with the consumer token, and works with the hook's: inserts or queries fail"
    )
