"""The addresses in a ConfigMap: after a verified run, and only then."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hook import kubernetes as pod
from hook.publish import can_be_key
from tests.fake_kubernetes import TOKEN, FakeKubernetes
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import NAMES, Outcome, Run, entries

PATH = "/api/v1/namespaces/private-ai-demo/configmaps/ids"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """Return a stand-in API server into whose pod the hook was put."""
    with FakeKubernetes() as fake:
        fake.mount(tmp_path / "serviceaccount")
        monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")
        yield fake


@pytest.fixture
def publish_run(server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes) -> Run:
    """Return a function that runs the hook so that it publishes."""

    def call(*flags: str, **environ: str) -> Outcome:
        wanted = entries(*environ.pop("names", " ".join(NAMES)).split())
        asked = kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"} | environ
        return run(server.url, *flags, environ=asked, collections=wanted)

    return call


def test_a_verified_run_publishes_its_addresses(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """By name, with the server's URL and the time; one read and one write."""
    outcome = publish_run()

    manifest = kubernetes.configmaps[PATH]
    changed_at = manifest["metadata"]["annotations"].pop("register-collections/changed-at")
    assert outcome.exit_code == 0
    assert kubernetes.requests == [f"GET {PATH}", f"PATCH {PATH}"]
    assert changed_at.endswith("+00:00")
    assert manifest == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "ids",
            "namespace": "private-ai-demo",
            "labels": {"app.kubernetes.io/managed-by": "register-collections"},
            "annotations": {"register-collections/server-url": server.url},
        },
        "data": {store["name"]: store["id"] for store in server.stores},
    }


def test_a_disabled_collection_is_not_published(server: FakeLlamaStack, kubernetes: FakeKubernetes, run: Run) -> None:
    """It has no address, and is no failure."""
    wanted = [*entries("off", provider_id="__disabled__"), *entries("on")]
    outcome = run(server.url, environ=kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"}, collections=wanted)

    assert (outcome.exit_code, outcome.states) == (0, ["disabled", "registered"])
    assert kubernetes.configmaps[PATH]["data"] == {"on": server.stores[0]["id"]}


def test_what_is_so_already_is_not_rewritten(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """The time of change stays the time of the change."""
    publish_run()
    kubernetes.requests.clear()
    outcome = publish_run()

    assert kubernetes.requests == [f"GET {PATH}"]
    assert "publish.unchanged" in outcome.event_names()


def test_a_new_id_is_published(server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """After a re-creation consumers find the live one."""
    publish_run()
    del server.stores[0]
    publish_run()

    assert kubernetes.configmaps[PATH]["data"] == {store["name"]: store["id"] for store in server.stores}


def test_a_key_of_somebody_else_stays_and_one_of_ours_goes(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """And neither moves the time of change."""
    publish_run(names="red_hat_docs gone")
    configmap = kubernetes.configmaps[PATH]
    configmap["data"]["foreign"] = "x"
    configmap["metadata"]["annotations"]["register-collections/changed-at"] = "then"
    outcome = publish_run(names="red_hat_docs")

    assert set(kubernetes.configmaps[PATH]["data"]) == {"red_hat_docs", "foreign"}
    assert kubernetes.configmaps[PATH]["metadata"]["annotations"]["register-collections/changed-at"] == "then"
    assert "publish.unchanged" in outcome.event_names()


@pytest.mark.parametrize("command", ["check", "validate"])
def test_only_register_publishes(kubernetes: FakeKubernetes, publish_run: Run, command: str) -> None:
    """The others change nothing anywhere."""
    publish_run(command)

    assert kubernetes.requests == []


def test_an_unverified_run_publishes_nothing(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """Not even what is right."""
    server.add("red_hat_docs", provider_id="faiss-first")

    assert publish_run().exit_code == 5
    assert kubernetes.requests == []


def test_a_name_that_cannot_be_a_key_is_a_mismatch(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """It is said, and the others are published."""
    outcome = publish_run(names="red_hat_docs a/b")

    assert outcome.exit_code == 5
    assert outcome.states == ["registered", "unpublished"]
    assert outcome.detail("a/b").startswith("registered, but its name cannot be a key of a ConfigMap")
    assert list(kubernetes.configmaps[PATH]["data"]) == ["red_hat_docs"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", True), ("A.b_c-9", True), ("a b", False), ("a/b", False), ("é", False), (".", False), ("..a", False)],
)
def test_keys_of_a_configmap(name: str, expected: bool) -> None:
    """Kubernetes' own rule."""
    assert can_be_key(name) is expected
    assert not can_be_key("a" * 254)


def test_a_refusal_to_publish_has_its_own_sentence(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """Exit code 4; the collections stay registered."""
    kubernetes.forbidden = True
    outcome = publish_run()

    assert outcome.exit_code == 4
    assert outcome.states == ["registered"] * 3
    assert outcome.report["message"] == (
        f"The collections are registered, but their addresses are not published: GET {PATH} answered 403, access is "
        "denied; give the pod's ServiceAccount the Role of manifests/components/publish-ids: "
        'configmaps "ids" is forbidden: User cannot patch resource'
    )
    assert len(server.stores) == 3


def test_an_api_server_that_does_not_answer_is_unavailable(publish_run: Run) -> None:
    """Exit code 3, so that the Job tries again."""
    outcome = publish_run("--timeout", "1", KUBERNETES_SERVICE_PORT="1")

    assert outcome.exit_code == 3
    assert outcome.report["message"].startswith("The collections are registered, but their addresses are not published")


def test_an_api_server_that_stumbles_is_asked_again(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Within the budget."""
    kubernetes.failures = 2
    outcome = publish_run()

    assert outcome.exit_code == 0
    assert outcome.event_names().count("publish.retry_scheduled") == 2


def test_without_a_mounted_token_nothing_is_sent(
    server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pod that cannot publish is told before it registers anything."""
    (problem,) = run(server.url, "--publish-configmap", "ids").report["problems"]
    assert problem == "HOOK_PUBLISH_CONFIGMAP: KUBERNETES_SERVICE_HOST and _PORT are not set: this is no pod"

    monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "missing")
    (problem,) = run(server.url, "--publish-configmap", "ids", environ=kubernetes.environ()).report["problems"]
    assert problem.startswith("HOOK_PUBLISH_CONFIGMAP: needs the pod's ServiceAccount token mounted: ")
    assert server.requests == []


def test_the_name_has_to_be_one(run: Run) -> None:
    """Before anything else."""
    (problem,) = run("http://stack", environ={"HOOK_PUBLISH_CONFIGMAP": "Red Hat"}).report["problems"]

    assert problem == "HOOK_PUBLISH_CONFIGMAP: must be the name of a ConfigMap, not 'Red Hat'"


def test_the_pod_s_token_goes_to_the_api_server_alone(server: FakeLlamaStack, publish_run: Run, tmp_path: Path) -> None:
    """And the one for LlamaStack to LlamaStack, whichever authority the environment names for it."""
    server.fault("GET /v1/version", answer(200, {"version": TOKEN}))

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.crt"))
    outcome = publish_run(LLAMA_STACK_API_KEY="llama-key", REQUESTS_CA_BUNDLE=str(tmp_path / "other.crt"))

    assert outcome.exit_code == 0
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer llama-key"}
