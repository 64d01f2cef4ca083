"""A real TLS server with a certificate authority of its own."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.fake_llamastack import FakeLlamaStack, answer, closed_port, raw
from tests.unit.conftest import Run


def suppressed(call: Callable[[], None]) -> Callable[[], None]:
    """Return the call, which ends without a word when its listener is closed."""

    def run() -> None:
        with suppress(OSError):
            call()

    return run


def address(url: str) -> str:
    """Return the host and the port of a URL."""
    return url.partition("://")[2]


@pytest.fixture
def authority() -> trustme.CA:
    """Return a certificate authority that nobody trusts."""
    return trustme.CA()


def trust(folder: Path) -> dict[str, str]:
    """Return the variable that names the private authority's certificate."""
    return {"REQUESTS_CA_BUNDLE": str(folder / "ca.crt")}


def serve_tls(server: FakeLlamaStack, certificate: trustme.LeafCert) -> str:
    """Let a stand-in speak TLS with this certificate, and return its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server.wrap(context)
    return server.url.replace("http:", "https:")


@pytest.fixture
def url(server: FakeLlamaStack, authority: trustme.CA) -> str:
    """Return the URL of a stand-in that speaks TLS with the right name."""
    return serve_tls(server, authority.issue_cert("127.0.0.1"))


def test_a_private_authority_is_trusted_when_it_is_named(
    url: str, authority: trustme.CA, run: Run, tmp_path: Path
) -> None:
    """REQUESTS_CA_BUNDLE is where the mounted CA is named."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))

    assert run(url, environ=trust(tmp_path)).exit_code == 0


def test_a_certificate_of_nobody_known_ends_the_wait_at_once(url: str, server: FakeLlamaStack, run: Run) -> None:
    """The next step is named, and nothing was sent."""
    outcome = run(url)

    assert outcome.exit_code == 4
    assert outcome.report["message"].startswith(f"GET /v1/health: the certificate of {address(url)} does not verify: ")
    assert outcome.report["message"].endswith("mount the CA that signed it and name it in REQUESTS_CA_BUNDLE")
    assert server.requests == []


def test_a_certificate_for_another_host_is_refused(
    server: FakeLlamaStack, authority: trustme.CA, run: Run, tmp_path: Path
) -> None:
    """A trusted authority is not enough."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))

    outcome = run(serve_tls(server, authority.issue_cert("other.example")), environ=trust(tmp_path))

    assert outcome.exit_code == 4
    assert outcome.report["message"].endswith(
        "does not verify: IP address mismatch, certificate is not valid for '127.0.0.1'; "
        "use a host name that the certificate holds; check LLAMA_STACK_URL"
    )


def files_of(certificate: trustme.LeafCert, folder: Path) -> dict[str, str]:
    """Write a client's certificate and key, and return the variables that name them."""
    certificate.private_key_pem.write_to_path(str(folder / "client.key"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "client.crt"))
    return {"LLAMA_STACK_CLIENT_CERT": str(folder / "client.crt"), "LLAMA_STACK_CLIENT_KEY": str(folder / "client.key")}


@pytest.fixture
def mutual_url(server: FakeLlamaStack, authority: trustme.CA, tmp_path: Path) -> str:
    """Return the URL of a trusted stand-in that wants a client certificate of the same authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    # In 1.3 the client is told only after the handshake, and may see nothing but a connection that breaks.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server.wrap(context)
    return server.url.replace("http:", "https:")


def test_a_client_certificate_is_shown(mutual_url: str, authority: trustme.CA, run: Run, tmp_path: Path) -> None:
    """mTLS, with both files from a mounted Secret."""
    environ = trust(tmp_path) | files_of(authority.issue_cert("hook"), tmp_path)

    assert run(mutual_url, environ=environ).exit_code == 0


def test_a_missing_client_certificate_ends_the_wait_at_once(mutual_url: str, run: Run, tmp_path: Path) -> None:
    """The server says so in the handshake, and waiting would not help."""
    outcome = run(mutual_url, environ=trust(tmp_path))

    assert outcome.exit_code == 4
    assert outcome.report["message"].endswith(
        "): the server requires a client certificate, or a different one; "
        "check LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY"
    )


def test_an_unusable_client_certificate_is_an_error(run: Run, tmp_path: Path) -> None:
    """Missing, broken, or half of it: said before anything is sent."""
    (tmp_path / "broken").write_text("x")
    broken = dict.fromkeys(("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY"), str(tmp_path / "broken"))
    half = {"LLAMA_STACK_CLIENT_KEY": "x"}

    (problem,) = run("https://stack", environ=broken).report["problems"]
    assert problem.startswith("LLAMA_STACK_CLIENT_CERT, LLAMA_STACK_CLIENT_KEY: no certificate with its key: ")
    (problem,) = run("https://stack", environ=half).report["problems"]
    assert problem == "LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY: only one is set; mTLS needs both"


def test_an_expired_certificate_is_refused(
    server: FakeLlamaStack, authority: trustme.CA, run: Run, tmp_path: Path
) -> None:
    """Its authority is trusted and its name is right."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=1), not_after=yesterday)

    outcome = run(serve_tls(server, expired), environ=trust(tmp_path))

    assert outcome.exit_code == 4
    assert outcome.report["message"].endswith(" does not verify: certificate has expired; renew it")
    assert server.requests == []


def test_another_authority_s_certificate_ends_the_wait_at_once(
    mutual_url: str, server: FakeLlamaStack, run: Run, tmp_path: Path
) -> None:
    """The server does not know who signed it."""
    stranger = files_of(trustme.CA().issue_cert("hook"), tmp_path)

    outcome = run(mutual_url, environ=trust(tmp_path) | stranger)

    assert outcome.exit_code == 4
    assert outcome.report["message"].endswith(
        "): the server requires a client certificate, or a different one; "
        "check LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY"
    )
    assert server.requests == []


def test_a_redirect_over_tls_carries_the_key_nowhere(
    url: str, server: FakeLlamaStack, authority: trustme.CA, run: Run, tmp_path: Path
) -> None:
    """Not even to an address that the same authority vouches for."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    with FakeLlamaStack() as other:
        other_url = serve_tls(other, authority.issue_cert("127.0.0.1"))
        server.fault("GET /v1/health", answer(307, b"", Location=f"{other_url}/v1/health"))

        outcome = run(url, environ=trust(tmp_path) | {"LLAMA_STACK_API_KEY": "a-key-for-one-origin-only"})

    assert outcome.exit_code == 4
    assert server.requests[0].headers["Authorization"] == "Bearer a-key-for-one-origin-only"
    assert other.requests == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PYTHONHTTPSVERIFY", "0"), ("CURL_CA_BUNDLE", ""), ("REQUESTS_CA_BUNDLE", ""), ("SSL_CERT_FILE", "")],
)
def test_no_variable_turns_verification_off(
    url: str, server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Set to what does so in other programs."""
    monkeypatch.setenv(variable, value)

    assert run(url, environ={variable: value}).exit_code == 4
    assert server.requests == []


GO = b"Client sent an HTTP request to an HTTPS server.\n"
NGINX = b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"
APACHE = b"<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.</p>"
TOMCAT = b"Bad Request\r\nThis combination of host and port requires TLS.\r\n"


@pytest.mark.parametrize("content", [GO, NGINX, APACHE, TOMCAT], ids=["go", "nginx", "apache", "tomcat"])
def test_a_server_that_asks_for_tls_ends_the_wait_at_once(server: FakeLlamaStack, run: Run, content: bytes) -> None:
    """With a 400 without TLS, each in its own words."""
    server.fault("GET /v1/health", answer(400, content, Content_Type="text/plain"))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert outcome.report["message"].endswith(f": {address(server.url)} speaks TLS; use https:// in LLAMA_STACK_URL")
    assert server.lines() == ["GET /v1/health"]


def test_a_tls_alert_ends_the_wait_at_once(server: FakeLlamaStack, run: Run) -> None:
    """It comes instead of an answer: a fatal alert of 2 bytes, protocol_version (RFC 8446, 5.1 and 6)."""
    server.fault("GET /v1/health", raw(bytes([0x15, 3, 1, 0, 2, 2, 70])))

    outcome = run(server.url)

    assert outcome.exit_code == 4
    assert outcome.report["message"] == (
        f"GET /v1/health: {address(server.url)} speaks TLS; use https:// in LLAMA_STACK_URL"
    )
    assert server.lines() == ["GET /v1/health"]


def test_what_is_said_of_another_server_is_not_about_this_url(server: FakeLlamaStack, run: Run) -> None:
    """Its answers are JSON, and may hold what a provider behind it has answered."""
    server.fault("POST /v1/vector_stores", answer(400, {"detail": GO.decode()}))

    assert "https://" not in run(server.url).report["message"]


HANGS_UP = "closed the connection without an answer; if it speaks TLS, use https:// in LLAMA_STACK_URL; otherwise "


@pytest.mark.parametrize("which", ["url", "mutual_url"])
def test_a_tls_server_asked_without_tls_is_waited_for(
    which: str, server: FakeLlamaStack, run: Run, request: pytest.FixtureRequest
) -> None:
    """OpenSSL sends no alert for a request of HTTP, so uvicorn and Python's servers close the connection.

    So does a pod about to go, so this is no proof of TLS.
    """
    outcome = run(request.getfixturevalue(which).replace("https:", "http:"), "--timeout", "1")

    assert outcome.exit_code == 3
    assert f"{address(server.url)} {HANGS_UP}see LlamaStack's log" in outcome.report["message"]
    assert server.requests == []


def test_a_server_that_hangs_up_once_is_waited_for(server: FakeLlamaStack, run: Run) -> None:
    server.fault("GET /v1/health", raw(b""), times=1)

    assert run(server.url).exit_code == 0


@pytest.mark.parametrize(
    ("scheme", "word", "exit_code"),
    [("http", HANGS_UP, 3), ("https", " ended the TLS handshake (TLSV1_UNRECOGNIZED_NAME): check LLAMA_STACK_URL", 4)],
)
def test_a_server_that_knows_no_such_name_says_so_in_its_alert(
    server: FakeLlamaStack, authority: trustme.CA, run: Run, scheme: str, word: str, exit_code: int
) -> None:
    """As a Route without that host; OpenSSL gives this alert a reason that does not say that it is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    server.wrap(context)
    outcome = run(server.url.replace("http://127.0.0.1", f"{scheme}://localhost"), "--timeout", "1")

    assert outcome.exit_code == exit_code
    assert word in outcome.report["message"]


def test_a_handshake_that_breaks_off_is_waited_for(run: Run) -> None:
    """As behind a load balancer without a ready pod."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            while True:
                connection, _ = listener.accept()
                connection.recv(10_000)
                connection.close()

        threading.Thread(target=suppressed(hang_up), daemon=True).start()
        port = listener.getsockname()[1]
        outcome = run(f"https://127.0.0.1:{port}", "--timeout", "1")
        listener.shutdown(socket.SHUT_RDWR)

    assert outcome.exit_code == 3
    assert f"no complete answer from 127.0.0.1:{port} (" in outcome.report["message"]
    assert outcome.report["message"].endswith("); see LlamaStack's log")


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n"], ids=["nothing", "nonsense"])
def test_a_server_that_has_answered_before_does_not_speak_tls(server: FakeLlamaStack, run: Run, said: bytes) -> None:
    """It has broken down."""
    server.fault("GET /v1/models", raw(said))
    outcome = run(server.url, "--timeout", "1")

    assert outcome.exit_code == 3
    assert "TLS" not in outcome.report["message"]


def test_a_server_that_is_not_there_gets_no_hint_about_tls(run: Run) -> None:
    """Whatever it speaks, it is not there."""
    with closed_port() as nowhere:
        outcome = run(nowhere, "--timeout", "1")

    assert "TLS" not in outcome.report["message"]
