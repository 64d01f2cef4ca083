"""The alerts of the component, as promtool reads them and as they go off."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.manifests.renderings import one, run, tool


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return the rules as Prometheus reads them: what its operator takes from the object."""
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(one("base+alerts", "PrometheusRule")["spec"]))
    return path


def test_promtool_finds_nothing_wrong_with_the_rules(rules: Path) -> None:
    done = run(tool("promtool"), "check", "rules", "--lint-fatal", rules)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 2 rules found" in done.stdout


def test_the_alerts_go_off_when_they_should_and_never_else(rules: Path) -> None:
    tests = rules.with_name("alerts_test.yaml")
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tests)

    done = run(tool("promtool"), "test", "rules", tests)

    assert done.returncode == 0, done.stdout + done.stderr
