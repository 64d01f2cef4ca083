"""Several files, folders, pipes and standard input: what they declare is one configuration."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hook import signals
from hook.config.file import Config, Rules, load
from hook.config.sources import MAX_CONFIG_BYTES
from hook.deadline import Deadline
from hook.errors import ConfigError, Stopped

REPOSITORY = Path(__file__).parents[3]
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def names(*paths: Path, seconds: float = 10, **how: Any) -> list[str]:
    return [each.name for each in loaded(*paths, seconds=seconds, **how).collections]


def loaded(*paths: Path, seconds: float = 10, **how: Any) -> Config:
    return load(paths, {}, Deadline(seconds), Rules(**how))


def problems(*paths: Path, seconds: float = 10, **how: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        loaded(*paths, seconds=seconds, **how)
    return caught.value.problems


def one(name: str) -> str:
    return f"vector_dbs: [{{vector_db_id: {name}}}]"


class TestSeveral:
    def test_all_files_together_are_one_configuration(self, write: Write) -> None:
        found = loaded(write("a.yaml", one("x")), write("b.yaml", one("y")))

        assert [(each.name, each.declared) for each in found.collections] == [(name, frozenset("xy")) for name in "xy"]

    def test_a_name_in_two_files_is_a_problem_of_both(self, write: Write) -> None:
        first, second = write("a.yaml", one("x")), write("b.yaml", one("x"))

        (problem,) = problems(first, second)

        assert problem.startswith(f"{second}:")
        assert f"'x' is already declared at {first}:" in problem

    def test_an_alias_is_claimed_across_files_too(self, write: Write) -> None:
        alias = "registered_resources: {vector_stores: [{vector_store_id: y, vector_store_name: x}]}"

        (problem,) = problems(write("a.yaml", one("x")), write("b.yaml", alias))

        assert "vector_store_name: 'x' is already declared at" in problem

    @pytest.mark.parametrize("in_one_file", [True, False])
    @pytest.mark.parametrize(
        "pair",
        [
            ("vector_store_id: x, provider_id: __disabled__", "vector_store_id: y, vector_store_name: x"),
            ("vector_store_id: y, vector_store_name: x", "vector_store_id: x, provider_id: __disabled__"),
            ("vector_store_id: y, vector_store_name: x, provider_id: __disabled__", "vector_store_id: x"),
            (
                "vector_store_id: y, vector_store_name: x, provider_id: __disabled__",
                "vector_store_id: z, vector_store_name: x",
            ),
        ],
    )
    def test_what_is_switched_off_keeps_its_name_and_alias(
        self, write: Write, pair: tuple[str, str], in_one_file: bool
    ) -> None:
        """Else it would be another collection's, until a variable is set."""
        lists = [f"{{{pair[0]}}}, {{{pair[1]}}}"] if in_one_file else [f"{{{each}}}" for each in pair]
        paths = [
            write(f"{index}.yaml", f"registered_resources: {{vector_stores: [{each}]}}")
            for index, each in enumerate(lists)
        ]

        (problem,) = problems(*paths)

        assert "'x' is already declared at" in problem

    @pytest.mark.parametrize("in_one_file", [True, False])
    def test_of_one_name_all_but_one_may_be_switched_off(self, write: Write, in_one_file: bool) -> None:
        """As for several providers, also with the same alias."""
        off, on = (f"{{vector_store_id: x, vector_store_name: y, provider_id: {p}}}" for p in ("__disabled__", "p"))
        lists = [f"{off}, {on}, {off}"] if in_one_file else [off, on, off]
        paths = [
            write(f"{index}.yaml", f"registered_resources: {{vector_stores: [{each}]}}")
            for index, each in enumerate(lists)
        ]

        assert (names(*paths), loaded(*paths).aliases) == (["x"], {"x": "y"})

        assert problems(*paths, write("z.yaml", f"registered_resources: {{vector_stores: [{on}]}}"))

    def test_the_problems_of_all_files_are_shown(self, write: Write, tmp_path: Path) -> None:
        found = problems(write("a.yaml", "vector_dbs: [{}]"), tmp_path / "none", write("b.yaml", "vector_dbs: [7]"))

        assert [Path(problem.split(":")[0]).name for problem in found] == ["a.yaml", "none", "b.yaml"]

    def test_one_of_them_may_be_empty(self, write: Write) -> None:
        assert names(write("a.yaml", "vector_dbs: []"), write("b.yaml", one("x"))) == ["x"]

    def test_none_with_a_collection_is_a_problem_that_names_all(self, write: Write) -> None:
        first, second = write("a.yaml", "vector_dbs: []"), write("b.yaml", "vector_dbs: []")

        (problem,) = problems(first, second)

        assert str(first) in problem
        assert str(second) in problem
        assert loaded(first, second, allow_empty=True) == Config(())

    def test_a_warning_names_its_file(self, write: Write) -> None:
        first, second = write("a.yaml", one("x")), write("b.yaml", "vector_dbs: [{vector_db_id: y, owner: hr}]")

        (path,) = loaded(first, second).warnings

        assert str(second) in path


class TestFolders:
    def test_its_yaml_and_json_files_are_read_in_order(self, write: Write, tmp_path: Path) -> None:
        """JSON is YAML. Editors on other systems write suffixes in capital letters."""
        for name in ("f/b.yml", "f/a.yaml", "f/c.txt", "f/.hidden.yaml", "f/d.YAML", "f/e.json"):
            write(name, one(name[2:].strip(".").split(".")[0]))

        assert names(tmp_path / "f") == ["a", "b", "d", "e"]

    def test_a_subfolder_is_not_read_but_named(self, write: Write, tmp_path: Path) -> None:
        write("f/a.yaml", one("x"))
        (folder := tmp_path / "f" / "folder.yaml").mkdir()

        found = loaded(tmp_path / "f")

        assert found.names == ("x",)
        assert found.warnings == {
            str(folder): "a subfolder, not read; if it declares collections, give it a --config of its own"
        }

    def test_it_may_be_a_mounted_configmap(self, write: Write, tmp_path: Path) -> None:
        """The kubelet puts the files into a hidden folder, and links to them."""
        folder = tmp_path / "f"
        folder.mkdir()
        write("f/..2026/a.yaml", one("x"))
        (folder / "..data").symlink_to("..2026")
        (folder / "a.yaml").symlink_to("..data/a.yaml")

        assert names(folder) == ["x"]

    def test_a_file_in_it_may_declare_nothing(self, write: Write, tmp_path: Path) -> None:
        write("f/kustomization.yaml", "resources: [a.yaml]")
        write("f/a.yaml", one("x"))

        assert names(tmp_path / "f") == ["x"]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("collections: [{vector_db_id: b}]", "collections: is a value of the chart"),
            ("image: x\nreplicaCount: 1\nstack: {vector_dbs: [{vector_db_id: b}]}", "stack.vector_dbs: is too deep"),
            ("spec: {config: {vector_dbs: [{vector_db_id: b}]}}", "spec.config.vector_dbs: is too deep"),
            ("spec: {config: 'vector_dbs: [{vector_db_id: b}]'}", "spec.config: is too deep"),
            ("spec: {config: 'vector_dbs: {{ .Values.list }}'}", "spec.config: is too deep"),
            (
                "kind: ConfigMap\ndata: {b: 'vector_dbs: [{vector_db_id: b}]'}",
                "--config-key is 'run.yaml', but another key",
            ),
            ("kind: ConfigMap\ndata: {b.yaml: 'vector_dbs: ['}", "--config-key is 'run.yaml', but another key"),
            (
                "kind: Secret\ndata: {b: dmVjdG9yX2RiczogW3t2ZWN0b3JfZGJfaWQ6IGJ9XQ==}",
                "--config-key is 'run.yaml', but another key",
            ),
            ("[{vector_db_id: b}]", "is empty, or not a mapping"),
        ],
    )
    def test_one_that_seems_to_declare_is_not_passed_over(
        self, write: Write, tmp_path: Path, text: str, problem: str
    ) -> None:
        """What it declares would be deleted by `prune`."""
        path = write("f/b.yaml", text)
        write("f/a.yaml", one("x"))

        found = problems(tmp_path / "f", key="run.yaml")

        assert re.sub(r":\d+:\d+", "", found[0]).startswith(f"{path}: {problem}")

    @pytest.mark.parametrize(
        "text",
        [
            "collections: [{name: community.general}]",
            "kind: Job\nargs: ['for each in vector_dbs: print(each): x']",
            "kind: ConfigMap\ndata: {run.yaml: 'a: 1', b.yaml: 'apis: []'}",
            "[{kind: Job, metadata: {}}]",
        ],
        ids=["ansible", "script", "server-without-one", "manifests"],
    )
    def test_one_that_is_somebody_else_s_is(self, write: Write, tmp_path: Path, text: str) -> None:
        write("f/b.yaml", text)
        write("f/a.yaml", one("x"))

        assert names(tmp_path / "f", key="run.yaml") == ["x"]

    def test_a_file_in_it_that_cannot_declare_may_be_broken(self, write: Write, tmp_path: Path) -> None:
        """As the templates of a chart are."""
        write("f/deployment.yaml", "{{- if .Values.x }}\nkind: Deployment\n{{- end }}")
        write("f/a.yaml", one("x"))

        assert names(tmp_path / "f") == ["x"]

    def test_one_that_could_declare_may_not(self, write: Write, tmp_path: Path) -> None:
        path = write("f/configmap.yaml", "{{- if .Values.x }}\nvector_dbs: []\n{{- end }}")
        write("f/a.yaml", one("x"))

        (problem,) = problems(tmp_path / "f")

        assert problem.startswith(f"{path}:1:3: not valid YAML: ")

    def test_not_all_files_in_it_may(self, write: Write, tmp_path: Path) -> None:
        path = write("f/kustomization.yaml", "resources: [a.yaml]")

        (problem,) = problems(tmp_path / "f")

        assert problem.startswith(f"{path}:1:1: no key declares ")

    def test_a_named_file_may_not(self, write: Write) -> None:
        first, second = write("kustomization.yaml", "resources: [a.yaml]"), write("a.yaml", one("x"))

        (problem,) = problems(first, second)

        assert problem.startswith(f"{first}:1:1: no key declares ")

    def test_an_empty_one_is_a_problem(self, tmp_path: Path) -> None:
        assert problems(tmp_path) == (f"{tmp_path}: the folder has no *.yaml, *.yml or *.json file",)

    def test_one_that_cannot_be_listed_is_a_problem(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As for a user without its rights, which root always has."""

        def denied(_: Path) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", denied)

        assert problems(tmp_path) == (
            f"{tmp_path}: cannot be read: Permission denied; mount it there, or set HOOK_CONFIG",
        )


@contextmanager
def fifo(path: Path, text: str, pause_seconds: float = 0) -> Iterator[Path]:
    """Make a named pipe, and write to it in a thread."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("w") as pipe:
            time.sleep(pause_seconds)
            pipe.write(text)

    thread = threading.Thread(target=write)
    thread.start()
    yield path
    thread.join()


class TestPipes:
    @pytest.mark.parametrize("pause_seconds", [0, 1.3], ids=["at-once", "slow"])
    def test_a_named_pipe_is_read_to_its_end(self, tmp_path: Path, pause_seconds: float) -> None:
        with fifo(tmp_path / "pipe", one("x"), pause_seconds) as path:
            assert names(path) == ["x"]

    def test_one_that_is_too_large_is_refused(self, tmp_path: Path) -> None:
        with fifo(tmp_path / "pipe", "#" * (MAX_CONFIG_BYTES + 1)) as path:
            assert problems(path)[0].endswith("is larger than 1 MiB, more than a ConfigMap can hold")

    def test_one_without_an_end_is_given_up(self, tmp_path: Path) -> None:
        os.mkfifo(path := tmp_path / "pipe")
        held = os.open(path, os.O_RDWR)

        (problem,) = problems(path, seconds=0.3)

        os.close(held)
        assert problem.startswith(f"{path}: cannot be read: its end did not come within 0.3 s; ")

    def test_a_signal_ends_the_wait(self, tmp_path: Path) -> None:
        os.mkfifo(path := tmp_path / "pipe")
        held = os.open(path, os.O_RDWR)
        before = {number: signal.getsignal(number) for number in signals.SIGNALS}
        signals.listen()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Stopped):
                loaded(path)
        finally:
            os.close(held)
            for number, handler in before.items():
                signal.signal(number, handler)

    @pytest.mark.parametrize(
        "command",
        [
            "echo 'TEXT' | HOOK validate --config -",
            "echo 'TEXT' | HOOK validate --config /dev/stdin",
            "HOOK validate --config - < FILE",
            "HOOK validate --config <(sleep 0.2; echo 'TEXT')",
            "HOOK_CONFIG=FILE:- HOOK validate <<< '{vector_dbs: [{vector_db_id: y}]}'",
        ],
    )
    def test_a_shell_hands_it_over_in_any_way(self, write: Write, command: str) -> None:
        path = write("a.yaml", one("x"))
        hook = f"{sys.executable} -m hook --output json"
        command = command.replace("HOOK validate", f"{hook} validate").replace("FILE", str(path))

        process = subprocess.run(
            ["bash", "-c", command.replace("TEXT", one("x"))],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

        assert process.returncode == 0, process.stdout + process.stderr
        assert json.loads(process.stdout)["collections"][0]["name"] == "x"
