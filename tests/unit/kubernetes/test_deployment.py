"""The rollout of the server's Deployment is over before anything is asked."""

import json
from typing import Any

import pytest

from hook.cli.settings import MAX_CONNECTIONS
from hook.deadline import Deadline
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.kubernetes.deployment import wait_for_rollout
from hook.llamastack.api import LlamaStack
from hook.survey.proof import Prover
from hook.survey.survey import Survey
from tests.fake_kubernetes import FakeKubernetes
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Outcome, Run, entries
from tests.unit.kubernetes.conftest import PATH, deployment, identity

LIST = "GET /v1/vector_stores"


@pytest.fixture
def waiting_run(server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes) -> Run:
    """Return a function that runs the hook so that it waits for the Deployment `llama-stack`."""
    server.add("red_hat_docs")

    def call(*flags: str, timeout: str = "3") -> Outcome:
        arguments = ("--wait-for-deployment", "llama-stack", "--timeout", timeout, *flags)
        return run(server.url, *arguments, environ=kubernetes.environ(), collections=entries("red_hat_docs"))

    return call


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
        (deployment(generation=4), "Kubernetes has not yet observed its last change"),
        (deployment(readyReplicas=0), "0 of 1 pods ready, 1 available, 1 updated"),
        (deployment(2, updatedReplicas=1, replicas=2), "old pods still running: 1"),
        (deployment(availableReplicas=0), "1 of 1 pods ready, 0 available, 1 updated"),
        (deployment(terminatingReplicas=1), "old pods still running: 1"),
        (deployment(1, updatedReplicas=0, replicas=0), "1 of 1 pods ready, 1 available, 0 updated"),
        (deployment(0), "it is scaled to 0 replicas"),
        (identity(), "0 of 1 pods ready, 0 available, 0 updated"),
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
    assert "`kubectl rollout status deployment/llama-stack -n private-ai-demo`" in outcome.report["message"]
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


@pytest.mark.parametrize(
    "replicas",
    [-1, 2**31, pytest.param(10**400, id="400 digits"), "2", "-1", True, 1.5, 1e400, [], {"a": []}, "x" * 10_000],
)
def test_a_number_that_no_api_server_answers_is_refused(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, waiting_run: Run, replicas: Any
) -> None:
    """Whatever it is multiplied with would be nonsense."""
    kubernetes.deployments[PATH] = [deployment() | {"spec": {"replicas": replicas}}]

    outcome = waiting_run()

    assert outcome.exit_code == 4
    assert "the Deployment's replicas is " in outcome.report["message"]
    assert ", not a number that the Kubernetes API can hold" in outcome.report["message"]
    assert len(outcome.report["message"]) < 300
    assert server.requests == []


@pytest.mark.parametrize("key", ["replicas", "updatedReplicas", "terminatingReplicas", "observedGeneration"])
def test_nor_may_its_status_have_one(kubernetes: FakeKubernetes, waiting_run: Run, key: str) -> None:
    kubernetes.deployments[PATH] = [deployment(**{key: -1})]

    assert f"the Deployment's {key} is -1, not a number that" in waiting_run().report["message"]


def test_many_replicas_are_a_number_like_any_other(kubernetes: FakeKubernetes) -> None:
    """As large as the API can hold; there is a bound to the connections."""
    kubernetes.deployments[PATH] = [deployment(2**31 - 1, generation=2**62, observedGeneration=2**62)]

    assert wait_for_rollout("llama-stack", kubernetes.environ(), 5.0, Deadline(5.0)) == 2**31 - 1


@pytest.mark.parametrize("connections", [0, -20])
def test_a_list_is_read_whatever_the_number_of_connections(server: FakeLlamaStack, connections: int) -> None:
    """Of what was never asked, everything would be made once more."""
    server.add("red_hat_docs")
    deadline = Deadline(5.0)
    stack = LlamaStack(Http(Endpoint(server.url), 5.0, deadline))
    processes = Survey(stack, Prover(deadline, 5.0, write=False), deadline, connections)

    assert [store.name for store in processes.stores()] == ["red_hat_docs"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (identity("Status") | {"status": "Failure", "message": "no\nway"}, "answered with a Status (no way), not with"),
        (identity("StatefulSet"), "answered with a StatefulSet, not with Deployment 'llama-stack'"),
        (identity(name="other"), "answered with a Deployment, not with Deployment 'llama-stack'"),
        (identity(namespace="other"), "of namespace 'private-ai-demo'"),
        ([], "answered with something else, not with Deployment"),
        ({"kind": ["Deployment"], "metadata": 1, "message": 2}, "answered with something else, not with Deployment"),
    ],
)
def test_another_object_is_not_taken_for_the_deployment(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, waiting_run: Run, answer: Any, said: str
) -> None:
    """It would say that all is well."""
    kubernetes.deployments[PATH] = [deployment() | answer if isinstance(answer, dict) else answer]

    outcome = waiting_run()

    assert outcome.exit_code == 4
    assert said in outcome.report["message"]
    assert server.requests == []


def test_a_deployment_that_is_made_late_is_waited_for(kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """An operator makes it some time after the sync."""
    missing = {"kind": "Status", "message": 'deployments.apps "llama-stack" not found', "code": 404}
    kubernetes.answers = [(404, {"Content-Type": "application/json"}, json.dumps(missing).encode())] * 2
    kubernetes.deployments[PATH] = [deployment()]

    outcome = waiting_run()

    assert outcome.exit_code == 0
    assert kubernetes.requests == [f"GET {PATH}"] * 3


def test_a_deployment_that_nobody_makes_ends_with_3(server: FakeLlamaStack, waiting_run: Run) -> None:
    """Within the budget, and with what may be wrong."""
    outcome = waiting_run(timeout="1")

    assert outcome.exit_code == 3
    assert "the namespace 'private-ai-demo' has no Deployment 'llama-stack' yet" in outcome.report["message"]
    assert (
        "check HOOK_WAIT_FOR_DEPLOYMENT; kubectl get deployments -n private-ai-demo lists" in outcome.report["message"]
    )
    assert server.requests == []


def test_without_the_right_to_read_it_the_role_is_named(kubernetes: FakeKubernetes, waiting_run: Run) -> None:
    """It is part of the manifests."""
    kubernetes.forbidden = True

    outcome = waiting_run()

    assert outcome.exit_code == 4
    assert "the Role of the component rollout (Helm: waitForDeployment)" in outcome.report["message"]


def test_outside_of_a_pod_it_cannot_be_asked(run: Run, server: FakeLlamaStack) -> None:
    """There is no token."""
    outcome = run(server.url, "--wait-for-deployment", "llama-stack")

    assert outcome.exit_code == 2
    assert (
        "HOOK_WAIT_FOR_DEPLOYMENT: not running in a pod (KUBERNETES_SERVICE_HOST and _PORT are not set)"
        in outcome.report["message"]
    )
