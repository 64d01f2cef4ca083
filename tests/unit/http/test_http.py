"""One request: who is asked, with which credentials, and that nothing holds it longer than it may."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from hook.errors import BudgetError, ConfigError, RefusedError, UnavailableError
from tests.fake_llamastack import (
    GRANITE_ID,
    Action,
    FakeLlamaStack,
    answer,
    closed_port,
    drip,
    fail_and_reset,
    hang,
    raw,
    reset,
    truncate,
)
from tests.unit.conftest import Run, entries
from tests.unit.http.conftest import PATH, failure, get_failure, http


def test_json_comes_back(server: FakeLlamaStack) -> None:
    """An answer of 200 is its JSON."""
    assert http(server.url).get(PATH) == {"status": "OK"}


def test_an_empty_answer_is_none(server: FakeLlamaStack) -> None:
    """204 has no body to parse."""
    server.fault("POST /x", answer(204))

    assert http(server.url).post("/x", {"a": 1}) is None
    assert server.requests[0].body == {"a": 1}


def test_a_query_is_sent(server: FakeLlamaStack) -> None:
    """A cursor with odd characters arrives as it is."""
    http(server.url).get(PATH, {"after": "a/b c&d=é"})

    assert server.requests[0].query == {"after": "a/b c&d=é"}


def test_the_key_is_sent_as_a_bearer_token(server: FakeLlamaStack) -> None:
    """That is what LlamaStack reads."""
    http(server.url, api_key="s3cret").get(PATH)

    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"


def test_a_user_of_the_url_is_sent_as_basic_auth(server: FakeLlamaStack) -> None:
    """A proxy in front of the server may want one."""
    http(server.url, basic_auth=("user", "pass")).get(PATH)

    assert server.requests[0].headers["Authorization"] == "Basic dXNlcjpwYXNz"


def test_no_credentials_come_from_elsewhere(
    server: FakeLlamaStack, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ~/.netrc that happens to be there is not asked."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    http(server.url).get(PATH)

    assert "Authorization" not in server.requests[0].headers


def interim(*lines: bytes) -> Action:
    """Send these answers before the one that is asked for."""

    def action(handler: Any) -> None:
        handler.wfile.write(b"".join(b"HTTP/1.1 " + line + b"\r\n\r\n" for line in lines))
        handler.reply(200, {"status": "OK"})

    return action


@pytest.mark.parametrize("status", [100, 101, 102, 103, 104, 150, 199])
def test_an_interim_answer_is_passed_over(server: FakeLlamaStack, status: int) -> None:
    server.fault(f"GET {PATH}", interim(b"%d Whatever\r\nLink: </x>; rel=preload" % status, b"100 Continue", b"103"))

    assert http(server.url).get(PATH) == {"status": "OK"}


def test_a_create_may_be_answered_in_steps(server: FakeLlamaStack, run: Run) -> None:
    """A server that takes long may say so."""

    def action(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 3)
        handler.reply(*handler._answer(handler.taken))

    server.fault("POST /v1/vector_stores", action)

    assert run(server.url, collections=entries("a")).exit_code == 0
    assert server.names() == ["a"]


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_interim_answers_without_end_are_a_timeout(server: FakeLlamaStack, pause: float) -> None:
    """Also where they come as fast as they can be read; and the thread that reads them ends."""
    closed = threading.Event()

    def action(handler: Any) -> None:
        handler.close_connection = True
        try:
            while True:
                handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
                time.sleep(pause)
        finally:
            closed.set()

    error = get_failure(server, action)

    assert isinstance(error, UnavailableError)
    assert f"GET {PATH}: no answer within 0.3 s" in str(error)
    assert closed.wait(5)


def test_nobody_listening_is_unavailable() -> None:
    """The innermost cause is said, not the libraries' wrapping of it."""
    with closed_port() as url:
        error = failure(lambda: http(url).get(PATH))

    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f"GET {PATH}: nothing listens on {url.removeprefix('http://')} (Connection refused); "
        "check the port, then the pods (kubectl get pods,endpointslices -n NAMESPACE)"
    )


def test_an_unknown_name_is_unavailable() -> None:
    """A Service may be created after the hook."""
    error = failure(lambda: http("http://no-such-service.invalid:8321").get(PATH))

    assert isinstance(error, UnavailableError)
    assert str(error).startswith(f"GET {PATH}: the name no-such-service.invalid does not resolve from here (")
    assert str(error).endswith("); check LLAMA_STACK_URL and the namespace (SERVICE.NAMESPACE.svc)")


def test_a_server_that_takes_no_connection_is_unavailable() -> None:
    """As where a NetworkPolicy drops every packet: a full queue does so, too."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):
            error = failure(lambda: http(f"http://127.0.0.1:{address[1]}", 0.3).get(PATH))

    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f"GET {PATH}: 127.0.0.1:{address[1]} cannot be reached (timed out); "
        "check LLAMA_STACK_URL, then the NetworkPolicies"
    )


@pytest.mark.parametrize("action", [reset, raw(b"")], ids=["reset", "closed"])
def test_who_hangs_up_before_any_answer_may_speak_tls(server: FakeLlamaStack, action: Action) -> None:
    """OpenSSL sends no alert for a request of HTTP."""
    server.fault("GET /hang-up", action)
    client = http(server.url)
    address = server.url.removeprefix("http://")

    assert str(failure(lambda: client.get("/hang-up"))) == (
        f"GET /hang-up: {address} closed the connection without an answer; "
        "if it speaks TLS, use https:// in LLAMA_STACK_URL; otherwise see LlamaStack's log"
    )
    client.get(PATH)
    assert str(failure(lambda: client.get("/hang-up"))) == (
        f"GET /hang-up: {address} closed the connection without an answer; see LlamaStack's log"
    )


def test_a_server_that_speaks_another_protocol_is_unavailable(server: FakeLlamaStack) -> None:
    """The port may be taken by another service for a moment."""
    error = get_failure(server, raw(b"SSH-2.0-OpenSSH_9.6\r\n"))

    assert isinstance(error, UnavailableError)
    assert str(error).endswith(" does not answer in HTTP (SSH-2.0-OpenSSH_9.6); check LLAMA_STACK_URL")


@pytest.mark.parametrize("action", [reset, truncate], ids=["reset", "truncated"])
def test_a_broken_answer_is_unavailable(server: FakeLlamaStack, action: Action) -> None:
    """The server may have died in the middle of it."""
    error = get_failure(server, action)

    assert isinstance(error, UnavailableError)
    assert str(error).endswith("see LlamaStack's log")
    assert not error.in_flight


@pytest.mark.parametrize("action", [hang(2), drip(0.02)], ids=["hang", "drip"])
def test_nothing_holds_a_request_longer_than_it_may(server: FakeLlamaStack, action: Action) -> None:
    """Neither silence nor a header that comes a byte at a time."""
    error = get_failure(server, action)

    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f"GET {PATH}: no answer within 0.3 s from {server.url.removeprefix('http://')}; see LlamaStack's log"
    )


def test_a_write_without_an_answer_may_have_happened(server: FakeLlamaStack) -> None:
    """Silence, a broken connection and a gateway say nothing about what the server goes on doing."""
    server.fault("POST /hang", hang(3))
    server.fault("POST /gateway", answer(504))
    server.fault("POST /reset", reset)
    server.fault("POST /busy", answer(429))
    server.fault("POST /failed", answer(500))

    errors = [
        failure(lambda path=path: http(server.url, 1).post(path, {}))  # type: ignore[misc]
        for path in ("/hang", "/gateway", "/reset", "/busy", "/failed")
    ]

    assert [getattr(error, "in_flight", None) for error in errors] == [True, True, True, False, False]
    assert [getattr(error, "timed_out", None) for error in errors] == [True, True, False, False, False]
    with closed_port() as url:
        assert not getattr(failure(lambda: http(url).post("/x", {})), "in_flight", None)


def test_a_used_up_budget_sends_nothing(server: FakeLlamaStack) -> None:
    """Every request stays inside the one budget."""
    client = http(server.url, budget_seconds=0.01)
    time.sleep(0.02)

    assert str(failure(lambda: client.get(PATH))) == (
        f"GET {PATH}: not sent: the run's timeout of 0.01 s is over; raise HOOK_TIMEOUT_SECONDS (Helm: timeoutSeconds)"
    )
    assert server.requests == []


def test_a_request_that_the_budget_cuts_short_says_so(server: FakeLlamaStack) -> None:
    """Whose fault the silence is remains open."""
    server.fault(f"GET {PATH}", hang(2))
    error = failure(lambda: http(server.url, budget_seconds=0.2).get(PATH))

    assert isinstance(error, BudgetError)
    assert str(error).endswith(
        ", at the end of the run's timeout of 0.2 s; raise HOOK_TIMEOUT_SECONDS (Helm: timeoutSeconds)"
    )


def test_speaking_tls_to_a_plain_port_is_refused(server: FakeLlamaStack) -> None:
    """Waiting would not help; http:// would."""
    url = server.url.replace("http:", "https:")
    error = failure(lambda: http(url).get(PATH))

    assert isinstance(error, RefusedError)
    assert str(error) == (
        f"GET {PATH}: {url.removeprefix('https://')} does not speak TLS; use http:// in LLAMA_STACK_URL"
    )


def test_a_missing_ca_bundle_is_a_configuration_error() -> None:
    """A volume that was not mounted is said as such."""
    for bundle in ("/nowhere/ca.crt", __file__):
        error = failure(lambda bundle=bundle: http("https://stack", ca_bundle=bundle))  # type: ignore[misc]

        assert isinstance(error, ConfigError)
        assert f"REQUESTS_CA_BUNDLE: no certificates to trust: {bundle}: " in str(error)


def test_a_ca_bundle_that_goes_away_is_refused(server: FakeLlamaStack, tmp_path: Path) -> None:
    """Not a traceback, if it is a rare thing."""
    bundle = tmp_path / "ca.crt"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    client = http(server.url.replace("http:", "https:"), ca_bundle=str(bundle))
    bundle.unlink()
    error = failure(lambda: client.get(PATH))

    assert isinstance(error, RefusedError)
    assert "cannot be sent: Could not find a suitable TLS CA certificate bundle" in str(error)


def test_a_folder_of_certificates_can_be_trusted(tmp_path: Path) -> None:
    """As OpenSSL keeps them; and http:// reads none, wherever they are."""
    assert http("https://stack", ca_bundle=str(tmp_path)).url == "https://stack"
    assert http("http://stack", ca_bundle="/nowhere").url == "http://stack"


def test_a_proxy_is_named_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody should look at the LlamaStack pod for it."""
    with closed_port() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
        errors = [failure(lambda url=url: http(url).get(PATH)) for url in ("http://a.invalid", "https://a.invalid")]  # type: ignore[misc]

    for error in errors:
        assert str(error) == (
            f"GET {PATH}: nothing listens on {proxy.removeprefix('http://')} (Connection refused); this is the proxy "
            "of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: correct it, or name a.invalid in NO_PROXY"
        )


def test_a_proxy_that_refuses_says_so(server: FakeLlamaStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers CONNECT in words of its own."""
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//user:s3cret@"))
    error = failure(lambda: http("https://stack.invalid").get(PATH))

    assert isinstance(error, UnavailableError)
    assert f"{server.url.removeprefix('http://')} cannot be reached (Tunnel connection failed: 501 " in str(error)
    assert "name stack.invalid in NO_PROXY" in str(error)


def test_a_proxy_that_hangs_up_is_not_said_to_speak_tls(
    server: FakeLlamaStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault("GET /x", reset)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    error = failure(lambda: http("http://stack.invalid").get("/x"))

    assert f"{server.url.removeprefix('http://')} closed the connection without an answer; this is the proxy" in str(
        error
    )
    assert "TLS" not in str(error)


def test_credentials_may_have_any_character(server: FakeLlamaStack) -> None:
    """They are sent as UTF-8."""
    http(server.url, basic_auth=("us€r", "pässword")).get(PATH)

    assert server.requests[0].headers["Authorization"] == "Basic dXPigqxyOnDDpHNzd29yZA=="


@pytest.mark.parametrize("url", ["http://.", "http://a..b", f"http://{'a' * 70}", "ftp://stack", "http://stack:port"])
def test_a_url_that_cannot_be_sent_to_is_refused(url: str) -> None:
    """Whichever layer finds it out, and with whatever error of its own: nobody waits for it to become valid."""
    error = failure(lambda: http(url).get(PATH))

    assert isinstance(error, RefusedError)
    assert f"cannot be sent to {url}" in str(error)


def test_a_body_that_cannot_be_sent_is_refused(server: FakeLlamaStack) -> None:
    """JSON has no NaN."""
    error = failure(lambda: http(server.url).post("/x", {"a": float("nan")}))

    assert isinstance(error, RefusedError)
    assert f"cannot be sent to {server.url}: Out of range float values" in str(error)
    assert server.requests == []


def test_debug_shows_every_request(server: FakeLlamaStack, run: Run) -> None:
    """With its status and its time, also the ones that are asked again, and without what may be secret."""
    server.fault("GET /v1/health", reset, times=1)
    server.fault("GET /v1/health", answer(503), times=1)

    outcome = run(
        server.url,
        "check",
        "--log-level",
        "debug",
        environ={"LLAMA_STACK_API_KEY": "s3cr3t-key"},
        collections=entries("a"),
    )
    told = [event for event in outcome.events if event["event"].startswith("http.")]

    assert [event["event"] for event in told[:3]] == ["http.failed", "http.answered", "http.answered"]
    assert (
        told[0].items() >= {"level": "debug", "method": "GET", "path": "/v1/health", "error": "ConnectionError"}.items()
    )
    assert [event["status"] for event in told[1:3]] == [503, 200]
    assert all(event["seconds"] >= 0 for event in told)
    assert len(told) == len(server.requests)
    assert "s3cr3t" not in json.dumps(outcome.events)


def test_info_shows_no_request(server: FakeLlamaStack, run: Run) -> None:
    """They are many."""
    assert [name for name in run(server.url).event_names() if name.startswith("http.")] == []


def test_a_connection_is_not_used_after_a_server_s_failure(server: FakeLlamaStack) -> None:
    """The server may be about to close it, and nobody would know what came of a write."""
    server.fault(f"GET {PATH}", fail_and_reset, times=1)
    client = http(server.url)
    body = {
        "name": "red_hat_docs",
        "provider_id": "milvus-shared",
        "embedding_model": GRANITE_ID,
        "embedding_dimension": 768,
    }

    failure(lambda: client.get(PATH))

    assert client.post("/v1/vector_stores", body)["name"] == "red_hat_docs"


def test_what_follows_a_refusal_is_sent_on_another_connection_too(server: FakeLlamaStack) -> None:
    """The server closes the first one once it has logged its error: it has not restarted."""
    client = http(server.url)

    failure(lambda: client.post("/v1/vector-io/insert", {"vector_store_id": "vs_nobody", "chunks": []}))

    assert client.get(PATH) == {"status": "OK"}
    assert len({request.port for request in server.requests}) == 2


def test_another_connection_is_one_of_its_own(server: FakeLlamaStack) -> None:
    """Another process may take it; and one that was closed is opened anew."""
    client = http(server.url)
    other = client.another()
    for each in (client, client, other, client):
        each.get(PATH)
    client.close()
    client.get(PATH)

    first, second, third, fourth, fifth = (request.port for request in server.requests)
    assert first == second == fourth
    assert len({first, third, fifth}) == 3
