"""`check`, `validate`, usage, and what a run leaves on its streams and in the termination log."""

import json
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import hook.registration.run
from hook.app import main
from hook.logs import log
from tests.fake_llamastack import FakeLlamaStack, closed_port
from tests.unit.conftest import Run, entries


def test_check_finds_everything_in_its_place(server: FakeLlamaStack, run: Run) -> None:
    """After `register` there is nothing to complain about."""
    run(server.url)

    outcome = run(server.url, "check")

    assert (outcome.exit_code, outcome.states) == (0, ["present"] * 3)


def test_check_reports_what_is_missing_and_changes_nothing(server: FakeLlamaStack, run: Run) -> None:
    """It is safe to run at any time, with every option."""
    server.lost_ids.add(server.add("eu_ai_act"))

    outcome = run(server.url, "check", "--on-lost", "recreate")

    assert outcome.exit_code == 5
    assert outcome.states == ["missing", "missing", "lost"]
    sent = {request.line for request in server.requests if request.method != "GET"}
    assert sent == {"POST /v1/embeddings", "POST /v1/vector-io/insert"}
    assert len(server.stores) == 1


def test_validate_asks_no_server(run: Run) -> None:
    """It runs offline, in a pipeline that checks a pull request."""
    with closed_port() as url:
        outcome = run(url, "validate")

    assert (outcome.exit_code, outcome.states) == (0, ["valid"] * 3)
    assert outcome.report["server"] == {"url": None, "version": None}


def test_validate_shows_every_problem(run: Run) -> None:
    """In the report, in the log and in the message."""
    outcome = run("http://stack", "validate", collections=[{"vector_db_id": 1}, {"embedding_model": "m"}])

    assert outcome.exit_code == 2
    assert [problem.split(": ", 1)[1] for problem in outcome.report["problems"]] == [
        "vector_dbs[0].vector_db_id: must be a string, not 1; quote it",
        "vector_dbs[1].vector_db_id: is missing",
    ]
    assert outcome.event_names() == ["config.invalid", "config.invalid", "hook.failed"]
    assert outcome.report["message"].startswith("The configuration has 2 problems: ")


def test_disabled_collections_are_logged(run: Run) -> None:
    """Nobody has to wonder why a declared collection is not in the report."""
    outcome = run("http://stack", "validate", collections=[*entries("a"), *entries("b", provider_id="__disabled__")])

    assert [event["collections"] for event in outcome.events if event["event"] == "config.collections_disabled"] == [
        ["b"]
    ]


@pytest.mark.parametrize("command", ["register", "check", "validate"])
def test_disabled_collections_are_in_the_report(server: FakeLlamaStack, run: Run, command: str) -> None:
    """As such, with the reason, and the message counts them; nothing fails by them and nothing is made of them."""
    collections = [*entries("a", provider_id="${env.OFF:+milvus-shared}"), *entries("b")]
    if command == "check":
        run(server.url, collections=entries("b"))

    outcome = run(server.url, command, collections=collections)

    assert outcome.exit_code == 0
    assert outcome.states[0] == "disabled"
    assert [collection["name"] for collection in outcome.report["collections"]] == ["a", "b"]
    assert outcome.detail("a") == (
        "its provider_id ${env.OFF:+milvus-shared} switches it off; if the server has it, give the hook the "
        "server's variables too"
    )
    assert outcome.report["message"].startswith("1 collection")
    assert outcome.report["message"].endswith("; 1 more disabled")
    assert "a" not in server.names()


def test_a_section_that_nobody_reads_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its path; beside it stands the right one."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("a"), "vector_databases": entries("b")}))
    column = path.read_text().index('"vector_databases"') + 1

    assert main(["validate", "--config", str(path)], {}) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (event,) = [event for event in events if event["event"] == "config.noted"]
    assert (event["level"], event["path"]) == ("warning", f"{path}:1:{column}: vector_databases")
    assert event["hint"] == "LlamaStack does not read this list: move its entries to vector_dbs"


def test_what_is_not_used_is_in_the_report(run: Run) -> None:
    """And in the log, each with its path; nothing fails by it."""
    outcome = run("http://stack", "validate", collections=entries("a", owner="hr"))

    (warning,) = outcome.report["warnings"]
    assert (outcome.exit_code, outcome.states) == (0, ["valid"])
    assert ":1:" in warning.partition("vector_dbs[0]")[0]
    assert warning.partition(": ")[2].startswith("vector_dbs[0].owner: unknown key, ignored; valid keys: ")
    (event,) = [event for event in outcome.events if event["event"] == "config.noted"]
    assert f"{event['path']}: {event['hint']}" == warning


@pytest.mark.parametrize("command", ["register", "check", "validate"])
@pytest.mark.parametrize("how", [["--allow-empty"], {"HOOK_ALLOW_EMPTY": "true"}], ids=["flag", "variable"])
def test_nothing_declared_may_be_allowed(server: FakeLlamaStack, run: Run, command: str, how: Any) -> None:
    """A sentence says so, and no server is asked."""
    flags, environ = (how, {}) if isinstance(how, list) else ([], how)

    outcome = run(server.url, command, *flags, collections=[], environ=environ)

    assert outcome.exit_code == 0
    assert outcome.report["message"] == "no collection is declared; no server was asked"
    assert outcome.report["collections"] == []
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "false"])
def test_nothing_declared_is_an_error_that_names_the_switch(run: Run, value: str) -> None:
    outcome = run("http://stack", collections=[], environ={"HOOK_ALLOW_EMPTY": value})

    assert outcome.exit_code == 2
    assert outcome.report["message"].endswith(
        "; if that is intended, set --allow-empty or HOOK_ALLOW_EMPTY=true (Helm: allowEmpty)"
    )


def test_validate_warns_of_a_variable_that_only_the_server_has(run: Run) -> None:
    """On a pull request nobody has it; the report shows the entry as it is written."""
    outcome = run("http://stack", "validate", collections=entries("${env.ID}", provider_vector_db_id="x"))

    (warning,) = outcome.report["warnings"]
    assert (outcome.exit_code, outcome.states) == (0, ["valid"])
    assert outcome.report["collections"][0]["name"] == "${env.ID}"
    assert "vector_dbs[0].vector_db_id: the environment variable ID is not set; set it, or write " in warning


@pytest.mark.parametrize("arguments", [["validate", "--strict"], ["check"], ["register"]])
def test_it_is_an_error_of_every_run_and_where_that_is_asked_for(run: Run, arguments: list[str]) -> None:
    outcome = run("http://stack", *arguments, collections=entries("${env.ID}"))

    assert outcome.exit_code == 2
    assert "the environment variable ID is not set" in outcome.report["message"]


def test_warnings_are_for_people_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("a", owner="hr")}))

    assert main(["validate", "--config", str(path), "--output", "text"], {}) == 0
    out = capsys.readouterr().out
    assert f"warning: {path}:1:" in out
    assert ": vector_dbs[0].owner: unknown key, ignored" in out


def test_a_wrong_setting_is_an_error_and_nothing_is_sent(server: FakeLlamaStack, run: Run) -> None:
    """Even where the report's own form is what is wrong."""
    outcome = run(server.url, environ={"HOOK_ON_LOST": "ignore", "HOOK_LOG_LEVEL": "loud"})

    assert outcome.exit_code == 2
    assert outcome.report["problems"] == [
        "HOOK_LOG_LEVEL: must be one of debug, info, warning, error, off, not 'loud'",
        "HOOK_ON_LOST: must be one of fail, recreate, not 'ignore'",
    ]
    assert outcome.report["message"].startswith("2 invalid settings: HOOK_LOG_LEVEL: ")
    assert server.requests == []


def test_a_usage_error_is_reported_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout as JSON, with exit code 2."""
    assert main(["--no-such-flag"], {}) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == [
        "unrecognized arguments: --no-such-flag; see register-collections --help"
    ]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """For the person who has to say which image it was."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"], {})

    assert capsys.readouterr().out.startswith("register-collections ")


def test_the_last_event_is_the_summary(server: FakeLlamaStack, run: Run) -> None:
    """Its figures are those of the report."""
    outcome = run(server.url)
    summary = outcome.events[-1]

    assert summary["event"] == "hook.finished"
    assert (summary["registered"], summary["exit_code"], summary["command"]) == (3, 0, "register")
    assert summary["message"] == outcome.report["message"]
    assert outcome.event_names() == [
        "config.loaded",
        "health.ready",
        *["collection.registered"] * 3,
        "collections.addressed_by_id",
        "hook.finished",
    ]


def test_failures_are_events_too(server: FakeLlamaStack, run: Run) -> None:
    """One for each collection, then the summary."""
    outcome = run(server.url, "check")

    assert outcome.event_names()[-4:] == [*["collection.failed"] * 3, "hook.failed"]
    assert outcome.events[-1]["missing"] == 3


def test_text_and_console_are_for_people(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same run, told for a terminal."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    code = main(["--url", server.url, "--config", str(path), "--output", "text", "--log-format", "console"], {})
    captured = capsys.readouterr()

    assert code == 0
    assert captured.out.startswith("COLLECTION")
    assert captured.out.splitlines()[-1].startswith("OK, exit code 0, ")
    assert "collection.registered" in captured.err
    assert not captured.err.startswith("{")


@pytest.mark.parametrize(
    ("environ", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "", "NO_COLOR": ""}, False),
    ],
)
def test_the_console_obeys_the_variables_for_colors(
    environ: dict[str, str], colored: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """NO_COLOR before FORCE_COLOR, and an empty one counts as unset."""
    main(["validate", "--config", "missing", "--log-format", "console"], environ)

    assert ("\x1b[" in capsys.readouterr().err) is colored


@pytest.mark.parametrize(
    ("environ", "colored"),
    [({}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False), ({"TERM": "xterm"}, True)],
)
def test_a_terminal_has_colors_unless_nobody_wants_them(
    environ: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real terminal stands at the other end."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        main(["validate", "--config", "missing"], environ)
        terminal.flush()
        shown = os.read(ours, 65536)
    os.close(ours)

    assert (b"\x1b[" in shown) is colored


def test_a_bug_is_exit_code_1_with_its_traceback(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never success, and never silence."""

    def broken(*_: object) -> None:
        raise KeyError("unfor\nseen")

    monkeypatch.setattr(hook.registration.run.Run, "carry_out", broken)
    outcome = run(server.url)

    assert outcome.exit_code == 1
    assert outcome.report["outcome"] == "unexpected"
    assert outcome.report["message"] == (
        "This is a bug in register-collections: KeyError: 'unfor\\nseen'; report it with the traceback in the log"
    )
    assert "Traceback" in next(event["exception"] for event in outcome.events if event["event"] == "hook.crashed")


def test_the_termination_message_goes_where_it_is_asked_for(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    """Its first line is the message of the report."""
    path = tmp_path / "termination-log"
    outcome = run(server.url, environ={"HOOK_TERMINATION_LOG": str(path)})

    line, body = path.read_text().split("\n")
    assert line == outcome.report["message"]
    assert json.loads(body)["exit_code"] == outcome.exit_code


def test_the_termination_message_goes_into_kubernetes_file(
    server: FakeLlamaStack, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nowhere if there is none, as on a laptop."""
    path = tmp_path / "termination-log"
    monkeypatch.setattr(import_module("hook.output.emit"), "TERMINATION_LOG", path)

    run(server.url)
    assert not path.exists()
    path.touch()
    run(server.url)
    assert json.loads(path.read_text().split("\n")[1])["outcome"] == "ok"


def test_a_lost_termination_message_changes_no_result(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    """It is said in the log."""
    outcome = run(server.url, environ={"HOOK_TERMINATION_LOG": str(tmp_path)})

    assert outcome.exit_code == 0
    assert "termination_message.not_written" in outcome.event_names()
    assert outcome.event_names()[-1] == "hook.finished"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_was_never_open_changes_no_result(
    server: FakeLlamaStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`>&-` makes it None."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    monkeypatch.setattr(sys, name, None)

    assert main(["--url", server.url, "--config", str(path)], {}) == 0
    assert len(server.stores) == 3


def test_a_closed_stdout_changes_no_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody's `head -1` must not turn success into failure."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)

    assert main(["--no-such-flag", "é"], {}) == 2
    assert "report.not_written" in capsys.readouterr().err
    with suppress(BrokenPipeError):
        stream.close()


def test_no_event_of_another_thread_follows_the_summary(
    server: FakeLlamaStack, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A connection that nobody waits for any more may be answered after it."""
    run(server.url)
    late = threading.Thread(target=lambda: log.error("late"))
    late.start()
    late.join()

    assert capsys.readouterr().err == ""


def test_a_usage_error_obeys_the_output_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where that stands after the mistake."""
    assert main(["check", "--foo", "--output", "text", "--log-level", "error"], {}) == 2

    assert capsys.readouterr().out.splitlines()[-1].startswith("FAILED (config), exit code 2, ")


def test_a_usage_error_is_reported_for_the_typed_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--foo"], {}) == 2

    assert json.loads(capsys.readouterr().out)["command"] == "check"


def test_validate_checks_each_file_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two clusters may have a collection of the same name each, and one wrong file hides no other one."""
    good, same, bad, worse = (tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml", "d.yaml"))
    for path, content in ((good, entries("a")), (same, entries("a", owner="x")), (bad, [{}]), (worse, [{}])):
        path.write_text(json.dumps({"vector_dbs": content}))

    assert main(["validate", str(good), str(same)], {}) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in report["collections"]] == ["a", "a"]
    assert report["warnings"][0].startswith(f"{same}:1:")
    assert main(["validate", str(bad), str(good), str(worse)], {}) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem.split(": ")[0] for problem in problems] == [f"{bad}:1:17", f"{worse}:1:17"]


@pytest.mark.parametrize(
    ("environ", "flags", "expected"),
    [
        ({}, ["--output", "markdown"], "### register-collections validate: OK\n\n1 collection, valid"),
        ({"GITHUB_ACTIONS": "true"}, [], "1 collection, valid\n"),
    ],
)
def test_a_pipeline_gets_the_form_that_it_shows(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    flags: list[str],
    expected: str,
) -> None:
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("a")}))

    assert main(["validate", str(path), *flags], environ) == 0
    assert capsys.readouterr().out.startswith(expected)


def test_a_person_reads_everything_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report on the terminal has what the log would say."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": [*entries("a", owner="hr"), {}]}))
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)

    assert main(["validate", str(path)], {"NO_COLOR": "1"}) == 2
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.count("vector_db_id: is missing") == 1
    assert main(["validate", str(path), "--output", "json"], {"NO_COLOR": "1"}) == 2
    assert "config.invalid" in capsys.readouterr().err
