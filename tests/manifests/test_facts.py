"""One test a mistake that others made with such a Job, and that the manifests avoid.

No cluster is needed for these assertions on the renderings; the mistakes with their sources are Argo CD's,
Kubernetes' and OpenShift's own issues and documentation.
"""

import copy
import re
from typing import Any

import pytest

from hook.errors import ExitCode
from tests.manifests.renderings import (
    CHARTS,
    EVERY,
    EXISTING,
    KUSTOMIZED,
    NAME,
    OPERATED,
    PUBLISHED,
    ROOT,
    container,
    deployment,
    environment,
    is_operated,
    job_specs,
    objects,
    one,
    pod,
    publishes,
    waits,
)
from tests.pages import PAGES

HELM_TIMEOUT_SECONDS = 300
"""How long Helm waits by default."""

every_rendering = pytest.mark.parametrize("name", EVERY)


def annotations(manifest: Any) -> dict[str, str]:
    found: dict[str, str] = manifest["metadata"].get("annotations", {})
    return found


def hook_annotations(manifest: Any) -> dict[str, str]:
    return {key: value for key, value in annotations(manifest).items() if "argocd" in key or "helm.sh/hook" in key}


@every_rendering
def test_the_job_outlives_the_budget_of_the_program(name: str) -> None:
    """PostSync does not mean that the server is ready."""
    spec, _ = job_specs(name)
    tries = spec["backoffLimit"] + 1
    waits = sum(10 * 2**n for n in range(tries - 1))

    assert spec["activeDeadlineSeconds"] > tries * float(environment(name)["HOOK_TIMEOUT_SECONDS"]) + waits


@pytest.mark.parametrize("name", KUSTOMIZED)
def test_nothing_waits_for_the_hook_to_become_ready(name: str) -> None:
    """A hook of an earlier phase, or one that gates an app's readiness, waits for what waits for it."""
    assert [annotations(o)["argocd.argoproj.io/hook"] for o in objects(name) if hook_annotations(o)] == ["PostSync"]


@pytest.mark.parametrize("name", KUSTOMIZED)
def test_an_old_job_never_blocks_the_next_sync(name: str) -> None:
    """«field is immutable»: Argo CD deletes the last Job, which it finds by its name."""
    job = one(name, "Job")

    assert annotations(job)["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    assert "generateName" not in job["metadata"]


@pytest.mark.parametrize("name", CHARTS)
def test_an_old_job_never_blocks_the_next_upgrade(name: str) -> None:
    job = one(name, "Job")

    assert annotations(job)["helm.sh/hook"] == "post-install,post-upgrade"
    assert annotations(job)["helm.sh/hook-delete-policy"] == "before-hook-creation"
    assert job["metadata"]["name"] == NAME


@every_rendering
def test_no_job_is_gone_before_argo_cd_has_seen_its_end(name: str) -> None:
    for spec in job_specs(name):
        assert "ttlSecondsAfterFinished" not in spec


@every_rendering
def test_the_last_runs_by_hand_are_kept(name: str) -> None:
    """The CronJob deletes them, too."""
    cronjob = one(name, "CronJob")["spec"]

    assert cronjob["successfulJobsHistoryLimit"] >= 3
    assert cronjob["failedJobsHistoryLimit"] >= 3


@every_rendering
def test_a_job_that_cannot_start_ends(name: str) -> None:
    """An image that cannot be pulled hangs a sync; the deadline of a pod would not end the Job."""
    for spec in job_specs(name):
        assert spec["activeDeadlineSeconds"] <= 900
        assert "activeDeadlineSeconds" not in spec["template"]["spec"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_helm_hook_ends_before_helm_gives_up(name: str) -> None:
    for spec in job_specs(name):
        assert spec["activeDeadlineSeconds"] < HELM_TIMEOUT_SECONDS


@every_rendering
def test_what_never_works_later_is_not_tried_again(name: str) -> None:
    for spec in job_specs(name):
        fail = spec["podFailurePolicy"]["rules"][0]
        assert fail["action"] == "FailJob"
        assert fail["onExitCodes"] == {
            "containerName": container(name)["name"],
            "operator": "In",
            "values": [ExitCode.CONFIG, ExitCode.REFUSED, ExitCode.MISMATCH, ExitCode.UNPUBLISHED],
        }
        assert spec["backoffLimit"] <= 3


@every_rendering
def test_a_drained_node_is_no_failure(name: str) -> None:
    for spec in job_specs(name):
        ignore = spec["podFailurePolicy"]["rules"][1]
        assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@every_rendering
def test_a_failed_pod_keeps_its_log_and_its_reason(name: str) -> None:
    """With OnFailure the pod is gone with the last try, and HookFailed would delete it."""
    assert pod(name)["spec"]["restartPolicy"] == "Never"
    assert container(name)["terminationMessagePolicy"] == "FallbackToLogsOnError"
    hooks = [hook_annotations(o) for o in objects(name)]
    deleted = {policy for hook in hooks for key, policy in hook.items() if key.endswith("hook-delete-policy")}
    assert not re.search("hook-?(failed|succeeded)", str(deleted), re.IGNORECASE)


@every_rendering
def test_the_program_itself_decides_about_success(name: str) -> None:
    """No shell around it, which would end with the exit code of something else; and it registers, not only checks."""
    assert not {"command", "args"} & container(name).keys()


@every_rendering
def test_no_sidecar_keeps_the_job_alive(name: str) -> None:
    template = pod(name)

    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert annotations(template)["sidecar.istio.io/inject"] == "false"
    assert "initContainers" not in template["spec"]


@every_rendering
def test_a_new_image_or_setting_makes_the_app_out_of_sync(name: str) -> None:
    """A hook is not part of the diff; the CronJob is, and carries the same."""
    hook, tracked = job_specs(name)

    assert hook_annotations(one(name, "CronJob")) == {}
    assert tracked["template"] == hook["template"]


@every_rendering
def test_the_configuration_has_one_name_for_ever(name: str) -> None:
    """A ConfigMap with a hash in its name is left behind, or pruned under a running pod."""
    expected = {NAME, f"{NAME}-settings", f"{NAME}-service-ca", "llamastack-config"}

    assert {o["metadata"]["name"] for o in objects(name) if o["kind"] == "ConfigMap"} <= expected


@every_rendering
def test_only_the_job_is_a_hook(name: str) -> None:
    """A ConfigMap or ServiceAccount that is a hook is not tracked, and deleted too early. Helm's test is one, too."""
    assert sorted(o["kind"] for o in objects(name) if hook_annotations(o)) == ["Job", "Pod"][: 1 + (name in CHARTS)]


@pytest.mark.parametrize("name", CHARTS)
def test_helms_test_is_the_hooks_pod_with_check(name: str) -> None:
    """It changes nothing; its log is there for `--logs`, and until the next test."""
    test = one(name, "Pod", f"{NAME}-check")
    expected = copy.deepcopy(pod(name)["spec"])
    expected["containers"][0]["args"] = ["check"]

    assert test["spec"] == expected
    assert hook_annotations(test) == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation",
        "helm.sh/hook-output-log-policy": "hook-failed",
    }


@pytest.mark.parametrize("name", CHARTS)
def test_helm_prints_the_log_of_a_failed_hook(name: str) -> None:
    assert hook_annotations(one(name, "Job"))["helm.sh/hook-output-log-policy"] == "hook-failed"


@every_rendering
def test_a_job_can_be_made_from_the_cronjob(name: str) -> None:
    """`oc create job --from` copies the template's metadata: nothing there may make the copy a hook, or tracked."""
    cronjob = one(name, "CronJob")
    template = cronjob["spec"]["jobTemplate"]["metadata"]

    assert cronjob["spec"]["suspend"] is not ("self-heal" in name or name == "chart+all")
    assert template == {"labels": {"app.kubernetes.io/name": NAME}}
    assert len(cronjob["metadata"]["name"]) <= 52


@every_rendering
def test_ending_the_suspension_starts_no_run_of_long_ago(name: str) -> None:
    assert one(name, "CronJob")["spec"]["startingDeadlineSeconds"] <= 600


@every_rendering
def test_the_pod_passes_restricted_v2(name: str) -> None:
    """OpenShift assigns the IDs: a pod that asks for its own is rejected."""
    spec = pod(name)["spec"]

    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in spec["volumes"] for kind in volume} <= {"name", "configMap", "emptyDir", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


def test_the_image_has_a_numeric_user() -> None:
    """The kubelet cannot tell whether a name is root, and runAsNonRoot then rejects the pod."""
    users = re.findall(r"^USER (\S+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)

    assert users[-1] == "1001"


def rights(name: str) -> list[Any]:
    """Return what is about rights in the cluster."""
    return [o for o in objects(name) if "rbac" in o["apiVersion"]]


@every_rendering
def test_the_pod_has_no_right_in_the_cluster(name: str) -> None:
    """And not those that somebody grants another workload, unless it publishes or waits for a rollout."""
    assert pod(name)["spec"]["serviceAccountName"] == NAME
    assert pod(name)["spec"]["automountServiceAccountToken"] is (publishes(name) or waits(name))
    assert one(name, "ServiceAccount")["automountServiceAccountToken"] is False
    expected = [NAME] * publishes(name) + [f"{NAME}-rollout"] * waits(name)
    for kind in ("Role", "RoleBinding"):
        assert sorted(o["metadata"]["name"] for o in rights(name) if o["kind"] == kind) == expected


@pytest.mark.parametrize("name", [name for name in EVERY if publishes(name)])
def test_publishing_may_write_one_configmap_and_nothing_else(name: str) -> None:
    """A Role that may create any ConfigMap may write those that others trust; apply asks for `create` by name."""
    role, binding = one(name, "Role"), one(name, "RoleBinding")

    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [PUBLISHED],
            "verbs": ["get", "patch", "create"],
        }
    ]
    assert environment(name)["HOOK_PUBLISH_CONFIGMAP"] == PUBLISHED
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }


OPERATORS = {
    "ogx-server": ("ogx.io", "ogxservers"),
    "llama-stack-distribution": ("llamastack.io", "llamastackdistributions"),
}
"""Group and resource of what an operator runs, by overlay."""


@pytest.mark.parametrize("name", [name for name in EVERY if waits(name)])
def test_waiting_may_read_what_tells_of_it_and_nothing_else(name: str) -> None:
    """One Deployment; and where an operator makes it, that operator's resource and the server's ConfigMap."""
    role, binding = one(name, "Role", f"{NAME}-rollout"), one(name, "RoleBinding", f"{NAME}-rollout")
    wanted = [(["apps"], ["deployments"], deployment(name))]
    if is_operated(name):
        kind = name.split("+")[0]
        wanted += [
            ([OPERATORS[kind][0]], [OPERATORS[kind][1]], OPERATED[kind]),
            ([""], ["configmaps"], f"{OPERATED[kind]}-config"),
        ]
    if name in CHARTS:
        # Which operator, if any, its values do not say.
        groups, resources = zip(*OPERATORS.values(), strict=True)
        wanted += [([*groups], [*resources], deployment(name))]
        wanted += [([""], ["configmaps"], EXISTING)] * (name == "chart+existing")

    assert role["rules"] == [
        {"apiGroups": groups, "resources": resources, "resourceNames": [named], "verbs": ["get"]}
        for groups, resources, named in wanted
    ]
    assert environment(name)["HOOK_WAIT_FOR_DEPLOYMENT"] == deployment(name)
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


@pytest.mark.parametrize("name", [name for name in EVERY if publishes(name) or waits(name)])
def test_the_right_is_the_hooks_alone(name: str) -> None:
    """Of that one namespace."""
    namespace = "demo" if name in CHARTS else one(name, "Job")["metadata"]["namespace"]
    for binding in (o for o in rights(name) if o["kind"] == "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}]


@every_rendering
def test_what_is_published_is_not_what_is_read(name: str) -> None:
    """The hook would add its addresses to a configuration that somebody else owns; and Git has no such ConfigMap."""
    assert PUBLISHED not in {volume.get("configMap", {}).get("name") for volume in pod(name)["spec"]["volumes"]}
    assert PUBLISHED not in {o["metadata"]["name"] for o in objects(name)}


@every_rendering
def test_no_service_sends_the_pod_requests_its_own_arrive(name: str) -> None:
    """The Service `llamastack` selects `app: llama-stack`; the operator's NetworkPolicy admits its part-of label."""
    labels = pod(name)["metadata"]["labels"]

    assert "app" not in labels
    assert labels["app.kubernetes.io/name"] == NAME
    assert labels["app.kubernetes.io/part-of"] == "llama-stack"
    assert "app.kubernetes.io/instance" not in labels


@every_rendering
def test_no_service_writes_into_the_environment(name: str) -> None:
    assert pod(name)["spec"]["enableServiceLinks"] is False


@every_rendering
def test_nothing_is_a_hook_of_both_argo_cd_and_helm(name: str) -> None:
    """Where both are given, one silently wins."""
    assert ("helm.sh/hook" in str(objects(name))) == (name in CHARTS)
    assert ("argocd.argoproj.io/hook" in str(objects(name))) == (name in KUSTOMIZED)


def test_it_is_documented_how_to_see_that_the_hook_failed() -> None:
    """The app looks Healthy all the same."""
    assert "operationState.phase" in "".join(PAGES.values())


@every_rendering
def test_one_run_at_a_time(name: str) -> None:
    for spec in job_specs(name):
        assert spec.get("parallelism", 1) == spec.get("completions", 1) == 1
    assert one(name, "CronJob")["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize("name", ["stage02", "chart+existing"])
def test_the_key_of_the_servers_configmap_can_be_changed(name: str) -> None:
    """run.yaml in this release, config.yaml in newer ones."""
    (volume,) = (v["configMap"] for v in pod(name)["spec"]["volumes"] if v["name"] == "config")

    assert volume == {"name": "llamastack-config", "items": [{"key": "run.yaml", "path": "run.yaml"}]}


@every_rendering
def test_the_image_never_moves(name: str) -> None:
    assert re.search(r"(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})$", container(name)["image"])
    assert container(name)["imagePullPolicy"] == "IfNotPresent"


@every_rendering
def test_the_container_says_what_it_needs(name: str) -> None:
    """Else a LimitRange decides."""
    for resource in ("requests", "limits"):
        assert container(name)["resources"][resource].keys() == {"cpu", "memory"}
