"""Being told to stop: the partial report is written, the exit code names the signal, and the next run finishes."""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from hook import __main__ as entry
from hook import signals
from hook.output.report import Report, render_json
from tests.fake_llamastack import Action, FakeLlamaStack, answer, hang
from tests.unit.conftest import NAMES, Run, entries

pytestmark = pytest.mark.usefixtures("listening")

REPOSITORY = Path(__file__).parents[2]
CREATE = "POST /v1/vector_stores"
SIGNALS = int(os.environ.get("SIGNALS", "9"))
"""At how many moments of a run a signal is sent; SIGNALS=200 looks harder."""
LATE_SIGNALS = max(SIGNALS // 2, 1)


def kill(number: int) -> Action:
    """Send this process a signal in the middle of a request, and never answer it."""

    def action(_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    return action


@pytest.mark.parametrize(
    ("number", "code", "outcome"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted"), (signal.SIGHUP, 129, "hung_up")],
)
def test_a_signal_ends_the_run_with_a_partial_report(
    server: FakeLlamaStack, run: Run, number: int, code: int, outcome: str
) -> None:
    """What was registered until then is told."""
    server.fault(CREATE, lambda handler: handler.reply(*handler._answer(handler.taken)), times=1)
    server.fault(CREATE, kill(number), times=1)

    result = run(server.url)

    assert (result.exit_code, result.report["outcome"]) == (code, outcome)
    assert result.states == ["unknown", "unknown", "missing"]
    assert result.detail() == f"created as {server.stores[0]['id']}; the run ended before it could be verified"
    assert result.report["collections"][0]["id"] is None
    assert result.detail("acme_corporate") == "its create was sent; the run ended before it could be verified"
    assert result.report["message"] == f"interrupted by {signal.Signals(number).name}; run again to continue"
    signals.listen()
    assert run(server.url).states == ["present", "registered", "registered"]


def test_what_nohup_starts_goes_on_when_the_terminal_is_closed(server: FakeLlamaStack, run: Run) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.listen()
    os.kill(os.getpid(), signal.SIGHUP)

    assert run(server.url).exit_code == 0


def test_a_second_signal_does_not_break_the_report(server: FakeLlamaStack, run: Run) -> None:
    """The first one decides."""

    def both(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    server.fault("GET /v1/health", both)

    assert run(server.url).exit_code in (143, 130)


def start(url: str, tmp_path: Path, *flags: str) -> "subprocess.Popen[str]":
    """Start the hook as a process of its own."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    (tmp_path / "termination").write_text("")
    command = [sys.executable, "-m", "hook", "--url", url, "--config", str(path), "--timeout", "20", *flags]
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "HOOK_TERMINATION_LOG": str(tmp_path / "termination"),
        "HOOK_CONNECTIONS": "1",
    }
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def check_that_all_is_one(process: "subprocess.Popen[str]", tmp_path: Path, already_read: str = "") -> None:
    """Wait for the end of a process, and compare its exit code with everything that it told."""
    out, err = process.communicate(timeout=30)
    out = already_read + out
    termination = (tmp_path / "termination").read_text()
    if not (out or termination or '"event"' in err):
        # While Python itself starts there is nobody yet to note a signal, and nothing was told that could be wrong.
        assert process.returncode < 0 or "KeyboardInterrupt" in err
        return
    assert process.returncode in (0, 129, 130, 143), err
    assert json.loads(out)["exit_code"] == process.returncode
    assert json.loads(termination.split("\n")[1])["exit_code"] == process.returncode
    assert json.loads(err.splitlines()[-1])["exit_code"] == process.returncode


def test_whenever_a_signal_comes_all_that_is_told_is_one(server: FakeLlamaStack, tmp_path: Path) -> None:
    """From the imports to the end: exit code, report, termination message, and the log's last line.

    One handler takes the three signals, so they come by turns.
    """
    started = time.monotonic()
    check_that_all_is_one(start(server.url, tmp_path), tmp_path)
    seconds = time.monotonic() - started
    for moment in range(SIGNALS):
        with start(server.url, tmp_path) as process:
            time.sleep(seconds * (moment + random.random()) / SIGNALS)
            process.send_signal(signals.SIGNALS[moment % 3])
            check_that_all_is_one(process, tmp_path)


def test_a_signal_after_the_report_does_not_change_the_exit_code(tmp_path: Path) -> None:
    """While the interpreter ends, it would give the signals their default actions back."""
    for moment in range(LATE_SIGNALS):
        with start("http://stack", tmp_path, "validate") as process:
            assert process.stdout is not None
            report = process.stdout.readline()
            time.sleep(0.04 * moment / LATE_SIGNALS)
            process.terminate()
            check_that_all_is_one(process, tmp_path, report)
            assert process.returncode == 0


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


def test_a_run_after_a_killed_one_makes_nothing_twice(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    """SIGKILL after the store was made, and before the answer came."""
    server.fault(CREATE, hang(20), times=1, apply=True)
    with start(server.url, tmp_path) as process:
        while CREATE not in server.lines():
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=10)

    assert run(server.url).states == ["present", "registered", "registered"]
    assert server.names() == list(NAMES)


def test_a_signal_during_the_imports_ends_the_run_at_once(server: FakeLlamaStack, run: Run) -> None:
    """It is noted then, and told in a report like any other."""
    os.kill(os.getpid(), signal.SIGTERM)

    outcome = run(server.url)

    assert (outcome.exit_code, outcome.states, server.requests) == (143, [], [])


def test_the_process_ends_with_the_exit_code_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: the interpreter's own end could change it."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    # To be put back.
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys, "argv", ["register-collections", "--no-such-flag"])
    monkeypatch.delitem(sys.modules, "hook.__main__")

    entry.main()
    runpy.run_module("hook", run_name="__main__")

    assert codes == [2, 2]


def test_a_signal_during_the_report_changes_nothing(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is told."""

    def interrupted(report: Report) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return render_json(report)

    monkeypatch.setattr(import_module("hook.output.emit"), "render_json", interrupted)

    assert run(server.url).exit_code == 0
