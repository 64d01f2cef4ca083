"""`resolve`: the address of a collection, and nothing else on stdout."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hook.app import main
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import NAMES, entries


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Return the path of the usual configuration."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    return str(path)


@pytest.fixture
def ids(server: FakeLlamaStack) -> dict[str, str]:
    """Register the usual collections behind the hook's back, and return their ids by name."""
    return {name: server.add(name) for name in NAMES}


def resolve(server: FakeLlamaStack, config: str, *arguments: str, **environ: str) -> int:
    """Run `resolve` and return its exit code."""
    flags = ["--timeout", "20", "--connections", "1", "--url", server.url, "--config", config]
    return main(["resolve", *arguments, *flags], environ)


def test_addresses_are_printed_in_the_order_asked(
    server: FakeLlamaStack, config: str, ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One a line, also where stdout is no terminal, and as often as asked."""
    assert resolve(server, config, "eu_ai_act", "red_hat_docs", "eu_ai_act") == 0
    assert capsys.readouterr().out.splitlines() == [ids["eu_ai_act"], ids["red_hat_docs"], ids["eu_ai_act"]]


def test_flags_may_stand_between_the_names(
    server: FakeLlamaStack, config: str, ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As a JSON object, by flag or by variable."""
    assert resolve(server, config, "--output", "json", "red_hat_docs", "eu_ai_act") == 0
    assert json.loads(capsys.readouterr().out) == {name: ids[name] for name in ("red_hat_docs", "eu_ai_act")}
    assert resolve(server, config, "red_hat_docs", HOOK_OUTPUT="json") == 0
    assert json.loads(capsys.readouterr().out) == {"red_hat_docs": ids["red_hat_docs"]}


def test_a_name_that_resolves_is_its_own_address(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to 0.2.24 there is nothing to translate."""
    with FakeLlamaStack("dbs") as server:
        main(["--url", server.url, "--config", config], {})
        capsys.readouterr()
        assert resolve(server, config, "red_hat_docs") == 0

    assert capsys.readouterr().out == "red_hat_docs\n"


@pytest.mark.parametrize("arguments", [("red_hat_docs", "eu_ai_act"), ("--output", "json", "eu_ai_act")])
def test_nothing_is_printed_unless_all_are_usable(
    server: FakeLlamaStack, config: str, ids: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: Any
) -> None:
    """A pipeline must not take half an answer; the log has the cause."""
    server.lost_ids.add(ids["eu_ai_act"])

    assert resolve(server, config, *arguments) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'eu_ai_act' is lost" in captured.err


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize("is_open", [True, False], ids=["a full disk", "closed"])
def test_an_address_that_cannot_be_printed_is_no_success(
    server: FakeLlamaStack,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_open: bool,
) -> None:
    """The init container that sends it into a file must not let its pod start."""
    full = Path("/dev/full").open("w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", full if is_open else None)

    assert resolve(server, config, "red_hat_docs") == 6
    closing = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (closing["event"], closing["exit_code"]) == ("hook.failed", 6)
    assert "could not be written to stdout" in closing["message"]
    with suppress(OSError):
        full.close()


def test_other_collections_do_not_matter(
    server: FakeLlamaStack, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what was asked for is looked at, and nothing is created."""
    only = server.add("red_hat_docs")

    assert resolve(server, config, "red_hat_docs") == 0
    assert capsys.readouterr().out == f"{only}\n"
    assert server.names() == ["red_hat_docs"]
    asked = [request.body["vector_store_id"] for request in server.requests if "/vector-io/" in request.path]
    assert set(asked) == {only}


def test_it_sees_what_belongs_to_others_as_check_does(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id, whatever its name: the other collection is declared, too, though nobody asks for it here."""
    path = tmp_path / "both.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("first", "second")}))
    server.add("second", id="first")

    assert resolve(server, str(path), "second") == 5
    assert capsys.readouterr().out == ""
    assert main(["check", "--connections", "1", "--url", server.url, "--config", str(path)], {}) == 5


def test_what_belongs_to_others_hides_nothing_after_it(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(json.dumps({"vector_dbs": entries("first", "second")}))
    found = server.add("second", created_at=1)
    server.add("first", id="first", created_at=2)

    # The newest comes first in a list.
    assert resolve(server, str(path), "second") == 0
    assert capsys.readouterr().out.splitlines() == [found]


def test_it_waits_like_any_run(
    server: FakeLlamaStack, config: str, ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipeline may start together with its server."""
    server.fault("GET /v1/health", answer(503), times=1)

    assert resolve(server, config, "red_hat_docs") == 0
    assert capsys.readouterr().out == f"{ids['red_hat_docs']}\n"


def test_an_unknown_name_is_a_configuration_error(
    server: FakeLlamaStack, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which names there are."""
    assert resolve(server, config, "redhat_docs") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "redhat_docs: not declared; declared collections: red_hat_docs, acme_corporate" in captured.err
    assert server.requests == []


def test_a_disabled_name_is_a_configuration_error(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is declared, so it is not unknown, but nothing stands behind it."""
    path = tmp_path / "disabled.yaml"
    off = {"vector_store_id": "off", "vector_store_name": "its alias", "provider_id": "__disabled__"}
    path.write_text(json.dumps({"vector_dbs": entries("on"), "registered_resources": {"vector_stores": [off]}}))

    assert resolve(server, str(path), "off", "its alias") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "off: disabled: its provider_id __disabled__ switches it off" in captured.err
    assert "its alias: disabled: its provider_id __disabled__ switches it off" in captured.err
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resolve"], "resolve needs the name of a collection: "),
        (["check", "red_hat_docs"], "to verify one collection, use `resolve red_hat_docs`"),
    ],
)
def test_names_belong_to_resolve(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And it needs one."""
    assert main(arguments, {}) == 2
    assert said in capsys.readouterr().err


def test_an_address_is_printed_as_it_is(
    server: FakeLlamaStack, config: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each byte counts: two spaces are not one, and its letters are those of the server's JSON."""
    server.add("red_hat_docs", id=" vs_1  ä" + "x" * 3000)

    assert resolve(server, config, "red_hat_docs") == 0
    assert capsysbinary.readouterr().out == " vs_1  ä".encode() + b"x" * 3000 + b"\n"


@pytest.mark.parametrize("store_id", ["vs_1\nvs_2", "vs_\x1b[2J", "vs_1\u2028", "vs_1\r", "vs_\ud800"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_an_id_that_could_forge_a_line_is_refused(
    server: FakeLlamaStack, config: str, capsys: pytest.CaptureFixture[str], store_id: str, output: str
) -> None:
    """Altered it would be no address."""
    server.add("red_hat_docs", id=store_id)

    assert resolve(server, config, "red_hat_docs", "--output", output) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "its id on the server holds an unprintable character" in captured.err


@pytest.mark.parametrize("level", ["error", "off"])
def test_a_failure_is_said_whatever_the_log_level(capsys: pytest.CaptureFixture[str], level: str) -> None:
    """In one line on stderr, since there is no report."""
    flags = ["--config", "missing.yaml", "--log-level", level, "--log-format", "json"]

    assert main(["resolve", "zz", *flags], {}) == 2
    shown = capsys.readouterr()
    summary = json.loads(shown.err.splitlines()[-1])
    assert shown.out == ""
    assert (summary["event"], summary["exit_code"]) == ("hook.failed", 2)
    assert "missing.yaml: no such file; " in summary["message"]


def test_a_report_is_enough_where_the_log_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", "missing.yaml", "--log-level", "off"], {}) == 2
    shown = capsys.readouterr()
    assert "missing.yaml: no such file; " in shown.out
    assert shown.err == ""
