"""One cluster and its servers for all tests: brought up by the first process, used by each worker, and taken down.

`make test-cluster` runs these tests. What a cluster lacks is counted, and named at the end; a cluster of the tests' own
lacks nothing, and with `CLUSTER_TEST_LACKING=fail`, as in `.ci/run`, none may.
"""

import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import place, stack
from tests.cluster.argocd import App
from tests.cluster.kube import Api, Room
from tests.cluster.place import Facts, PlaceError, say

SECURE_NAMESPACES = 8
SHARING = ("TestStage02", "TestSecure")
_FACTS = pytest.StashKey[Facts]()
_LACKING = "the cluster lacks "


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(name, …): what the cluster has to have")
    config.addinivalue_line("markers", "long(seconds): how long it waits; the longest start first")


@pytest.hookimpl(tryfirst=True)  # the workers are started next, and inherit the network and the environment
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if worker := getattr(config, "workerinput", None):
        config.stash[_FACTS] = Facts.loaded(worker["facts"])
    elif not config.option.collectonly:
        try:
            config.stash[_FACTS] = _bring_up(config)
        except (PlaceError, stack.ServerError, pytest.fail.Exception) as error:
            pytest.exit(f"There is no cluster to test on: {error}", returncode=1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["facts"] = node.config.stash[_FACTS].dumped()


def _bring_up(config: pytest.Config) -> Facts:
    """Return the facts, once everything is up; it goes, in the opposite order, however this process ends."""
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]

    def interrupt(number: int, _: object) -> None:
        # Who ends a whole group and make, too, sends it twice: the second one is not to end the cleaning up.
        for each in numbers:
            signal.signal(each, lambda *_: None)
        raise KeyboardInterrupt(f"signal {number}")

    for each in numbers:
        signal.signal(each, interrupt)
    cleanup = ExitStack()
    config.add_cleanup(cleanup.close)
    where = place.find()
    say(f"testing on {where.name}")
    cleanup.callback(where.down)
    cleanup.callback(stack.close_all)
    cleanup.callback(place.end_all)
    wait = where.prepare()
    stack.install_servers()
    if where.image:
        where.up()
    else:
        engine = stack.build_image()
        cleanup.callback(stack.remove_image)
        say("the image is built")
        wait()
        where.up()
        where.load(engine, stack.IMAGE, stack.NAMES)

    folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="rc-cluster-")))
    run = f"rc-{socket.gethostname()[:8].lower()}-{folder.name[-6:].lower().replace('_', 'x')}"
    run = re.sub(r"[^a-z0-9-]", "x", run)
    secure = [f"{run}-secure-{number}" for number in range(SECURE_NAMESPACES)]
    ports, authority = cleanup.enter_context(stack.running(secure, folder / "pki"))
    git, git_port = where.git or folder / "git", stack.free_port()
    git.mkdir(exist_ok=True)
    listen = ["--reuseaddr", f"--port={git_port}", "--export-all", f"--base-path={git}"]
    cleanup.enter_context(stack.background(["git", "daemon", *listen, str(git)], folder))
    api_port = stack.free_port()
    cleanup.enter_context(stack.background(["kubectl", "proxy", f"--port={api_port}"], folder))
    facts = Facts(
        run=run,
        api=f"http://127.0.0.1:{api_port}",
        address=where.address,
        servers=ports,
        git=str(git),
        git_url=f"git://{where.address}:{git_port}",
        ca=authority,
        image=where.image,
        lacks=where.lacks(),
    )
    api = Api(facts)
    api.until("the API server answers", api.alive)
    if where.stays:
        cleanup.callback(api.sweep)
    return facts


@pytest.fixture(scope="session")
def facts(pytestconfig: pytest.Config) -> Facts:
    return pytestconfig.stash[_FACTS]


@pytest.fixture(scope="session")
def api(facts: Facts) -> Api:
    return Api(facts)


@pytest.fixture
def room(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> Iterator[Room]:
    """Make a namespace with the Service in front of a real llama-stack 0.3.5."""
    with Room(api, name_of(request), tmp_path) as made:
        yield made


@pytest.fixture
def app(room: Room) -> Iterator[App]:
    """Make an Argo CD app for that namespace, from a Git repository of its own."""
    with App(room) as made:
        yield made


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send each test to the next free worker, but the tests of a class that shares something to one."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            scope = nodeid.rpartition("::")[0]
            return scope if scope.endswith(SHARING) else nodeid

    return Scheduling(config, log)


def name_of(request: pytest.FixtureRequest) -> str:
    """Return a name for a test's namespace, short and its own."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))
    return f"{words[:24].strip('-')}-{abs(hash(request.node.nodeid)) % 0xFFFF:04x}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def seconds(item: pytest.Item) -> int:
        marker = item.get_closest_marker("long")
        return marker.args[0] if marker else 0

    items.sort(key=seconds, reverse=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    lacks = item.config.stash[_FACTS].lacks
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if name in lacks:
                # In CI a test that was not run is one that did not pass.
                end = pytest.fail if os.environ.get("CLUSTER_TEST_LACKING") == "fail" else pytest.skip
                end(f"{_LACKING}{name}: {lacks[name]}")


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count what the cluster lacks under a name of its own: it is no test that somebody left out."""
    if report.skipped and _lacking(report):
        return "lacking", "L", "LACKING"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("lacking", [])
    for reason in sorted({_lacking(report) for report in reports}):
        terminalreporter.write_line(f"Not shown here, since {reason}:", yellow=True)
        for report in reports:
            if _lacking(report) == reason:
                terminalreporter.write_line(f"  {report.nodeid}", yellow=True)


def _lacking(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return reason.removeprefix("Skipped: ") if _LACKING in reason else ""
