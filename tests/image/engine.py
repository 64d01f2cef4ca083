"""Builds the image and runs it as OpenShift would, with podman or docker, also where both hardly work."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/register-collections-test:latest"

UID = 1000650000
"""Such as OpenShift assigns to a namespace: nobody in the image has it."""

_BASE_IMAGE = "localhost/register-collections-test-base:latest"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "register-collections"
_SECONDS = 600

AS_ON_OPENSHIFT = (
    f"--user={UID}:0",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    # The server under test listens on the host's loopback; a pod would reach it through a Service.
    "--network=host",
)

# For a machine with cgroups in hybrid mode, which crun does not know, and with limits that may not be raised.
_PRIVATE_CGROUPS = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'umount /sys/fs/cgroup/unified; umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"',
    "sh",
)
_NO_CGROUPS = ("--cgroups=disabled", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True, slots=True)
class Runner:
    """The command that runs a container here."""

    prefix: tuple[str, ...]
    options: tuple[str, ...]

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command of `run`, for these options and this image."""
        return [*self.prefix, engine(), "run", "--rm", *self.options, *arguments]


def execute(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; whether it may fail is the caller's business."""
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)


@cache
def engine() -> str:
    """Return podman or docker. A test that needs one fails without it."""
    for name in ("podman", "docker"):
        if shutil.which(name) and execute(name, "info").returncode == 0:
            return name
    pytest.fail("neither podman nor a running docker is here: install podman, or run tests/image/install-tools.sh")


def syft() -> str:
    """Return the program that makes bills of materials. A test that needs it fails without it."""
    path = os.pathsep.join([str(_CACHE / "tools" / "bin"), os.environ["PATH"]])
    return shutil.which("syft", path=path) or pytest.fail(
        "syft is not installed: install it, or run tests/image/install-tools.sh"
    )


def base_image() -> str:
    """Return $BASE_IMAGE, else the Containerfile's own base, else one made of Debian's packages."""
    if asked := os.environ.get("BASE_IMAGE"):
        return asked
    default = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert default
    if execute(engine(), "pull", default[1]).returncode == 0:
        return default[1]
    return _debian()


def _debian() -> str:
    """Return an image of Debian trixie with Python, made once; its files are kept in the cache."""
    if execute(engine(), "image", "inspect", _BASE_IMAGE).returncode == 0:
        return _BASE_IMAGE
    _CACHE.mkdir(parents=True, exist_ok=True)
    files, complete = _CACHE / "trixie", _CACHE / "trixie.complete"
    with (_CACHE / "trixie.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(files, ignore_errors=True)
            packages = "--include=python3,python3-venv,ca-certificates"
            _must(execute("debootstrap", "--variant=minbase", packages, "trixie", files), "debootstrap")
            complete.touch()
    # What this machine trusts: there may be a proxy between it and the packages.
    trusted = Path("/etc/ssl/certs/ca-certificates.crt")
    if trusted.exists():
        shutil.copyfile(trusted, files / trusted.relative_to("/"))
    with tempfile.TemporaryDirectory() as temporary:
        containerfile = Path(temporary, "Containerfile")
        # A command of the base's, as UBI's has one, must not become an argument of ours.
        containerfile.write_text('FROM scratch\nCOPY . /\nENV PATH=/usr/sbin:/usr/bin\nCMD ["usage"]\n')
        _build(_BASE_IMAGE, containerfile, files)
    return _BASE_IMAGE


def build(*arguments: str, tag: str = IMAGE) -> str:
    """Build the image of this checkout, with further arguments of the engine, and return its base."""
    base = base_image()
    _build(tag, ROOT / "Containerfile", ROOT, "--build-arg", f"BASE_IMAGE={base}", *arguments)
    return base


def _build(tag: str, containerfile: Path, context: Path, *arguments: str) -> None:
    # A cache would keep an image for each edit.
    uncached = ["--layers=false"] if engine() == "podman" else ["--no-cache"]
    command = [engine(), "build", *uncached, "--tag", tag, "--file", str(containerfile), *arguments, str(context)]
    done = execute(*command)
    if done.returncode != 0 and engine() == "podman":
        done = execute(*command[:2], "--isolation=chroot", *command[2:])
    _must(done, f"the build of {tag}")


def _must(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode != 0:
        pytest.fail(f"{what} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


@cache
def runner() -> Runner:
    """Return the plain way to run a container, or the one with work-arounds where only that works."""
    plain = Runner((), ())
    tried = []
    for candidate in (plain, Runner(_PRIVATE_CGROUPS, _NO_CGROUPS)):
        done = execute(*candidate.command(*AS_ON_OPENSHIFT, IMAGE, "--version"))
        if done.returncode == 0:
            return candidate
        tried.append(done.stderr)
    pytest.fail("no container runs here:\n" + "\n".join(tried))


def run_command(
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    mounts: Mapping[Path, str] | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command that runs the image as OpenShift would; `options` are podman's, or docker's."""
    variables = [f"--env={name}={value}" for name, value in (environ or {}).items()]
    # podman would else add writable folders to a read-only root; docker knows no such thing.
    confined = ["--read-only-tmpfs=false"] if engine() == "podman" else []
    volumes = [f"--volume={source}:{target}" for source, target in (mounts or {}).items()]
    return runner().command(*AS_ON_OPENSHIFT, *confined, *variables, *volumes, *options, IMAGE, *arguments)
