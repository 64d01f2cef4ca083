"""What was changed last has to be carried out by the operator before its server's rollout counts as over."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from hook.deadline import Deadline
from hook.errors import RefusedError, UnavailableError
from hook.kubernetes.deployment import wait_for_rollout
from tests.fake_kubernetes import FakeKubernetes
from tests.unit.kubernetes.conftest import PATH, deployment, identity

OGX = ("ogx.io/v1beta1", "OGXServer", "ogxservers")
KINDS = (OGX, ("llamastack.io/v1alpha1", "LlamaStackDistribution", "llamastackdistributions"))
RESOURCE = "/apis/ogx.io/v1beta1/namespaces/private-ai-demo/ogxservers/llama-stack"
CONFIGMAP = "/api/v1/namespaces/private-ai-demo/configmaps/ogx-config"


def operated(kind: tuple[str, str, str] = OGX, config: str | None = "7-ogx-config", **status: int) -> dict[str, Any]:
    """Return the Deployment of an operator's resource, whose pods were made with this ConfigMap."""
    found = deployment(**status)
    found["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": "other"},
        {"apiVersion": kind[0], "kind": kind[1], "name": "llama-stack", "controller": True},
    ]
    if config is not None:
        annotations = {"configmap.hash/user-config": config}
        found["spec"]["template"] = {"metadata": {"annotations": annotations}}
    return found


def resource(updated: str | None = "12:00:05", changed: str = "12:00:05", kind: str = "OGXServer") -> dict[str, Any]:
    """Return the operator's resource: changed by somebody at one time, and looked at at another."""
    times = {"argocd": changed, "status": "12:59:59"}
    fields = [
        {"manager": key, "time": f"2026-11-29T{time}Z"} | ({"subresource": "status"} if key == "status" else {})
        for key, time in times.items()
    ]
    status = {"phase": "Ready", "version": {"lastUpdated": updated and f"2026-11-29T{updated}Z"}}
    return identity(kind, managedFields=fields) | {"status": status}


def configmap(version: str = "7") -> dict[str, Any]:
    """Return the server's ConfigMap."""
    return {
        "kind": "ConfigMap",
        "metadata": {"name": "ogx-config", "namespace": "private-ai-demo", "resourceVersion": version},
    }


def wait(kubernetes: FakeKubernetes, seconds: float = 5.0) -> list[Any]:
    """Wait for the rollout, and return what was logged of it."""
    with capture_logs() as events:
        wait_for_rollout("llama-stack", kubernetes.environ(), 5.0, Deadline(seconds))
    return [event for event in events if event["event"].startswith("rollout.")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_that_was_carried_out_is_not_waited_for(
    kubernetes: FakeKubernetes, kind: tuple[str, str, str]
) -> None:
    version, name, plural = kind
    path = f"/apis/{version}/namespaces/private-ai-demo/{plural}/llama-stack"
    kubernetes.deployments = {PATH: [operated(kind)], path: [resource(kind=name)], CONFIGMAP: [configmap()]}

    events = wait(kubernetes)

    assert [event["event"] for event in events] == ["rollout.finished"]
    assert kubernetes.requests == [f"GET {each}" for each in (PATH, path, PATH, CONFIGMAP)]


@pytest.mark.parametrize("updated", [None, "12:00:04"])
def test_an_operator_that_has_yet_to_look_is_waited_for(kubernetes: FakeKubernetes, updated: str | None) -> None:
    """It works on one resource after the other."""
    kubernetes.deployments = {
        PATH: [*[operated(config=None)] * 2, operated(config=None, readyReplicas=0), operated(config=None)],
        RESOURCE: [resource(updated), resource()],
    }

    causes = [event["cause"] for event in wait(kubernetes) if event["event"] == "rollout.retry_scheduled"]

    assert causes[0] == (
        "the operator has not yet processed the last change of OGXServer 'llama-stack': check the operator's pod, and "
        "kubectl describe ogxserver llama-stack -n private-ai-demo"
    )
    assert "0 of 1 pods ready" in causes[1], "what it has done is looked at after it has"
    assert kubernetes.requests[-1] == f"GET {PATH}"


def test_an_operator_that_failed_is_waited_for(kubernetes: FakeKubernetes) -> None:
    """It tries again; until then the server is the one before the change."""
    failed = resource()
    condition = {"type": "DeploymentReady", "status": "False", "message": "ConfigMap not found"}
    inactive = {"status": "False", "reason": "ConfigGenerationInactive", "message": "Declarative config"}
    others = [inactive, {"status": "True", "message": "Service"}, 1]
    failed["status"] |= {"phase": "Failed", "conditions": [condition, *others]}
    kubernetes.deployments = {PATH: [operated()], RESOURCE: [failed]}

    with pytest.raises(UnavailableError, match=r"'llama-stack' as Failed: ConfigMap not found; see kubectl describe "):
        wait(kubernetes, seconds=0.5)


def test_one_that_says_no_reason_is_waited_for_too(kubernetes: FakeKubernetes) -> None:
    failed = resource()
    failed["status"]["phase"] = "Failed"
    kubernetes.deployments = {PATH: [operated()], RESOURCE: [failed, resource()], CONFIGMAP: [configmap()]}

    assert [event["event"] for event in wait(kubernetes)] == ["rollout.retry_scheduled", "rollout.finished"]


def test_pods_of_the_configmap_before_are_waited_for(kubernetes: FakeKubernetes) -> None:
    """Without the label the operator notices a change minutes later, and restarts the server then."""
    kubernetes.deployments = {
        PATH: [operated(), operated(), operated(config="8-ogx-config")],
        RESOURCE: [resource()],
        CONFIGMAP: [configmap("8")],
    }

    events = wait(kubernetes)

    assert [event["event"] for event in events] == ["rollout.retry_scheduled", "rollout.finished"]
    assert "has not yet restarted the server with the last change of ConfigMap 'ogx-config'" in events[0]["cause"]
    assert "kubectl label configmap ogx-config -n private-ai-demo llamastack.io/watch=true" in events[0]["cause"]


def test_what_the_pod_may_not_read_is_said_and_not_waited_for(kubernetes: FakeKubernetes) -> None:
    """The component `rollout` alone grants no more than the Deployment."""
    kubernetes.deployments = {PATH: [operated()]}

    events = wait(kubernetes)

    assert [event["event"] for event in events] == ["rollout.operator_unread"] * 2 + ["rollout.finished"]
    assert RESOURCE in events[0]["cause"]
    assert CONFIGMAP in events[1]["cause"]
    assert "self-heal" in events[0]["hint"]


def test_a_resource_without_times_is_not_waited_for(kubernetes: FakeKubernetes) -> None:
    """An API server may be told to leave them out."""
    kubernetes.deployments = {PATH: [operated(config=None)], RESOURCE: [identity("OGXServer")]}

    assert [event["event"] for event in wait(kubernetes)] == ["rollout.finished"]


def test_any_other_error_ends_the_wait(kubernetes: FakeKubernetes) -> None:
    kubernetes.deployments = {PATH: [operated()], RESOURCE: [identity("Status")]}

    with pytest.raises(RefusedError, match="answered with a Status, not with OGXServer"):
        wait(kubernetes)


def test_nor_is_a_refusal_taken_for_a_missing_right(kubernetes: FakeKubernetes) -> None:
    """A request that is never answered right says nothing about the operator."""
    headers = {"Content-Type": "application/json"}
    kubernetes.answers = [(200, headers, json.dumps(operated()).encode()), (400, headers, b'{"message": "no"}')]

    with pytest.raises(RefusedError, match="answered 400: no"):
        wait(kubernetes)


def test_a_deployment_of_somebody_else_asks_for_no_more(kubernetes: FakeKubernetes) -> None:
    """Whoever controls it is not known to say when a change is carried out."""
    other = operated()
    other["metadata"]["ownerReferences"][1]["apiVersion"] = "example.com/v1"
    kubernetes.deployments = {PATH: [other]}

    wait(kubernetes)

    assert kubernetes.requests == [f"GET {PATH}"]
