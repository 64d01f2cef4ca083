"""What `manifests/argocd` gives Argo CD, as Argo CD's own program evaluates it."""

import json
import os
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
STATUSES: dict[str, tuple[Any, str, str]] = {
    "none": (None, "Progressing", "the operator has not looked at it yet"),
    "empty": ({}, "Progressing", "the operator has not looked at it yet"),
    "pending": ({"phase": "Pending", "conditions": []}, "Progressing", "Pending"),
    "initializing": (
        {
            "phase": "Initializing",
            "availableReplicas": 0,
            "conditions": [
                {"type": "StorageReady", "status": "True", "reason": "StorageReady", "message": "PVC is bound"},
                {"type": "DeploymentReady", "status": "False", "reason": "Pending", "message": "0/1 replicas ready"},
            ],
        },
        "Progressing",
        "Initializing; DeploymentReady: 0/1 replicas ready",
    ),
    "failed": (
        {
            "phase": "Failed",
            "conditions": [{"type": "HealthCheck", "status": "False", "reason": "Failed", "message": "timed out"}],
        },
        "Progressing",
        "Failed; HealthCheck: timed out",
    ),
    "ready": (
        {
            "phase": "Ready",
            "availableReplicas": 1,
            "serviceURL": "http://ogx-service.ai.svc.cluster.local:8321",
            "conditions": [{"type": "HealthCheck", "status": "True", "reason": "Passed", "message": "healthy"}],
        },
        "Healthy",
        "Ready",
    ),
    "terminating": ({"phase": "Terminating"}, "Progressing", "Terminating"),
}
"""What an operator writes, the health of it, and its message."""


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_server_is_healthy_once_it_is_ready(kind: str, status: str, tmp_path: Path) -> None:
    """And never Degraded, which ends a sync: one failed request of the operator makes it Failed for a moment."""
    found, health, message = STATUSES[status]
    server = {"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": "ogx"}, "spec": {}}
    if found is not None:
        server["status"] = found
    path = tmp_path / "server.yaml"
    path.write_text(json.dumps(server))

    done = argocd("settings", "resource-overrides", "health", path, "--argocd-cm-path", CONFIGMAP)

    assert done.stdout.splitlines() == [f"STATUS: {health}", f"MESSAGE: {message}"]


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
        f"The reason: oc logs -n ai job/{NAME}",
    ]


def test_the_hook_has_the_name_that_the_trigger_looks_for() -> None:
    (trigger,) = yaml.safe_load(yaml.safe_load(NOTIFICATIONS.read_text())["data"][f"trigger.{TRIGGER}"])

    assert f'#.name == "{one("base", "Job")["metadata"]["name"]}"' in trigger["when"]


def test_each_command_of_the_pages_is_one_of_its_program() -> None:
    """With each flag."""
    found = [words[1:] for page in PAGES.values() for words in commands(page, "argocd")]

    assert ["app", "sync", "APP"] in found
    for words in found:
        shown = program(*words[:2], "--help")
        assert shown.returncode == 0
        assert f"argocd {' '.join(words[:2])} " in shown.stdout
        assert [word for word in words if word.startswith("-") and word.split("=")[0] not in shown.stdout] == []
