"""The hook, run as a user would against a real server."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml
from client import DIMENSION, MODEL, PROVIDER, require
from servers import hook_environ, run

from tests.runtime import PYTHON

HOOK_TIMEOUT_SECONDS = "60"


class Reachable(Protocol):
    """What the hook can be run against: a server, or what balances between several."""

    @property
    def url(self) -> str:
        """Where it answers."""

    @property
    def folder(self) -> Path:
        """A scratch folder of its own."""


class Hook:
    """Runs the hook as a user would, with one configuration file and these settings."""

    def __init__(self, server: Reachable, content: Mapping[str, Any], **settings: str) -> None:
        self._server = server
        self._content = content
        self._settings = settings

    def __enter__(self) -> "Hook":
        handle, path = tempfile.mkstemp(prefix="collections-", suffix=".yaml", dir=self._server.folder)
        os.close(handle)
        self._config = Path(path)
        self._config.write_text(yaml.safe_dump(self._content))
        return self

    def __exit__(self, *_: object) -> None:
        self._config.unlink(missing_ok=True)

    def outcome(self, command: str, *options: str, **settings: str) -> dict[str, Any]:
        """Return the report of a run, however it ends. Raises WrongError where the report has another exit code."""
        done = self._done(command, *options, **settings)
        require(done.stdout != "", f"`{command}` wrote no report: {done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout)
        require(report["exit_code"] == done.returncode, f"exit code {done.returncode} and report disagree: {report}")
        return report

    def run(self, exit_code: int, command: str, *options: str, token: str | None = None) -> dict[str, Any]:
        """Return the report of a run. Raises WrongError where it ends with another exit code."""
        report: dict[str, Any] = json.loads(self._output(exit_code, command, *options, token=token))
        require(report["exit_code"] == exit_code, f"exit code and report disagree: {report}")
        return report

    def resolve(self, *names: str) -> dict[str, str]:
        """Return the addresses that `resolve` prints for these names."""
        addresses: dict[str, str] = json.loads(self._output(0, "resolve", *names))
        return addresses

    def _output(self, exit_code: int, command: str, *options: str, token: str | None = None) -> str:
        done = self._done(command, *options, **({"LLAMA_STACK_API_KEY": token} if token else {}))
        told = f"`{' '.join([command, *options])}` ended with {done.returncode}, not {exit_code}"
        require(done.returncode == exit_code, f"{told}: {done.stdout or done.stderr}")
        return done.stdout

    def _done(self, command: str, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environ = hook_environ(
            LLAMA_STACK_URL=self._server.url,
            HOOK_CONFIG=str(self._config),
            HOOK_TIMEOUT_SECONDS=HOOK_TIMEOUT_SECONDS,
            **(self._settings | settings),
        )
        return run([PYTHON, "-m", "hook", command, "--output", "json", *options], environ)

    def expect(
        self, exit_code: int, state: str, command: str, *options: str, token: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the collections of the report. Raises WrongError unless each of them has this state."""
        report = self.run(exit_code, command, *options, token=token)
        found: list[dict[str, Any]] = report["collections"]
        names = [entry["vector_db_id"] for entry in self._content["vector_dbs"]]
        require([item["name"] for item in found] == names, f"`{command}` reports {found}")
        require(all(item["state"] == state for item in found), f"`{command}` finds them not {state}: {found}")
        return found


def one_process(server: Reachable, content: Mapping[str, Any]) -> Hook:
    """Return a hook that asks on few connections, which is enough to meet the only process."""
    return Hook(server, content, HOOK_CONNECTIONS="3")


def collections(*names: str, **changes: Any) -> dict[str, Any]:
    """Return the configuration that declares collections of these names, as the user's ConfigMap does."""
    entry = {"provider_id": PROVIDER, "embedding_model": MODEL, "embedding_dimension": DIMENSION} | changes
    return {"vector_dbs": [{"vector_db_id": each, "provider_vector_db_id": each, **entry} for each in names]}


def ids(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids in a report, sorted."""
    return sorted(item["id"] for item in found)


def address(item: Mapping[str, Any]) -> str:
    """Return what the report tells consumers to use."""
    found: str = item[item["addressed_by"]]
    return found
