"""What a failure says where the Kubernetes API is asked: nothing of LlamaStack, and what to do in a cluster."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hook.deadline import Deadline
from hook.errors import HookError, RefusedError
from hook.http.client import MAX_ANSWER_BYTES, Http
from hook.kubernetes import pod
from tests.fake_kubernetes import FakeKubernetes
from tests.fake_llamastack import FakeLlamaStack

PATH = "/api/v1/namespaces/private-ai-demo/configmaps/ids"
ELSEWHERE = "KUBERNETES_SERVICE_HOST and _PORT must lead to the API server itself"
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the pod's token is mounted."""
    monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")
    return tmp_path / "serviceaccount"


@pytest.fixture
def kubernetes(folder: Path) -> Iterator[FakeKubernetes]:
    """Return a stand-in API server into whose pod the hook was put."""
    with FakeKubernetes() as fake:
        fake.mount(folder)
        yield fake


def client(kubernetes: FakeKubernetes, **environ: str) -> Http:
    """Return a client of the API server, as a pod finds it."""
    found = pod.own_pod(
        "HOOK_PUBLISH_CONFIGMAP", "publish-ids (Helm: publishConfigMap)", kubernetes.environ() | environ
    )
    return Http(found.server, 5, Deadline(10))


def refusal(kubernetes: FakeKubernetes, **environ: str) -> str:
    """Return what a read says that is refused."""
    with pytest.raises(RefusedError) as caught:
        client(kubernetes, **environ).get(PATH)
    return said(caught.value)


def said(error: HookError) -> str:
    """Return a sentence, which names nothing that belongs to the other server."""
    sentence = str(error)
    for foreign in ("LlamaStack", "LLAMA_STACK", "REQUESTS_CA_BUNDLE", "API key"):
        assert foreign not in sentence
    return sentence


def test_a_token_that_is_not_accepted_is_about_the_token(kubernetes: FakeKubernetes, folder: Path) -> None:
    """No Role would help."""
    (folder / "token").write_text("of-another-cluster")

    assert refusal(kubernetes) == (
        f"GET {PATH} answered 401 (Unauthorized): 127.0.0.1:{kubernetes.port} did not accept the pod's token; "
        "mount a new token of this cluster's ServiceAccount"
    )


def test_a_denial_is_about_the_role(kubernetes: FakeKubernetes) -> None:
    """The token was accepted."""
    kubernetes.forbidden = True

    assert refusal(kubernetes).endswith(
        " is denied; give the pod's ServiceAccount the Role of the component publish-ids (Helm: publishConfigMap)"
    )


@pytest.mark.parametrize(
    ("status", "headers", "content", "expected"),
    [
        (302, {"Location": "https://login.example/x"}, b"", "another address is in front of the Kubernetes API"),
        (200, HTML, b"<html>", "is not the Kubernetes API: GET"),
        (401, HTML, b"<html>", "a login page is in front of the Kubernetes API"),
    ],
)
def test_somebody_in_front_of_the_api_server(
    kubernetes: FakeKubernetes, status: int, headers: dict[str, str], content: bytes, expected: str
) -> None:
    """A redirect, a page that is not JSON, and a login page."""
    kubernetes.answers = [(status, headers, content)]
    sentence = refusal(kubernetes)

    assert expected in sentence
    assert ELSEWHERE in sentence


def test_an_answer_that_is_too_large(kubernetes: FakeKubernetes) -> None:
    """It is none of this API."""
    kubernetes.answers = [(200, JSON, b" " * (MAX_ANSWER_BYTES + 1))]

    assert refusal(kubernetes).endswith(f"response over 16 MiB; probably not the Kubernetes API: {ELSEWHERE}")


def test_a_token_that_goes_under_way(kubernetes: FakeKubernetes, folder: Path) -> None:
    """Its file is read for each request."""
    http = client(kubernetes)
    (folder / "token").unlink()

    with pytest.raises(RefusedError) as caught:
        http.get(PATH)
    assert said(caught.value).startswith(f"the pod's token in {folder / 'token'} cannot be read: ")


def test_certificates_of_the_pod_that_are_none(kubernetes: FakeKubernetes, folder: Path) -> None:
    """Said before anything is sent."""
    (folder / "ca.crt").write_text("")

    with pytest.raises(HookError) as caught:
        client(kubernetes)
    assert "the ca.crt beside the pod's token: no certificates to trust: " in said(caught.value)


def test_an_api_server_of_another_authority(kubernetes: FakeKubernetes, folder: Path) -> None:
    """The pod trusts the one that is mounted beside its token."""
    trustme.CA().cert_pem.write_to_path(str(folder / "ca.crt"))

    assert "does not verify: " in (sentence := refusal(kubernetes))
    assert "mount the ca.crt of this cluster beside the pod's token" in sentence


def test_an_api_server_that_does_not_speak_tls(kubernetes: FakeKubernetes, server: FakeLlamaStack) -> None:
    """It is none."""
    assert refusal(kubernetes, KUBERNETES_SERVICE_PORT=server.url.rpartition(":")[2]).endswith(
        f"does not speak TLS; {ELSEWHERE}"
    )


def test_an_api_server_that_ends_the_handshake(kubernetes: FakeKubernetes, server: FakeLlamaStack) -> None:
    """It wants a client certificate, which a pod has not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    kubernetes.authority.issue_cert("127.0.0.1").configure_cert(context)
    kubernetes.authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server.wrap(context)

    assert ELSEWHERE in refusal(kubernetes, KUBERNETES_SERVICE_PORT=server.url.rpartition(":")[2])
