"""`examples/` for pull requests: each runs `validate` and `plan` as its system would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_llamastack import FakeLlamaStack, closed_port
from tests.unit.conftest import entries

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = Path(sys.executable).parent
NAMES = ("github-actions", "gitlab-ci", "tekton-plan")
GITLABS_WARNING = 7
"""The exit code that GitLab is told to show as a warning."""


def script(name: str, step: str) -> str:
    """Return what one of them runs for `validate` or `plan`."""
    content: Any = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    if name == "github-actions":
        return "\n".join(each["run"] for each in content["jobs"][step]["steps"] if each.get("name") == step)
    if name == "gitlab-ci":
        return "\n".join(content[f"{step}-collections"]["script"])
    return "\n".join(each["script"] for each in content["spec"]["steps"] if each["name"] == step)


def run(
    name: str, step: str, folder: Path, config: str, url: str, timeout: str = "5"
) -> subprocess.CompletedProcess[str]:
    """Run a step in a checkout with this list, against the server of this URL."""
    (folder / "collections.yaml").write_text(config)
    path = folder / "script"
    path.write_text(script(name, step).replace("$(results.changes.path)", str(folder / "changes")))
    environ = {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "HOOK_CONFIG": str(folder / "collections.yaml"),
        "HOOK_TIMEOUT_SECONDS": timeout,
        "HOOK_CONNECTIONS": "1",
        "LLAMA_STACK_URL": url,
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    return subprocess.run(
        ["sh", "-e", path], env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


CONFIG = json.dumps({"vector_dbs": entries("red_hat_docs")})
BROKEN = json.dumps({"vector_dbs": entries("red_hat_docs", embedding_model=7)})


@pytest.mark.parametrize(("name", "config", "code"), [*((name, BROKEN, 2) for name in NAMES), (NAMES[0], CONFIG, 0)])
def test_validate_needs_no_server(name: str, config: str, code: int, tmp_path: Path) -> None:
    """Its exit code is that of the step."""
    with closed_port() as url:
        assert run(name, "validate", tmp_path, config, url).returncode == code


@pytest.mark.parametrize("name", NAMES)
def test_plan_shows_what_is_missing_and_fails_nothing(name: str, server: FakeLlamaStack, tmp_path: Path) -> None:
    """GitLab shows a warning; nothing is written to the server."""
    done = run(name, "plan", tmp_path, CONFIG, server.url)
    shown = (tmp_path / "summary").read_text() if name == "github-actions" else done.stdout

    assert done.returncode == (GITLABS_WARNING if name == "gitlab-ci" else 0), done.stderr
    assert "red_hat_docs" in shown.replace("\\", "")  # Markdown escapes the underscores
    assert server.names() == []
    assert name != "tekton-plan" or (tmp_path / "changes").read_text() == "true"


@pytest.mark.parametrize("name", NAMES)
def test_plan_fails_where_the_server_cannot_be_asked(name: str, tmp_path: Path) -> None:
    with closed_port() as url:
        assert run(name, "plan", tmp_path, CONFIG, url, timeout="1").returncode == 3


def test_gitlab_takes_changes_for_a_warning() -> None:
    content = yaml.safe_load((EXAMPLES / "gitlab-ci.yaml").read_text())

    assert content["plan-collections"]["allow_failure"] == {"exit_codes": [GITLABS_WARNING]}


def test_the_task_says_that_nothing_would_change(server: FakeLlamaStack, tmp_path: Path) -> None:
    server.add("red_hat_docs")
    run("tekton-plan", "plan", tmp_path, CONFIG, server.url)
    assert (tmp_path / "changes").read_text() == "false"


def test_the_task_has_the_form_of_a_task() -> None:
    """With no field that Tekton does not have, and no parameter in a script."""
    task = yaml.safe_load((EXAMPLES / "tekton-plan.yaml").read_text())

    assert (task["apiVersion"], task["kind"]) == ("tekton.dev/v1", "Task")
    assert task["spec"].keys() == {"description", "params", "results", "workspaces", "stepTemplate", "steps"}
    assert task["spec"]["stepTemplate"].keys() == {"image", "env", "securityContext"}
    assert all(step.keys() == {"name", "script"} for step in task["spec"]["steps"])
    assert "$(params." not in json.dumps(task["spec"]["steps"])
