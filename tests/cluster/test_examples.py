"""`examples/`, in a cluster."""

import json
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.cluster.kube import HOOK, IMAGE, UID, Room, collections, run
from tests.cluster.place import ROOT

EXAMPLES = ROOT / "examples"


class TestDeploy:
    """`deploy.sh`, with a real `oc` or kubectl under that name."""

    def deploy(self, room: Room) -> Any:
        """Run it."""
        oc = room.folder / "bin" / "oc"
        oc.parent.mkdir()
        oc.write_text('#!/bin/sh\nexec kubectl "$@"\n')
        oc.chmod(0o755)
        environ = {"NAMESPACE": room.name, "PATH": f"{oc.parent}:{run('sh', '-c', 'echo $PATH').stdout.strip()}"}
        return run("sh", EXAMPLES / "deploy.sh", environ=environ)

    def test_it_ends_with_0_after_a_run_that_verified(self, room: Room) -> None:
        room.install(config=collections("deployed"))
        done = self.deploy(room)

        assert done.returncode == 0, done.stderr
        assert "registered and verified" in done.stdout
        assert "hook.finished" in done.stdout

    def test_it_ends_with_the_hooks_exit_code_after_a_failed_one(self, room: Room) -> None:
        room.install(config=collections("deployed", provider="nowhere"))
        done = self.deploy(room)

        assert done.returncode == 4
        assert "failed, exit code 4" in done.stderr
        assert "nowhere" in done.stdout

    def test_it_ends_with_1_where_there_is_no_cronjob(self, room: Room) -> None:
        assert self.deploy(room).returncode == 1


UNPRIVILEGED: Mapping[str, Any] = MappingProxyType(
    {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
)


def pod(
    room: Room, script: str, arguments: list[str], security: Mapping[str, Any] = UNPRIVILEGED, **environ: str
) -> tuple[str, int]:
    """Run a script in a pod of the image, as OpenShift would; return what it printed, and its exit code.

    `security` is the container's; where it says all that Pod Security wants, the pod says nothing of that.
    """
    room.configmap("script", script_sh=script)
    room.configmap("llamastack-config", run_yaml=collections("example"))
    variables = {"LLAMA_STACK_URL": "http://llama-stack-service:8321", "HOOK_CONFIG": "/config/run.yaml"} | environ
    mounts = {"config": "/config", "script": "/script", "results": "/results"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "script"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                **({} if "runAsNonRoot" in security else {"runAsNonRoot": True}),
                **({} if "seccompProfile" in security else {"seccompProfile": {"type": "RuntimeDefault"}}),
                # OpenShift itself assigns one.
                **({} if "a service CA of the tests' own" in room.facts.lacks else {"runAsUser": UID, "fsGroup": UID}),
            },
            "containers": [
                {
                    "name": "script",
                    "image": room.facts.image or IMAGE,
                    "command": ["sh", "/script/script.sh", *arguments],
                    "env": [{"name": name, "value": value} for name, value in variables.items()],
                    "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
                    "securityContext": dict(security),
                }
            ],
            "volumes": [
                {"name": "config", "configMap": {"name": "llamastack-config"}},
                {"name": "script", "configMap": {"name": "script"}},
                {"name": "results", "emptyDir": {}},
            ],
        },
    }
    room.must("apply", "-f", "-", stdin=json.dumps(body))

    def ended() -> Any:
        statuses = room.api.get(room.name, "pods", "script")["status"].get("containerStatuses", [{}])
        return statuses[0].get("state", {}).get("terminated")

    code: int = room.api.until("the script ends", ended)["exitCode"]
    return room.must("logs", "script"), code


@pytest.fixture
def registered(room: Room) -> Room:
    """Register the collection `example`."""
    room.install(config=collections("example"))
    assert room.outcome().complete
    return room


class TestPreflight:
    """`preflight.sh` in a pod that has the program."""

    PATH = "/opt/register-collections/bin:/usr/bin:/bin"

    def preflight(self, room: Room, *arguments: str) -> tuple[str, int]:
        """Run it."""
        return pod(room, (EXAMPLES / "preflight.sh").read_text(), [*arguments], PATH=self.PATH)

    def test_it_starts_the_pipeline_with_the_address(self, registered: Room) -> None:
        (store,) = registered.stores("example")
        output, code = self.preflight(registered, "example", "sh", "-c", "echo launched with $VECTOR_DB_ID")

        assert code == 0
        assert f"launched with {store['id']}" in output

    def test_it_starts_nothing_where_the_collection_is_not_usable(self, registered: Room) -> None:
        output, code = self.preflight(registered, "undeclared", "sh", "-c", "echo launched with nothing")

        assert code == 2
        assert "launched with" not in output

    def test_without_arguments_it_asks_after_all_collections(self, registered: Room) -> None:
        output, code = self.preflight(registered)

        assert code == 0
        assert '"command": "check"' in output


def test_the_script_of_the_tekton_task_writes_its_result(registered: Room) -> None:
    """Tekton itself is not there: what it would put into the script is put in here."""
    (step,) = yaml.safe_load((EXAMPLES / "tekton-task.yaml").read_text())["spec"]["steps"]
    script = step["script"].replace("$(results.address.path)", "/results/address") + "\ncat /results/address"
    output, code = pod(registered, script, [], step["securityContext"], COLLECTION="example")

    assert code == 0
    assert output.splitlines()[-1].endswith(registered.stores("example")[0]["id"])


class TestIngest:
    """`ingest_*.yaml`: a pod that starts with the address, which its init container writes."""

    def example(self, room: Room, file: str, collection: str) -> str:
        """Return a manifest with the image that is there, and with another collection, whose address it prints."""
        room.configmap("llamastack-config", run_yaml=collections(collection))
        text = (EXAMPLES / file).read_text()
        for said, put in (
            # First, since what the other one becomes may end with it.
            (IMAGE, room.facts.image or IMAGE),
            ("registry.example/team/ingestion:1.0.0", room.facts.image or IMAGE),
            ("red_hat_docs", collection),
            ("RED_HAT_DOCS", collection.upper()),
            ("exec ingest --vector-store", "exec echo started with"),
            ("exec assistant --vector-store", "exec echo started with"),
        ):
            text = text.replace(said, put)
        return text

    def test_the_job_starts_with_the_address(self, room: Room) -> None:
        room.install(config=collections("ingest_by_job"))
        assert room.outcome().complete
        room.must("apply", "-f", "-", stdin=self.example(room, "ingest_job.yaml", "ingest_by_job"))

        assert room.outcome("ingest").complete
        (store,) = room.stores("ingest_by_job")
        assert room.must("logs", "job/ingest", "-c", "ingest") == f"started with {store['id']}\n"

    def test_the_job_does_not_start_without_a_usable_collection(self, room: Room) -> None:
        """And its init container says why."""
        room.must("apply", "-f", "-", stdin=self.example(room, "ingest_job.yaml", "ingest_in_vain"))

        def failed() -> Any:
            return next((pod for pod in room.pods("ingest") if pod["status"]["phase"] == "Failed"), None)

        status = room.api.until("the first pod fails", failed)["status"]
        (init,), (main,) = status["initContainerStatuses"], status["containerStatuses"]
        assert init["state"]["terminated"]["exitCode"] == 5
        assert "'ingest_in_vain' is missing" in init["state"]["terminated"]["message"]
        assert not main["started"]
        assert "terminated" not in main["state"]

    @pytest.mark.needs("Helm")
    def test_the_helm_hook_starts_after_the_charts_own(self, room: Room) -> None:
        """Both charts are of one release: the weights say which hook is first."""
        chart = room.folder / "chart"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: ingestion\nversion: 1.0.0\n")
        shutil.copytree(ROOT / "manifests" / "helm" / HOOK, chart / "charts" / HOOK)
        repository, _, tag = (room.facts.image or f"registry.example/team/{IMAGE}").rpartition(":")
        values = {"image": {"repository": repository, "tag": tag}, "existingConfigMap": {"name": "llamastack-config"}}
        (chart / "values.yaml").write_text(json.dumps({HOOK: values}))
        text = self.example(room, "ingest_helm_hook.yaml", "ingest_by_hook")
        (chart / "templates" / "ingest.yaml").write_text(text)
        done = run("helm", "install", "ingestion", chart, "--namespace", room.name)

        assert done.returncode == 0, done.stderr
        (store,) = room.stores("ingest_by_hook")
        assert room.must("logs", "job/ingest", "-c", "ingest") == f"started with {store['id']}\n"

    @pytest.mark.long(40)
    def test_the_deployment_waits_until_the_collection_is_usable(self, room: Room) -> None:
        room.must("apply", "-f", "-", stdin=self.example(room, "ingest_deployment.yaml", "ingest_by_app"))

        def state() -> Any:
            pods = room.api.get(room.name, "pods", labelSelector="app.kubernetes.io/name=assistant")
            return pods[0]["status"].get("initContainerStatuses", [{}])[0] if pods else {}

        room.api.until("its init container has failed", lambda: state().get("restartCount", 0) >= 1)
        room.install(config=collections("ingest_by_app"))
        assert room.outcome().complete
        room.api.until("its init container is done", lambda: state().get("ready"))

        (store,) = room.stores("ingest_by_app")

        def started() -> bool:
            logs = room.kubectl("logs", "deployment/assistant", "-c", "assistant").stdout
            return f"started with {store['id']}" in logs

        room.api.until("it starts with the address", started)
