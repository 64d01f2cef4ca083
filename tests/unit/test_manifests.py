"""What the manifests promise the program, and it them; `tests/manifests` checks their renderings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hook import __version__
from hook.cli.flags import SETTINGS
from hook.config import file as config
from hook.deadline import Deadline
from hook.errors import ConfigError, ExitCode

ROOT = Path(__file__).parents[2]
BASE = ROOT / "manifests" / "base"
STAGE02 = ROOT / "manifests" / "overlays" / "stage02"
COMPONENTS = ROOT / "manifests" / "components"
CONTAINERFILE = ROOT / "Containerfile"
CHART = ROOT / "manifests" / "helm" / "llamastack-register-collections"

WITH_A_POD = [BASE, STAGE02, *(COMPONENTS / name for name in ("service-ca", "api-key", "publish-ids"))]

HELM_TIMEOUT_SECONDS = 300
"""How long `helm install` waits by default."""


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that a folder sets: in its settings, and in its patch of the Job."""
    (container,) = load(folder / "job.yaml")["spec"]["template"]["spec"].get("containers", [{}])
    generators = load(folder / "kustomization.yaml").get("configMapGenerator", [])
    settings = dict(literal.split("=", 1) for each in generators for literal in each.get("literals", []))
    return settings | {variable["name"]: variable["value"] for variable in container.get("env", [])}


@pytest.fixture
def job() -> Any:
    return load(BASE / "job.yaml")


def test_an_unchanged_base_says_where_your_list_goes() -> None:
    """It registers nothing of its own: pasted as it is, the hook ends with exit code 2."""
    with pytest.raises(ConfigError, match="configMapGenerator with behavior: replace"):
        config.load([BASE / "collections.yaml"], {}, Deadline(10))


def test_the_chart_declares_no_collection_of_its_own() -> None:
    assert load(CHART / "values.yaml")["collections"] == []


def test_the_job_fails_at_once_for_what_never_works_later(job: Any) -> None:
    rules = [rule["onExitCodes"] for rule in job["spec"]["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]

    expected = [ExitCode.CONFIG, ExitCode.REFUSED, ExitCode.MISMATCH, ExitCode.UNPUBLISHED]
    assert [rule["values"] for rule in rules] == [expected]


def test_the_job_outlives_every_try_of_the_program(job: Any) -> None:
    """Each try needs its budget, and the Job waits 10 s, 20 s, 40 s … between them."""
    tries = job["spec"]["backoffLimit"] + 1
    waits = sum(10 * 2**n for n in range(tries - 1))

    assert job["spec"]["activeDeadlineSeconds"] > tries * float(environment(BASE)["HOOK_TIMEOUT_SECONDS"]) + waits


def test_helm_outlives_the_job_which_outlives_the_program() -> None:
    values = load(CHART / "values.yaml")

    tries = values["backoffLimit"] + 1
    assert tries * values["timeoutSeconds"] < values["activeDeadlineSeconds"] < HELM_TIMEOUT_SECONDS


@pytest.mark.parametrize("folder", WITH_A_POD)
def test_the_program_knows_each_variable_that_it_is_given(folder: Path) -> None:
    known = {setting.variable for setting in SETTINGS} | {"REQUESTS_CA_BUNDLE"}

    assert environment(folder).keys() <= known


def test_the_role_is_for_the_configmap_that_is_published() -> None:
    (rule,) = load(COMPONENTS / "publish-ids" / "role.yaml")["rules"]

    assert rule["resourceNames"] == [environment(COMPONENTS / "publish-ids")["HOOK_PUBLISH_CONFIGMAP"]]


def test_every_place_names_the_version_of_the_program(job: Any) -> None:
    (image,) = load(STAGE02 / "kustomization.yaml")["images"]
    chart = load(CHART / "Chart.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]

    assert container["image"] == f"register-collections:{__version__}"
    assert (image["name"], image["newTag"]) == ("register-collections", __version__)
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert f'image.version="{__version__}"' in CONTAINERFILE.read_text()


def test_the_image_stands_on_a_base_whose_bytes_are_known() -> None:
    """And on no other one."""
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", CONTAINERFILE.read_text(), re.MULTILINE)
    used = re.findall(r"^FROM (\S+)", CONTAINERFILE.read_text(), re.MULTILINE)

    assert re.search(r"@sha256:[0-9a-f]{64}$", base)
    assert set(used) == {"${BASE_IMAGE}"}


def test_the_build_sees_only_what_it_copies() -> None:
    copied = {
        name
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE.read_text(), re.MULTILINE)
        for name in sources.split()
    }
    first, *lines = [line for line in (ROOT / ".containerignore").read_text().splitlines() if not line.startswith("#")]

    assert first == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def definitions(path: Path) -> dict[str, Any]:
    """Return the schemas of custom resources in a file, or in each of a folder, by their names."""
    files = path.glob("*.yaml") if path.is_dir() else [path]
    found = [each for file in files for each in yaml.load_all(file.read_text(), yaml.CSafeLoader)]
    return {each["metadata"]["name"]: each["spec"] for each in found}


def differences(own: Any, real: Any, path: str) -> list[str]:
    """Return what a schema says that another does not."""
    wrong = [f"{path}: {key}" for key in ("type", "format", "enum") if key in own and own[key] != real.get(key)]
    wrong += [f"{path}: {name} is required" for name in {*own.get("required", [])} - {*real.get("required", [])}]
    for name, inner in own.get("properties", {}).items():
        if name not in real.get("properties", {}):
            wrong.append(f"{path}.{name}")
        else:
            wrong += differences(inner, real["properties"][name], f"{path}.{name}")
    return wrong + (differences(own["items"], real.get("items", {}), f"{path}[]") if "items" in own else [])


def schema(definition: Any) -> Any:
    """Return the schema of the one version."""
    (version,) = definition["versions"]
    return version["schema"]["openAPIV3Schema"]


def test_the_operators_definitions_have_what_is_read_of_them() -> None:
    """Ours, with which the cluster's tests run where theirs are not beside this repository; and theirs say no less."""
    own = definitions(ROOT / "tests" / "cluster" / "up" / "operators.yaml")
    beside = ROOT.parent / "shared" / "operators"
    theirs = definitions(beside) if beside.is_dir() else {}
    ogx, older = (schema(own[name])["properties"]["spec"]["properties"] for name in own)

    assert "port" in ogx["network"]["properties"]
    assert "port" in older["server"]["properties"]["containerSpec"]["properties"]
    for name, real in theirs.items():
        assert own[name]["names"].items() <= real["names"].items()
        assert own[name]["versions"][0]["name"] == real["versions"][0]["name"]
        assert differences(schema(own[name]), schema(real), name) == []
