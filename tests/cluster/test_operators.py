"""The overlays for a server that an operator runs, beside what the operator would have made of its resource."""

import json

import pytest

from tests.cluster.kube import CONTAINER, HOOK, Room, collections, deployment_spec


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
        "spec": deployment_spec(room.facts.image or f"{CONTAINER}:0.1.0"),
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
