"""`components/publish-ids` under the rights that it asks for, and no others."""

import json
from typing import Any

import pytest

from tests.cluster.kube import HOOK, IMAGE, PUBLISHED, Room, collections, delete_store


def published(room: Room) -> Any:
    """Return the ConfigMap, or None."""
    return room.api.get(room.name, "configmaps", PUBLISHED)


def installed(room: Room, *names: str, **settings: str) -> Any:
    """Install it with these collections, and return the ConfigMap after the first run."""
    room.install("publish-ids", config=collections(*names), **settings)
    assert room.outcome().exit_codes == [0]
    return published(room)


def test_the_first_run_publishes_the_address_of_each_collection(room: Room) -> None:
    made = installed(room, "published", "published_too")

    assert made["data"] == {name: room.stores(name)[0]["id"] for name in ("published", "published_too")}
    annotations = made["metadata"]["annotations"]
    assert annotations["register-collections/server-url"] == "http://llama-stack-service:8321"


def test_a_second_run_rewrites_nothing(room: Room) -> None:
    before = installed(room, "published")["metadata"]["resourceVersion"]
    assert room.again().complete

    assert published(room)["metadata"]["resourceVersion"] == before


def test_another_owners_key_stays(room: Room) -> None:
    installed(room, "published")
    room.api.patch(room.name, "configmaps", PUBLISHED, {"data": {"theirs": "x", "published": "wrong"}})
    assert room.again().complete

    assert published(room)["data"] == {"theirs": "x", "published": room.stores("published")[0]["id"]}


def test_the_key_of_a_collection_that_is_no_longer_declared_goes(room: Room) -> None:
    installed(room, "published", "published_too")
    room.configmap(HOOK, collections_yaml=collections("published"))
    assert room.again().complete

    assert published(room)["data"].keys() == {"published"}


def test_a_failed_run_leaves_it_as_it_was(room: Room) -> None:
    before = installed(room, "published")["metadata"]["resourceVersion"]
    room.configmap(HOOK, collections_yaml=collections("refused", model="no-such-model"))

    assert room.again().exit_codes == [4]
    assert published(room)["metadata"]["resourceVersion"] == before


def test_a_collection_that_was_made_anew_is_published_anew(room: Room) -> None:
    before = installed(room, "published_anew")["data"]["published_anew"]
    delete_store(room.facts.servers[room.server], before)
    assert room.again().complete

    assert published(room)["data"]["published_anew"] not in (None, before)


def test_without_the_role_it_is_6_and_the_collections_stay(room: Room) -> None:
    installed(room, "published_no_role")
    room.must("delete", "role", HOOK)
    room.api.request("DELETE", f"/api/v1/namespaces/{room.name}/configmaps/{PUBLISHED}")
    outcome = room.again()

    assert (outcome.exit_codes, outcome.reason) == ([6], "PodFailurePolicy")
    assert "the component publish-ids" in outcome.last.message
    assert published(room) is None
    assert len(room.stores("published_no_role")) == 1


@pytest.mark.long(80)
def test_a_silent_api_server_repeats_no_registration(room: Room) -> None:
    """Which Kubernetes' own variable lets it look for elsewhere; the Job has one pod."""
    settings = {"KUBERNETES_SERVICE_HOST": room.facts.address, "KUBERNETES_SERVICE_PORT": "9"}
    room.install("publish-ids", config=collections("published_nowhere"), **settings)
    outcome = room.outcome()

    assert (outcome.exit_codes, outcome.reason) == ([6], "PodFailurePolicy")
    assert len(room.stores("published_nowhere")) == 1


def test_a_pod_that_wants_an_address_starts_when_it_is_there(room: Room) -> None:
    """And has it in its variable."""
    consumer = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "consumer"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": room.facts.image or IMAGE,
                    "command": ["sh", "-c", "echo $VECTOR_DB_ID"],
                    "env": [
                        {
                            "name": "VECTOR_DB_ID",
                            "valueFrom": {"configMapKeyRef": {"name": PUBLISHED, "key": "published_for_pod"}},
                        }
                    ],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    room.must("apply", "-f", "-", stdin=json.dumps(consumer))

    def waits_for() -> str:
        statuses = room.api.get(room.name, "pods", "consumer")["status"].get("containerStatuses", [{}])
        reason: str = statuses[0].get("state", {}).get("waiting", {}).get("reason", "")
        return reason

    room.api.until("the pod waits", lambda: waits_for() == "CreateContainerConfigError")
    address = installed(room, "published_for_pod")["data"]["published_for_pod"]
    room.api.until(
        "the pod ends", lambda: room.api.get(room.name, "pods", "consumer")["status"]["phase"] == "Succeeded"
    )

    assert room.must("logs", "consumer").strip() == address


def test_its_role_permits_one_configmap_by_name_and_nothing_else(room: Room) -> None:
    content = room.kustomization("publish-ids")
    content["patches"].append(
        {"patch": json.dumps({"$patch": "delete", "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": HOOK}})}
    )
    assert room.apply(content).returncode == 0
    asked = {
        f"{verb} {what}": room.kubectl(
            "auth", "can-i", verb, what, f"--as=system:serviceaccount:{room.name}:{HOOK}"
        ).stdout.strip()
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
        for what in (f"configmap/{PUBLISHED}", "configmaps", f"configmap/{HOOK}", "secrets", "jobs.batch")
    }

    assert {question for question, answer in asked.items() if answer == "yes"} == {
        f"{verb} configmap/{PUBLISHED}" for verb in ("get", "patch", "create")
    }


def test_a_kustomization_without_a_namespace_gives_the_right(room: Room) -> None:
    """Kubernetes takes a ServiceAccount without a namespace for one of the RoleBinding's own."""
    content = room.kustomization("publish-ids", config=collections("published"))
    del content["namespace"]
    assert room.apply(content).returncode == 0

    assert room.outcome().exit_codes == [0]
    assert published(room)["data"].keys() == {"published"}


def test_its_role_permits_nothing_in_other_namespaces(room: Room) -> None:
    assert room.apply(room.kustomization("publish-ids", config=collections("published"))).returncode == 0
    done = room.kubectl(
        "auth",
        "can-i",
        "get",
        f"configmap/{PUBLISHED}",
        "-n",
        "default",
        f"--as=system:serviceaccount:{room.name}:{HOOK}",
    )

    assert done.stdout.strip() == "no"
