"""The image, run for real as OpenShift would, against a real LlamaStack."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import Server

from hook import __version__
from tests.image import engine
from tests.image.interceptor import interceptor
from tests.pages import PAGES

COLLECTIONS = engine.ROOT / "tests" / "live" / "collections.yaml"
MAX_ADDED_BYTES = 12_000_000
UNREACHABLE = "http://127.0.0.1:9"

PYTHON = "--entrypoint=/opt/register-collections/bin/python"


@pytest.fixture(scope="session", autouse=True)
def base() -> Iterator[str]:
    """Build the image, and return the name of its base."""
    yield engine.build()
    engine.execute(engine.engine(), "rmi", "--force", engine.IMAGE)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server("0.3.5") as started:
        yield started


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pod would leave behind."""

    exit_code: int
    report: Any
    termination_message: str


def run(tmp_path: Path, url: str, config: str | None = None, **settings: str) -> Outcome:
    """Run the image with the Job's own environment and mounts, but for the URL and the settings."""
    kustomization = yaml.safe_load((engine.ROOT / "manifests" / "base" / "kustomization.yaml").read_text())
    literals = kustomization["configMapGenerator"][1]["literals"]
    variables = dict(literal.split("=", 1) for literal in literals)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "collections.yaml").write_text(config or COLLECTIONS.read_text())
    message = tmp_path / "termination-log"
    message.touch()
    message.chmod(0o666)  # as the kubelet does
    done = engine.execute(
        *engine.run_command(
            environ=variables | {"LLAMA_STACK_URL": url} | settings,
            mounts={folder: "/config:ro", message: "/dev/termination-log"},
        )
    )
    assert done.stdout.startswith("{"), done.stderr
    return Outcome(done.returncode, json.loads(done.stdout), message.read_text())


def collection(name: str, provider_id: str) -> str:
    entry = {
        "vector_db_id": name,
        "provider_id": provider_id,
        "embedding_model": "ibm-granite/granite-embedding-125m-english",
        "embedding_dimension": 768,
    }
    return json.dumps({"vector_dbs": [entry]})


def test_it_is_confined_as_on_openshift() -> None:
    """Else the tests below would prove nothing."""
    script = """
import errno, json, os
facts = dict(line.split(":", 1) for line in open("/proc/self/status"))
writable = []
for folder in ("/", "/opt/register-collections", "/home", "/run", "/var/tmp", "/etc", "/dev", "/tmp"):
    try:
        open(os.path.join(folder, "probe"), "w").close()
        writable.append(folder)
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES), error
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), *sorted(set(os.getgroups()) - {0})],
    "capabilities": int(facts["CapEff"], 16) | int(facts["CapBnd"], 16),
    "no_new_privileges": int(facts["NoNewPrivs"]),
    "writable": writable,
}))
"""
    done = engine.execute(*engine.run_command("-c", script, options=[PYTHON]))

    assert json.loads(done.stdout) == {
        "ids": [engine.UID, 0],
        "capabilities": 0,
        "no_new_privileges": 1,
        "writable": ["/tmp"],
    }


def test_it_registers_the_sample_collections(server: Server, tmp_path: Path) -> None:
    outcome = run(tmp_path, server.url)

    assert outcome.exit_code == 0
    names = {store["name"] for store in server.request("GET", "/v1/vector_stores").json()["data"]}
    assert {"red_hat_docs", "acme_corporate", "eu_ai_act"} <= names


def test_the_termination_message_is_the_outcome(server: Server, tmp_path: Path) -> None:
    outcome = run(tmp_path, server.url)

    sentence, details = outcome.termination_message.splitlines()
    assert sentence == outcome.report["message"]
    assert json.loads(details)["exit_code"] == 0


def test_a_wrong_configuration_is_exit_code_2(tmp_path: Path) -> None:
    outcome = run(tmp_path, UNREACHABLE, "vector_dbs:\n  - vector_db: red_hat_docs\n")

    assert outcome.exit_code == 2
    assert "did you mean vector_db_id?" in outcome.termination_message


def test_no_server_is_exit_code_3(tmp_path: Path) -> None:
    outcome = run(tmp_path, UNREACHABLE, HOOK_TIMEOUT_SECONDS="2")

    assert outcome.exit_code == 3
    assert "not ready within 2 s" in outcome.termination_message


def test_an_unknown_provider_is_exit_code_4(server: Server, tmp_path: Path) -> None:
    outcome = run(tmp_path, server.url, collection("elsewhere", "nowhere"))

    assert outcome.exit_code == 4
    assert "nowhere" in outcome.termination_message


def test_a_vector_store_on_another_provider_is_exit_code_5(server: Server, tmp_path: Path) -> None:
    model = "sentence-transformers/ibm-granite/granite-embedding-125m-english"
    body = {"name": "drifted", "provider_id": "faiss-first", "embedding_model": model, "embedding_dimension": 768}
    assert server.request("POST", "/v1/vector_stores", body).status_code == 200

    outcome = run(tmp_path, server.url, collection("drifted", "milvus-shared"))

    assert outcome.exit_code == 5
    assert "faiss-first" in outcome.termination_message


def test_sigterm_ends_it_in_time_and_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As PID 1, which the kernel does not end by itself."""
    message = tmp_path / "termination-log"
    message.touch()
    message.chmod(0o666)
    name = f"register-collections-test-{os.getpid()}"
    command = engine.run_command(
        environ={"LLAMA_STACK_URL": UNREACHABLE},
        mounts={COLLECTIONS: "/config/collections.yaml:ro", message: "/dev/termination-log"},
        options=[f"--name={name}"],
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert "health.retry_scheduled" in next(line for line in process.stderr if "retry_scheduled" in line)
        started = time.monotonic()
        engine.execute(engine.engine(), "kill", "--signal=TERM", name)
        output, _ = process.communicate(timeout=30)
        seconds = time.monotonic() - started

    with capsys.disabled():
        print(f"\nSIGTERM to PID 1: ended with {process.returncode} after {seconds:.2f} s")
    assert process.returncode == 143
    assert seconds < 2
    assert json.loads(output)["exit_code"] == 143
    assert message.read_text().splitlines()[0] == json.loads(output)["message"]


def test_nothing_is_compiled_at_start() -> None:
    done = engine.execute(
        *engine.run_command(
            "validate",
            environ={"PYTHONVERBOSE": "1"},
            mounts={COLLECTIONS: "/config/collections.yaml:ro"},
        )
    )

    assert done.returncode == 0
    assert "matches /opt/register-collections/lib" in done.stderr
    compiled = [
        line for line in done.stderr.splitlines() if line.startswith("# code object from") and ".pyc" not in line
    ]
    assert compiled == []


def test_nothing_is_written(tmp_path: Path) -> None:
    """The root cannot be written; so a /tmp that outlives the run would show it."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    temporary.chmod(0o777)
    command = engine.run_command("validate", mounts={COLLECTIONS: "/config/collections.yaml:ro", temporary: "/tmp"})

    done = engine.execute(*(argument for argument in command if argument != "--tmpfs=/tmp"))

    assert done.returncode == 0
    assert list(temporary.iterdir()) == []


def test_there_is_no_pip() -> None:
    done = engine.execute(*engine.run_command("-m", "pip", "--version", options=[PYTHON]))

    assert done.returncode != 0
    assert "No module named pip" in done.stderr


def test_everything_is_readable_by_any_user() -> None:
    script = """
import os
for folder, folders, files in os.walk("/opt/register-collections"):
    for path in (os.path.join(folder, name) for name in (*folders, *files)):
        mode, wanted = os.stat(path).st_mode, 0o055 if os.path.isdir(path) else 0o044
        if mode & wanted != wanted or mode & 0o022:
            print(path, oct(mode))
"""
    done = engine.execute(*engine.run_command("-c", script, options=[PYTHON]))

    assert (done.returncode, done.stdout) == (0, "")


def inspect(image: str) -> Any:
    (found,) = json.loads(engine.execute(engine.engine(), "image", "inspect", image).stdout)
    return found


def test_it_starts_the_program_without_a_shell() -> None:
    configuration = inspect(engine.IMAGE)["Config"]

    assert configuration["User"] == "1001"
    assert configuration["Entrypoint"] == ["/opt/register-collections/bin/register-collections"]
    assert not configuration.get("Cmd")


def test_it_says_what_it_is() -> None:
    labels = inspect(engine.IMAGE)["Config"]["Labels"]

    assert labels["org.opencontainers.image.title"] == "register-collections"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == __version__


def test_our_layers_are_small(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    added = inspect(engine.IMAGE)["Size"] - inspect(base)["Size"]

    with capsys.disabled():
        print(f"\nOur layers add {added / 1e6:.1f} MB to {base}")
    assert added < MAX_ADDED_BYTES


def test_a_bill_of_materials_names_each_package_of_ours(tmp_path: Path) -> None:
    """As it is made for a release; a scanner for vulnerabilities sees no more than stands in it."""
    code = (
        "import importlib.metadata, json; "
        "print(json.dumps([[d.name, d.version] for d in importlib.metadata.distributions()]))"
    )
    installed = engine.execute(*engine.run_command("-c", code, options=[PYTHON]))
    assert installed.returncode == 0, installed.stderr
    archive = tmp_path / "image.tar"
    saved = engine.execute(engine.engine(), "save", "--output", archive, engine.IMAGE)
    assert saved.returncode == 0, saved.stderr

    done = engine.execute(engine.syft(), f"docker-archive:{archive}", "--output", "spdx-json")

    assert done.returncode == 0, done.stderr
    packages = {(p["name"].lower(), p.get("versionInfo")): p for p in json.loads(done.stdout)["packages"]}
    missing = [package for package in json.loads(installed.stdout) if (package[0].lower(), package[1]) not in packages]
    assert missing == []
    assert packages["register-collections", __version__]["licenseDeclared"] == "Apache-2.0"


def test_it_is_built_behind_a_proxy_with_its_own_authority(tmp_path: Path) -> None:
    """By the arguments of docs/build.md, of which nothing stays in the image."""
    arguments = ["--build-arg PIP_CERT=/run/secrets/ca.pem", "--secret id=ca.pem,src="]
    assert [each for each in arguments if each not in PAGES["docs/build.md"]] == []
    authority = tmp_path / "ca.pem"
    tag = f"{engine.IMAGE.partition(':')[0]}:proxied"
    with interceptor() as proxy:
        proxy.authority.cert_pem.write_to_path(authority)
        proxied = ("--network=host", "--build-arg", f"HTTPS_PROXY={proxy.url}")
        engine.build(*proxied, *" ".join(arguments).replace("src=", f"src={authority}").split(), tag=tag)
    facts = json.dumps(inspect(tag))
    engine.execute(engine.engine(), "rmi", "--force", tag)

    assert proxy.hosts
    assert [word for word in (proxy.url, "PIP_CERT", "ca.pem") if word in facts] == []
