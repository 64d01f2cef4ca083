"""Being told to stop: the partial report is written, the exit code says which signal, and the next run carries on."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hook.app
from hook import __main__ as entry
from hook.report import Report, render_json
from tests.fake_llamastack import Action, FakeLlamaStack, answer, closed_port, hang
from tests.unit.conftest import NAMES, Run, entries

CREATE = "POST /v1/vector_stores"


def kill(number: int) -> Action:
    """Send this process a signal in the middle of a request, and never answer it."""

    def action(_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    return action


@pytest.mark.parametrize(
    ("number", "code", "outcome"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_the_run_with_a_partial_report(
    server: FakeLlamaStack, run: Run, number: int, code: int, outcome: str
) -> None:
    """What was registered until then is told."""
    server.fault(CREATE, lambda handler: handler.reply(*handler._answer(server.requests[-1])), times=1)
    server.fault(CREATE, kill(number), times=1)

    result = run(server.url)

    assert (result.exit_code, result.report["outcome"]) == (code, outcome)
    assert result.states == ["unknown", "unknown", "missing"]
    assert result.detail() == "it was registered, but not verified any more"
    assert result.detail("acme_corporate") == "its registration was begun"
    assert result.report["message"] == (
        f"Stopped by {signal.Signals(number).name} before the end; the next run carries on from there"
    )
    assert run(server.url).states == ["present", "registered", "registered"]


def test_a_second_signal_does_not_break_the_report(server: FakeLlamaStack, run: Run) -> None:
    """The first one decides."""

    def both(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    server.fault("GET /v1/health", both)

    assert run(server.url).exit_code in (143, 130)


def start(url: str, tmp_path: Path) -> "subprocess.Popen[str]":
    """Start the hook as a process of its own."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    command = [sys.executable, "-m", "hook", "--url", url, "--config", str(path), "--timeout", "20"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


@pytest.mark.parametrize("where", ["waiting", "hanging"])
def test_a_process_ends_at_a_signal_wherever_it_is(server: FakeLlamaStack, tmp_path: Path, where: str) -> None:
    """Between two tries as well as inside a request."""
    server.fault("GET /v1/health", answer(503) if where == "waiting" else hang(20))
    with start(server.url, tmp_path) as process:
        while not server.requests:
            time.sleep(0.01)
        process.terminate()
        out, err = process.communicate(timeout=10)

    assert process.returncode == 143
    assert json.loads(out)["outcome"] == "terminated"
    assert json.loads(err.splitlines()[-1])["event"] == "hook.failed"


def test_a_killed_run_leaves_nothing_that_the_next_one_makes_twice(
    server: FakeLlamaStack, run: Run, tmp_path: Path
) -> None:
    """SIGKILL after the store was made, and before the answer came."""
    server.fault(CREATE, hang(20), times=1, apply=True)
    with start(server.url, tmp_path) as process:
        while CREATE not in server.lines():
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=10)

    assert run(server.url).states == ["present", "registered", "registered"]
    assert server.names() == list(NAMES)


def test_a_process_has_no_traceback_for_something_foreseeable(tmp_path: Path) -> None:
    """One line of JSON on stdout, events on stderr, and nothing else."""
    with closed_port() as url, start(url, tmp_path) as process:
        process.terminate()
        out, err = process.communicate(timeout=10)

    # The signal may come before the program could install its handler.
    assert process.returncode in (143, -signal.SIGTERM)
    assert "Traceback" not in out + err


def test_the_package_can_be_run_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m hook` is the same program."""
    monkeypatch.setattr(sys, "argv", ["register-collections", "--no-such-flag"])
    monkeypatch.setattr(signal, "signal", lambda *_: signal.SIG_DFL)
    monkeypatch.delitem(sys.modules, "hook.__main__")

    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("hook", run_name="__main__")


def test_a_signal_during_the_imports_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even as PID 1, which has no default action for signals."""
    handlers: dict[int, Callable[[int, None], None]] = {}
    codes: list[int] = []
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr("hook.app.main", lambda: 0)

    assert entry.main() == 0
    for number, handler in handlers.items():
        handler(number, None)

    assert codes == [143, 130]


def test_a_signal_during_the_report_changes_nothing(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is told."""

    def interrupted(report: Report) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return render_json(report)

    monkeypatch.setattr(hook.app, "render_json", interrupted)

    assert run(server.url).exit_code == 0
