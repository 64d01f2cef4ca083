"""A run is never silent for long: events in a log, and one line on a terminal."""

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from hook import logs
from hook.deadline import Deadline
from hook.heartbeat import beating, doing
from hook.timings import Timings
from tests.fake_llamastack import FakeLlamaStack, hang
from tests.unit.conftest import Run, Waits, entries

SOON = Timings(beat_seconds=0.05, line_seconds=0.05)


@pytest.fixture(autouse=True)
def _soon(waits: Waits) -> None:
    waits.set(beat_seconds=0.05, line_seconds=0.05)


def test_proofs_that_take_long_are_followed(server: FakeLlamaStack, run: Run) -> None:
    names = ("a", "b", "c")
    for name in names:
        server.add(name)

    def slow(handler: Any) -> None:
        time.sleep(0.3)
        handler.reply(200, {"chunks": []})

    server.fault("POST /v1/vector-io/query", slow)

    outcome = run(server.url, "check", collections=entries(*names))

    said = [event for event in outcome.events if event["event"] == "survey.progress"]
    assert {(event["level"], event["of"]) for event in said if event["of"]} == {("info", 3)}
    assert [event["done"] for event in said] == sorted(event["done"] for event in said)
    assert 0 < said[-1]["done"] < 3
    assert 0 < said[-1]["remaining_seconds"] <= 20


def test_waiting_is_followed(server: FakeLlamaStack, run: Run) -> None:
    server.fault("GET /v1/health", hang(0.4), times=1)

    outcome = run(server.url, "check", "--request-timeout", "0.3")

    assert "health.waiting" in outcome.event_names()


def test_the_innermost_activity_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", {})

    with beating(Deadline(60, timings=SOON)):
        with doing("outer"):
            with doing("inner", lambda: {"done": 1}):
                time.sleep(0.2)
            time.sleep(0.2)
        time.sleep(0.2)
    time.sleep(0.1)

    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [*dict.fromkeys(event["event"] for event in events)] == ["inner", "outer", "run.progress"]
    assert {event.get("done") for event in events} == {1, None}
    assert all(0 < event["remaining_seconds"] <= 60 for event in events)


def test_without_a_thread_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with beating(Deadline(60, timings=SOON)):
        reached = True

    assert reached


@pytest.mark.parametrize(("term", "is_rewritten"), [("xterm", True), ("dumb", False)])
def test_a_terminal_shows_one_line_that_is_rewritten(tmp_path: Path, term: str, is_rewritten: bool) -> None:
    """And nothing of it is left before the report."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("a")}))
    ours, theirs = os.openpty()
    with FakeLlamaStack() as server:
        server.fault("GET /v1/health", hang(0.3), times=1)
        arguments = ["check", "--url", server.url, "--config", str(path), "--connections", "1", "--timeout", "20"]
        program = (
            "from hook.app import main; from hook.timings import Timings; main(timings=Timings(line_seconds=0.05))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], env={"TERM": term}, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = "".join(_all_of(ours))
        process.wait()
    os.close(ours)

    assert ("\r\x1b[2Kwaiting for the server, " in shown) is is_rewritten
    assert shown.split("COLLECTION")[0].endswith("\r\x1b[2K") is is_rewritten


class Terminal(io.StringIO):
    """A stderr that a person reads."""

    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let a person read stderr from now on; a fixture would come before pytest's own capture."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    return cast(Terminal, sys.stderr)


def test_the_line_makes_way_for_an_event_and_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    logs.configure("warning", "console", {"TERM": "xterm", "NO_COLOR": "1"})
    for text in ("a", "a", "b"):
        logs.progress("event", {}, text)
    logs.log.warning("something")
    logs.progress("event", {}, "c")
    logs.end()
    logs.progress("event", {}, "d")

    clear = "\r\x1b[2K"
    assert re.sub("[0-9-]{10}.*something *", "something", terminal.getvalue()) == (
        f"{clear}a{clear}b{clear}something\n{clear}c{clear}"
    )


def test_the_log_repeats_nothing_of_a_report_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    logs.configure("warning", "console", {}, is_reported=True)

    logs.log.warning("config.noted", path="x")
    assert terminal.getvalue() == ""
    logs.log.warning("something")
    assert "something" in terminal.getvalue()


def _all_of(terminal: int) -> Iterator[str]:
    """Yield all that is written to a terminal until its last writer is gone."""
    with suppress(OSError):
        while content := os.read(terminal, 65536):
            yield content.decode()
