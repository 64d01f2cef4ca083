"""The pre-commit hook and the command outside of the image, installed from a repository of Git as the pages say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hook import __version__
from release import refs
from tests.manifests.renderings import ROOT, tool
from tests.pages import PAGES, blocks

GOOD = "vector_dbs: [{vector_db_id: docs, embedding_model: m}]\n"
BAD = "vector_dbs: [{vector_db_id: docs, embedding_model: 7}]\n"
UNSET = "vector_dbs: [{vector_db_id: docs, embedding_model: '${env.MODEL}'}]\n"
PAGE = PAGES["docs/configuration.md"]
SECONDS = 300

Commit = Callable[[dict[str, str]], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a repository with this state under the ref that the pages name, a branch or a tag."""
    folder = tmp_path_factory.mktemp("source")
    for command in (
        ["clone", "--quiet", "--no-tags", str(ROOT), str(folder)],
        ["-C", str(folder), "checkout", "--quiet", "-B", "main"],
        *(["-C", str(folder), "tag", ref] for ref in {ref for _, ref in refs.named(ROOT)} if ref != refs.UNRELEASED),
    ):
        subprocess.run(["git", *command], check=True, timeout=SECONDS)
    return folder.as_uri()


def test_each_ref_that_the_pages_name_is_there(source: str) -> None:
    """Whoever copies a line gets what it names; a tag is one of this repository."""
    heads = subprocess.run(["git", "ls-remote", source], check=True, capture_output=True, text=True, timeout=SECONDS)
    tags = subprocess.run(["git", "-C", ROOT, "tag"], check=True, capture_output=True, text=True, timeout=SECONDS)
    there = set(re.findall(r"refs/heads/(\S+)", heads.stdout)) | set(tags.stdout.split())

    named = {ref for _, ref in refs.named(ROOT)}
    assert named
    assert named <= there


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where pre-commit keeps what it installs, once for all tests here."""
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def commit(tmp_path: Path, home: Path, source: str) -> Commit:
    """Return a function that says what pre-commit finds in these files, set up as the page shows it."""
    (configuration,) = (block for block in blocks(PAGE, "yaml") if "repos:" in block)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def call(files: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, text in {".pre-commit-config.yaml": configuration.replace("$SOURCE", source), **files}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        for command in (["git", "init", "--quiet"], ["git", "add", "."]):
            subprocess.run(command, cwd=tmp_path, env=environ, check=True, timeout=SECONDS)
        return subprocess.run(
            [tool("pre-commit"), "run", "--all-files"],
            cwd=tmp_path,
            # What a shell has exported is not taken for its own.
            env=environ | {"PRE_COMMIT_HOME": str(home), "failed": "1", "flags": "--none"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return call


def test_what_is_right_is_committed(commit: Commit) -> None:
    done = commit({"collections.yaml": GOOD, "stage/run.yaml": GOOD})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout


def test_what_is_wrong_is_shown_with_its_path(commit: Commit) -> None:
    """Also where a file after it is right."""
    done = commit({"collections.yaml": BAD, "stage/run.yaml": GOOD})

    assert done.returncode != 0
    expected = r"^collections\.yaml:1:\d+: vector_dbs\[0\]\.embedding_model: must be a string, not 7"
    assert re.search(expected, done.stdout, re.MULTILINE)


def test_its_arguments_reach_the_program(commit: Commit) -> None:
    """With --strict, a variable that is unset is an error."""
    done = commit({"run.yaml": UNSET})

    assert done.returncode != 0
    assert "the environment variable MODEL is not set" in done.stdout


def test_other_files_are_not_its_business(commit: Commit) -> None:
    done = commit({"values.yaml": BAD})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no files to check" in done.stdout


def test_pip_installs_the_command(tmp_path: Path, source: str) -> None:
    """By the line of the page, from its ref."""
    (line,) = re.findall(r"^pip (install .*)$", PAGE, re.MULTILINE)
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True, timeout=SECONDS)
    installed = subprocess.run(
        ["sh", "-c", f'exec "$0" --quiet --disable-pip-version-check {line}', tmp_path / "bin" / "pip"],
        env=os.environ | {"SOURCE": source},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr

    said = subprocess.run([tmp_path / "bin" / "register-collections", "--version"], capture_output=True, text=True)
    assert said.stdout.strip().endswith(__version__)
