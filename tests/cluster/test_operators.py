"""The overlays for a server that an operator runs, beside what the operator would have made of its resource."""

import json
import threading
from typing import Any

import pytest
import yaml

from tests.cluster.argocd import App
from tests.cluster.kube import HOOK, IMAGE, Room, collections, deployment_spec
from tests.cluster.place import ROOT

KINDS = {
    "ogx-server": ("ogx.io/v1beta1", "OGXServer", "ogxservers"),
    "llama-stack-distribution": ("llamastack.io/v1alpha1", "LlamaStackDistribution", "llamastackdistributions"),
}
"""By overlay and component, what an operator runs."""


def as_operator(room: Room, name: str, configmap: str, declared: str) -> None:
    """Make the Service, the Deployment and the ConfigMap of a server of this name."""
    service = f"{name}-service"
    port = {"name": "http", "port": room.facts.servers["0.3.5"], "protocol": "TCP"}
    slice_of_it = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [room.facts.address]}],
        "ports": [port],
    }
    of_it = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service},
        "spec": {"ports": [{"name": "http", "port": 8321, "protocol": "TCP"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": deployment_spec(room.facts.image or IMAGE),
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": configmap},
        "data": {"config.yaml": declared},
    }
    for body in (config, of_it, slice_of_it, deployment):
        room.must("apply", "-f", "-", stdin=json.dumps(body))


@pytest.mark.parametrize(
    ("overlay", "name", "configmap"),
    [("ogx-server", "ogx", "ogx-config"), ("llama-stack-distribution", "llama-stack", "llama-stack-config")],
)
def test_the_overlay_registers_what_the_servers_configmap_declares(
    room: Room, overlay: str, name: str, configmap: str
) -> None:
    """Once the rollout of its Deployment is over, which its Role lets it see."""
    collection = f"of_{overlay.replace('-', '_')}"
    as_operator(room, name, configmap, collections(collection))
    content = room.kustomization(base=f"overlays/{overlay}")
    done = room.apply(content)
    assert done.returncode == 0, done.stderr
    outcome = room.outcome()

    assert outcome.exit_codes == [0], outcome.last.message
    assert len(room.stores(collection)) == 1
    assert "rollout.finished" in room.logs()
    allowed = room.kubectl(
        "auth",
        "can-i",
        "get",
        f"deployments.apps/{name}",
        f"--as=system:serviceaccount:{room.name}:{HOOK}",
    )
    assert allowed.stdout.strip() == "yes"
    assert room.again().exit_codes == [0]


@pytest.mark.long(90)
@pytest.mark.needs("Argo CD on this machine")
@pytest.mark.parametrize("component", KINDS)
def test_with_the_health_check_a_sync_waits_for_a_first_install(app: App, component: str) -> None:
    """Before its hook, and through a failure, which for an operator may be one request; nobody has to sync again."""
    room = app.room
    version, kind, plural = KINDS[component]
    server = yaml.safe_load((ROOT / "manifests" / "overlays" / component / "server.yaml").read_text())
    server["metadata"] = {"name": "rag"}
    # What its operator wants besides what the hook has to know.
    server["spec"].get("server", server["spec"])["distribution"] = {"name": "starter"}
    content = room.kustomization(component, config=collections("of_an_operator"))
    content["resources"].append("server.yaml")
    app.commit(content, server__yaml=json.dumps(server))
    app.create()
    syncing = threading.Thread(target=app.sync)
    syncing.start()

    def told(message: str) -> Any:
        return room.api.until(message, lambda: message in str(app.node(kind)["health"]))

    def waits() -> bool:
        return app.operation()["phase"] == "Running" and app.hook() is None

    told("the operator has not looked at it yet")
    assert waits()
    as_operator(room, "rag", "rag-config", "{}")
    failed = {"type": "HealthCheck", "status": "False", "reason": "Failed", "message": "timed out"}
    path = f"/apis/{version}/namespaces/{room.name}/{plural}/rag/status"
    for phase, condition in (("Initializing", failed), ("Failed", failed), ("Ready", failed | {"status": "True"})):
        status = {"phase": phase, "conditions": [condition | {"lastTransitionTime": "2026-11-25T00:00:00Z"}]}
        room.api.request("PATCH", path, {"status": status}, "application/merge-patch+json")
        if phase != "Ready":
            told(f"{phase}; HealthCheck: timed out")
            assert waits()
    syncing.join()

    assert app.operation()["phase"] == "Succeeded"
    assert app.hook()["hookPhase"] == "Succeeded"
    assert len(room.stores("of_an_operator")) == 1
