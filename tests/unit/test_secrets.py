"""Credentials go to the server and nowhere else, also when the server sends them back."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hook.app import main
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


@pytest.mark.parametrize("command", ["register", "check", "validate"])
def test_a_secret_that_a_name_would_show_is_a_configuration_error(
    server: FakeLlamaStack, run: Run, command: str
) -> None:
    """Names are data, and never masked; the secret is in no output, and nothing is sent."""
    outcome = run(server.url, command, environ={"LLAMA_STACK_API_KEY": "hat_docs"})

    assert outcome.exit_code == 2
    assert outcome.report["problems"] == [
        "LLAMA_STACK_API_KEY: its text is a part of the name of a declared collection, and names are shown: change one "
        "of them"
    ]
    assert "hat_docs" not in json.dumps([outcome.report, outcome.events])
    assert server.requests == []


def test_a_user_that_the_servers_address_would_show_is_a_configuration_error(run: Run) -> None:
    """The address is shown without the user; with its name in it, it could not be."""
    outcome = run("http://llamastack:pa55w0rd@llamastack.svc:8321", "validate")

    assert outcome.exit_code == 2
    assert outcome.report["problems"] == [
        "--url: its text is a part of the address of the server, and addresses are shown: change one of them"
    ]


@pytest.mark.parametrize("command", ["register", "check"])
def test_an_id_that_would_show_a_secret_is_a_configuration_error(
    server: FakeLlamaStack, run: Run, tmp_path: Path, command: str
) -> None:
    """It is known only when the server has answered; neither is it masked then, nor shown."""
    server.add("red_hat_docs", id="vs_default_1")
    environ = {"LLAMA_STACK_API_KEY": "default", "HOOK_TERMINATION_LOG": str(tmp_path / "termination-log")}

    outcome = run(server.url, command, environ=environ, collections=entries("red_hat_docs"))

    assert (outcome.exit_code, outcome.report["collections"][0]["id"]) == (2, None)
    assert outcome.report["problems"] == [
        "LLAMA_STACK_API_KEY: its text is a part of the id of red_hat_docs on the server, and ids are shown: "
        "change one of them"
    ]
    assert "vs_***" not in json.dumps(outcome.report)
    assert "default" not in json.dumps([outcome.report, outcome.events]) + (tmp_path / "termination-log").read_text()


def test_an_id_that_would_show_a_secret_is_in_no_report_of_a_run_that_failed(server: FakeLlamaStack, run: Run) -> None:
    """Nor is that of a vector store that is lost."""
    server.lost_ids.add(server.add("red_hat_docs", id="vs_default_1"))

    outcome = run(server.url, "check", environ={"LLAMA_STACK_API_KEY": "default"}, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 2
    assert outcome.report["collections"][0]["lost_ids"] == []
    assert "default" not in json.dumps(outcome.report)


def test_resolve_never_prints_a_masked_address(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipeline would send it."""
    server.add("red_hat_docs", id="vs_default_1")
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("red_hat_docs")}))
    code = main(
        ["resolve", "red_hat_docs", "--url", server.url, "--config", str(path), "--connections", "1"],
        {"LLAMA_STACK_API_KEY": "default"},
    )

    assert (code, capsys.readouterr().out) == (2, "")


PROXIES = [
    "http://puser:pa55w0rd@",
    "http://puser:pa55w0rd@a..b:3128",
    "http://puser:pa55/w0rd@proxy:3128",
    "http://puser:pa55#w0rd@proxy:3128",
    "http://puser:12/pa55w0rd@proxy:3128",
    "http://puser:pa55w0rd@proxy:port",
    "http://puser:pa55w0rd@pro xy:3128",
    "http://puser:pa55w0rd@${PROXY}:3128",
    "socks5://puser:pa55w0rd@proxy:3128",
    "puser:pa55/w0rd@proxy:3128",
]


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_a_wrong_proxy_is_a_configuration_error_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, proxy: str, name: str
) -> None:
    """Nor half of it, and no traceback."""
    monkeypatch.setenv(name, proxy)
    outcome = run("http://stack.invalid:8321", "--timeout", "1")
    told = json.dumps([outcome.report, outcome.events])

    assert outcome.exit_code == 2
    assert outcome.report["problems"][0].startswith(f"{name.upper()}: ")
    assert not any(part in told for part in ("pa55", "w0rd", "puser", "Traceback"))


def test_a_proxy_s_password_is_masked_where_it_is_echoed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each of its spellings, as the server's own are."""
    with FakeLlamaStack() as proxy:
        said = "pr0xy@pass pr0xy%40pass cHJveHl1c2VyOnByMHh5QHBhc3M="
        proxy.fault("GET http://stack.invalid/v1/health", answer(400, {"detail": said}))
        proxy.fault("GET /v1/health", answer(400, {"detail": said}))
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//proxyuser:pr0xy%40pass@"))
        outcome = run("http://stack.invalid")

    assert outcome.report["message"] == f"GET /v1/health answered 400: {MASK} {MASK} {MASK}"


def test_a_proxy_that_is_passed_by_may_be_wrong(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is somebody else's business then."""
    monkeypatch.setenv("HTTP_PROXY", "http://a..b:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    assert run(server.url).exit_code == 0


def test_a_proxy_may_have_no_scheme(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    with FakeLlamaStack() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))

        assert run("http://stack.invalid").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", KEY],
        ["--api-key", KEY, "check"],
        [f"--api-key={KEY}"],
        ["--api-key-fil", KEY],
        ["--api-key", "-sk-very-secret"],
        ["--api-key", "--sk-VERY"],
        ["-k", KEY],
        [f"-k{KEY}"],
        [KEY],
        ["check", KEY],
        [f"--version={KEY}"],
        [f"-h{KEY}"],
        ["--api-key-file", KEY],
        ["--consumer-api-key-file", KEY],
    ],
)
def test_a_key_on_the_command_line_is_not_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whatever it was taken for."""
    termination = tmp_path / "termination-log"
    with suppress(SystemExit):
        assert main(arguments, {"HOOK_TERMINATION_LOG": str(termination)}) == 2
        told = "".join(capsys.readouterr()) + termination.read_text()
        assert not any(part in told for part in (KEY, "very-secret", "sk-VERY"))


def test_a_redirect_does_not_carry_the_key(server: FakeLlamaStack, run: Run) -> None:
    """Nobody but the configured server ever sees it."""
    with FakeLlamaStack() as other:
        server.fault("GET /v1/health", answer(307, b"", Location=f"{other.url}/v1/health"))
        outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": KEY})

    assert outcome.exit_code == 4
    assert other.requests == []
