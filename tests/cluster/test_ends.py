"""How a pod ends that is told to: evicted, deleted, at its Job's deadline."""

import json
import subprocess
import time
from typing import Any

from tests.cluster.kube import HOOK, Room, collections


def waiting(room: Room, deadline: int = 900) -> str:
    """Let the hook wait for a server that is not there, and return its pod's name."""
    room.connect(None)
    content = room.kustomization(config=collections("ended"))
    patch = f'[{{"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": {deadline}}}]'
    content["patches"].append({"target": {"kind": "Job"}, "patch": patch})
    # A pod that is deleted is gone a moment later; a finalizer keeps it until it has been looked at.
    finalizer = '[{"op": "add", "path": "/spec/template/metadata/finalizers", "value": ["tests/look"]}]'
    content["patches"].append({"target": {"kind": "Job"}, "patch": finalizer})
    assert room.apply(content).returncode == 0
    name: str = room.running()["metadata"]["name"]
    return name


def ended(room: Room, pod: str) -> tuple[Any, float]:
    """Wait until a pod's container has ended; return how, and how many seconds after the pod was told to."""

    def terminated() -> Any:
        statuses = room.api.get(room.name, "pods", pod)["status"].get("containerStatuses", [{}])
        return statuses[0].get("state", {}).get("terminated")

    asked = time.monotonic()
    state = room.api.until("the container ends", terminated)
    return state, time.monotonic() - asked


def released(room: Room, *names: str) -> None:
    """Let go of each pod, or of these, once its Job has counted it or not: it has a finalizer of its own for that."""
    for name in names or [pod["metadata"]["name"] for pod in room.pods()]:

        def looked_at(name: str = name) -> bool:
            pod = room.api.get(room.name, "pods", name) or {"metadata": {}}
            return "batch.kubernetes.io/job-tracking" not in pod["metadata"].get("finalizers", [])

        room.api.until(f"the Job has looked at {name}", looked_at)
        room.api.patch(room.name, "pods", name, {"metadata": {"finalizers": None}})


def test_an_evicted_pod_says_so_and_runs_again_uncounted(room: Room) -> None:
    """As a drain evicts it."""
    pod = waiting(room)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": room.name}}
    room.api.request("POST", f"/api/v1/namespaces/{room.name}/pods/{pod}/eviction", eviction)
    state, seconds = ended(room, pod)
    conditions = {each["type"]: each["status"] for each in room.api.get(room.name, "pods", pod)["status"]["conditions"]}
    released(room, pod)
    room.connect("0.3.5")
    outcome = room.outcome()
    released(room)

    assert state["exitCode"] == 143
    assert json.loads(state["message"].split("\n")[1])["exit_code"] == 143
    assert seconds < 10
    assert conditions["DisruptionTarget"] == "True"
    assert outcome.complete
    assert outcome.job["status"].get("failed", 0) == 0


def test_a_deleted_pod_says_so_and_runs_again_and_is_counted(room: Room) -> None:
    """As one that is deleted by hand: to the Job it has failed."""
    pod = waiting(room)
    room.must("delete", "pod", pod, "--wait=false")
    state, seconds = ended(room, pod)
    released(room, pod)
    room.connect("0.3.5")
    outcome = room.outcome()
    released(room)

    assert state["exitCode"] == 143
    assert json.loads(state["message"].split("\n")[1])["exit_code"] == 143
    assert seconds < 10
    assert outcome.complete
    assert outcome.job["status"]["failed"] == 1


def test_a_pod_whose_job_is_deleted_ends_in_time_with_its_report(room: Room) -> None:
    """Long before the 30 s after which it would be killed."""
    pod = waiting(room)
    command = ["kubectl", "--namespace", room.name, "logs", "--follow", pod]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        room.must("delete", "job", HOOK, "--wait=false")
        state, seconds = ended(room, pod)
        log = follower.communicate(timeout=30)[0]
    released(room)

    assert state["exitCode"] == 143
    assert seconds < 10
    assert json.loads(state["message"].split("\n")[1])["exit_code"] == 143
    assert '"exit_code": 143' in log


def test_at_its_deadline_the_job_says_only_that(room: Room) -> None:
    """The program says why, but to nobody: its pod is deleted. So the budget of a run stays below the deadline."""
    pod = waiting(room, deadline=12)
    state, seconds = ended(room, pod)
    released(room)
    outcome = room.outcome()

    assert state["exitCode"] == 143
    assert seconds < 12 + 10
    assert json.loads(state["message"].split("\n")[1])["exit_code"] == 143
    assert outcome.job["status"]["failed"] == 1
    assert (outcome.reason, outcome.message) == (
        "DeadlineExceeded",
        "Job was active longer than specified deadline",
    )
    room.api.until("the pod is gone", lambda: not room.pods())
