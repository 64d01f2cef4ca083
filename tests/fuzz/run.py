"""Run each target under a coverage-guided fuzzer, all at once, for FUZZ_SECONDS.

A crash is kept in `inputs/`, where a unit test runs it from then on; `python -m tests.fuzz.run TARGET FILE` repeats
it, and what follows the name goes to libFuzzer.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
BUILD = REPOSITORY / "build" / "fuzz"
NAMES = ("config", "answers", "addresses")
LIMITS = ("-timeout=20", "-rss_limit_mb=768", "-malloc_limit_mb=256", "-max_len=8192", "-report_slow_units=1000")
"""Of one input: seconds, MiB (the fuzzer itself takes some 60), and bytes."""

SHORT = (
    rb'vector_dbs: [{vector_db_id: "a\x20b", embedding_model: "${env.SET:=m}", provider_id: "${env.EMPTY:+x}"}]',
    b"registered_resources: {vector_stores: [{vector_store_id: a, vector_store_name: 'b c', metadata: {a: 1.5}}]}",
    b"x: &x {vector_db_id: a}\nvector_dbs:\n- <<: *x\n  embedding_dimension: ${env.NUMBER}\n",
    b"kind: ConfigMap\ndata:\n  config.yaml: |\n    vector_dbs:\n    - vector_db_id: a\n",
    b"kind: List\nitems:\n- {kind: Secret, data: {a: dmVjdG9yX2RiczogW10=}}\n---\nvector_dbs: []\n",
)
"""Configurations of which a fuzzer changes the meaning by few bytes."""
ODD = (
    b"HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n<html><title>x</title>",
    b"HTTP/1.1 302 x\r\nLocation: https://user:word@host:1/path?query\r\n\r\n",
    b"HTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n{}",
    b'HTTP/1.0 401 x\r\nWWW-Authenticate: Bearer\r\n\r\n{"detail": {"errors": [{"loc": [1], "msg": "x"}]}}',
    b"HTTP/1.1 422 x\r\n\r\n{\"error\": {\"message\": \"{'errors': [{'loc': ('body', 1), 'msg': 'x'}]}\"}}",
)
"""Answers that no server of the records gave."""


def main() -> int:
    """Fuzz all targets, or with arguments one; return 0 if nothing crashed."""
    if sys.argv[1:]:
        fuzz(sys.argv[1], sys.argv[2:])
        return 0
    seconds = os.environ.get("FUZZ_SECONDS") or "600"
    running = {name: start(name, seconds) for name in NAMES}
    failed = [name for name, process in running.items() if process.wait() != 0]
    for name in NAMES:
        log = (BUILD / f"{name}.log").read_text(errors="replace")
        runs, covered = (re.findall(pattern, log) for pattern in (r"\n#(\d+)", r"cov: (\d+)"))
        found = "a crash" if name in failed else "no crash"
        print(f"{name}: {found}, {runs[-1] if runs else 0} inputs, {covered[-1] if covered else 0} edges, {seconds} s")
        if name in failed:
            print(log[-4000:], file=sys.stderr)
    if failed:
        print("The input is in tests/fuzz/inputs: correct the program, and commit both.", file=sys.stderr)
    return 1 if failed else 0


def start(name: str, seconds: str) -> "subprocess.Popen[bytes]":
    """Start the fuzzer for a target, beside the others."""
    corpus, seeds, kept = BUILD / "corpus" / name, BUILD / "seeds" / name, HERE / "inputs" / name
    for folder in (corpus, seeds, kept):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(name)):
        (seeds / str(number)).write_bytes(seed)
    command: list[str | Path] = [sys.executable, "-m", "tests.fuzz.run", name, corpus, seeds, kept]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={kept}/", *LIMITS]
    with (BUILD / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def seeds_of(name: str) -> list[bytes]:
    """Return what the fuzzer begins with: the configurations and the answers of real servers."""
    if name == "config":
        patterns = ("tests/live/**/*.yaml", "manifests/**/*.yaml", "examples/*.yaml")
        files = [path.read_bytes() for pattern in patterns for path in sorted(REPOSITORY.glob(pattern))]
        return [*files, *SHORT]
    if name == "addresses":
        return [b"docs\0vs_1", b"a-b\0x y\0c\0#", "ä\0é=1\0b\0'\\$".encode()]
    from tests.fuzz.targets import OPERATIONS

    recorded = [json.loads(path.read_text()) for path in sorted(REPOSITORY.glob("tests/unit/answers/*.json"))]
    odd = [bytes([number]) + each for number in range(len(OPERATIONS)) for each in ODD]
    return odd + [
        bytes([number]) + as_sent(answer)
        for release in recorded
        for each, answer in release.items()
        for number, operation in enumerate(OPERATIONS)
        if operation == each.split("_")[0]
        or (operation.startswith("prove ") and {"insert", "query"} & set(each.split("_")))
    ]


def as_sent(answer: dict[str, str]) -> bytes:
    """Return a recorded answer as it came, without its length, which a fuzzer would have to correct each time."""
    return f"HTTP/1.1 {answer['status']} x\r\nContent-Type: {answer['content_type']}\r\n\r\n{answer['body']}".encode()


def fuzz(name: str, arguments: list[str]) -> None:
    """Run libFuzzer on a target, in this process, which it ends."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["hook"]):
        from tests.fuzz.targets import TARGETS
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder, TARGETS[name](Path(folder)) as check:
        atheris.Setup([sys.argv[0], *arguments], check)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
