"""A token that is renewed under the run: the server takes the new one, and the file has it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hook.app import main
from tests.fake_kubernetes import FakeKubernetes
from tests.fake_llamastack import Action, FakeLlamaStack, _Handler
from tests.unit.conftest import Run, entries

OLD, NEW = "old-token-1111", "new-token-2222"
LINES = [
    "GET /v1/vector_stores",
    "GET /v1/models",
    "POST /v1/vector_stores",
    "POST /v1/vector-io/insert",
    "POST /v1/vector-io/query",
]


class Renewing(list[Any]):
    """Answers that come as something else happens."""

    def __init__(self, answers: list[Any], happens: Callable[[], Any]) -> None:
        super().__init__(answers)
        self.happens = happens

    def pop(self, *at: Any) -> Any:
        self.happens()
        return super().pop(*at)


class Mount:
    """A Secret as the kubelet mounts it: `..data` is a link to a folder, and is swapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "token"
        self.versions = 0
        self.swap(OLD)
        self.file.symlink_to("..data/token")

    def swap(self, token: str) -> None:
        """Show another token from now on."""
        self.versions += 1
        version = self.folder / f"..{self.versions}"
        version.mkdir()
        (version / "token").write_text(token)
        (self.folder / "..tmp").symlink_to(version.name)
        (self.folder / "..tmp").rename(self.folder / "..data")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    folder = tmp_path / "secret"
    folder.mkdir()
    return Mount(folder)


def rotates(server: FakeLlamaStack, change: Callable[[], Any]) -> Action:
    """Take another token from now on, and refuse this request, which was sent with the old one."""

    def action(handler: _Handler) -> None:
        server.api_key = NEW
        change()
        handler.reply(401, {"error": {"message": "Authentication failed: 401"}})

    return action


@pytest.mark.parametrize("line", LINES)
def test_a_token_may_change_under_any_request(server: FakeLlamaStack, run: Run, mount: Mount, line: str) -> None:
    """A 401 says that nothing was done."""
    server.api_key = OLD
    server.fault(line, rotates(server, lambda: mount.swap(NEW)), times=1)

    outcome = run(server.url, "--api-key-file", str(mount.file), collections=entries("a", "b"))

    assert (outcome.exit_code, outcome.states) == (0, ["registered", "registered"])
    assert server.names() == ["a", "b"]


def test_further_headers_may_change_under_a_request(server: FakeLlamaStack, run: Run, tmp_path: Path) -> None:
    server.api_key = OLD
    path = tmp_path / "headers"
    path.write_text(f"Authorization: Bearer {OLD}")
    server.fault(
        "POST /v1/vector_stores", rotates(server, lambda: path.write_text(f"Authorization: Bearer {NEW}")), times=1
    )

    assert run(server.url, "--headers-file", str(path), collections=entries("a")).exit_code == 0
    assert server.names() == ["a"]


def test_a_refused_token_that_is_the_same_is_not_sent_again(server: FakeLlamaStack, run: Run, mount: Mount) -> None:
    server.api_key = OLD
    server.fault("POST /v1/vector_stores", rotates(server, lambda: None))

    outcome = run(server.url, "--api-key-file", str(mount.file), collections=entries("a"))

    assert (outcome.exit_code, outcome.states) == (4, ["rejected"])
    assert server.lines().count("POST /v1/vector_stores") == 1


def test_a_changed_token_is_sent_once(server: FakeLlamaStack, run: Run, mount: Mount) -> None:
    """Whatever becomes of the file."""
    server.api_key = OLD
    server.fault("GET /v1/health", rotates(server, lambda: mount.swap(f"token-{mount.versions}")))

    outcome = run(server.url, "--api-key-file", str(mount.file))

    assert outcome.exit_code == 4
    assert server.lines() == ["GET /v1/health"] * 2


def test_a_file_that_goes_away_is_said(server: FakeLlamaStack, run: Run, mount: Mount) -> None:
    server.api_key = OLD
    server.fault("GET /v1/health", rotates(server, mount.file.unlink))

    outcome = run(server.url, "--api-key-file", str(mount.file))

    assert outcome.exit_code == 4
    assert "the API key in " in outcome.report["message"]


def test_a_token_of_the_environment_is_not_sent_again(server: FakeLlamaStack, run: Run) -> None:
    server.api_key = NEW

    assert run(server.url, environ={"LLAMA_STACK_API_KEY": OLD}).exit_code == 4
    assert server.lines().count("GET /v1/vector_stores") == 1


def test_the_second_request_is_sent_on_a_new_connection(server: FakeLlamaStack, run: Run, mount: Mount) -> None:
    """Of one that was used, the server may be about to close it, unsaid."""
    server.api_key = OLD
    server.fault("POST /v1/vector_stores", rotates(server, lambda: mount.swap(NEW)), times=1)

    run(server.url, "--api-key-file", str(mount.file), collections=entries("a"))
    first, second = (each.port for each in server.requests if each.line == "POST /v1/vector_stores")

    assert first != second


def test_the_token_of_the_pod_may_change(
    server: FakeLlamaStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet renews it, and the API server ends the old one."""
    folder = tmp_path / "serviceaccount"
    monkeypatch.setattr("hook.kubernetes.pod.SERVICE_ACCOUNT", folder)
    config = tmp_path / "collections.yaml"
    config.write_text(json.dumps({"vector_dbs": entries("a")}))
    with FakeKubernetes() as cluster:
        cluster.mount(folder)
        right = (folder / "token").read_text()
        (folder / "token").write_text("expired-token")
        refusal = (401, {"Content-Type": "application/json"}, b'{"kind": "Status", "message": "Unauthorized"}')
        cluster.answers = Renewing([refusal], lambda: (folder / "token").write_text(right))
        arguments = ["--url", server.url, "--config", str(config), "--connections", "1", "--publish-configmap", "ids"]
        assert main(arguments, cluster.environ()) == 0
        assert cluster.requests[0] == cluster.requests[1]
