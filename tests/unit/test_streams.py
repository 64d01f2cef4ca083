"""Nobody reads what is written: the run goes on, and ends with its exit code and its termination message."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hook import __main__ as entry
from hook import app, logs, streams
from hook.streams import Stream
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import entries

REPOSITORY = Path(__file__).parents[2]
PROGRAM = (
    "from hook import streams, __main__; streams.Stream.__init__.__kwdefaults__['flush_seconds'] = 0.3; __main__.main()"
)
SIZE = 1 << 20
"""Larger than any pipe of these tests."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture(autouse=True)
def _streams_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the streams back."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)


def fill(writing: int) -> int:
    """Let no more fit into a pipe, and return how much that is."""
    os.set_blocking(writing, False)
    size = 0
    with suppress(BlockingIOError):
        while True:
            size += os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    return size


def read_slowly(reading: int, size: int) -> tuple[threading.Thread, bytearray]:
    """Start to read so much, with a rest before each part."""
    content = bytearray()

    def read() -> None:
        # One that is given up ends with its pipe.
        with suppress(OSError):
            while len(content) < size:
                time.sleep(0.001)
                content.extend(os.read(reading, 8192))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, content


def validate(tmp_path: Path, *arguments: str, **places: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run the program on a file with many mistakes, so that it has much to say."""
    config = tmp_path / "collections.yaml"
    config.write_text(json.dumps({"vector_dbs": [f"{number}{'x' * 70}" for number in range(1000)]}))
    termination = tmp_path / "termination"
    termination.touch()
    environ = {"PATH": os.environ["PATH"], "HOOK_TERMINATION_LOG": str(termination), "HOOK_CONFIG": str(config)}
    command = [sys.executable, "-c", PROGRAM, *(arguments or ("validate",))]
    return subprocess.run(command, env=environ, cwd=REPOSITORY, check=False, timeout=30, **places)


@pytest.mark.parametrize("unread", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_run_that_nobody_reads_ends(tmp_path: Path, pipe: tuple[int, int], unread: tuple[str, ...]) -> None:
    """With its exit code and its termination message."""
    fill(pipe[1])
    places: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) | dict.fromkeys(unread, pipe[1])

    done = validate(tmp_path, **places)

    assert done.returncode == 2
    assert json.loads((tmp_path / "termination").read_text().split("\n")[1])["exit_code"] == 2
    if done.stdout is not None:
        assert json.loads(done.stdout)["exit_code"] == 2
    if done.stderr is not None:
        events = [json.loads(line) for line in done.stderr.splitlines()]
        assert [event["cause"] for event in events if event["event"] == "report.not_written"] == ["nobody reads it"]
        assert events[-1]["event"] == "hook.failed"


def test_the_help_that_nobody_reads_ends_too(tmp_path: Path, pipe: tuple[int, int]) -> None:
    fill(pipe[1])

    assert validate(tmp_path, "--help", stdout=pipe[1], stderr=pipe[1]).returncode == 0


def test_a_terminal_that_stands_still_ends_a_run(tmp_path: Path) -> None:
    """As at Ctrl-S."""
    ours, theirs = os.openpty()

    done = validate(tmp_path, "validate", "--log-format", "json", stdout=theirs, stderr=theirs)

    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2


def test_addresses_that_nobody_reads_are_no_success(
    server: FakeLlamaStack, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    """They are the result, and the termination message says so."""
    server.add("a")
    config, termination = tmp_path / "collections.yaml", tmp_path / "termination"
    config.write_text(json.dumps({"vector_dbs": entries("a")}))
    fill(pipe[1])
    environ = {"PATH": os.environ["PATH"], "HOOK_TERMINATION_LOG": str(termination), "HOOK_CONNECTIONS": "1"}
    command = [sys.executable, "-c", PROGRAM, "resolve", "a", "--url", server.url, "--config", str(config)]

    done = subprocess.run(command, env=environ, cwd=REPOSITORY, check=False, stdout=pipe[1], stderr=subprocess.PIPE)

    assert done.returncode == 6, done.stderr
    assert "the addresses could not be written to stdout (nobody reads it)" in termination.read_text()


def test_a_run_goes_on_while_nobody_reads_its_log(
    server: FakeLlamaStack, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    """Its requests do not wait for that."""
    server.fault("GET /v1/health", answer(503), times=2)
    config = tmp_path / "collections.yaml"
    config.write_text(json.dumps({"vector_dbs": entries("a")}))
    fill(pipe[1])
    command = [sys.executable, "-c", PROGRAM, "--url", server.url, "--config", str(config), "--log-level", "debug"]

    done = subprocess.run(
        command, env={"HOOK_CONNECTIONS": "1"}, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, stderr=pipe[1]
    )

    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "ok")


def test_a_slow_reader_gets_everything(pipe: tuple[int, int]) -> None:
    """However often it rests, as long as it reads."""
    reader, content = read_slowly(pipe[0], SIZE)
    stream = Stream(pipe[1])
    lines = [b"%063d\n" % number for number in range(SIZE // 64)]

    for line in lines:
        stream.write(line)
    stream.flush()
    reader.join()

    assert bytes(content) == b"".join(lines)
    assert stream.lost == 0


def test_a_reader_who_takes_too_little_is_not_waited_for(pipe: tuple[int, int]) -> None:
    stream = Stream(pipe[1], flush_seconds=0.01)
    stream.write(b"x" * SIZE)
    reader, _ = read_slowly(pipe[0], SIZE)

    with pytest.raises(TimeoutError):
        stream.flush()
    reader.join()


def test_what_nobody_reads_is_lost_from_its_beginning(pipe: tuple[int, int]) -> None:
    """The end says what came of the run; and what is lost is counted."""
    filled = fill(pipe[1])
    stream = Stream(pipe[1], most_writes=100)
    lines = [b"%09d\n" % number for number in range(5000)]
    for line in lines:
        stream.write(line)

    reader, content = read_slowly(pipe[0], filled + (len(lines) - stream.lost) * 10)
    stream.flush()
    reader.join()

    kept = bytes(content[filled:]).splitlines(keepends=True)
    assert 0 < stream.lost < len(lines)
    assert kept == sorted(set(kept))
    assert kept[-50:] == lines[-50:]


def test_the_log_says_how_many_events_were_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its last line."""
    monkeypatch.setattr(sys.stderr.buffer, "lost", 7, raising=False)

    app.main(["validate", "--config", str(tmp_path)], {})

    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["log.events_lost", "hook.failed"]
    assert events[-2]["events"] == 7
    assert logs.lost() == 7


def test_what_cannot_be_written_is_told_once() -> None:
    """As where the disk is full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    stream = Stream(descriptor)
    stream.write(b"x")

    with pytest.raises(OSError, match="No space left"):
        stream.flush()
    stream.flush()
    os.close(descriptor)


def test_a_stream_that_somebody_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    """As some shells and languages leave it behind."""
    os.set_blocking(pipe[1], False)
    stream = Stream(pipe[1])
    stream.write(b"x" * SIZE)
    reader, content = read_slowly(pipe[0], SIZE)

    stream.flush()
    reader.join()

    assert len(content) == SIZE


def test_one_file_for_both_keeps_the_order(tmp_path: Path) -> None:
    """The report stands where it was written, and no line within another one."""
    with (tmp_path / "both").open("wb") as both:
        validate(tmp_path, stdout=both, stderr=both)

    lines = [json.loads(line) for line in (tmp_path / "both").read_text().splitlines()]
    assert "schema" in lines[0]
    assert lines[-1]["event"] == "hook.failed"
    assert len(lines) == 103


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_without_a_thread_or_a_file_they_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    monkeypatch.setattr(sys, name, None)
    before = (sys.stdout, sys.stderr)

    streams.install()
    streams.finish()

    assert (sys.stdout, sys.stderr) == before


def test_the_termination_message_comes_before_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kills a program that waits for a reader finds it."""
    path = tmp_path / "termination"
    seen: list[str] = []

    class Watching(io.BytesIO):
        def write(self, data: Any) -> int:
            seen.append(path.read_text())
            return super().write(data)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Watching()))

    app.main(["validate", "--config", str(tmp_path)], {"HOOK_TERMINATION_LOG": str(path)})

    assert '"exit_code":2' in seen[0]


@pytest.mark.parametrize(("output", "verdicts"), [("text", 1), ("json", 2)])
def test_a_person_reads_one_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, output: str, verdicts: int
) -> None:
    """A terminal that shows the report as text shows no summary of the log below it."""
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)

    app.main(["validate", "--config", str(tmp_path), "--output", output, "--log-format", "json"], {})

    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("The configuration has 1 problem") == verdicts


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(
    ("end", "code", "said"), [(ImportError("no such module"), 1, "ImportError: no such module"), (SystemExit(), 0, "")]
)
def test_whatever_ends_the_run_the_process_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: BaseException, code: int, said: str
) -> None:
    """An installation that is broken is told in Python's own words, with the exit code of a bug."""

    def ended() -> int:
        raise end

    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(app, "main", ended)

    entry.main()

    assert codes == [code]
    assert said in capsys.readouterr().err


def test_a_stream_of_the_program_is_one_for_text(capfd: pytest.CaptureFixture[str]) -> None:
    """Of a terminal or not, and with a buffer for bytes."""
    streams.install()

    assert not sys.stdout.isatty()
    sys.stdout.buffer.write(b"a")
    print("b")
    sys.stdout.flush()
    assert capfd.readouterr().out == "ab\n"
