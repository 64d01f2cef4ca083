"""The rollout of the server's Deployment is over before anything is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hook import kubernetes as pod
from hook.settings import MAX_CONNECTIONS
from tests.fake_kubernetes import FakeKubernetes
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Outcome, Run, entries

PATH = "/apis/apps/v1/namespaces/private-ai-demo/deployments/llama-stack"
LIST = "GET /v1/vector_stores"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """Return a stand-in API server into whose pod the hook was put."""
    with FakeKubernetes() as fake:
        fake.mount(tmp_path / "serviceaccount")
        monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")
        yield fake


@pytest.fixture
def waiting_run(server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes) -> Run:
    """Return a function that runs the hook so that it waits for the Deployment `llama-stack`."""
    server.add("red_hat_docs")

    def call(*flags: str, timeout: str = "3") -> Outcome:
        arguments = ("--wait-for-deployment", "llama-stack", "--timeout", timeout, *flags)
        return run(server.url, *arguments, environ=kubernetes.environ(), collections=entries("red_hat_docs"))

    return call


def deployment(wanted: int | None = 1, generation: int = 3, **status: int) -> dict[str, Any]:
    """Return a Deployment whose rollout is over, but for what `status` says."""
    count = 1 if wanted is None else wanted
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    finished = dict.fromkeys(names, count) | {"observedGeneration": 3} | status
    spec = {} if wanted is None else {"replicas": wanted}
    return {"metadata": {"generation": generation}, "spec": spec, "status": finished}


def test_a_rollout_that_is_over_is_not_waited_for(kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """One read, before the server is asked anything."""
    kubernetes.deployments[PATH] = [deployment(None)]

    outcome = waiting_run()

    assert outcome.exit_code == 0
    assert kubernetes.requests == [f"GET {PATH}"]
    assert outcome.event_names()[:3] == ["config.loaded", "rollout.finished", "health.ready"]


@pytest.mark.parametrize(
    ("unfinished", "said"),
    [
        (deployment(generation=4), "Kubernetes has not seen its last change yet"),
        (deployment(readyReplicas=0), "0 of 1 pods are ready, 1 available, 1 new"),
        (deployment(2, updatedReplicas=1, replicas=2), "1 pods that are about to go are left"),
        (deployment(availableReplicas=0), "1 of 1 pods are ready, 0 available, 1 new"),
        (deployment(terminatingReplicas=1), "1 pods that are about to go are left"),
        (deployment(1, updatedReplicas=0, replicas=0), "1 of 1 pods are ready, 1 available, 0 new"),
        (deployment(0), "it is scaled to 0 replicas"),
        ({}, "0 of 1 pods are ready, 0 available, 0 new"),
    ],
)
def test_one_that_goes_on_is_waited_for(
    kubernetes: FakeKubernetes, waiting_run: Run, unfinished: dict[str, Any], said: str
) -> None:
    """A pod about to go may still answer."""
    kubernetes.deployments[PATH] = [unfinished, unfinished, deployment()]

    outcome = waiting_run()

    assert outcome.exit_code == 0
    causes = [event["cause"] for event in outcome.events if event["event"] == "rollout.retry_scheduled"]
    assert len(causes) == 2
    assert said in causes[0]


def test_one_that_never_ends_ends_the_run(server: FakeLlamaStack, kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """Within the budget, and with what to look at."""
    kubernetes.deployments[PATH] = [deployment(readyReplicas=0)]

    outcome = waiting_run(timeout="1")

    assert outcome.exit_code == 3
    assert "`oc rollout status deployment/llama-stack -n private-ai-demo`" in outcome.report["message"]
    assert server.requests == []


def test_each_replica_gets_its_connections(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, waiting_run: Run
) -> None:
    """More processes need more of them, up to a bound."""
    kubernetes.deployments[PATH] = [deployment(3)]
    waiting_run("--connections", "4")
    assert server.lines().count(LIST) == 12

    server.requests.clear()
    waiting_run("--connections", str(MAX_CONNECTIONS - 1), timeout="60")
    assert server.lines().count(LIST) == MAX_CONNECTIONS


def test_a_deployment_that_is_not_there_is_refused(kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """It would never be."""
    outcome = waiting_run()

    assert kubernetes.requests == [f"GET {PATH}"]
    assert outcome.exit_code == 4
    assert "the namespace 'private-ai-demo' has no Deployment 'llama-stack'" in outcome.report["message"]


def test_without_the_right_to_read_it_the_role_is_named(kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """It is part of the manifests."""
    kubernetes.forbidden = True

    outcome = waiting_run()

    assert outcome.exit_code == 4
    assert "the Role of manifests/components/rollout" in outcome.report["message"]


def test_outside_of_a_pod_it_cannot_be_asked(run: Run, server: FakeLlamaStack) -> None:
    """There is no token."""
    outcome = run(server.url, "--wait-for-deployment", "llama-stack")

    assert outcome.exit_code == 2
    assert "HOOK_WAIT_FOR_DEPLOYMENT: needs the pod's ServiceAccount token mounted" in outcome.report["message"]
