"""What the chart takes from its values besides the program's settings, in Helm 4 and in Helm 3."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.renderings import (
    CHART,
    CHARTS,
    COLLECTIONS,
    MANIFESTS,
    NAME,
    RELEASE,
    helm_template,
    one,
    render,
    run,
    text,
    tool,
)
from tests.pages import PAGES, blocks

SCHEDULING: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
}
VALUES: dict[str, Any] = SCHEDULING | {
    "collections": COLLECTIONS,
    "commonLabels": {"team": "rag"},
    "commonAnnotations": {"owner": "rag"},
    "podLabels": {"team": "rag-pods"},
    "podAnnotations": {"scrape": "no"},
    "extraInitContainers": [{"name": "wait", "image": "registry.example/team/wait:1"}],
    "serviceAccount": {"annotations": {"role": "rag"}},
    "ttlSecondsAfterFinished": 0,
    "prometheusRule": {"enabled": True, "labels": {"release": "monitoring", "team": "x"}},
    "serviceCa": {"enabled": True},
    "publishConfigMap": "addresses",
    "waitForDeployment": "llama-stack",
}


def rendered(values: dict[str, Any], folder: Path, release: str = RELEASE) -> list[Any]:
    """Return the objects that these values make."""
    path = folder / "values.yaml"
    path.write_text(json.dumps(values))
    done = helm_template(MANIFESTS / CHART, "--values", str(path), release=release)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(objects: list[Any], kind: str) -> Any:
    """Return the only object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def templates(objects: list[Any]) -> list[Any]:
    """Return the pod of the Job, and that of the CronJob's Jobs."""
    job = of_kind(objects, "Job")["spec"]
    return [each["template"] for each in (job, of_kind(objects, "CronJob")["spec"]["jobTemplate"]["spec"])]


@pytest.fixture
def objects(tmp_path: Path) -> list[Any]:
    """Return what the values above make."""
    return rendered(VALUES, tmp_path)


def test_both_pods_are_scheduled_as_the_values_say(objects: list[Any]) -> None:
    for template in templates(objects):
        assert SCHEDULING.items() <= template["spec"].items()
        assert template["spec"]["initContainers"] == VALUES["extraInitContainers"]


def test_both_pods_have_the_labels_of_the_values(objects: list[Any]) -> None:
    """A label of the pod comes before a common one; none is there twice."""
    for template in templates(objects):
        assert template["metadata"]["labels"]["team"] == "rag-pods"
        assert template["metadata"]["annotations"] == {"scrape": "no", "sidecar.istio.io/inject": "false"}


def test_each_object_has_the_common_labels(objects: list[Any]) -> None:
    """Those of Helm's guide; a test's pod has only those that its siblings have."""
    for each in (each for each in objects if each["kind"] != "Pod"):
        assert each["metadata"]["labels"].items() >= {
            ("app.kubernetes.io/name", NAME),
            ("app.kubernetes.io/instance", RELEASE),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("team", "rag"),
        }
        assert each["metadata"]["annotations"]["owner"] == "rag"


def test_the_objects_are_valid(objects: list[Any], tmp_path: Path) -> None:
    """By the schemas of Kubernetes; a PrometheusRule is none of its own."""
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(each for each in objects if each["kind"] != "PrometheusRule"))

    done = run(tool("kubernetes-validate"), "--strict", path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_jobs_of_the_cronjob_are_deleted_in_time(objects: list[Any]) -> None:
    """Argo CD waits for the hook's own Job until it has seen its end."""
    assert of_kind(objects, "CronJob")["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 0
    assert "ttlSecondsAfterFinished" not in of_kind(objects, "Job")["spec"]


def test_a_label_of_the_alerts_is_there_once(objects: list[Any]) -> None:
    labels = of_kind(objects, "PrometheusRule")["metadata"]["labels"]

    assert (labels["release"], labels["team"]) == ("monitoring", "rag")


def test_the_alerts_are_those_of_the_component(objects: list[Any]) -> None:
    """But for the names: a release knows its own, and the component takes any suffix."""
    component = json.dumps(one("base+alerts", "PrometheusRule")["spec"])
    for pattern in (f'job_name=~".*{NAME}.*", job_name!~".+-[0-9]{{8}}"', f'cronjob=~".*{NAME}.*"'):
        found = json.dumps(pattern)[1:-1]
        assert found in component
        component = component.replace(found, json.dumps(f'{pattern.partition("=")[0]}="{NAME}"')[1:-1])

    assert of_kind(objects, "PrometheusRule")["spec"] == json.loads(component)


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        (RELEASE, {}, NAME),
        (NAME, {}, NAME),
        ("rag", {}, f"rag-{NAME}"),
        ("rag", {"nameOverride": "register"}, "rag-register"),
        ("rag", {"fullnameOverride": "hook"}, "hook"),
        ("r" * 53, {}, "r" * 52),
    ],
)
def test_the_objects_are_called_as_helms_guide_has_it(
    release: str, values: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """A release named as the end of the chart's name does not say it twice. A CronJob's name has 52 characters."""
    made = rendered(values | {"collections": COLLECTIONS}, tmp_path, release)

    assert {each["metadata"]["name"] for each in made if each["kind"] != "Pod"} == {name}
    (volume,) = (v for v in templates(made)[0]["spec"]["volumes"] if v["name"] == "config")
    assert volume["configMap"]["name"] == name


@pytest.mark.parametrize(
    ("account", "name", "is_made"),
    [
        ({}, NAME, True),
        ({"name": "own"}, "own", True),
        ({"create": False, "name": "theirs"}, "theirs", False),
        ({"create": False}, "default", False),
    ],
)
def test_the_service_account_is_that_of_the_values(
    account: dict[str, Any], name: str, is_made: bool, tmp_path: Path
) -> None:
    """In both pods and in each RoleBinding."""
    made = rendered(VALUES | {"serviceAccount": account}, tmp_path)
    bound = {each["subjects"][0]["name"] for each in made if each["kind"] == "RoleBinding"}

    assert {each["spec"]["serviceAccountName"] for each in templates(made)} == bound == {name}
    assert ("ServiceAccount" in {each["kind"] for each in made}) is is_made


def test_an_extra_variable_wins_and_is_there_once(tmp_path: Path) -> None:
    """A server-side apply, the default of Helm 4, refuses a list that names a variable twice."""
    extra: list[dict[str, Any]] = [
        {"name": "HOOK_TIMEOUT_SECONDS", "value": "100"},
        {"name": "LLAMA_STACK_URL", "valueFrom": {"configMapKeyRef": {"name": "server", "key": "url"}}},
        {"name": "HOOK_ON_LOST", "value": "fail"},
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
    ]
    made = rendered({"collections": COLLECTIONS, "onLost": "recreate", "extraEnv": extra}, tmp_path)

    for template in templates(made):
        variables = template["spec"]["containers"][0]["env"]
        assert [each["name"] for each in variables] == ["HOOK_CONFIG", *(each["name"] for each in extra)]
        assert variables[1:] == extra


def sets_of_values() -> list[str]:
    """Return the values that the chart's own page shows."""
    return blocks(PAGES[f"manifests/{CHART}/README.md"], "yaml")


@pytest.mark.parametrize("shown", range(3))
def test_the_values_of_the_charts_page_render(shown: int, tmp_path: Path) -> None:
    assert len(sets_of_values()) == 3
    assert of_kind(rendered(yaml.safe_load(sets_of_values()[shown]), tmp_path), "Job")


@pytest.mark.parametrize("name", CHARTS)
def test_helm_3_renders_the_same(name: str) -> None:
    done = render(name, program="helm3")

    assert list(yaml.safe_load_all(done.stdout)) == list(yaml.safe_load_all(text(name))), done.stderr


def test_the_notes_promise_nothing_that_no_hooks_makes_untrue(tmp_path: Path) -> None:
    """Helm prints the same notes with and without a run."""
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(VALUES))
    arguments = ("install", RELEASE, MANIFESTS / CHART, "--dry-run=client", "--no-hooks", "--values", path)
    done = run(tool("helm"), *arguments)
    notes = done.stdout.partition("NOTES:")[2]

    assert "With --no-hooks there is no run: start one as below." in notes
    assert f"--from=cronjob/{NAME}" in notes
    assert "exit code 0" not in notes
