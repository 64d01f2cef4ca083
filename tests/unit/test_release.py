"""What a release is checked by, and what is generated for it."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from release import chart_readme, check, refs

ROOT = Path(__file__).parents[2]
VERSION = check.heading(ROOT)[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what names the version, as it is before a release: also where this state is one."""
    for path in ("hook/__init__.py", "CHANGELOG.md", "README.md", "Containerfile", "manifests", "docs", "examples"):
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, target)
    write_ref(tmp_path, refs.UNRELEASED)
    return tmp_path


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_every_place_names_one_version() -> None:
    assert check.problems(ROOT) == []


@pytest.mark.parametrize(
    ("path", "before", "after", "problem"),
    [
        ("hook/__init__.py", VERSION, "9.9.9", f"CHANGELOG.md says {VERSION}, the program 9.9.9"),
        ("CHANGELOG.md", f"## {VERSION}", "## 9.9.9", "CHANGELOG.md says 9.9.9"),
        ("README.md", "?ref=main", "?ref=v9.9.9", "README.md names the ref v9.9.9, not main"),
        ("docs/configuration.md", "rev: main", "rev: v9.9.9", "docs/configuration.md names the ref v9.9.9"),
        ("docs/configuration.md", "$SOURCE@main", "$SOURCE@v9.9.9", "docs/configuration.md names the ref v9.9.9"),
        ("docs/build.md", "ref: main", "ref: v9.9.9", "docs/build.md names the ref v9.9.9"),
        ("docs/flux.md", "branch: main}", "tag: v9.9.9}", "docs/flux.md names the ref v9.9.9"),
        ("docs/argocd.md", f"newTag: {VERSION}", "newTag: 9.9.9", "docs/argocd.md, newTag says 9.9.9"),
        ("docs/helm.md", f"--version {VERSION}", "--version 9.9.9", "docs/helm.md, version says 9.9.9"),
        ("docs/build.md", f"collections:{VERSION}", "collections:9.9.9", "docs/build.md, image says 9.9.9"),
        ("docs/flux.md", f"tag: {VERSION}", "tag: 9.9.9", "docs/flux.md, tag says 9.9.9"),
        ("docs/upgrade.md", f"tag={VERSION}", "tag=9.9.9", "docs/upgrade.md, tag says 9.9.9"),
        ("README.md", f"$IMAGE:{VERSION}", "$IMAGE:9.9.9", "README.md, image says 9.9.9"),
        ("examples/tekton-task.yaml", f":{VERSION}", ":9.9.9", "examples/tekton-task.yaml, image says 9.9.9"),
        ("Containerfile", f'version="{VERSION}"', 'version="9.9.9"', "Containerfile says 9.9.9"),
        ("manifests/base/job.yaml", f":{VERSION}", ":9.9.9", "manifests/base/job.yaml says 9.9.9"),
        ("manifests/overlays/stage02/kustomization.yaml", VERSION, "9.9.9", "kustomization.yaml says 9.9.9"),
        (f"{check.CHART}/Chart.yaml", f"\nversion: {VERSION}", "\nversion: 9.9.9", "Chart.yaml, version says 9.9.9"),
        (f"{check.CHART}/Chart.yaml", f"appVersion: {VERSION}", "appVersion: 9.9.9", "appVersion says 9.9.9"),
    ],
)
def test_a_place_with_another_version_is_named(copy: Path, path: str, before: str, after: str, problem: str) -> None:
    change(copy / path, before, after)

    assert problem in "; ".join(check.problems(copy))


def test_a_tag_is_that_of_the_version(copy: Path) -> None:
    (copy / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} (2026-11-24)\n\n- All.\n")
    write_ref(copy, f"v{VERSION}")

    assert check.problems(copy, f"v{VERSION}") == []
    assert check.problems(copy, "v9.9.9")[-1] == f"the tag is v9.9.9, and the version asks for v{VERSION}"


def test_a_release_needs_its_tag_in_the_pages(copy: Path) -> None:
    """And how to write it there is said."""
    found = check.problems(copy, f"v{VERSION}")

    remedy = f"write it by `make release-ref REF=v{VERSION}`"
    assert f"README.md names the ref main, not v{VERSION}: {remedy}" in found
    write_ref(copy, f"v{VERSION}")
    assert [each for each in check.problems(copy, f"v{VERSION}") if "names the ref" in each] == []


def test_a_ref_is_written_and_taken_back(copy: Path) -> None:
    """Also where Flux has another key for a tag than for a branch."""
    before = (copy / "docs" / "flux.md").read_text()
    write_ref(copy, "v1.2.3")

    assert {ref for _, ref in refs.named(copy)} == {"v1.2.3"}
    assert "ref: {tag: v1.2.3}" in (copy / "docs" / "flux.md").read_text()
    write_ref(copy, "main")
    assert (copy / "docs" / "flux.md").read_text() == before


def write_ref(root: Path, ref: str) -> None:
    """Let all pages name a ref."""
    for path in refs.pages(root):
        path.write_text(refs.replaced(path.read_text(), ref))


def test_what_is_released_has_a_date(copy: Path) -> None:
    """An `unreleased` in a released changelog stays there for ever."""
    (copy / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} (unreleased)\n\n- All.\n")

    assert check.problems(copy) == []
    assert check.problems(copy, f"v{VERSION}")[-1] == f"CHANGELOG.md gives {VERSION} no date, but: unreleased"


def test_the_changes_of_a_version_are_lines(copy: Path) -> None:
    (copy / "CHANGELOG.md").write_text(
        "# C\n\n## 2.0.0 (x)\n\n- One,\n  on two lines.\n- Two.\n\n## 1.0.0 (y)\n\n- Old.\n"
    )

    assert check.changes(copy) == ["One, on two lines.", "Two."]


def test_the_changelog_is_read_at_a_glance() -> None:
    assert [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if len(line) >= 60] == []


def test_the_chart_s_readme_is_generated() -> None:
    """`make chart-readme` writes it anew."""
    assert (ROOT / check.CHART / "README.md").read_text() == chart_readme.render(ROOT / check.CHART)


def test_the_chart_s_readme_has_each_value() -> None:
    """One without a comment in values.yaml would be left out."""
    documented = set(re.findall(r"^\| `([\w.]+)`", chart_readme.render(ROOT / check.CHART), re.MULTILINE))
    values = yaml.safe_load((ROOT / check.CHART / "values.yaml").read_text())

    assert {name.split(".")[0] for name in documented} == values.keys()


def test_one_licence() -> None:
    """Wherever one is named."""
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "[Apache-2.0](LICENSE)" in (ROOT / page).read_text()
    for path, pattern in (
        ("pyproject.toml", r'^license = "(.*)"$'),
        ("Containerfile", r'image\.licenses="(.*?)"'),
        (f"{check.CHART}/Chart.yaml", r"artifacthub\.io/license: (.*)"),
    ):
        assert re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE) == ["Apache-2.0"]
