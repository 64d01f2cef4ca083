"""Files that are none: a FIFO or a device never holds a run."""

import os
from pathlib import Path

import pytest

from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import Run

NOT_REGULAR = ["fifo", "/dev/zero", "/dev/tty", "folder"]


def make(kind: str, folder: Path) -> str:
    """Return the path of something that is no regular file."""
    path = folder / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    return str(path)


@pytest.mark.parametrize("kind", NOT_REGULAR)
def test_a_configuration_that_is_no_file_is_a_problem(run: Run, tmp_path: Path, kind: str) -> None:
    """It is said, and not waited for."""
    outcome = run("http://stack", "validate", config=make(kind, tmp_path))

    assert outcome.exit_code == 2
    assert ": cannot be read: " in outcome.report["problems"][0]


@pytest.mark.parametrize("kind", NOT_REGULAR)
@pytest.mark.parametrize("variable", ["LLAMA_STACK_API_KEY_FILE", "HOOK_CONSUMER_API_KEY_FILE"])
def test_a_token_that_is_no_file_is_a_problem(run: Run, tmp_path: Path, kind: str, variable: str) -> None:
    """It is said, and not waited for."""
    path = make(kind, tmp_path)
    outcome = run("http://stack", environ={variable: path})

    assert outcome.exit_code == 2
    assert outcome.report["problems"][0].startswith(f"{variable}: {path}: cannot be read: ")


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero"])
def test_certificates_that_are_no_file_are_a_problem(run: Run, tmp_path: Path, kind: str) -> None:
    """The library would read them for ever."""
    path = make(kind, tmp_path)
    bundle = run("https://stack", environ={"REQUESTS_CA_BUNDLE": path})
    client = run("https://stack", environ={"LLAMA_STACK_CLIENT_CERT": path, "LLAMA_STACK_CLIENT_KEY": path})

    assert (bundle.exit_code, client.exit_code) == (2, 2)
    assert "it is no regular file" in bundle.report["message"] + client.report["message"]


@pytest.mark.parametrize("kind", NOT_REGULAR)
def test_a_termination_log_that_is_no_file_is_left_alone(
    server: FakeLlamaStack, run: Run, tmp_path: Path, kind: str
) -> None:
    """The result stands, and the log says so."""
    outcome = run(server.url, environ={"HOOK_TERMINATION_LOG": make(kind, tmp_path)})

    assert outcome.exit_code == 0
    assert "termination_message.not_written" in outcome.event_names()


def test_a_termination_message_replaces_what_was_there(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    """All of it, however long it was."""
    path = tmp_path / "termination-log"
    path.write_text("x" * 10000)
    outcome = run(server.url, environ={"HOOK_TERMINATION_LOG": str(path)})

    assert path.read_text().split("\n")[0] == outcome.report["message"]
    assert "x" * 100 not in path.read_text()
