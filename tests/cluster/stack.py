"""The real LlamaStack servers of `tests/live` and the image of `make image`, as a cluster's pods reach them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import trustme

from hook import __version__
from tests.cluster.place import ROOT, PlaceError, must, say
from tests.image import engine

sys.path.append(str(ROOT / "tests" / "live"))

import client
import edits
import servers

RELEASES = ("0.3.5", "0.7.3")
TOKEN = edits.TOKEN
IMAGE = "localhost/register-collections-test:cluster"
NAMES = tuple(
    f"{registry}/register-collections:{__version__}"
    for registry in (
        "docker.io/library",
        "registry.example/team",
        "image-registry.openshift-image-registry.svc:5000/private-ai-demo",
    )
)
"""What the manifests and the documentation call the image."""


class SecureServer(servers.Server):
    """One that speaks TLS."""

    def __init__(self, release: str, edit: Callable[[dict[str, Any]], None], authority: Path) -> None:
        super().__init__(release, edit=edit, token=TOKEN)
        self.url = self.url.replace("http:", "https:")
        self._session.verify = str(authority)


def for_pods(content: dict[str, Any]) -> None:
    """Make a server listen on each address of the machine."""
    content["server"]["host"] = "0.0.0.0"


@contextmanager
def running(namespaces: Sequence[str], folder: Path) -> Iterator[tuple[dict[str, int], str]]:
    """Boot one server of each release, and one more with TLS and a token for the Service of these namespaces.

    Yields their ports, and the certificate authority of the last one.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", *(f"llama-stack-service.{name}.svc" for name in namespaces))
    folder.mkdir(parents=True, exist_ok=True)
    pem = {name: folder / f"{name}.pem" for name in ("authority", "certificate", "key")}
    authority.cert_pem.write_to_path(str(pem["authority"]))
    certificate.private_key_pem.write_to_path(str(pem["key"]))
    pem["certificate"].write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))

    with ExitStack() as stack:
        guard = stack.enter_context(edits.TokenServer()).guard(RELEASES[0])

        def secure(content: dict[str, Any]) -> None:
            for_pods(content)
            guard(content)
            content["server"] |= {"tls_certfile": str(pem["certificate"]), "tls_keyfile": str(pem["key"])}

        booted = {release: servers.Server(release, edit=for_pods) for release in RELEASES}
        booted["secure"] = SecureServer(RELEASES[0], secure, pem["authority"])
        for server in booted.values():
            stack.callback(server.close)
        pool = ThreadPoolExecutor()
        try:
            list(pool.map(servers.Server.start, booted.values()))
        finally:
            pool.shutdown(wait=False)
        say(f"{', '.join(servers.name(release) for release in RELEASES)}, and one with TLS and a token, are up")
        yield {name: server.port for name, server in booted.items()}, pem["authority"].read_text()


def install_servers() -> None:
    """Install what the servers need, while there is an internet."""
    for release in RELEASES:
        servers.install(release)


def build_image() -> str:
    """Build the image as a user does, and return the engine that has it."""
    program = engine.engine()
    command = ["make", "image", f"IMAGE={IMAGE}", f"BASE_IMAGE={engine.base_image()}"]
    flags = "--layers=false" if program == "podman" else ""
    done = engine.execute(*command, f"BUILD_FLAGS={flags}")
    if done.returncode != 0 and program == "podman":
        done = engine.execute(*command, f"BUILD_FLAGS={flags} --isolation=chroot")
    if done.returncode != 0:
        raise PlaceError(f"the image cannot be built:\n{(done.stdout + done.stderr)[-4000:]}")
    return program


@contextmanager
def background(command: Sequence[str], folder: Path) -> Iterator[None]:
    """Let something run meanwhile, with the whole environment: how to reach a user's cluster may be in there."""
    with servers.start_process(command, folder, folder / f"{command[0]}.log", os.environ) as process:
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def remove_image() -> None:
    """Remove what `build_image` has made."""
    must(engine.engine(), "rmi", "--force", IMAGE)


Server = servers.Server
insert_and_query = client.insert_and_query
ServerError = servers.ServerError
close_all = servers.close_all
free_port = servers.free_port
