"""What `manifests/argocd` gives Argo CD, as Argo CD's own program evaluates it."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.renderings import MANIFESTS, NAME, one, tool
from tests.pages import PAGES, commands

CONFIGMAP = MANIFESTS / "argocd" / "argocd-cm.yaml"
OPENSHIFT = MANIFESTS / "argocd" / "openshift-gitops.yaml"
NOTIFICATIONS = MANIFESTS / "argocd" / "argocd-notifications-cm.yaml"
TRIGGER = "on-register-collections-failed"
TEMPLATE = "register-collections-failed"

KINDS = {"OGXServer": "ogx.io/v1beta1", "LlamaStackDistribution": "llamastack.io/v1alpha1"}
WAITING = {"type": "HealthCheck", "status": "False", "reason": "HealthCheckFailed", "message": "Deployment not ready"}
SERVICE = {"type": "ServiceReady", "status": "True", "reason": "ServiceReady", "message": "Service is ready"}
PASSED = {"type": "HealthCheck", "status": "True", "reason": "HealthCheckPassed", "message": "Health check passed"}


def rolling(message: str) -> dict[str, str]:
    """Return the condition of a Deployment that is not as it is to be."""
    return {"type": "DeploymentReady", "status": "False", "reason": "DeploymentFailed", "message": message}


STATUSES: dict[str, tuple[Any, str, str]] = {
    "none": (None, "Progressing", "the operator has not looked at it yet"),
    "empty": ({}, "Progressing", "the operator has not looked at it yet"),
    "pending": (
        {"phase": "Pending", "availableReplicas": 0, "conditions": [rolling("Deployment is pending"), WAITING]},
        "Progressing",
        "Pending; DeploymentReady: Deployment is pending; HealthCheck: Deployment not ready",
    ),
    "initializing": (
        {
            "phase": "Initializing",
            "availableReplicas": 1,
            "conditions": [rolling("Deployment is scaling: 1/2 replicas ready"), SERVICE, WAITING],
        },
        "Progressing",
        "Initializing; DeploymentReady: Deployment is scaling: 1/2 replicas ready; HealthCheck: Deployment not ready",
    ),
    "failed": (
        {"phase": "Failed", "conditions": [rolling("Resource reconciliation failed: ConfigMap not found")]},
        "Progressing",
        "Failed; DeploymentReady: Resource reconciliation failed: ConfigMap not found",
    ),
    "ready": (
        {
            "phase": "Ready",
            "availableReplicas": 1,
            "serviceURL": "http://ogx-service.ai.svc.cluster.local:8321",
            "conditions": [SERVICE, PASSED],
        },
        "Healthy",
        "Ready",
    ),
    "terminating": ({"phase": "Terminating"}, "Progressing", "Terminating"),
}
"""What an operator writes (that of OGX 0.14.0, of LlamaStack 0.9.0), the health of it, and its message."""


def argocd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the administrator's commands, which must succeed, on files alone: there is no such API server."""
    done = program("admin", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run argocd, and not one of the other programs that it is."""
    environ = os.environ | {"ARGOCD_BINARY_NAME": "argocd"}
    command = [tool("argocd"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def checks() -> dict[str, str]:
    """Return the health checks of OpenShift's manifest, each under the key that it has in argocd-cm."""
    listed = yaml.safe_load(OPENSHIFT.read_text())["spec"]["resourceHealthChecks"]
    return {f"resource.customizations.health.{each['group']}_{each['kind']}": each["check"] for each in listed}


def health(kind: str, folder: Path, **server: Any) -> list[str]:
    """Return what Argo CD says of a server with this spec and status."""
    path = folder / "server.yaml"
    path.write_text(json.dumps({"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": "ogx"}, **server}))
    done = argocd("settings", "resource-overrides", "health", path, "--argocd-cm-path", CONFIGMAP)
    return done.stdout.splitlines()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_server_is_healthy_once_it_is_ready(kind: str, status: str, tmp_path: Path) -> None:
    """And never Degraded, which ends a sync: one failed request of the operator makes it Failed for a moment."""
    found, expected, message = STATUSES[status]
    server = {} if found is None else {"status": found}

    assert health(kind, tmp_path, spec={}, **server) == [f"STATUS: {expected}", f"MESSAGE: {message}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("autoscaling", "available", "expected"),
    [
        ({"maxReplicas": 5}, 3, "Healthy"),
        ({"maxReplicas": 5}, 0, "Progressing"),
        ({"maxReplicas": 5, "minReplicas": 2}, 2, "Healthy"),
        ({"maxReplicas": 5, "minReplicas": 2}, 1, "Progressing"),
        ({"maxReplicas": 5, "minReplicas": 0}, 0, "Progressing"),
        (None, 3, "Progressing"),
    ],
)
def test_one_that_an_autoscaler_has_scaled_is_healthy(
    kind: str, autoscaling: dict[str, int] | None, available: int, expected: str, tmp_path: Path
) -> None:
    """Its operator counts by `replicas`, and says Initializing as long as there are more."""
    part = "workload" if kind == "OGXServer" else "server"
    spec = {part: {"autoscaling": autoscaling} if autoscaling else {"distribution": {}}}
    scaling = rolling(f"Deployment is scaling down: {available}/1 replicas ready")
    status = {"phase": "Initializing", "availableReplicas": available, "conditions": [scaling, WAITING]}

    assert health(kind, tmp_path, spec=spec, status=status)[0] == f"STATUS: {expected}"


def test_no_message_blames_a_configuration_of_ones_own(tmp_path: Path) -> None:
    """The operator then says that it generates none, also where all is well; a generation that failed is told."""
    inactive = {"type": "ConfigGenerated", "status": "False", "message": "Declarative config generation is not active"}
    status = {"phase": "Initializing", "conditions": [inactive | {"reason": "ConfigGenerationInactive"}, WAITING]}
    failed = {"phase": "Failed", "conditions": [inactive | {"reason": "ConfigGenerationFailed", "message": "no model"}]}

    assert health("OGXServer", tmp_path, status=status)[1] == "MESSAGE: Initializing; HealthCheck: Deployment not ready"
    assert health("OGXServer", tmp_path, status=failed)[1] == "MESSAGE: Failed; ConfigGenerated: no model"


def test_openshift_gitops_gets_the_same_checks() -> None:
    assert checks() == yaml.safe_load(CONFIGMAP.read_text())["data"]


def test_both_kinds_are_checked_alike() -> None:
    assert len(checks()) == len(KINDS)
    assert len({*checks().values()}) == 1


def application(**states: Any) -> dict[str, Any]:
    """Return an app after a sync, with the hook's result as `states` has it."""
    tracked = {"group": "batch", "namespace": "ai", "name": NAME, "status": "Synced", "message": "unchanged"}
    hook = {
        "kind": "Job",
        "hookType": "PostSync",
        "hookPhase": "Failed",
        "message": "Container register-collections failed with exit code 4 matching FailJob rule at index 0",
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "stage02", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "ai"}},
        "status": {
            "operationState": {
                "phase": "Failed",
                "startedAt": "2026-11-22T09:00:00Z",
                "syncResult": {
                    "revision": "abc",
                    "resources": [tracked | {"kind": "CronJob"}, tracked | hook | states],
                },
            }
        },
    }


def running() -> dict[str, Any]:
    app = application()
    app["status"]["operationState"]["phase"] = "Running"
    return app


def without_result() -> dict[str, Any]:
    """Return an app whose sync could not even begin."""
    app = application()
    del app["status"]["operationState"]["syncResult"]
    return app


def notify(what: str, action: str, name: str, app: dict[str, Any], folder: Path, *options: str) -> str:
    path = folder / "app.yaml"
    path.write_text(json.dumps(app))
    files = ["--config-map", str(NOTIFICATIONS), "--secret", ":empty", "--server", "http://127.0.0.1:1"]
    return argocd("notifications", what, action, name, path, *files, *options).stdout


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (application(), "true"),
        (application(hookPhase="Error"), "true"),
        (application(hookPhase="Succeeded"), "false"),
        (application(hookType="PreSync"), "false"),
        (application(name="other"), "false"),
        (running(), "false"),
        (without_result(), "false"),
        (application() | {"status": {}}, "false"),
    ],
    ids=["failed", "error", "succeeded", "another-phase", "another-hook", "running", "no-result", "new"],
)
def test_the_trigger_is_for_the_failed_hook_alone(app: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert notify("trigger", "run", TRIGGER, app, tmp_path).split()[-1] == expected


def test_the_trigger_sends_the_template() -> None:
    data = yaml.safe_load(NOTIFICATIONS.read_text())["data"]
    (trigger,) = yaml.safe_load(data[f"trigger.{TRIGGER}"])

    assert trigger["send"] == [TEMPLATE]
    assert data.keys() == {f"trigger.{TRIGGER}", f"template.{TEMPLATE}"}


def test_the_message_has_the_job_s_reason_and_where_its_log_is(tmp_path: Path) -> None:
    """The exit code is in the Job's message; a namespace may have several apps."""
    sent = notify("template", "notify", TEMPLATE, application(), tmp_path, "--recipient", "console:stdout")

    assert yaml.safe_load(sent)["message"].splitlines() == [
        "stage02: the hook register-collections failed.",
        "Container register-collections failed with exit code 4 matching FailJob rule at index 0",
        f"The reason: kubectl logs -n ai job/{NAME}",
    ]


def test_the_hook_has_the_name_that_the_trigger_looks_for() -> None:
    (trigger,) = yaml.safe_load(yaml.safe_load(NOTIFICATIONS.read_text())["data"][f"trigger.{TRIGGER}"])

    (part,) = re.findall(r'#.name contains "(.+)"', trigger["when"])
    assert part in one("base", "Job")["metadata"]["name"]


def test_each_command_of_the_pages_is_one_of_its_program() -> None:
    """With each flag."""
    found = [words[1:] for page in PAGES.values() for words in commands(page, "argocd")]

    assert ["app", "sync", "APP"] in found
    for words in found:
        shown = program(*words[:2], "--help")
        assert shown.returncode == 0
        assert f"argocd {' '.join(words[:2])} " in shown.stdout
        assert [word for word in words if word.startswith("-") and word.split("=")[0] not in shown.stdout] == []
