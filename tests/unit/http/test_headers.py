"""Further headers from a file: sent with each request, never shown, and nothing that would change a request itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from hook.secrets import MASK
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import Run, entries

USER = "X-Forwarded-User: pipelines-of-hr\n"
ONE = entries("red_hat_docs")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "headers"
    path.write_text(USER)
    return path


def values(server: FakeLlamaStack, name: str) -> set[Any]:
    return {request.headers.get(name) for request in server.requests}


def test_each_request_has_the_headers_of_the_file(server: FakeLlamaStack, run: Run, file: Path) -> None:
    """Whatever ends its lines."""
    file.write_bytes(b'\r\nX-Forwarded-User:  hr \r\nX-OGX-Provider-Data: {"a": "b: c"}')

    assert run(server.url, environ={"HOOK_HEADERS_FILE": str(file)}, collections=ONE).exit_code == 0
    assert values(server, "X-Forwarded-User") == {"hr"}
    assert values(server, "X-OGX-Provider-Data") == {'{"a": "b: c"}'}


def test_the_headers_stand_beside_the_key(server: FakeLlamaStack, run: Run, file: Path) -> None:
    server.api_key = "the-key-of-the-hook"

    outcome = run(
        server.url, "--headers-file", str(file), environ={"LLAMA_STACK_API_KEY": server.api_key}, collections=ONE
    )

    assert outcome.exit_code == 0
    assert values(server, "X-Forwarded-User") == {"pipelines-of-hr"}


def test_without_a_key_the_file_may_authorize(server: FakeLlamaStack, run: Run, file: Path) -> None:
    server.api_key = "the-key-of-the-hook"
    file.write_text(f"Authorization: Bearer {server.api_key}")

    assert run(server.url, "--headers-file", str(file), collections=ONE).exit_code == 0


@pytest.mark.parametrize(
    ("url", "environ"),
    [("http://stack", {"LLAMA_STACK_API_KEY": "k"}), ("http://user:password@stack", {})],
)
def test_beside_a_key_the_file_must_not_authorize(run: Run, file: Path, url: str, environ: dict[str, str]) -> None:
    file.write_text("authorization: Basic c2VjcmV0")

    outcome = run(url, "--headers-file", str(file), environ=environ)

    assert (outcome.exit_code, outcome.report["problems"]) == (
        2,
        [
            f"--headers-file: {file}: line 1: leave out authorization; the API key, or the user of the URL, is sent "
            "in it"
        ],
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b" \n\n", "is empty"),
        (b"x: " + b"s3cret" * 6000, "is larger than 32 KiB, which no server accepts"),
        (b"the-s3cret-token", "line 1: must be `Name: value`"),
        (b"X-Of-S3cret:\n", "line 1: must be `Name: value`"),
        (b": s3cret", "line 1: must be `Name: value`"),
        (b"X Y: s3cret", "line 1: must be `Name: value`"),
        (b"X-Y : s3cret", None),
        (b"X-\xc3\xa4: s3cret", "line 1: must be `Name: value`"),
        (b"A: 1\nX: s3\rcret", "line 2: the value must hold visible ASCII characters and spaces alone"),
        (b"X: s3\x00cret", "line 1: the value must hold visible ASCII characters and spaces alone"),
        (b"X: s3cr\xc3\xa9t", "line 1: the value must hold visible ASCII characters and spaces alone"),
        (b"X: 1\nx: s3cret", "line 2: the header stands in an earlier line, too; write it once"),
    ],
)
def test_a_file_that_is_wrong_is_a_problem(run: Run, file: Path, content: bytes, said: str | None) -> None:
    """Before anything is sent, and without a word of what is in it."""
    file.write_bytes(content)

    outcome = run("http://stack.invalid", "validate", "--headers-file", str(file))

    assert outcome.exit_code == (0 if said is None else 2)
    assert "".join(outcome.report["problems"]).startswith("" if said is None else f"--headers-file: {file}: {said}")
    assert "s3cret" not in json.dumps([outcome.report, outcome.events]).lower()


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Proxy-Authorization",
        "Expect",
        "Accept-Encoding",
        "Content-Type",
        "If-None-Match",
    ],
)
def test_what_the_program_sends_itself_is_a_problem(run: Run, file: Path, name: str) -> None:
    file.write_text(f"{USER}{name}: x")

    outcome = run("http://stack.invalid", "--headers-file", str(file))

    assert outcome.report["problems"] == [
        f"--headers-file: {file}: line 2: leave out {name}; the program sends it itself where it is needed"
    ]


def test_a_missing_file_is_a_problem(run: Run, file: Path) -> None:
    file.unlink()

    outcome = run("http://stack.invalid", environ={"HOOK_HEADERS_FILE": str(file)})

    assert outcome.report["problems"] == [f"HOOK_HEADERS_FILE: {file}: cannot be read: No such file or directory"]


def test_a_file_that_becomes_wrong_ends_the_run(server: FakeLlamaStack, run: Run, file: Path) -> None:
    def spoil(handler: Any) -> None:
        file.write_text("x")
        handler.reply(401, {})

    server.fault("GET /v1/models", spoil, times=1)

    outcome = run(server.url, "--headers-file", str(file), collections=ONE)

    assert outcome.exit_code == 4
    assert outcome.report["message"] == f"the headers in {file}: line 1: must be `Name: value`; correct the file"


@pytest.mark.parametrize(
    ("content", "said", "shown"),
    [
        (USER, "who is pipelines-of-hr?", f"who is {MASK}?"),
        ("Authorization: Token t0k3n!", "no t0k3n! here", f"no {MASK} here"),
        (
            'X-OGX-Provider-Data: {"vllm_api_token": ["t0k3n!", 1234567, null, true]}',
            "vllm_api_token t0k3n! 1234567 null true",
            f"vllm_api_token {MASK} 1234567 null true",
        ),
    ],
)
def test_the_values_are_shown_nowhere(
    server: FakeLlamaStack, run: Run, file: Path, content: str, said: str, shown: str
) -> None:
    """Of JSON, each text in it, since its keys and numbers are parts of the server's messages."""
    file.write_text(content)
    server.fault("GET /v1/health", answer(400, {"detail": said}))

    outcome = run(server.url, "--headers-file", str(file), "--log-level", "debug")

    assert outcome.report["message"] == f"GET /v1/health answered 400: {shown}"


@pytest.mark.parametrize("content", ["X-Level: 1", "X-Level: OK", 'X-OGX-Provider-Data: {"a": "1"}'])
def test_a_short_value_is_no_secret(server: FakeLlamaStack, run: Run, file: Path, content: str) -> None:
    """It would be masked in each message that has the same number or word."""
    file.write_text(content)
    server.fault("GET /v1/health", answer(400, {"detail": "OK, 1 of 1"}))

    outcome = run(server.url, "--headers-file", str(file))

    assert outcome.report["message"] == "GET /v1/health answered 400: OK, 1 of 1"


@pytest.mark.parametrize("status", [401, 403])
def test_a_denial_names_the_file_of_the_headers(server: FakeLlamaStack, run: Run, file: Path, status: int) -> None:
    server.fault("GET /v1/health", answer(status, {"detail": "who?"}))

    message = run(server.url, "--headers-file", str(file)).report["message"]

    assert message.endswith("; check HOOK_HEADERS_FILE (Helm: headersSecret.name)")


def test_the_consumers_have_headers_of_their_own(server: FakeLlamaStack, run: Run, file: Path, tmp_path: Path) -> None:
    """And none of the hook's, which would ask as somebody else."""
    theirs = tmp_path / "theirs"
    theirs.write_text("X-Auth-User: consumer")

    outcome = run(
        server.url,
        *("--headers-file", str(file), "--consumer-headers-file", str(theirs)),
        environ={"LLAMA_STACK_API_KEY": "the-hook-s"},
        collections=ONE,
    )
    queries = [request.headers for request in server.requests if request.line == "POST /v1/vector-io/query"]

    assert outcome.exit_code == 0
    assert [(q.get("X-Forwarded-User"), q.get("X-Auth-User"), q.get("Authorization")) for q in queries] == [
        ("pipelines-of-hr", None, "Bearer the-hook-s"),
        (None, "consumer", None),
    ]
