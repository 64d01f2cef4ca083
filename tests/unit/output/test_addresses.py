"""`resolve --to FILE`: the addresses for the next container of a pod, for a shell and for readers of dotenv files."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from hook.app import main
from hook.errors import ConfigError, PublishError, RefusedError
from hook.output.addresses import check, key_of, write
from tests.fake_llamastack import FakeLlamaStack
from tests.unit.conftest import NAMES, entries


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the path of the user's configuration."""
    path = tmp_path / "collections.yaml"
    path.write_text(json.dumps({"vector_dbs": entries()}))
    return path


@pytest.fixture
def ids(server: FakeLlamaStack) -> dict[str, str]:
    return {name: server.add(name) for name in NAMES}


def resolve(server: FakeLlamaStack, config: Path, *arguments: str, **environ: str) -> int:
    flags = ["--timeout", "20", "--connections", "1", "--url", server.url, "--config", str(config)]
    return main(["resolve", *arguments, *flags], environ)


def sourced(path: Path) -> dict[str, str]:
    """Return what a POSIX shell makes of a file."""
    script = 'set -a; . "$1"; env -0'
    done = subprocess.run(["sh", "-c", script, "sh", path], env={}, capture_output=True, check=True)
    found = dict(each.split("=", 1) for each in done.stdout.decode().split("\0") if each)
    return {key: value for key, value in found.items() if key.startswith("VECTOR_STORE_")}


def test_a_shell_takes_the_file(
    server: FakeLlamaStack, config: Path, ids: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each address under a name of its own, for everybody to read, and nothing on stdout."""
    path = tmp_path / "env"

    assert resolve(server, config, "eu_ai_act", "red_hat_docs", "--to", str(path)) == 0
    assert path.read_text().splitlines() == [
        f"VECTOR_STORE_EU_AI_ACT={ids['eu_ai_act']}",
        f"VECTOR_STORE_RED_HAT_DOCS={ids['red_hat_docs']}",
    ]
    assert sourced(path)["VECTOR_STORE_RED_HAT_DOCS"] == ids["red_hat_docs"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "addresses.written" in captured.err


def test_without_a_name_all_are_written(
    server: FakeLlamaStack, config: Path, ids: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "env"

    assert resolve(server, config, "--to", str(path)) == 0
    assert sourced(path) == {key_of(name): ids[name] for name in NAMES}


def test_a_name_that_ends_with_json_asks_for_json(
    server: FakeLlamaStack, config: Path, ids: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "addresses.json"

    assert resolve(server, config, "--to", str(path)) == 0
    assert json.loads(path.read_text()) == ids


def test_what_is_switched_off_has_no_line(server: FakeLlamaStack, tmp_path: Path) -> None:
    config, path = tmp_path / "collections.yaml", tmp_path / "env"
    config.write_text(json.dumps({"vector_dbs": [*entries("off", provider_id="__disabled__"), *entries("on")]}))
    on = server.add("on")

    assert resolve(server, config, "--to", str(path)) == 0
    assert sourced(path) == {"VECTOR_STORE_ON": on}


def test_nothing_declared_is_an_empty_file_where_it_is_allowed(server: FakeLlamaStack, tmp_path: Path) -> None:
    config, path = tmp_path / "collections.yaml", tmp_path / "env"
    config.write_text("vector_dbs: []")

    assert resolve(server, config, "--to", str(path), "--allow-empty") == 0
    assert path.read_text() == ""
    assert server.requests == []


def test_a_collection_that_is_not_usable_leaves_the_file_alone(
    server: FakeLlamaStack, config: Path, ids: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "env"
    path.write_text("before")
    server.lost_ids.add(ids["eu_ai_act"])

    assert resolve(server, config, "--to", str(path)) == 5
    assert path.read_text() == "before"


def test_two_names_of_one_key_are_noticed_before_any_request(
    server: FakeLlamaStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One would overwrite the other."""
    config = tmp_path / "collections.yaml"
    config.write_text(json.dumps({"vector_dbs": entries("hr-docs", "HR docs")}))

    assert resolve(server, config, "--to", str(tmp_path / "env")) == 2
    assert server.requests == []
    assert (
        "--to: 'HR docs' and 'hr-docs' map to the same variable VECTOR_STORE_HR_DOCS; write JSON (--to FILE.json), or "
        "name only one" in capsys.readouterr().err
    )


def test_json_has_no_keys_to_collide() -> None:
    check(Path("x.json"), {"hr-docs": "hr-docs", "HR docs": "HR docs"})


def test_two_names_of_one_collection_may_have_one_key() -> None:
    check(Path("env"), {"hr-docs": "hr-docs", "HR docs": "hr-docs"})


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("red_hat_docs", "VECTOR_STORE_RED_HAT_DOCS"),
        ("HR documents (2026)", "VECTOR_STORE_HR_DOCUMENTS_2026_"),
        ("vs_1-a", "VECTOR_STORE_VS_1_A"),
        ("Straße", "VECTOR_STORE_STRASSE"),
        ("資料", "VECTOR_STORE__"),
    ],
)
def test_a_key_is_one_that_every_shell_takes(label: str, key: str) -> None:
    assert key_of(label) == key


@pytest.mark.parametrize("address", ["vs_1", "HR documents", 'a"b', "a#b", "a`b`", "a;b&c", "~", "a=b", " ä "])
def test_a_shell_reads_each_address_as_it_is(tmp_path: Path, address: str) -> None:
    """So does a reader of dotenv files: what is between single quotes is nothing but itself."""
    write(tmp_path / "env", {"a": address, "b": "vs_2"})

    assert sourced(tmp_path / "env") == {"VECTOR_STORE_A": address, "VECTOR_STORE_B": "vs_2"}
    assert dotenv_values(tmp_path / "env") == sourced(tmp_path / "env")


@pytest.mark.parametrize("address", ["it's", "a\\b", "${HOME}"])
def test_an_address_that_two_readers_read_otherwise_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(RefusedError, match=r"VECTOR_STORE_A: a shell and a dotenv reader disagree .*; write JSON"):
        write(tmp_path / "env", {"a": address})

    write(tmp_path / "x.json", {"a": address})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": address}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("missing/env", "its folder does not exist; mount a volume there"),
        ("folder", "exists and is not a regular file; choose another path"),
        ("link", "exists and is not a regular file; choose another path"),
        ("pipe", "exists and is not a regular file; choose another path"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_with_its_path(tmp_path: Path, target: str, says: str) -> None:
    """Before the server is asked, where that can be known, and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(PublishError):
        write(tmp_path / target, {"a": "vs_1"})
    with pytest.raises(ConfigError) as caught:
        check(tmp_path / target, {"a": "a"})

    assert caught.value.problems == (f"--to: {tmp_path / target}: {says}",)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk must not cut the file of the last run, nor leave a part beside it."""
    path = tmp_path / "env"
    path.write_text("before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(PublishError, match=r"cannot be written to .*: No space left on device"):
        write(path, {"a": "vs_1"})

    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check", "--to", "x"], "only resolve takes --to"),
        (["resolve", "a", "--strict"], "only validate takes --strict"),
        (["resolve", "--to", ""], "--to: must be the path of a file"),
        (["check", "a"], "check takes no names; to verify one collection, use `resolve a`"),
    ],
)
def test_each_flag_belongs_to_its_command(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, {}) == 2
    assert expected in capsys.readouterr().err
