"""Files of the pod: what is read and written has an end."""

import json
import os
from pathlib import Path

import pytest

from hook import files
from hook.app import main
from tests.fake_llamastack import FakeLlamaStack, closed_port
from tests.unit.conftest import Run, entries

NO_FILE = "not a regular file"


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Return a named pipe that nobody writes to or reads from."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (None, "cannot be read: nobody writes to this pipe; mount it there, or set HOOK_CONFIG"),
        ("/dev/zero", f"cannot be read: {NO_FILE}; mount it there, or set HOOK_CONFIG"),
        ("/dev", "the folder has no *.yaml, *.yml or *.json file"),
    ],
    ids=["fifo", "device", "directory"],
)
def test_a_configuration_that_is_no_file_is_a_problem(
    fifo: Path, path: str | None, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting for somebody who writes would be waiting for ever."""
    assert main(["validate", "--config", path or str(fifo)], {}) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == [f"{path or fifo}: {problem}"]


def test_a_token_that_is_no_file_is_a_problem(fifo: Path, run: Run) -> None:
    """The same, for each of the credentials."""
    with closed_port() as url:
        outcome = run(url, "--api-key-file", str(fifo), "--consumer-api-key-file", "/dev/zero")

    assert outcome.exit_code == 2
    assert outcome.report["problems"] == [
        f"--api-key-file: {fifo}: cannot be read: {NO_FILE}",
        f"--consumer-api-key-file: /dev/zero: cannot be read: {NO_FILE}",
    ]


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"REQUESTS_CA_BUNDLE": "FIFO"}, "REQUESTS_CA_BUNDLE: no certificates to trust"),
        (
            {"LLAMA_STACK_CLIENT_CERT": "FIFO", "LLAMA_STACK_CLIENT_KEY": "/dev/null"},
            "LLAMA_STACK_CLIENT_CERT, LLAMA_STACK_CLIENT_KEY: no certificate with its key",
        ),
        (
            {"LLAMA_STACK_CLIENT_CERT": __file__, "LLAMA_STACK_CLIENT_KEY": "FIFO"},
            "LLAMA_STACK_CLIENT_CERT, LLAMA_STACK_CLIENT_KEY: no certificate with its key",
        ),
    ],
    ids=["bundle", "certificate", "key"],
)
def test_a_certificate_that_is_no_file_is_a_problem(
    fifo: Path, run: Run, environ: dict[str, str], problem: str
) -> None:
    """What reads it is OpenSSL, which would wait, too."""
    outcome = run("https://stack", environ={key: value.replace("FIFO", str(fifo)) for key, value in environ.items()})

    assert outcome.exit_code == 2
    (told,) = outcome.report["problems"]
    assert told.startswith(f"{problem}: ")
    assert told.endswith(f"{NO_FILE}: '{fifo}'")


@pytest.mark.parametrize("reader", [False, True], ids=["nobody-reads", "somebody-reads"])
def test_a_termination_log_that_is_no_file_changes_no_result(
    server: FakeLlamaStack, run: Run, fifo: Path, reader: bool
) -> None:
    """It is said in the log, and the run ends as it would."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK) if reader else None
    outcome = run(server.url, environ={"HOOK_TERMINATION_LOG": str(fifo)}, collections=entries("a"))
    if descriptor is not None:
        os.close(descriptor)

    assert outcome.exit_code == 0
    (event,) = [event for event in outcome.events if event["event"] == "termination_message.not_written"]
    assert event["cause"] == NO_FILE
    assert event["path"] == str(fifo)


def test_a_shorter_text_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    """A file that is written again holds what was written last."""
    path = tmp_path / "file"
    files.write(path, b"longer")
    files.write(path, b"short")

    assert files.read(path, 10) == b"short"
    assert files.read(path, 3) == b"sho"
