"""Jobs without Argo CD and Helm: `apply -k`, and Jobs from the CronJob."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.kube import HOOK, Api, Room, collections, create_store, delete_store
from tests.cluster.stack import RELEASES


@pytest.fixture(params=RELEASES)
def served(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> Iterator[Room]:
    """Make a namespace for each release of the server."""
    release = request.param
    with Room(api, f"apply-{release.replace('.', '-')}", tmp_path, server=release) as room:
        yield room


class TestApply:
    """`oc apply -k`, which knows no hooks."""

    def test_it_runs_the_hook_at_once(self, served: Room) -> None:
        """Without a warning of Pod Security `restricted`, which the namespace enforces."""
        done = served.apply(served.kustomization(config=collections("applied")))

        assert (done.returncode, done.stderr) == (0, "")
        assert served.outcome().exit_codes == [0]
        assert len(served.stores("applied")) == 1

    def test_the_second_time_it_does_nothing(self, room: Room) -> None:
        room.install(config=collections("twice_applied"))
        first = room.outcome().job["metadata"]["uid"]
        room.install(config=collections("twice_applied"))

        assert room.outcome().job["metadata"]["uid"] == first

    def test_a_changed_job_is_immutable_until_it_is_deleted(self, room: Room) -> None:
        room.install(config=collections("changed"))
        changed = room.kustomization(config=collections("changed"))
        patch = '[{"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 20}]'
        changed["patches"].append({"target": {"kind": "Job"}, "patch": patch})

        assert "field is immutable" in room.apply(changed).stderr
        room.must("delete", "job", HOOK, "--ignore-not-found")
        assert room.apply(changed).returncode == 0
        assert room.outcome().complete

    def test_a_pod_that_cannot_start_ends_at_the_deadline(self, room: Room) -> None:
        """Here the server's ConfigMap is not there."""
        content = room.kustomization(base="overlays/stage02")
        target = {"kind": "Job"}
        patch = '[{"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 8}]'
        content["patches"].append({"target": target, "patch": patch})
        room.apply(content)
        outcome = room.outcome()

        assert (outcome.complete, outcome.reason) == (False, "DeadlineExceeded")


class TestFromCronJob:
    """`oc create job --from=cronjob/…`."""

    def test_it_runs_the_same_pod(self, room: Room) -> None:
        room.install(config=collections("from_cronjob"))
        spec = room.outcome().job["spec"]["template"]["spec"]
        outcome = room.again()

        assert outcome.exit_codes == [0]
        assert outcome.job["spec"]["template"]["spec"] == spec

    def test_it_is_no_hook_and_not_tracked(self, room: Room) -> None:
        room.install(config=collections("from_cronjob"))
        metadata = room.again().job["metadata"]

        assert "argocd" not in json.dumps(metadata)
        assert metadata["labels"] == {"app.kubernetes.io/name": HOOK}

    def test_a_suspended_cronjob_starts_nothing_by_itself(self, room: Room) -> None:
        """Although its time has come."""
        content = room.kustomization(config=collections("from_cronjob"))
        schedule = '[{"op": "replace", "path": "/spec/schedule", "value": "* * * * *"}]'
        content["patches"].append({"target": {"kind": "CronJob"}, "patch": schedule})
        assert room.apply(content).returncode == 0
        time.sleep(65 - time.time() % 60)

        assert [job["metadata"]["name"] for job in room.api.get(room.name, "jobs")] == [HOOK]

    @pytest.mark.long(40)
    def test_the_last_three_of_them_stay_with_their_logs(self, room: Room) -> None:
        """And the hook's own Job beside them."""
        room.install(config=collections("from_cronjob"))
        for number in range(4):
            room.again(f"run-{number}")
        room.api.until("one has gone", lambda: len(room.api.get(room.name, "jobs")) == 4)

        assert {job["metadata"]["name"] for job in room.api.get(room.name, "jobs")} == {HOOK, "run-1", "run-2", "run-3"}
        assert "hook.finished" in room.logs("run-1")


class TestExitCodes:
    """What the Job does about them; Argo CD's tests have what it shows of them."""

    @pytest.mark.parametrize(
        ("declared", "code"),
        [
            ('{"vector_dbs": [{"vector_db": "broken"}]}', 2),
            (collections("refused", provider="nowhere"), 4),
            (collections("job_drifted"), 5),
        ],
        ids=["2", "4", "5"],
    )
    def test_the_job_fails_at_once_for(self, room: Room, declared: str, code: int) -> None:
        """And its message has the exit code; the pod's has the program's sentence."""
        port = room.facts.servers[room.server]
        drifted = create_store(port, "job_drifted", "faiss-first") if code == 5 else ""
        room.install(config=declared)
        outcome = room.outcome()
        if drifted:
            delete_store(port, drifted)

        assert (outcome.complete, outcome.reason, outcome.exit_codes) == (False, "PodFailurePolicy", [code])
        assert f"Container register-collections for pod {room.name}/" in outcome.message
        assert f"failed with exit code {code} matching FailJob rule at index 0" in outcome.message
        assert json.loads(outcome.last.message.split("\n")[1])["exit_code"] == code
        assert outcome.last.sentence in room.logs()

    @pytest.mark.long(45)
    def test_the_job_tries_three_times_for_3(self, room: Room) -> None:
        """And keeps each pod with its log."""
        room.connect(None)
        room.install(config=collections("nobody"), HOOK_TIMEOUT_SECONDS="3")
        outcome = room.outcome()

        assert (outcome.complete, outcome.reason) == (False, "BackoffLimitExceeded")
        assert outcome.exit_codes == [3, 3, 3]
        for each in outcome.tries:
            assert "hook.failed" in room.must("logs", each.pod["metadata"]["name"])

    def test_a_rejected_collection_does_not_stop_the_others(self, room: Room) -> None:
        both = json.loads(collections("job_accepted"))["vector_dbs"]
        both += json.loads(collections("job_rejected", model="no-such-model"))["vector_dbs"]
        room.install(config=json.dumps({"vector_dbs": both}))

        assert room.outcome().exit_codes == [4]
        assert len(room.stores("job_accepted")) == 1
