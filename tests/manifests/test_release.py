"""The chart as a release packages it, and the way to it from the release before."""

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import check, package_chart
from tests.manifests.renderings import CHART, MANIFESTS, ROOT, helm_template_declaring, run, tool

IMAGE = "registry.example/team/register-collections"
DIGEST = f"sha256:{'0' * 64}"
SOURCE = "https://git.example/team/register-collections"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the packaged chart."""
    folder = tmp_path_factory.mktemp("dist")
    about = ["--image", IMAGE, "--digest", DIGEST, "--source", SOURCE]
    assert package_chart.main([*about, "--helm", tool("helm"), "--destination", str(folder)]) == 0
    (path,) = folder.iterdir()
    return path


def test_helm_lints_the_package(package: Path) -> None:
    done = run(tool("helm"), "lint", "--strict", package)

    assert done.returncode == 0, done.stdout


def test_the_package_names_the_image_by_its_digest(package: Path) -> None:
    """Whoever installs it sets nothing to get the image that it was tested with."""
    assert f"image: {IMAGE}@{DIGEST}" in helm_template_declaring(package).stdout


def test_the_package_has_what_artifact_hub_shows(package: Path) -> None:
    about = yaml.safe_load(run(tool("helm"), "show", "chart", package).stdout)
    annotations = about["annotations"]

    assert annotations["artifacthub.io/license"] == "Apache-2.0"
    assert yaml.safe_load(annotations["artifacthub.io/images"]) == [
        {"name": "register-collections", "image": f"{IMAGE}@{DIGEST}"}
    ]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == check.changes(ROOT)
    assert about["sources"] == [SOURCE]
    page = run(tool("helm"), "show", "readme", package).stdout
    assert page.startswith("# llamastack-register-collections")
    assert f'| `image.repository` | `"{IMAGE}"` |' in page


def upgrade_problems(old: Path, new: Path) -> list[str]:
    """Return what an upgrade from one chart to the other would trip over, with the old one's values as they are."""
    before = helm_template_declaring(old)
    after = helm_template_declaring(new, "--values", str(old / "values.yaml"))
    if after.returncode != 0:
        return [after.stderr]
    kept = _immutable(after.stdout)
    return [f"{key} was {value}" for key, value in _immutable(before.stdout).items() if kept.get(key) != value]


def _immutable(rendering: str) -> dict[str, Any]:
    """Return what Kubernetes refuses to change, or what pipelines know by its name; Helm replaces the hooks."""
    objects = [o for o in yaml.safe_load_all(rendering) if o]
    found: dict[str, Any] = {f"{o['kind']} {o['metadata']['name']}": True for o in objects}
    return found | {f"roleRef of {o['metadata']['name']}": o["roleRef"] for o in objects if "roleRef" in o}


def last_release() -> str:
    """Return the last tag of a release before this state, or nothing; its own tag, at a release, is not before it."""
    tags = ("git", "-C", ROOT, "tag", "--list", "v*", "--sort=-version:refname")
    before, here = run(*tags, "--merged", "HEAD"), run(*tags, "--points-at", "HEAD")
    assert before.returncode == here.returncode == 0, before.stderr + here.stderr
    return next((tag for tag in before.stdout.split() if tag not in here.stdout.split()), "")


def test_an_upgrade_from_the_last_release_goes_through(tmp_path: Path) -> None:
    """There is none as long as the changelog says so; then its chart must not be missing."""
    tag = last_release()
    if not tag:
        assert (ROOT / "CHANGELOG.md").read_text().count("\n## ") == 1, "a version was released: fetch its tag"
        return
    archive = tmp_path / "chart.tar"
    subprocess.run(["git", "-C", ROOT, "archive", "--output", archive, tag, MANIFESTS / CHART], check=True, timeout=60)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")

    assert upgrade_problems(tmp_path / "manifests" / CHART, MANIFESTS / CHART) == []


@pytest.mark.parametrize(
    ("file", "before", "after", "problem"),
    [
        ("values.schema.json", '"prove"', '"proof"', "'prove' not allowed"),
        (
            "templates/cronjob.yaml",
            'name: {{ include "register-collections.name" . }}\n',
            "name: new\n",
            "CronJob llamastack",
        ),
    ],
)
def test_an_upgrade_that_would_fail_is_seen(tmp_path: Path, file: str, before: str, after: str, problem: str) -> None:
    """Else the test above would prove nothing, and until the first release it has nothing to look at."""
    new = tmp_path / CHART.name
    shutil.copytree(MANIFESTS / CHART, new)
    (new / file).write_text((new / file).read_text().replace(before, after, 1))

    assert problem in " ".join(upgrade_problems(MANIFESTS / CHART, new))
    assert upgrade_problems(MANIFESTS / CHART, MANIFESTS / CHART) == []
