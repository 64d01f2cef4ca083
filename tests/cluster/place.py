"""Which cluster the tests run on: the one of KUBECONFIG, else kind's, else one of their own; and what it lacks."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import requests

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "register-collections" / "cluster"

ARGOCD = os.environ.get("ARGOCD_NAMESPACE", "argocd")
"""The namespace of Argo CD, where its apps are."""

GIVEN = {
    "ARGOCD": ("argocd", "argocd-application-controller", "argocd-repo-server", "argocd-server"),
    "HELM": ("helm",),
}
"""What a program of another version is called, by the variable that names its file."""

_CLONE_NEWNET = 0x40000000
_STARTED = time.monotonic()


class PlaceError(Exception):
    """There is no cluster to run on; the text says what to do."""


def say(line: str) -> None:
    """Print a line of progress, at once also into a pipe."""
    print(f"[cluster, {time.monotonic() - _STARTED:3.0f} s] {line}", file=sys.stderr, flush=True)


_running: set[int] = set()


def spawn(*command: str | Path, shown: bool = False) -> subprocess.Popen[str]:
    """Start a command in a group of its own, which `end_all` ends: the terminal's Ctrl-C does not reach it."""
    process = subprocess.Popen(
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    _running.add(process.pid)
    return process


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command and return its output. Raises PlaceError with what it said where it failed."""
    output = process.communicate()[0] or ""
    _running.discard(process.pid)
    if process.returncode != 0:
        raise PlaceError(f"{process.args!r} ended with {process.returncode}\n{output[-4000:]}")
    return output


def must(*command: str | Path, shown: bool = False) -> str:
    """Run a command to its end and return its output. Raises PlaceError where it fails."""
    return finish(spawn(*command, shown=shown))


def end_all() -> None:
    """End what is half-done."""
    for group in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a test has to know of the cluster; plain values, so that each worker gets a copy."""

    run: str
    """What the name of every namespace of this run begins with."""
    api: str
    """Where `kubectl proxy` answers for the API server."""
    address: str
    """The address of this machine, as pods reach it."""
    servers: dict[str, int]
    """The port of each real server, by its release; and that of `secure`."""
    git: str
    """The folder of the Git repositories."""
    git_url: str
    """Where Argo CD finds them."""
    ca: str
    """The certificate authority of the server that speaks TLS, as PEM."""
    image: str
    """The image, where the cluster finds it under a name of its own; empty: under those of the manifests."""
    lacks: dict[str, str] = field(default_factory=dict)
    """What this cluster has not, by the name that tests call it, and how that was seen."""

    def dumped(self) -> str:
        """Return them as text."""
        return json.dumps(asdict(self))

    @classmethod
    def loaded(cls, text: str) -> Self:
        """Return them from text."""
        return cls(**json.loads(text))


class Place:
    """A cluster, once `up` has returned; `down` leaves nothing of it, whatever there is."""

    name: str
    address: str
    image = ""
    """The image, where the cluster already finds it."""
    stays = True
    """Whether it is there after the tests, and has to be as before."""
    git: Path | None = None
    """The folder of Git repositories, where it has to be a certain one."""

    def prepare(self) -> Callable[[], object]:
        """Start what takes long, and return what waits for it."""
        found = json.loads(must("kubectl", "version", "--client", "--output=json"))["clientVersion"]["gitVersion"]
        if version(found) < (1, 27):
            raise PlaceError(f"kubectl is {found}, and the manifests need its kustomize from 1.27 on.")
        return lambda: None

    def up(self) -> None:
        """Make it usable, and let kubectl find it."""

    def load(self, engine: str, image: str, names: Sequence[str]) -> None:
        """Put an image where the cluster's nodes find it, under these names."""

    def down(self) -> None:
        """Leave nothing behind."""

    def lacks(self) -> dict[str, str]:
        """Return what tests may ask for and this cluster has not."""
        lacking = {}
        kinds = must("kubectl", "api-resources", "--output=name").split()
        namespaces = must("kubectl", "get", "namespaces", "--output=jsonpath={.items[*].metadata.name}").split()
        if not shutil.which("helm"):
            lacking["Helm"] = "no helm on PATH"
        if reason := _no_argocd(kinds, namespaces):
            lacking["Argo CD"] = reason
        elif version(found := ask_argocd("version")["Version"]) < (3, 4):
            lacking["Argo CD 3.4"] = f"it is {found}"
        if "routes.route.openshift.io" in kinds:
            lacking["a service CA of the tests' own"] = "OpenShift writes its own one"
        lacking["Argo CD on this machine"] = "it is in the cluster, and its Git is not ours to configure"
        if "private-ai-demo" in namespaces:
            lacking["a namespace private-ai-demo of the tests' own"] = "there is one"
        return lacking


class Given(Place):
    """The cluster that KUBECONFIG names. Pods of it have to reach this machine, where the servers run."""

    name = "the cluster of KUBECONFIG"
    address, image = (os.environ.get(f"CLUSTER_TEST_{name}", "") for name in ("ADDRESS", "IMAGE"))

    def prepare(self) -> Callable[[], object]:
        """Ask for what only the user knows."""
        if not self.address or not self.image:
            raise PlaceError(
                "KUBECONFIG names a cluster. Then CLUSTER_TEST_IMAGE has to name the image of `make image` as that "
                "cluster can pull it, and CLUSTER_TEST_ADDRESS the IP address by which its pods reach this machine, "
                "where the LlamaStack servers run. Without KUBECONFIG a cluster is made."
            )
        # kubectl also runs in other folders than this one.
        files = os.environ["KUBECONFIG"].split(os.pathsep)
        os.environ["KUBECONFIG"] = os.pathsep.join(str(Path(file).absolute()) for file in files)
        must("kubectl", "get", "--raw", "/readyz")
        return super().prepare()


class Kind(Place):
    """A cluster that kind makes, with docker or podman. It has no Argo CD."""

    name = "kind"
    stays = False
    _CLUSTER = "register-collections-test"

    def up(self) -> None:
        """Make it; on Linux its nodes reach the machine at the gateway of their network."""
        os.environ["KUBECONFIG"] = str(CACHE / "kind.kubeconfig")
        CACHE.mkdir(parents=True, exist_ok=True)
        must("kind", "create", "cluster", "--name", self._CLUSTER, "--wait", "120s", shown=True)
        node = f"{self._CLUSTER}-control-plane"
        engine = "docker" if shutil.which("docker") else "podman"
        template = "{{range .NetworkSettings.Networks}}{{.Gateway}} {{end}}"
        self.address = must(engine, "inspect", "--format", template, node).split()[0]

    def load(self, engine: str, image: str, names: Sequence[str]) -> None:
        """Let kind do it, under each name."""
        archive = CACHE / "image.tar"
        for name in names:
            # From a file, since kind looks for an image only in the engine that it uses itself.
            archive.unlink(missing_ok=True)
            before = _image_id(engine, name)
            must(engine, "tag", image, name)
            must(engine, "save", "--output", archive, name)
            must(engine, *(("tag", before, name) if before else ("rmi", name)))
            must("kind", "load", "image-archive", archive, "--name", self._CLUSTER)
            archive.unlink()

    def down(self) -> None:
        """Delete it."""
        must("kind", "delete", "cluster", "--name", self._CLUSTER)


class Own(Place):
    """One that the scripts in `up/` bring up on this machine."""

    name = "a cluster of its own"
    stays = False
    address = "10.99.0.1"
    git = CACHE / "run" / "git"
    _outside: int | None = None
    _lock: IO[str] | None = None

    def prepare(self) -> Callable[[], object]:
        """Build its programs, once no other run has a cluster on this machine."""
        CACHE.mkdir(parents=True, exist_ok=True)
        self._lock = (CACHE / "cluster.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run to take its cluster down")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        must(HERE / "up" / "packages.sh", shown=True)
        programs = spawn(HERE / "up" / "programs.sh", shown=True)
        return lambda: finish(programs)

    def up(self) -> None:
        """Bring it up, and move into its network with all that is started from now on."""
        os.environ["KUBECONFIG"] = str(CACHE / "run" / "admin.kubeconfig")
        given = CACHE / "run" / "bin"
        os.environ["PATH"] = f"{given}:{CACHE / 'bin'}:{os.environ['PATH']}"
        os.environ |= {"ARGOCD_SERVER": "127.0.0.1:8080", "ARGOCD_OPTS": "--plaintext"}
        must(HERE / "up" / "down.sh")
        given.mkdir(parents=True)
        for variable, names in GIVEN.items():
            for name in names if os.environ.get(variable) else ():
                (given / name).symlink_to(Path(os.environ[variable]).absolute())
        must(HERE / "up" / "up.sh", shown=True)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            os.environ.pop(name, None)  # nobody is there to be asked by a proxy
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        _enter(os.open("/run/netns/register-collections", os.O_RDONLY | os.O_CLOEXEC))
        helm = must("helm", "version", "--template={{.Version}}")
        say(f"Argo CD {ask_argocd('version')['Version']} and Helm {helm}")

    def load(self, engine: str, image: str, names: Sequence[str]) -> None:
        """Import it into containerd."""
        ctr = (
            "ctr",
            "--address",
            str(CACHE / "run" / "containerd" / "containerd.sock"),
            "--namespace",
            "k8s.io",
            "images",
        )
        archive = CACHE / "run" / "image.tar"
        must(engine, "save", *(["--format=docker-archive"] if engine == "podman" else []), "--output", archive, image)
        must(*ctr, "import", archive)
        archive.unlink()
        for name in names:
            must(*ctr, "tag", "--force", image, name)

    def down(self) -> None:
        """Leave its network, and take it down with all that is in there; unless it is another run's."""
        if self._lock is None:
            return
        if self._outside is not None:
            _enter(self._outside)
        must(HERE / "up" / "down.sh")
        self._lock.close()

    def lacks(self) -> dict[str, str]:
        """Return nothing: what is missing here is an error."""
        return {}


def _enter(network: int) -> None:
    """Move into a network with all that is started from now on; Python has a function for it from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET) != 0:
        raise PlaceError(f"the network cannot be entered: {os.strerror(ctypes.get_errno())}")


def _image_id(engine: str, name: str) -> str:
    """Return the id of an image, or nothing where there is none; `make image` gives it one of the manifests' names."""
    done = subprocess.run([engine, "image", "inspect", "--format={{.Id}}", name], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def version(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version, which may begin with a v."""
    major, minor = re.findall(r"\d+", text)[:2]
    return int(major), int(minor)


def ask_argocd(path: str) -> Any:
    """Return what Argo CD's API answers, asked as its command line is told to ask. Raises RequestException."""
    options = os.environ.get("ARGOCD_OPTS", "")
    headers = {"Authorization": f"Bearer {os.environ.get('ARGOCD_AUTH_TOKEN', '')}"}
    scheme, verify = "http" if "--plaintext" in options else "https", "--insecure" not in options
    url = f"{scheme}://{os.environ['ARGOCD_SERVER']}/api/{path}"
    answer = requests.get(url, headers=headers, verify=verify, timeout=30)
    answer.raise_for_status()
    return answer.json()


def _no_argocd(kinds: Sequence[str], namespaces: Sequence[str]) -> str | None:
    """Return why Argo CD cannot be used here, or None."""
    if not shutil.which("argocd"):
        return "no argocd on PATH"
    if "applications.argoproj.io" not in kinds:
        return "no applications.argoproj.io"
    if not os.environ.get("ARGOCD_SERVER"):
        return "no ARGOCD_SERVER in the environment"
    if ARGOCD not in namespaces:
        return f"no namespace {ARGOCD}; ARGOCD_NAMESPACE names another"
    try:
        ask_argocd("v1/applications")
    except requests.RequestException as error:
        return f"its API does not let us in, by ARGOCD_SERVER, ARGOCD_AUTH_TOKEN and ARGOCD_OPTS: {error}"
    return None


def find() -> Place:
    """Return the cluster to use."""
    if os.environ.get("KUBECONFIG"):
        return Given()
    lacking_fails = os.environ.get("CLUSTER_TEST_LACKING") == "fail"  # and kind has no Argo CD
    return Kind() if shutil.which("kind") and not lacking_fails else Own()
