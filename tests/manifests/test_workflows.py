"""The workflows of CI and of a release: what can be said of them where they do not run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.renderings import CHART, ROOT, run, tool

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def steps(name: str, job: str) -> list[Any]:
    found: list[Any] = workflow(name)["jobs"][job]["steps"]
    return found


def test_actionlint_finds_nothing_wrong() -> None:
    """Neither with the workflows nor with the example of one."""
    done = run(tool("actionlint"), "-no-color", *WORKFLOWS, ROOT / "examples" / "github-actions.yaml")

    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing_wrong() -> None:
    """Of what makes a workflow unsafe, without asking anybody."""
    places = (ROOT / ".github", ROOT / "examples" / "github-actions.yaml")
    done = run(tool("zizmor"), "--offline", "--no-progress", "--color", "never", *places)

    assert done.returncode == 0, done.stdout


@every_workflow
def test_each_action_is_one_commit_for_ever(path: Path) -> None:
    """A tag can be moved to another's code; the comment says what the commit is."""
    used = [each for each in re.findall(r"uses: (.*)", path.read_text()) if not each.startswith("./")]

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@every_workflow
def test_no_job_has_a_right_that_it_does_not_name(path: Path) -> None:
    content = yaml.safe_load(path.read_text())

    assert content["permissions"] == {}
    assert [name for name, job in content["jobs"].items() if not job.get("permissions")] == []


def test_only_a_release_may_write() -> None:
    permissions = [job["permissions"] for job in workflow("ci.yaml")["jobs"].values()]

    assert permissions == [{"contents": "read"}]


@every_workflow
def test_no_job_keeps_the_token_in_its_checkout(path: Path) -> None:
    """What a test runs could read it there."""
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_ci_runs_what_ci_run_runs() -> None:
    """Each target of make in `.ci/run` is one of a job, and the other way round."""
    (job,) = workflow("ci.yaml")["jobs"].values()
    runs = [each["run"] for each in job["strategy"]["matrix"]["include"]]
    here, there = (
        {target for words in re.findall(r"\bmake((?: [a-z-]+)+)", text) for target in words.split()}
        for text in ((ROOT / ".ci" / "run").read_text(), "\n".join(runs))
    )

    assert here == there
    assert len(here) > 5


def test_the_image_is_released_for_two_architectures_and_signed() -> None:
    (build,) = (step for step in steps("release.yaml", "image") if step.get("id") == "build")

    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert (build["with"]["sbom"], build["with"]["provenance"]) == (True, "mode=max")
    assert steps("release.yaml", "chart")[-1]["run"].endswith(" dist/*.tgz dist/*.spdx.json\n")
    signed = steps("release.yaml", "image")[-1]
    assert signed["run"].startswith("cosign sign --yes --recursive")
    assert signed["env"]["IMAGE"].endswith("@${{ steps.build.outputs.digest }}")


def test_nothing_is_released_before_the_check_and_the_tests() -> None:
    jobs = workflow("release.yaml")["jobs"]

    assert "release-check" in jobs["check"]["steps"][-1]["run"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yaml"
    assert (jobs["image"]["needs"], jobs["chart"]["needs"]) == (["check", "test"], "image")


def test_the_chart_is_pushed_to_where_the_page_installs_it_from() -> None:
    (push,) = (step["run"] for step in steps("release.yaml", "chart") if "helm push" in step.get("run", ""))
    (folder,) = re.findall(r'helm push \S+ "(oci://\S+)"', push)

    assert f" {folder}/{CHART.name} " in (ROOT / "docs" / "helm.md").read_text()


def test_a_signature_is_verified_by_the_workflow_that_makes_it() -> None:
    (identity,) = re.findall(r"--certificate-identity-regexp '(.*)'", (ROOT / "SECURITY.md").read_text())

    made_by = "https://github.com/OWNER/register-collections/.github/workflows/{}@refs/{}"
    assert re.match(identity, made_by.format("release.yaml", "tags/v1.2.3"))
    assert not re.match(identity, made_by.format("release.yaml", "heads/main"))
    assert not re.match(identity, made_by.format("ci.yaml", "tags/v1.2.3"))


def test_one_place_names_the_registry() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yaml").read_text()

    assert text.count("ghcr.io") == 1
