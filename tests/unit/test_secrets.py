"""Credentials go to the server and nowhere else, also when the server sends them back."""

import base64
import html
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook.app import main
from hook.secrets import MASK, forget, keep_out, masked
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
    # A server that is not ready is asked until it is.
    server.fault(line, action, times=1 if line.endswith("health") else float("inf"))
    environ = {"LLAMA_STACK_API_KEY": KEY, "HOOK_TERMINATION_LOG": str(path), "HOOK_LOG_LEVEL": "debug"}

    outcome = run(server.url, "--timeout", "20", environ=environ, collections=entries("red_hat_docs"))
    told = json.dumps([outcome.report, outcome.events]) + path.read_text()

    assert KEY not in told
    assert MASK in told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("username pa55w0rd, Pa55w0rd", f"username {MASK}, {MASK}"),
        ("username dXNlcm5hbWU6cGE1NXcwcmQ=", f"username {MASK}"),
    ],
)
def test_the_password_of_the_url_is_masked(server: FakeLlamaStack, run: Run, said: str, shown: str) -> None:
    """As it is in its place, and with its word where it shows only after decoding; the user is no secret."""
    server.fault("GET /v1/health", answer(400, {"detail": said}))

    outcome = run(server.url.replace("//", "//username:pa55w0rd@"))

    assert outcome.report["server"]["url"] == server.url
    assert outcome.report["message"] == f"GET /v1/health answered 400: {shown}"


def test_a_user_without_a_password_is_masked(server: FakeLlamaStack, run: Run) -> None:
    """It is a token then."""
    server.fault("GET /v1/health", answer(400, {"detail": KEY}))

    assert run(server.url.replace("//", f"//{KEY}@")).report["message"] == f"GET /v1/health answered 400: {MASK}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "with slashes escaped": lambda key: key.replace("/", "\\/"),
    "in JSON's escapes": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "in JavaScript's escapes": lambda key: "".join(f"\\u{{{ord(c):x}}}" for c in key),
    "in Python's escapes": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "in octal": lambda key: "".join(f"\\{ord(c):03o}" for c in key),
    "JSON in JSON in JSON": lambda key: json.dumps(json.dumps({"key": json.dumps([key])})).replace("/", "\\/"),
    "Python's repr": lambda key: repr({"key": repr(key + "'")}),
    "in HTML": html.escape,
    "in decimal entities": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "in hexadecimal entities": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "with named entities": lambda key: key.replace("/", "&sol;").replace("+", "&plus;"),
    "in a URL": lambda key: quote(key, safe=""),
    "all of it in percents": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "in a URL in a URL": lambda key: quote(quote(key, safe=""), safe=""),
    "read as a form": unquote_plus,
    "in base64": _base64,
    "the header in base64": lambda key: _base64(f"Bearer {key}"),
    "behind a word in base64": lambda key: f"token/{_base64(f'Bearer {key}')}",
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 of base64": lambda key: _base64(_base64(f"Bearer {key}")),
    "base64 in lines": lambda key: base64.encodebytes(f"{'x' * 60}{key}".encode()).decode(),
    "base64 of all headers in JSON": lambda key: _base64(json.dumps({"headers": quote(f"Bearer {key}", safe="")})),
    "in hexadecimal": lambda key: key.encode().hex(),
    "without its end": lambda key: key[:-1],
    "without most of its end": lambda key: key[:14],
    "without its beginning": lambda key: key[6:],
    "in capitals": str.upper,
    "in small letters": str.lower,
    "over two lines": lambda key: f"{key[:9]}\n  {key[9:]}",
}
ODD_KEY = "sk/3c7a+VERY&se%41cr=et.9"
"""What each of them spells in another way."""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_key_is_masked_however_it_is_spelled(
    server: FakeLlamaStack, run: Run, tmp_path: Path, spelling: str, status: int
) -> None:
    said = SPELLINGS[spelling](ODD_KEY)
    path = tmp_path / "termination-log"
    server.fault("GET /v1/models", answer(status, {"data": [{"id": said}], "detail": said}))
    environ = {"LLAMA_STACK_API_KEY": ODD_KEY, "HOOK_TERMINATION_LOG": str(path), "HOOK_LOG_LEVEL": "debug"}

    outcome = run(server.url, environ=environ)
    told = outcome.report["message"] + json.dumps([outcome.report, outcome.events]) + path.read_text()

    assert MASK in told
    assert not any(shown in told for shown in (said[4:], said[:-4], repr(said)[3:-3], json.dumps(said)[3:-3]))


LOSSY = (
    "in capitals",
    "in small letters",
    "read as a form",
    # A line may end in the middle of an escape.
    "over two lines",
    *(name for name in SPELLINGS if "without" in name),
)


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8, max_size=40),
    st.lists(st.sampled_from([name for name in SPELLINGS if name not in LOSSY]), max_size=3),
    st.text(st.characters(categories=["L", "N", "Zs"]), max_size=20),
)
def test_a_key_is_found_in_any_spelling_of_its_spellings(key: str, spellings: list[str], before: str) -> None:
    said = key
    for name in spellings:
        said = SPELLINGS[name](said)
    keep_out(key)
    try:
        shown = masked(f"{before} {said}")
    finally:
        forget()

    assert MASK in shown


def test_the_names_of_events_are_no_secret(server: FakeLlamaStack, run: Run) -> None:
    outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "hook"})

    assert outcome.event_names()[-1] == "hook.finished"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [
        f"Bearer {KEY}".encode(),
        {"headers": {"authorization": "odd spelling"}},
        {"message": "odd spelling"},
        {"error": "odd spelling"},
        {"detail": {"headers": "odd spelling"}},
        ["odd spelling"],
    ],
)
def test_a_denial_shows_no_body(server: FakeLlamaStack, run: Run, status: int, body: Any) -> None:
    """It may be the very request that had the token, in a spelling that nobody has thought of."""
    server.fault("GET /v1/health", answer(status, body))

    message = run(server.url, environ={"LLAMA_STACK_API_KEY": KEY}).report["message"]

    remedy = r"check LLAMA_STACK_API_KEY_FILE \(Helm: apiKeySecret\.name\)" + ", and its roles" * (status == 403)
    assert re.fullmatch(rf"GET /v1/health answered {status}: [a-zA-Z0-9.: ]+; {remedy}", message)


@pytest.mark.parametrize("body", [{"error": {"message": "who?"}}, {"error": {"detail": "who?"}}, {"detail": "who?"}])
def test_a_denial_shows_the_message_of_the_server(server: FakeLlamaStack, run: Run, body: Any) -> None:
    server.fault("GET /v1/health", answer(403, body))

    assert run(server.url).report["message"].startswith("GET /v1/health answered 403 (who?): ")


@pytest.mark.parametrize(
    ("spelling", "shown"),
    [("said", f"Bearer {MASK}, key={MASK}, ak1-x."), ("encoded", MASK), ("escaped", MASK)],
)
def test_a_short_key_is_masked_as_a_word(server: FakeLlamaStack, run: Run, spelling: str, shown: str) -> None:
    """Within other words it would destroy every message."""
    said = {"said": "Bearer k1-x, key=k1-x, ak1-x.", "encoded": _base64("Bearer k1-x"), "escaped": "k1%2Dx"}
    server.fault("GET /v1/health", answer(400, {"detail": said[spelling]}))

    message = run(server.url, environ={"LLAMA_STACK_API_KEY": "k1-x"}).report["message"]

    assert message == f"GET /v1/health answered 400: {shown}"


def test_no_text_is_searched_without_end() -> None:
    """Whatever it is decoded to, again and again."""
    keep_out(ODD_KEY)
    texts = ["%25" * 3000, "V" * 9000, "\\" * 9000, "&amp;" * 2000, "U29t" * 2000, "ab" * 4500, "\\u005c" * 1500]
    try:
        assert all(masked(text) in (text, MASK) for text in texts)
        assert masked("%" + "25" * 4000) == MASK
    finally:
        forget()


def test_a_key_is_found_behind_many_other_encoded_texts() -> None:
    """A text with too many layers to be searched to its end is not shown at all."""
    decoys = " ".join(_base64(f"this is no key but text {number}") for number in range(100))
    keep_out(ODD_KEY)
    try:
        assert masked(f"{decoys} {_base64(_base64(ODD_KEY))}") == f"{decoys} {MASK}"
        assert masked(f"split {ODD_KEY[:9]} {ODD_KEY[9:18]}") == MASK
        assert masked(decoys[:400]) == decoys[:400]
    finally:
        forget()


def test_a_text_without_measure_is_cut() -> None:
    """It could not be searched in time."""
    keep_out(KEY)
    try:
        assert masked("x" * 10, 5) == "xxxxx"
        assert masked(f"xx{KEY}yyy", 5) == f"xx{MASK}"
        assert masked(f"xxx{KEY}yyy", 5) == f"xxx{MASK}"[:5]
        assert masked(f"xxxxx{KEY}", 5) == "xxxxx"
    finally:
        forget()


@pytest.mark.parametrize("command", ["register", "check", "validate"])
def test_a_secret_may_be_a_part_of_a_declared_name(server: FakeLlamaStack, run: Run, command: str) -> None:
    """Names are data, and shown as they are; in sentences it is masked all the same."""
    server.add("red_hat_docs", id="vs_1")

    outcome = run(server.url, command, environ={"LLAMA_STACK_API_KEY": "hat_docs"}, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert outcome.report["collections"][0]["name"] == "red_hat_docs"


def test_a_secret_may_be_a_part_of_a_declared_id(run: Run) -> None:
    """Up to 0.2.24 the name is the address, and no address is ever altered."""
    with FakeLlamaStack(generation="dbs") as server:
        outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "hat_docs"}, collections=entries("red_hat_docs"))

    assert outcome.exit_code == 0
    assert outcome.report["collections"][0]["id"] == "red_hat_docs"


def test_the_text_report_shows_names_as_they_are(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add("red_hat_docs", id="vs_1")
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("red_hat_docs")}))

    main(
        ["check", "--url", server.url, "--config", str(path), "--connections", "1", "--output", "text"],
        {"LLAMA_STACK_API_KEY": "hat_docs"},
    )

    assert "\nred_hat_docs  present" in capsys.readouterr().out


@pytest.mark.parametrize("password", ["pw", "pa55w0rd", "llamastack"])
def test_a_user_may_be_a_part_of_the_host(run: Run, password: str) -> None:
    """Nor is a password a reason to refuse it: the address is shown as it is."""
    outcome = run(f"http://llamastack:{password}@llamastack-service:8321", "validate")

    assert outcome.exit_code == 0


@pytest.mark.parametrize("command", ["register", "check", "resolve"])
def test_a_secret_may_be_a_part_of_an_id(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A password such as `default` is a word that servers use; an altered id would be no address."""
    server.add("red_hat_docs", id="vs_default_1")
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("red_hat_docs")}))
    names = ["red_hat_docs"] if command == "resolve" else []
    flags = ["--url", server.url, "--config", str(path), "--connections", "1"]

    code = main([command, *names, *flags], {"LLAMA_STACK_API_KEY": "default"})

    assert code == 0
    assert "vs_default_1" in capsys.readouterr().out


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
def test_a_wrong_proxy_is_an_error_without_its_password(
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
