"""A release, tried on a clone by the steps of CONTRIBUTING.md: all that the pages name is there at its tag."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hook import __version__
from release import check, refs
from tests.manifests.renderings import ROOT, kustomize
from tests.manifests.test_renderings import SERVERS, documented_kustomizations

TAG = f"v{__version__}"
SECONDS = 600
BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """Run a command, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of this state that is released: with a date, with its tag in the pages, and tagged."""
    folder = tmp_path_factory.mktemp("released")
    run("git", "clone", "--quiet", "--no-tags", ROOT, folder, cwd=ROOT)
    changelog = folder / "CHANGELOG.md"
    dated = re.sub(r"^(## \S+) \(.*\)$", r"\1 (2026-12-01)", changelog.read_text(), count=1, flags=re.MULTILINE)
    changelog.write_text(dated)
    for path in refs.pages(folder):
        path.write_text(refs.replaced(path.read_text(), TAG))
    author = ["-c", "user.name=A maintainer", "-c", "user.email=maintainer@example.com"]
    run("git", *author, "commit", "--quiet", "--all", "--allow-empty", "--message", f"Release {TAG}", cwd=folder)
    run("git", "tag", TAG, cwd=folder)
    return folder


def test_the_check_of_a_release_passes(clone: Path) -> None:
    """By the environment of this checkout, which is as new as it has to be."""
    ready = BIN.parent / ".ready"
    said = run("make", "release-check", f"TAG={TAG}", f"VENV={BIN.parent}", f"--old-file={ready}", cwd=clone)

    assert said.count(__version__) > 10


def test_all_pages_name_the_tag(clone: Path) -> None:
    assert {ref for _, ref in refs.named(clone)} == {TAG}
    assert run("git", "rev-parse", f"{TAG}^{{commit}}", cwd=clone) == run("git", "rev-parse", "HEAD", cwd=clone)


def test_the_tests_of_the_pages_pass_on_the_tag(clone: Path) -> None:
    """A release runs all tests on its tag before it builds anything."""
    files = [clone / "tests" / "unit" / f"test_{name}.py" for name in ("docs", "readme", "release", "manifests")]

    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, cwd=clone, PYTHONPATH=str(clone))


def test_each_base_of_the_pages_is_there_at_the_tag(clone: Path) -> None:
    """As kustomize fetches it from a Git server."""
    fetched = 0
    for kustomization in documented_kustomizations():
        text = refs.replaced(json.dumps(kustomization), TAG)
        if f"?ref={TAG}" not in text:
            continue
        files = {"ogx-server.yaml": json.dumps(SERVERS["ogx-server"]), "config.yaml": "vector_dbs: []"}
        done = kustomize(json.loads(text.replace("$SOURCE", clone.as_uri())), files=files)
        assert done.returncode == 0, done.stderr
        assert f":{__version__}" in done.stdout
        fetched += 1

    assert fetched >= 2


def test_the_command_is_installed_from_the_tag(clone: Path, tmp_path: Path) -> None:
    """What it needs besides is that of this environment."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(tmp_path))
    run(BIN / "uv", "pip", "install", *options, f"git+{clone.as_uri()}@{TAG}", cwd=tmp_path)

    assert run(sys.executable, "-m", "hook", "--version", cwd=tmp_path).strip().endswith(__version__)
    assert (tmp_path / "hook" / "app.py").read_bytes() == (clone / "hook" / "app.py").read_bytes()


def test_its_notes_are_the_changes(clone: Path) -> None:
    said = run(sys.executable, "-m", "release.check", "--changes", cwd=clone, PYTHONPATH=str(clone))

    assert [line.removeprefix("- ") for line in said.splitlines()] == check.changes(ROOT)
