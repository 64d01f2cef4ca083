"""Credentials go to the server and nowhere else, also when the server sends them back."""

import json
from pathlib import Path
from typing import Any

import pytest

from hook.secrets import MASK
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import Run, entries

KEY = "sk-3c7a-very-secret"


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("GET /v1/health", answer(400, {"detail": f"bad key {KEY}"})),
        ("GET /v1/health", answer(401, {"error": {"message": f"Bearer {KEY} is unknown"}})),
        ("GET /v1/health", answer(503, f"<pre>Authorization: Bearer {KEY}</pre>".encode())),
        ("GET /v1/health", answer(302, b"", Location=f"https://{KEY}.example/")),
        ("GET /v1/health", answer(200, b"x", Content_Type=f"text/{KEY}")),
        ("GET /v1/health", answer(200, {"status": KEY})),
        ("GET /v1/version", answer(200, {"version": KEY})),
        ("GET /v1/models", answer(200, {"data": [{"id": f"model-{KEY}"}]})),
        ("POST /v1/vector_stores", answer(400, {"detail": [KEY]})),
        ("POST /v1/vector_stores", answer(200, {"id": KEY, "name": "red_hat_docs", "status": KEY})),
        ("POST /v1/vector-io/insert", answer(404, {"detail": f"{KEY} not found"})),
    ],
)
def test_an_echoed_key_is_masked_everywhere(
    server: FakeLlamaStack, run: Run, tmp_path: Path, line: str, action: Any
) -> None:
    """In the report, in the log at every level, and in the termination message."""
    path = tmp_path / "termination-log"
    server.fault(line, action)
    environ = {"LLAMA_STACK_API_KEY": KEY, "HOOK_TERMINATION_LOG": str(path), "HOOK_LOG_LEVEL": "debug"}

    outcome = run(server.url, "--timeout", "1", environ=environ, collections=entries("red_hat_docs"))
    told = json.dumps([outcome.report, outcome.events]) + path.read_text()

    assert KEY not in told
    assert MASK in told


def test_credentials_of_the_url_are_masked(server: FakeLlamaStack, run: Run) -> None:
    """User and password, and both as they are sent."""
    server.fault("GET /v1/health", answer(400, {"detail": "username pa55w0rd dXNlcm5hbWU6cGE1NXcwcmQ="}))

    outcome = run(server.url.replace("//", "//username:pa55w0rd@"))

    assert outcome.report["server"]["url"] == server.url
    assert outcome.report["message"] == f"GET /v1/health answered 400: {MASK} {MASK} {MASK}"
    assert "username" not in json.dumps([outcome.report, outcome.events])


def test_a_secret_that_is_in_a_name_changes_no_decision(server: FakeLlamaStack, run: Run) -> None:
    """Only what is printed is masked, or the store would be made again at every run."""
    for _ in range(2):
        outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "hat_docs"})

    assert outcome.states == ["present"] * 3
    assert len(server.stores) == 3


def test_a_redirect_does_not_carry_the_key(server: FakeLlamaStack, run: Run) -> None:
    """Nobody but the configured server ever sees it."""
    with FakeLlamaStack() as other:
        server.fault("GET /v1/health", answer(307, b"", Location=f"{other.url}/v1/health"))
        outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": KEY})

    assert outcome.exit_code == 4
    assert other.requests == []
