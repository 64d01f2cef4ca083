"""A real TLS server with a certificate authority of its own."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Run


@pytest.fixture
def authority() -> trustme.CA:
    """Return a certificate authority that nobody trusts."""
    return trustme.CA()


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
    url: str, authority: trustme.CA, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE is where the mounted CA is named."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.crt"))

    assert run(url).exit_code == 0


def test_a_certificate_of_nobody_known_ends_the_wait_at_once(url: str, server: FakeLlamaStack, run: Run) -> None:
    """The next step is named, and nothing was sent."""
    outcome = run(url)

    assert outcome.exit_code == 4
    assert outcome.report["message"].startswith(f"GET /v1/health: the certificate of {url} does not verify: ")
    assert outcome.report["message"].endswith("mount the CA that signed it and name it in REQUESTS_CA_BUNDLE")
    assert server.requests == []


def test_a_certificate_for_another_host_is_refused(
    server: FakeLlamaStack, authority: trustme.CA, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted authority is not enough."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.crt"))

    outcome = run(serve_tls(server, authority.issue_cert("other.example")))

    assert outcome.exit_code == 4
    assert "does not verify: IP address mismatch, certificate is not valid for '127.0.0.1'" in outcome.report["message"]
