"""The pre-commit hook, installed and run by pre-commit itself."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.manifests.renderings import ROOT, tool

GOOD = "vector_dbs: [{vector_db_id: docs, embedding_model: m}]\n"
BAD = "vector_dbs: [{vector_db_id: docs, embedding_model: 7}]\n"
SECONDS = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where pre-commit keeps what it installs, once for all tests here."""
    return tmp_path_factory.mktemp("pre-commit")


def commit(folder: Path, home: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Return what pre-commit says of these files, in a repository that uses the hook of this one."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for command in (["git", "init", "--quiet"], ["git", "add", "."]):
        subprocess.run(command, cwd=folder, env=environ, check=True, timeout=SECONDS)
    return subprocess.run(
        [tool("pre-commit"), "try-repo", ROOT, "register-collections-validate", "--all-files"],
        cwd=folder,
        env=environ | {"PRE_COMMIT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_what_is_right_is_committed(tmp_path: Path, home: Path) -> None:
    done = commit(tmp_path, home, {"collections.yaml": GOOD, "stage/collections.yml": GOOD})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout


def test_what_is_wrong_is_shown_with_its_path(tmp_path: Path, home: Path) -> None:
    """Also where a file after it is right."""
    done = commit(tmp_path, home, {"collections.yaml": BAD, "stage/collections.yml": GOOD})

    assert done.returncode != 0
    assert "collections.yaml: vector_dbs[0].embedding_model: must be text, not 7" in done.stdout


def test_other_files_are_not_its_business(tmp_path: Path, home: Path) -> None:
    done = commit(tmp_path, home, {"values.yaml": BAD})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no files to check" in done.stdout
