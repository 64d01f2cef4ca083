"""The commands for a cluster that the pages show, as far as their programs can say without one."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hook import __version__
from tests.manifests.renderings import helm_template, run, tool
from tests.pages import PAGES, ROOT, blocks, commands

COMMANDS = [
    words
    for text in PAGES.values()
    for words in commands(text, "oc", "kubectl", "helm")
    if words[:2] != ["oc", "start-build"]  # OpenShift's own
]
DEEPER = {"create": 2, "create secret": 3}
"""How many words name what is done, where that is not one."""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_each_flag_is_one_of_the_program(words: Sequence[str]) -> None:
    """`oc` takes what kubectl takes."""
    program, *others = words
    named = [word.split("=")[0] for word in others if word.startswith("-")]

    assert set(named) - flags("helm" if program == "helm" else "kubectl", action(others)) == set()


def test_there_are_commands_with_flags() -> None:
    """And an invented one is none, so the test above proves something."""
    assert len([None for words in COMMANDS if any(word.startswith("-") for word in words)]) >= 10
    assert "--from" in flags("kubectl", ("create", "job"))
    assert "--fromm" not in flags("kubectl", ("create", "job"))


def action(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that name what is done."""
    depth = next((DEEPER[key] for key in sorted(DEEPER, reverse=True) if " ".join(words).startswith(f"{key} ")), 1)
    return tuple(words[:depth])


@cache
def flags(program: str, action: tuple[str, ...]) -> set[str]:
    """Return the flags of an action, and those of the whole program."""
    done = run(tool(program), *action, "--help")
    everywhere = run(tool(program), "options").stdout if program == "kubectl" else ""
    assert done.returncode == 0, done.stderr
    pairs = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", done.stdout + everywhere, re.MULTILINE)
    return {flag for pair in pairs for flag in pair}


def documents(kind: str) -> list[dict[str, Any]]:
    """Return each object of a kind that a page shows."""
    shown = (
        document for text in PAGES.values() for block in blocks(text, "yaml") for document in yaml.safe_load_all(block)
    )
    return [document for document in shown if isinstance(document, dict) and document.get("kind") == kind]


def test_argo_cd_knows_each_field_of_the_application(tmp_path: Path) -> None:
    """It leaves out what it does not know."""
    (application,) = documents("Application")
    file = tmp_path / "application.yaml"
    file.write_text(json.dumps(application))
    done = run(tool("argocd"), "admin", "app", "generate-spec", "--file", file, "--output", "json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"] == application["spec"]


def test_the_chart_takes_the_values_of_the_helmrelease(tmp_path: Path) -> None:
    """From the folder that it names, and it ends within the time that it gives Helm."""
    (release,) = documents("HelmRelease")
    (source,) = documents("GitRepository")
    chart = release["spec"]["chart"]["spec"]
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(release["spec"]["values"]).replace("$IMAGE", "registry.example/hook"))
    done = helm_template(ROOT / chart["chart"], "--values", str(values))

    assert done.returncode == 0, done.stderr
    assert "red_hat_docs" in done.stdout
    assert chart["sourceRef"] == {"kind": source["kind"], "name": source["metadata"]["name"]}
    (job,) = (each for each in yaml.safe_load_all(done.stdout) if each["kind"] == "Job")
    assert job["spec"]["activeDeadlineSeconds"] < 60 * int(release["spec"]["timeout"].removesuffix("m"))


def test_flux_waits_as_long_as_the_job_of_the_base_may_take() -> None:
    """And it makes the Job anew where that has changed, since a Job cannot be edited."""
    (kustomization,) = documents("Kustomization")
    spec = kustomization["spec"]
    job = yaml.safe_load((ROOT / "manifests/base/job.yaml").read_text())

    assert 60 * int(spec["timeout"].removesuffix("m")) > job["spec"]["activeDeadlineSeconds"]
    assert (spec["wait"], spec["force"], spec["prune"]) == (True, True, True)


FIELDS_OF_BUILDS = {
    "metadata": {"name", "namespace"},
    "spec": {"source", "mountTrustedCA", "strategy", "output", "triggers"},
    "source": {"git"},
    "git": {"uri", "ref"},
    "strategy": {"dockerStrategy"},
    "dockerStrategy": {"dockerfilePath", "buildArgs"},
    "output": {"to"},
    "to": {"kind", "name"},
}
"""Those of build.openshift.io/v1 that the page needs (openshift/api, build/v1/types.go)."""


def test_the_build_of_openshift_has_the_containerfiles_fields() -> None:
    (build,) = documents("BuildConfig")
    (stream,) = documents("ImageStream")
    strategy = build["spec"]["strategy"]["dockerStrategy"]
    containerfile = (ROOT / strategy["dockerfilePath"]).read_text()

    assert unknown(build) == []
    assert [each["name"] for each in strategy["buildArgs"] if f"\nARG {each['name']}\n" not in containerfile] == []
    assert build["spec"]["output"]["to"] == {
        "kind": "ImageStreamTag",
        "name": f"{stream['metadata']['name']}:{__version__}",
    }


def unknown(value: dict[str, Any]) -> list[str]:
    """Return the fields that are not in the list above."""
    inner = [(name, each) for name, each in value.items() if isinstance(each, dict)]
    return [field for name, each in inner for field in (*(set(each) - FIELDS_OF_BUILDS[name]), *unknown(each))]
