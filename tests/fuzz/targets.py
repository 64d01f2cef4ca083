"""What a fuzzer feeds with bytes: each target checks that its part of the program does with them what it promises.

A target is used in a folder of its own, and gives a check that raises where the promise is broken. Nothing here needs
the fuzzer, so that the unit tests run each input that is kept in `inputs/`.
"""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from dotenv import dotenv_values
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from hook import logs
from hook.config import Config, Rules, load
from hook.deadline import Deadline
from hook.domain import Finding, Model, Provider, State, Target, VectorStore
from hook.errors import (
    MAX_PROBLEMS,
    ConfigError,
    RefusedError,
    ReplacedError,
    SettingError,
    UnavailableError,
)
from hook.http import Endpoint, Http
from hook.llamastack import INSERT, QUERY, LlamaStack
from hook.output import addresses as handed_over

Check = Callable[[bytes], None]

MOST_CHARACTERS = 4000
"""Of one sentence: some texts of somebody else, each cut."""
BETWEEN = b"\0\0"
"""What separates the answers of one input, and NUL the texts of another."""
VARIABLES = {"SET": "value", "EMPTY": "", "NUMBER": "768"}


@contextmanager
def config(folder: Path) -> Iterator[Check]:
    """Read the bytes as a configuration file: collections, or the one foreseeable error."""
    path = folder / "any.yaml"

    def loaded(rules: Rules) -> Config | None:
        try:
            return load([path], VARIABLES, Deadline(60), rules)
        except ConfigError as caught:
            problems = caught.problems
        assert 0 < len(problems) <= MAX_PROBLEMS + 1
        assert [each for each in problems if not is_sentence(each)] == []
        return None

    def check(data: bytes) -> None:
        path.write_bytes(data)
        tolerated = loaded(Rules(allow_unset=True, allow_empty=True, is_offline=False))
        if tolerated is None or (strict := loaded(Rules())) is None:
            return
        assert strict.collections == tolerated.collections != ()
        assert all(is_sentence(each) for place, hint in strict.warnings.items() for each in (place, hint))
        names = [each.name for each in strict.collections]
        assert len(set(names)) == len(names)
        assert all(is_name(name) for name in (*strict.names, *strict.aliases.values()))

    yield check


WANTED = Target("red_hat_docs", Provider("milvus-shared", "milvus"), Model("granite", "granite", 768), 768)
OPERATIONS: Mapping[str, Callable[[LlamaStack], Any]] = {
    "health": lambda server: server.check_health(),
    "version": lambda server: server.version(),
    "models": lambda server: server.models(),
    "providers": lambda server: server.providers(),
    "list": lambda server: server.vector_stores(),
    "create": lambda server: server.create_vector_store(WANTED),
    "delete": lambda server: server.delete_vector_store("vs_1"),
    "embedding": lambda server: server.embed(WANTED.model),
    "insert": lambda server: server.insert_chunk("vs_1", WANTED, [0.5]),
    "query": lambda server: server.contents("vs_1", "?", 3),
    "prove on milvus": lambda server: server.prove("vs_1", "milvus", [INSERT, QUERY]),
    "prove on faiss": lambda server: server.prove("vs_1", "faiss", [QUERY, INSERT]),
    "prove on qdrant": lambda server: server.prove("vs_1", "qdrant", [INSERT, QUERY]),
    "prove on chromadb": lambda server: server.prove("vs_1", "chromadb", [INSERT, QUERY]),
}
"""What the first byte of an input picks from."""


class Scripted(Http):
    """A client whose connections have their answer in them already; after the last answer, the last again."""

    def __init__(self, script: Sequence[bytes]) -> None:
        super().__init__(Endpoint("http://127.0.0.1:8321"), 30, Deadline(60))
        self._proxy = None
        self._script = script
        self._ends: list[socket.socket] = []

    def _new_session(self) -> requests.Session:
        session = super()._new_session()

        class Connection(HTTPConnection):
            _new_conn = self.connected

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        adapter: Any = session.get_adapter("http://")
        adapter.poolmanager.pool_classes_by_scheme = {"http": Pool}
        return session

    def connected(self) -> socket.socket:
        """Return a connection to a server that has answered, and reads no more."""
        ours, its = socket.socketpair()
        its.sendall(self._script[min(len(self._ends), len(self._script) - 1)])
        its.shutdown(socket.SHUT_WR)
        self._ends.append(its)
        return ours

    def close(self) -> None:
        """Close all connections."""
        super().close()
        for each in self._ends:
            each.close()


@contextmanager
def answers(folder: Path) -> Iterator[Check]:  # noqa: ARG001
    """Send the bytes as a server would: a value, or one of the errors that the run knows."""
    logs.configure("off", "json", {})

    def check(data: bytes) -> None:
        operation = [*OPERATIONS.values()][(data or b"\0")[0] % len(OPERATIONS)]
        with closing(Scripted(data[1:].split(BETWEEN))) as http:
            try:
                found = operation(LlamaStack(http))
            except (UnavailableError, RefusedError, ReplacedError) as error:
                found = str(error)
        check_value(found)

    yield check


def check_value(found: Any) -> None:
    """Raise where an answer became something that the rest of the program does not expect."""
    detail = found if isinstance(found, str) else getattr(found, "detail", "")
    assert detail == "" or is_sentence(detail), detail
    stores = [each for each in (found if isinstance(found, tuple) else [found]) if isinstance(each, VectorStore)]
    assert all(each.id for each in stores)
    assert len({each.id for each in stores}) == len(stores)


class Shell:
    """A shell that reads a file of variables, again and again."""

    def __init__(self, name: str, path: Path) -> None:
        show = """for key in $keys; do eval "printf '%s\\n' \\"\\$$key\\""; done"""
        script = f"while read -r keys; do (. '{path}' && {show}); printf '\\0'; done"
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        command = [name, "-c", script]
        self._process: Any = subprocess.Popen(command, env={"LC_ALL": "C"}, stdin=pipe, stdout=pipe, stderr=nothing)

    def values(self, keys: Sequence[str]) -> dict[str, str]:
        """Return what these variables hold after the shell has read the file."""
        self._process.stdin.write(" ".join(keys).encode() + b"\n")
        self._process.stdin.flush()
        said = bytearray()
        while (byte := self._process.stdout.read(1)) != b"\0":
            assert byte, "the shell has ended"
            said += byte
        return dict(zip(keys, said.decode().split("\n"), strict=False))

    def close(self) -> None:
        """End the shell."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def addresses(folder: Path) -> Iterator[Check]:
    """Write the bytes as names and ids, and read them back as a shell, a dotenv reader and a JSON parser do."""
    path, json_path = folder / "addresses.env", folder / "addresses.json"
    with closing(Shell("sh", path)) as sh, closing(Shell("bash", path)) as bash:

        def check(data: bytes) -> None:
            texts = [each.decode("utf-8", "surrogateescape") for each in data.split(b"\0")]
            ids = {name: each for name, each in zip(texts[::2], texts[1::2], strict=False) if is_name(name)}
            ids = {name: each for name, each in ids.items() if is_address(name, each)}
            handed_over.check(json_path, same := {name: name for name in ids})
            handed_over.write(json_path, ids)
            assert json.loads(json_path.read_text()) == ids
            assert json.loads(handed_over.render(ids, list(ids), "json")) == ids
            assert handed_over.render(ids, list(ids), "text").split("\n") == (list(ids.values()) or [""])
            keys = {name: handed_over.key_of(name) for name in ids}
            try:
                handed_over.check(path, same)
                handed_over.write(path, ids)
            except SettingError:
                assert len(set(keys.values())) < len(keys)
                return
            except RefusedError:
                assert any(set(each) & set("'\\$") for each in ids.values())
                return
            wanted = {keys[name]: each for name, each in ids.items()}
            assert dotenv_values(path) == wanted
            assert sh.values(list(wanted)) == bash.values(list(wanted)) == wanted

        yield check


def is_address(name: str, store_id: str) -> bool:
    """Tell whether this id of a server comes as far as a file."""
    finding = handed_over.checked(Finding(name, State.PRESENT, store_id))
    return store_id != "" and finding.state is State.PRESENT


def is_name(text: str) -> bool:
    """Tell whether a text can be a collection's name."""
    return text.isprintable() and text == text.strip() != ""


def is_sentence(text: str) -> bool:
    """Tell whether a text is one line for a person."""
    return text.isprintable() and 0 < len(text) <= MOST_CHARACTERS


TARGETS: Mapping[str, Callable[[Path], AbstractContextManager[Check]]] = {
    "config": config,
    "answers": answers,
    "addresses": addresses,
}
