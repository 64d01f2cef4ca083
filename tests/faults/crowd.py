"""Runs of the program that start at the same instant on an empty server, and what they leave there.

As a program, it is the nursery of such runs: it imports everything once, and forks one process for each run, which all
wait for one word. So they start within a millisecond of each other, which no shell could bring about.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.faults.proxy import FaultProxy
from tests.faults.scene import NAMES, PROVIDER, REPOSITORY, SOMEBODY_ELSES, Server

STAND_IN_TRIALS = ({2: 60}, {5: 30, 20: 10})
"""How many trials there are of how many runs; in parts that go at the same time, since runs wait for half of theirs."""
REAL_TRIALS = {2: 6, 5: 3, 20: 1}
SETTLE_SECONDS = 0.05


@dataclass(frozen=True)
class Trial:
    """Some runs at the same instant, and what came of them."""

    server: str
    runs: int
    created: int
    removed: int
    seconds: float
    violations: list[str]


def trials(server: str, counts: Mapping[int, int], prepare: Callable[[ExitStack], Server]) -> list[Trial]:
    """Carry out so many trials of so many runs, each on a server that `prepare` returns."""
    # One process answers all of them: what more connections are for, other tests show.
    environ = os.environ | {"NO_PROXY": "127.0.0.1", "HOOK_CONNECTIONS": "2"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crowd"],
        cwd=REPOSITORY,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        done = []
        for runs, times in counts.items():
            for _ in range(times):
                with ExitStack() as stack:
                    done.append(_trial(server, runs, stack, prepare(stack), nursery))
        nursery.stdin.close()
    return done


def _trial(server: str, runs: int, stack: ExitStack, upstream: Server, nursery: "subprocess.Popen[str]") -> Trial:
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    other = upstream.create(SOMEBODY_ELSES)
    proxy = stack.enter_context(FaultProxy(upstream.url, owner=lambda headers: headers.get("authorization", "")))
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crowd-"))
    started = time.monotonic()
    nursery.stdin.write(json.dumps({"runs": runs, "folder": folder, "url": proxy.url}) + "\n")
    nursery.stdin.flush()
    codes = json.loads(nursery.stdout.readline())
    violations = [
        f"run {run} ended with {code}: {_last_line(Path(folder) / f'{run}.err')}"
        for run, code in enumerate(codes)
        if code
    ]
    stores = upstream.stores()
    for name in NAMES:
        found = sum(listed == name for _, listed in stores)
        if found != 1:
            violations.append(f"{found} vector stores are called {name}")
    if other not in dict(stores):
        violations.append("somebody else's vector store is gone")
    for owner, store_id in proxy.deleted:
        if proxy.created.get(store_id) != owner:
            violations.append(f"{owner} deleted {store_id}, which it did not create")
    return Trial(
        server,
        runs,
        len(proxy.created),
        len({store_id for _, store_id in proxy.deleted}),
        time.monotonic() - started,
        violations,
    )


def _last_line(path: Path) -> str:
    lines = path.read_text().splitlines()
    return lines[-1][:400] if lines else "nothing in its log"


def show(done: Sequence[Trial]) -> None:
    """Print a line for each kind of trial."""
    for server, runs in sorted({(trial.server, trial.runs) for trial in done}):
        same = [trial for trial in done if (trial.server, trial.runs) == (server, runs)]
        good = sum(not trial.violations for trial in same)
        print(
            f"{runs} runs at the same instant on {server}: {good} of {len(same)} trials end with one vector store a "
            f"name and exit code 0 ({sum(trial.created for trial in same)} made, "
            f"{sum(trial.removed for trial in same)} of them removed by the run that made them; "
            f"the slowest {max(trial.seconds for trial in same):.1f} s)"
        )
        for trial in same:
            for violation in trial.violations:
                print(f"    VIOLATION: {violation}")


def main() -> None:
    """Read one trial a line, run it, and answer with the exit codes."""
    # Only here, and before any fork: the runs shall spend no time on it.
    from hook.app import main as hook

    for line in sys.stdin:
        asked = json.loads(line)
        config = Path(asked["folder"]) / "collections.yaml"
        entries = [
            {
                "vector_db_id": name,
                "provider_id": PROVIDER,
                "embedding_model": "ibm-granite/granite-embedding-125m-english",
            }
            for name in NAMES
        ]
        config.write_text(json.dumps({"vector_dbs": entries}))
        flags = ["--url", asked["url"], "--config", str(config), "--timeout", "180", "--output", "json"]
        print(json.dumps(_fork(asked["runs"], Path(asked["folder"]), flags, hook)), flush=True)


def _fork(runs: int, folder: Path, flags: list[str], hook: Callable[[list[str], Mapping[str, str]], int]) -> list[int]:
    waiting, starting = os.pipe()
    children = []
    for run in range(runs):
        child = os.fork()
        if child == 0:
            os.close(starting)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / f"{run}.{name}", os.O_WRONLY | os.O_CREAT), number)
            # It ends when the last one who could write is gone: the parent, which then lets all of them go.
            os.read(waiting, 1)
            code = 99
            try:
                code = hook(flags, os.environ | {"LLAMA_STACK_API_KEY": f"run-{run}"})
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    os.close(waiting)
    time.sleep(SETTLE_SECONDS)
    os.close(starting)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    main()
