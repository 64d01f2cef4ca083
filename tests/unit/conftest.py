"""Fixtures: a stand-in server, a configuration file, and the hook as a function of its flags."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hook import signals
from hook.app import main
from hook.secrets import forget
from hook.timings import Timings
from tests.fake_llamastack import GRANITE, FakeLlamaStack

REPORT_SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "report-v1.schema.json").read_text())
REPORT_VALIDATOR = Draft202012Validator(REPORT_SCHEMA)
NAMES = ("red_hat_docs", "acme_corporate", "eu_ai_act")


@dataclass
class Outcome:
    """What a run of the hook left behind."""

    exit_code: int
    report: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def states(self) -> list[str]:
        """Return the state of each collection, in the order of the configuration."""
        return [collection["state"] for collection in self.report["collections"]]

    def detail(self, name: str = NAMES[0]) -> str:
        """Return the detail of one collection."""
        return next(str(item["detail"]) for item in self.report["collections"] if item["name"] == name)

    def event_names(self) -> list[str]:
        """Return the names of the log events in their order."""
        return [event["event"] for event in self.events]


def entries(*names: str, **fields: Any) -> list[dict[str, Any]]:
    """Return `vector_dbs` entries as private-ai-demo has them, with some fields replaced, or left out where None."""
    common = {"provider_id": "milvus-shared", "embedding_model": GRANITE, "embedding_dimension": 768} | fields
    common = {key: value for key, value in common.items() if value is not None}
    return [{"vector_db_id": name, "provider_vector_db_id": name, **common} for name in names or NAMES]


@pytest.fixture
def server() -> Iterator[FakeLlamaStack]:
    """Return a stand-in of 0.6.0 and newer."""
    with FakeLlamaStack() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _signals_restored() -> Iterator[None]:
    """Make sure that no run leaves its signal handlers behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(autouse=True)
def _secrets_forgotten() -> Iterator[None]:
    """Keep what one test has for a secret out of the next one's words."""
    yield
    forget()


@pytest.fixture
def listening() -> Iterator[None]:
    """Listen to signals as the program does, and no longer than the test lasts."""
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    # Also where the tests themselves were started by `nohup`.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signals.listen()
    yield
    signals.listen()
    for number, handler in zip(signals.SIGNALS, before, strict=True):
        signal.signal(number, handler)


Run = Callable[..., Outcome]


FAST = Timings(
    first_wait_seconds=0.05,
    apart_seconds=0.001,
    shift_seconds=0.0,
    lag_seconds=1.0,
    late_seconds=1.0,
    late_pause_seconds=0.1,
    bystander_seconds=3.0,
    race_pause_seconds=(0.05, 0.1),
    trial_least_seconds=1.0,
    trial_listed_seconds=0.3,
    trial_found_seconds=0.3,
    trial_pause_seconds=0.05,
    lag_pause_seconds=0.1,
)
"""Longer than any of the tests' servers takes, and no longer."""


@dataclass
class Waits:
    """How long the runs of a test wait."""

    timings: Timings = FAST

    def set(self, **timings: Any) -> None:
        """Let them wait otherwise from now on."""
        self.timings = replace(self.timings, **timings)


@pytest.fixture
def waits() -> Waits:
    """Return how long the runs of this test wait."""
    return Waits()


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], waits: Waits) -> Run:
    """Return a function that runs the hook against a URL, on the usual collections unless told otherwise."""

    def call(
        url: str,
        *flags: str,
        collections: list[dict[str, Any]] | None = None,
        environ: dict[str, str] | None = None,
        config: str | None = None,
    ) -> Outcome:
        path = tmp_path / "collections.yaml"
        path.write_text(json.dumps({"vector_dbs": entries() if collections is None else collections}))
        # First, so that a test's own flag wins: a fault that nobody thought of ends soon.
        arguments = [
            "--timeout",
            "20",
            # Most tests are about one process; those about several say so.
            "--connections",
            "1",
            *flags,
            "--url",
            url,
            "--config",
            config or str(path),
            "--output",
            "json",
            "--log-format",
            "json",
        ]
        code = main(arguments, {"PATH": os.environ["PATH"]} | (environ or {}), waits.timings)
        captured = capsys.readouterr()
        events = [json.loads(line) for line in captured.err.splitlines()]
        report = json.loads(captured.out)
        REPORT_VALIDATOR.validate(report)
        return Outcome(code, report, events)

    return call
