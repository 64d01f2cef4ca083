"""What one fault happens to: a server, the proxy in front of it, a configuration, and runs of the real program."""

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import requests

from tests.fake_llamastack import GRANITE, GRANITE_ID, FakeLlamaStack
from tests.faults.proxy import FaultProxy
from tests.runtime import PYTHON

REPOSITORY = Path(__file__).parents[2]
NAMES = ("red_hat_docs", "acme_corporate", "eu_ai_act")
PROVIDER = "milvus-shared"
SOMEBODY_ELSES = "somebody_elses_docs"
"""The name of two vector stores that are none of our business."""

API_KEY = "kQ7vX2-must-not-be-shown-Zr4tL9"
USER, PASSWORD = "uJ5wB8-must-not-be-shown", "pN3/yH6-must-not-be-shown"
WINDOW = 12
"""So many characters in a row of a secret, wherever a text was cut, are a leak."""

START_SECONDS = 3.0
"""What a busy machine may take to start Python, before the program can look at any clock."""
UNREAD_SECONDS = 5.0
"""What the program may wait, once for each stream, for a reader that takes nothing."""
SIGNAL_SECONDS = 2.0
KILL_AFTER_SECONDS = 30.0


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda text: quote(text, safe=""),
    "in percents": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "in JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "in JSON in JSON": lambda text: "".join(f"\\\\u{ord(c):04x}" for c in text),
    "in HTML": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "in HTML in a URL": lambda text: "".join(f"%26%23{ord(c)}%3B" for c in text),
    "in hexadecimal": lambda text: text.encode().hex(),
    "in capitals": str.upper,
}
"""In what ways a server may echo a text. Each spells a part of it as it stands in the whole."""


def leaks(text: str) -> str | None:
    """Return the first piece of a secret that a text shows, in any spelling: the user of a URL is none."""
    for secret in (API_KEY, PASSWORD):
        for start in range(len(secret) - WINDOW + 1):
            piece = secret[start : start + WINDOW]
            # What all of them have in common says nothing.
            if "must-not-be" in piece or piece in "-must-not-be-shown":
                continue
            spelled = [spell(piece) for spell in SPELLINGS.values()]
            # The report and the log are JSON, which escapes a backslash.
            shown = [each for each in (*spelled, *(json.dumps(each)[1:-1] for each in spelled)) if each in text]
            if shown:
                return shown[0]
    for sent in (f"Bearer {API_KEY}", f"{USER}:{PASSWORD}"):
        piece = base64.b64encode(sent.encode()).decode()[-20:-4]
        if piece in text:
            return piece
    return None


class Server:
    """A server as its owner sees it, past the hook and the proxy."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stores(self) -> list[tuple[str, str]]:
        """Return id and name of every vector store."""
        listed: dict[str, str] = {}
        after: dict[str, str] = {}
        while True:
            page = self._ask("GET", f"?limit=100{''.join(f'&after={last}' for last in after.values())}")
            listed |= {store["id"]: store["name"] for store in page["data"]}
            if not page["has_more"]:
                return list(listed.items())
            after = {"after": page["data"][-1]["id"]}

    def create(self, name: str) -> str:
        """Create a vector store and return its id."""
        body = {"name": name, "provider_id": PROVIDER, "embedding_model": GRANITE_ID, "embedding_dimension": 768}
        return str(self._ask("POST", "", body)["id"])

    def clear(self) -> None:
        """Delete every vector store."""
        for store_id, _ in self.stores():
            self._ask("DELETE", f"/{store_id}")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        # A session for each: a connection that idles between two runs may be closed by then.
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self.url}/v1/vector_stores{path}", json=body, timeout=60)
            answer.raise_for_status()
            return answer.json()


@dataclass(frozen=True)
class Result:
    """One run of the program."""

    exit_code: int
    seconds: float
    stdout: str | None
    """None where it was not a file that can be read."""
    stderr: str | None
    termination: bytes | None
    signalled: float | None
    """How many seconds before its end it was sent a signal."""

    def last_line(self) -> dict[str, Any]:
        """Return the last event of the log, or nothing where there is none."""
        lines = (self.stderr or "").splitlines()
        try:
            event = json.loads(lines[-1])
        except (IndexError, ValueError):
            return {}
        return event if isinstance(event, dict) else {}

    def text(self) -> str:
        """Return everything that it said anywhere."""
        return f"{self.stdout or ''}\n{self.stderr or ''}\n{(self.termination or b'').decode(errors='replace')}"


@dataclass
class Scene:
    """One fault's world, from its first run to its second."""

    server: Server
    proxy: FaultProxy
    folder: Path
    fake: FakeLlamaStack | None
    """The stand-in, where the server is one."""
    by_url: bool
    """Whether the credentials stand in the URL; else they are an API key."""
    stack: ExitStack
    patience: float = 1.0
    """How much slower than the stand-in the server is."""
    url: str = ""
    """Where the hook looks for the server; the proxy's URL unless a fault says otherwise."""
    environ: dict[str, str] = field(default_factory=dict)
    stdout: str = "file"
    """Or `closed`, `full`, `broken`, `unread`."""
    stderr: str = "file"
    others: list[str] = field(default_factory=list)
    """The ids of vector stores that no run made."""
    traps: list[FaultProxy] = field(default_factory=list)
    """Addresses that must never be asked anything."""
    at_heal: list[Callable[[], None]] = field(default_factory=list)
    """What ends with the fault, besides what the proxy does."""
    process: "subprocess.Popen[bytes] | None" = None
    runs: int = 0
    _signalled_at: float | None = None

    def __post_init__(self) -> None:
        entries = [
            {
                "vector_db_id": name,
                "provider_id": PROVIDER,
                "embedding_model": GRANITE,
                "embedding_dimension": 768,
            }
            for name in NAMES
        ]
        (self.folder / "collections.yaml").write_text(json.dumps({"vector_dbs": entries}))
        self.proxy.owner = lambda _: f"run {self.runs}"
        self.proxy.signal = self.signal
        self.others += [self.server.create(SOMEBODY_ELSES) for _ in range(2)]

    def trap(self) -> str:
        """Return the URL of another address, which counts what it is asked."""
        self.traps.append(self.stack.enter_context(FaultProxy(self.server.url)))
        return self.traps[-1].url

    def signal(self, number: int) -> None:
        """Send the process that runs now a signal."""
        while self.process is None:
            time.sleep(0.01)
        self._signalled_at = time.monotonic()
        self.process.send_signal(number)

    def heal(self) -> None:
        """Let the fault be gone."""
        self.proxy.heal()
        for end in self.at_heal:
            end()
        self.url, self.environ, self.stdout, self.stderr = "", {}, "file", "file"

    def run(self, budget: float, request_timeout: float) -> Result:
        """Run the program once."""
        self.runs += 1
        self._signalled_at = None
        files = {name: self.folder / f"{self.runs}.{name}" for name in ("out", "err", "termination")}
        files["termination"].touch()
        command = [PYTHON, "-m", "hook", "--log-level", "debug", "--log-format", "json", "--output", "json"]
        command += ["--config", str(self.folder / "collections.yaml"), "--url", self._url_with_credentials()]
        command += ["--timeout", f"{budget:g}", "--request-timeout", f"{request_timeout:g}"]
        own = ("HOOK_", "LLAMA_STACK_", "COV_", "COVERAGE_", "REQUESTS_", "CURL_")
        environ = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        # Two, so that each fault also meets a second connection; more would leave the short budgets no time.
        environ |= {"NO_PROXY": "127.0.0.1", "HOOK_CONNECTIONS": "2"}
        environ |= {"HOOK_TERMINATION_LOG": str(files["termination"])}
        environ |= {} if self.by_url else {"LLAMA_STACK_API_KEY": API_KEY}
        environ |= self.environ
        with ExitStack() as stack:
            redirections = ""
            streams: dict[str, IO[bytes]] = {}
            for name, kind in (("out", self.stdout), ("err", self.stderr)):
                streams[name] = _open_stream(kind, files[name], stack)
                redirections += f" {1 if name == 'out' else 2}>&-" if kind == "closed" else ""
            if redirections:
                command = ["sh", "-c", f'exec "$@"{redirections}', "sh", *command]
            started = time.monotonic()
            self.process = subprocess.Popen(
                command,
                env=environ,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=streams["out"],
                stderr=streams["err"],
            )
            try:
                exit_code = self.process.wait(KILL_AFTER_SECONDS + budget + request_timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                exit_code = self.process.wait()
            ended = time.monotonic()
            self.process = None
        return Result(
            exit_code,
            ended - started,
            files["out"].read_text() if self.stdout == "file" else None,
            files["err"].read_text() if self.stderr == "file" else None,
            None if "HOOK_TERMINATION_LOG" in self.environ else files["termination"].read_bytes(),
            None if self._signalled_at is None else ended - self._signalled_at,
        )

    def _url_with_credentials(self) -> str:
        url = self.url or self.proxy.url
        user = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"
        return url.replace("://", f"://{user}", 1) if self.by_url else url


def _open_stream(kind: str, path: Path, stack: ExitStack) -> IO[bytes]:
    """Open what the program shall write into."""
    if kind == "full":
        return stack.enter_context(Path("/dev/full").open("wb"))
    if kind == "broken":
        reading, writing = os.pipe()
        os.close(reading)
        return stack.enter_context(os.fdopen(writing, "wb"))
    if kind == "unread":
        # Full from the start, and still open at its other end.
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        return stack.enter_context(os.fdopen(writing, "wb", buffering=0))
    return stack.enter_context(path.open("wb"))


@dataclass(frozen=True)
class Fault:
    """One entry of the catalogue: what goes wrong, and what must come of it."""

    name: str
    arrange: Callable[[Scene], None]
    codes: tuple[int, ...]
    """What the run under the fault may end with."""
    cause: str = ""
    """A pattern that the message of the last line matches."""
    budget: float = 3.0
    request_timeout: float = 1.0
    after: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 1))
    """How many vector stores of each name there are after the next run; more than one must be reported by it."""
    real: bool = False
    """Whether it is tried on a real server, too."""
    both_credentials: bool = False
    """Whether it is tried with an API key and with a user in the URL; else they take turns."""


@dataclass
class Record:
    """What came of one fault."""

    fault: Fault
    server: str
    first: Result
    second: Result
    violations: list[str]
    overrun: float
    """Seconds that the first run took beyond its budget, by its own clock."""


def play(fault: Fault, scene: Scene, server: str) -> Record:
    """Run the program under a fault, and again without it, and look at everything that it left."""
    budget, request_timeout = fault.budget * scene.patience, fault.request_timeout * scene.patience
    fault.arrange(scene)
    unread = UNREAD_SECONDS * (scene.stdout, scene.stderr).count("unread")
    first = scene.run(budget, request_timeout)
    violations = _check_run(first, fault.codes, fault.cause, budget, request_timeout, unread=unread)
    scene.heal()
    second = scene.run(20, 10)
    expected = 5 if any(count > 1 for count in fault.after.values()) else 0
    violations += [f"next run: {text}" for text in _check_run(second, (expected,), "", 20, 10)]
    violations += _check_server(fault, scene)
    elapsed = float(first.last_line().get("elapsed_seconds", 0.0))
    return Record(fault, server, first, second, violations, elapsed - budget)


def _check_run(
    result: Result, codes: Sequence[int], cause: str, budget: float, request_timeout: float, *, unread: float = 0.0
) -> list[str]:
    wrong = []
    if result.exit_code not in codes:
        wrong.append(f"exit code {result.exit_code}, not {' or '.join(map(str, codes))}")
    last = result.last_line()
    elapsed = float(last.get("elapsed_seconds", 0.0))
    if elapsed > budget + request_timeout or result.seconds > budget + request_timeout + START_SECONDS + unread:
        wrong.append(f"took {elapsed:.1f} s of its own ({result.seconds:.1f} s) with a budget of {budget:g} s")
    if result.signalled is not None and result.signalled > SIGNAL_SECONDS + unread:
        wrong.append(f"ended {result.signalled:.1f} s after the signal")
    leaked = leaks(result.text())
    if leaked is not None:
        wrong.append(f"shows a secret: {next(line for line in result.text().splitlines() if leaked in line)[:300]}")
    if "Traceback" in result.text():
        wrong.append("a traceback")
    if result.exit_code == -signal.SIGKILL:
        return wrong
    if result.stderr is not None:
        wrong += _check_log(result, last, cause)
    if result.stdout is not None:
        wrong += _check_json("stdout", result.stdout, result.exit_code)
    if result.termination is not None:
        size = len(result.termination)
        if size > 4096:
            wrong.append(f"the termination message has {size} bytes")
        line, _, body = result.termination.decode(errors="replace").partition("\n")
        wrong += _check_json(f"the termination message «{line[:60]}»", body, result.exit_code)
    return wrong


def _check_log(result: Result, last: Mapping[str, Any], cause: str) -> list[str]:
    wrong = []
    for line in (result.stderr or "").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event" not in event:
            wrong.append(f"no event: {line[:200]}")
    expected = "hook.finished" if result.exit_code == 0 else "hook.failed"
    if last.get("event") != expected or last.get("exit_code") != result.exit_code:
        wrong.append(f"the last line is {last.get('event')}, exit code {last.get('exit_code')}")
    elif not re.search(cause, str(last["message"])):
        wrong.append(f"the last line does not name the cause /{cause}/: {last['message']}")
    return wrong


def _check_json(what: str, text: str, exit_code: int) -> list[str]:
    try:
        report = json.loads(text)
    except ValueError:
        return [f"{what} is no JSON: {text[:100]!r}"]
    if report["exit_code"] != exit_code:
        return [f"{what} says exit code {report['exit_code']}"]
    return []


def _check_server(fault: Fault, scene: Scene) -> list[str]:
    wrong = []
    stores = scene.server.stores()
    for name, count in fault.after.items():
        found = sum(listed == name for _, listed in stores)
        if found != count:
            wrong.append(f"{found} vector stores are called {name}, not {count}")
    ids = {store_id for store_id, _ in stores}
    wrong += [f"somebody else's {other} is gone" for other in scene.others if other not in ids]
    for owner, store_id in scene.proxy.deleted:
        if scene.proxy.created.get(store_id) != owner:
            wrong.append(f"{owner} deleted {store_id}, which it did not create")
    for trap in scene.traps:
        wrong += [f"the other address was asked {line}" for line in trap.lines]
    return wrong
