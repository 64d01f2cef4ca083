"""The base twice in one namespace, and its settings written once."""

from typing import Any

import pytest
import yaml

from tests.manifests.renderings import COMPONENTS, NAME, NAMESPACE, PUBLISHED, environment, job_specs, kustomize, one

SECOND = f"{NAME}-b"


@pytest.fixture(scope="module")
def second() -> list[Any]:
    """Return the base with each component, as a second server's hook in the namespace."""
    done = kustomize(
        {
            "namespace": NAMESPACE,
            "nameSuffix": "-b",
            "resources": ["../manifests/base"],
            "components": [f"../manifests/components/{component}" for component in COMPONENTS],
        }
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def found(objects: list[Any], kind: str, name: str = SECOND) -> Any:
    """Return the only object of that kind and name."""
    (only,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return only


def test_no_object_has_a_name_of_the_first(second: list[Any]) -> None:
    assert [each["metadata"]["name"] for each in second if not each["metadata"]["name"].endswith("-b")] == []


def test_both_its_pods_publish_under_a_name_of_its_own(second: list[Any]) -> None:
    """Which its Role names, too; the ConfigMap itself is the hook's to write."""
    job = found(second, "Job")["spec"]
    (container,) = job["template"]["spec"]["containers"]

    assert {"name": "HOOK_PUBLISH_CONFIGMAP", "value": f"{PUBLISHED}-b"} in container["env"]
    assert found(second, "CronJob")["spec"]["jobTemplate"]["spec"] == job
    assert found(second, "Role")["rules"][0]["resourceNames"] == [f"{PUBLISHED}-b"]
    assert f"{PUBLISHED}-b" not in {each["metadata"]["name"] for each in second}


def test_both_its_pods_read_its_own_configmaps(second: list[Any]) -> None:
    pod = found(second, "Job")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert container["envFrom"] == [{"configMapRef": {"name": f"{NAME}-settings-b", "optional": True}}]
    assert {"name": "config", "configMap": {"name": SECOND}} in pod["volumes"]
    assert pod["serviceAccountName"] == SECOND


def test_a_setting_is_written_once_for_both_pods() -> None:
    """It joins the settings of the base, whose ConfigMap keeps its name."""
    hook, on_request = job_specs("own")

    assert hook == on_request
    assert environment("own") == environment("base") | {"HOOK_ON_LOST": "recreate"}
    assert one("own", "ConfigMap", f"{NAME}-settings")["data"] == environment("own")


def test_a_setting_of_the_base_can_be_replaced() -> None:
    """Also over an overlay with a namespace of its own."""
    literals = ["LLAMA_STACK_URL=http://other:8321"]
    done = kustomize(
        {
            "namespace": "other",
            "resources": ["../manifests/overlays/stage02"],
            "configMapGenerator": [{"name": f"{NAME}-settings", "behavior": "merge", "literals": literals}],
        }
    )

    settings = found(list(yaml.safe_load_all(done.stdout)), "ConfigMap", f"{NAME}-settings")
    assert settings["data"]["LLAMA_STACK_URL"] == "http://other:8321"
    assert settings["data"]["HOOK_CONFIG"] == "/config/run.yaml"
