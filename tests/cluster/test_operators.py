"""The overlays and components for a server that an operator runs, beside a stand-in for the operator."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from tests.cluster.argocd import App
from tests.cluster.kube import HOOK, Room, Try, collections
from tests.cluster.operators import KINDS, Operator
from tests.cluster.place import ROOT

pytestmark = pytest.mark.needs("Argo CD on this machine")
"""There are the kinds, and no operator."""

NAMES = {"ogx-server": "ogx", "llama-stack-distribution": "llama-stack"}
"""What the overlays call their server."""


def make_server(
    room: Room, overlay: str, name: str, *declared: str, port: int | None = None, label: bool = True
) -> None:
    """Make or change an operator's resource and its ConfigMap, as its owner does."""
    kind = KINDS[overlay]
    configmap = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-config", "labels": {kind.label: "true"} if label else {}},
        "data": {"config.yaml": collections(*declared)},
    }
    for body in (configmap, kind.resource(name, port)):
        room.must("apply", "-f", "-", stdin=json.dumps(body))


def install_overlay(room: Room, overlay: str, port: int = 8321, **settings: str) -> None:
    """Apply an overlay, in whose `server.yaml` the port was changed."""
    path = room.folder / "manifests" / "overlays" / overlay / "server.yaml"
    server = yaml.safe_load(path.read_text())
    part = server["spec"]["network"] if overlay == "ogx-server" else server["spec"]["server"]["containerSpec"]
    part["port"] = port
    path.write_text(json.dumps(server))
    done = room.apply(room.kustomization(base=f"overlays/{overlay}", **settings))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("overlay", KINDS)
def test_the_overlay_registers_what_the_server_declares(room: Room, overlay: str) -> None:
    """Though its operator makes Service and Deployment late, and on another port."""
    collection, name = f"of_{overlay.replace('-', '_')}", NAMES[overlay]
    # The room has made one for another server.
    room.must("delete", "service,endpointslice", f"{name}-service", "--ignore-not-found")
    make_server(room, overlay, name, collection, port=9000)
    with Operator(room, KINDS[overlay], late_seconds=15.0):
        install_overlay(room, overlay, port=9000)
        outcome = room.outcome()

        assert outcome.exit_codes == [0], outcome.last.message
        assert len(room.stores(collection)) == 1
        assert f"has no Deployment '{name}' yet" in room.logs()
        assert "rollout.operator_unread" not in room.logs()
        assert room.again().exit_codes == [0]


@pytest.mark.parametrize("overlay", KINDS)
def test_a_rollout_that_has_not_begun_is_waited_for(room: Room, overlay: str) -> None:
    """Of two servers that one commit changes, the first is slow."""
    name, kind = NAMES[overlay], KINDS[overlay]
    make_server(room, overlay, "a-first")
    make_server(room, overlay, name, "before_it")
    with Operator(room, kind) as operator:
        install_overlay(room, overlay)
        assert room.outcome().exit_codes == [0]

        def carried_out_during(job: str) -> str:
            room.must("create", "job", job, f"--from=cronjob/{HOOK}")
            room.running(job)
            operator.free.set()
            outcome = room.outcome(job)
            assert outcome.exit_codes == [0], outcome.last.message
            return room.logs(job)

        operator.slow = "a-first"
        for each, declared in (("a-first", ["other"]), (name, ["before_it", "after_it"])):
            make_server(room, overlay, each, *declared)
        assert "has not yet restarted the server with the last change of ConfigMap" in carried_out_during("configmap")
        assert len(room.stores("after_it")) == 1

        operator.free.clear()
        for each in ("a-first", name):
            room.must("patch", kind.plural, each, "--type=merge", "-p", RESTARTED[overlay])
        assert "has not yet processed the last change of" in carried_out_during("resource")


RESTARTED = {
    "ogx-server": json.dumps({"spec": {"workload": {"workers": 2}}}),
    "llama-stack-distribution": json.dumps({"spec": {"server": {"workers": 2}}}),
}
"""A change of a resource that restarts its server."""


def first_try(room: Room) -> Try:
    """Wait until the first pod has ended, and return how: the Job then tries twice more."""
    tries = lambda: [each for each in map(room.as_try, room.pods()) if each.exit_code is not None]  # noqa: E731
    found: Try = room.api.until("a pod has ended", tries)[0]
    return found


def test_without_its_label_an_ogx_configmap_is_not_there(room: Room) -> None:
    """For its operator, which then makes no server."""
    make_server(room, "ogx-server", "ogx", "unlabelled", label=False)
    with Operator(room, KINDS["ogx-server"]):
        install_overlay(room, "ogx-server", HOOK_TIMEOUT_SECONDS="15")

        assert first_try(room).exit_code == 3
        assert "has no Deployment 'ogx' yet" in first_try(room).message


def test_without_its_label_a_change_is_not_called_registered(room: Room) -> None:
    """The older operator restarts the server minutes later, and what is registered meanwhile is lost."""
    overlay = "llama-stack-distribution"
    make_server(room, overlay, "llama-stack", "unlabelled", label=False)
    with Operator(room, KINDS[overlay]) as operator:
        state = "get", KINDS[overlay].plural, "-o", "yaml"
        room.api.until("the server is ready", lambda: "phase: Ready" in room.must(*state))
        operator.wait_until_idle()
        make_server(room, overlay, "llama-stack", "unlabelled", "and_another", label=False)
        install_overlay(room, overlay, HOOK_TIMEOUT_SECONDS="15")

        assert first_try(room).exit_code == 3
        assert "llamastack.io/watch" in first_try(room).message


@pytest.mark.parametrize("overlay", KINDS)
def test_it_stands_beside_the_whole_server_of_an_app(room: Room, overlay: str) -> None:
    """With a ConfigMap from a generator, whose hash the server, the hook and its Role follow."""
    content = room.kustomization(f"{overlay}-configmap")
    content["resources"].append("server.yaml")
    options = {"labels": {KINDS[overlay].label: "true"}}
    content["configMapGenerator"] = [{"name": "rag-config", "files": ["config.yaml"], "options": options}]
    room.write("server.yaml", json.dumps(KINDS[overlay].resource("rag")))
    room.write("config.yaml", collections(f"beside_{overlay.replace('-', '_')}"))
    with Operator(room, KINDS[overlay]):
        done = room.apply(content)
        assert done.returncode == 0, done.stderr
        outcome = room.outcome()

        assert outcome.exit_codes == [0], outcome.last.message
        assert "rollout.operator_unread" not in room.logs()
        assert len(room.stores(f"beside_{overlay.replace('-', '_')}")) == 1


@pytest.mark.parametrize("overlay", KINDS)
def test_the_definition_takes_what_the_overlay_reads(room: Room, overlay: str) -> None:
    """By the names and types of the operator's own definition, where that is there."""
    server = yaml.safe_load((ROOT / "manifests" / "overlays" / overlay / "server.yaml").read_text())
    spec = server["spec"]
    (spec if overlay == "ogx-server" else spec["server"])["distribution"] = {"name": "starter"}

    room.must("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(server))


@pytest.mark.long(90)
@pytest.mark.parametrize("component", KINDS)
def test_with_the_health_check_a_sync_waits_for_a_first_install(app: App, component: str) -> None:
    """Before its hook, and through a failure, which for an operator may be one request; nobody has to sync again."""
    room, kind = app.room, KINDS[component]
    operator = Operator(room, kind)
    content = room.kustomization(component, config=collections("of_an_operator"))
    content["resources"].append("server.yaml")
    app.commit(content, server__yaml=json.dumps(kind.resource("rag")))
    app.create()
    syncing = threading.Thread(target=app.sync)
    syncing.start()

    def told(message: str) -> Any:
        return room.api.until(message, lambda: message in str(app.node(kind.name)["health"]))

    def waits() -> bool:
        return app.operation()["phase"] == "Running" and app.hook() is None

    told("the operator has not looked at it yet")
    assert waits()
    path = f"/apis/{kind.version}/namespaces/{room.name}/{kind.plural}/rag"
    operator.make(room.api.request("GET", path), config="")
    failed = {"type": "HealthCheck", "status": "False", "reason": "Failed", "message": "timed out"}
    for phase, condition in (("Initializing", failed), ("Failed", failed), ("Ready", failed | {"status": "True"})):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "phase": phase,
            "version": {"lastUpdated": now},
            "conditions": [condition | {"lastTransitionTime": now}],
        }
        room.api.request("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")
        if phase != "Ready":
            told(f"{phase}; HealthCheck: timed out")
            assert waits()
    syncing.join()

    assert app.operation()["phase"] == "Succeeded"
    assert app.hook()["hookPhase"] == "Succeeded"
    assert len(room.stores("of_an_operator")) == 1


@pytest.mark.long(60)
@pytest.mark.parametrize("component", KINDS)
def test_a_sync_of_an_autoscaled_server_ends(app: App, component: str) -> None:
    """Its operator counts by `replicas`, and says Initializing as long as an autoscaler has made more of them."""
    room, kind = app.room, KINDS[component]
    content = room.kustomization(component, config=collections("autoscaled"))
    content["resources"].append("server.yaml")
    configmap = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "rag-config", "labels": {kind.label: "true"}},
    }
    room.must("apply", "-f", "-", stdin=json.dumps(configmap))
    with Operator(room, kind):
        app.commit(content, server__yaml=json.dumps(kind.resource("rag", maxReplicas=3)))
        app.create()
        app.sync()
        assert app.operation()["phase"] == "Succeeded"
        room.must("scale", "deployment/rag", "--replicas=2")
        room.api.until("more than its spec has", lambda: "autoscaled" in str(app.node(kind.name)["health"]))

        app.commit(
            room.kustomization(component, config=collections("autoscaled", "later"))
            | {"resources": content["resources"]}
        )
        app.sync()

        assert app.operation()["phase"] == "Succeeded"
        assert len(room.stores("later")) == 1
