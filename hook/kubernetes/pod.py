"""What a pod knows of its cluster: the API server, its own namespace, and the token of its ServiceAccount."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hook import files
from hook.errors import ConfigError, RefusedError, one_line
from hook.http import tls
from hook.http.answers import mapping
from hook.http.endpoint import Endpoint
from hook.http.hints import of_kubernetes
from hook.http.url import read_address
from hook.secrets import read_token

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts the pod's token, its namespace and the API server's certificate authority."""


@dataclass(frozen=True, slots=True)
class Pod:
    """How this pod may talk to its API server."""

    namespace: str
    server: Endpoint


def own_pod(variable: str, component: str, environ: Mapping[str, str]) -> Pod:
    """Return the pod's own access, for what `variable` asks for and `component` of the manifests gives the right to.

    Raises ConfigError where Kubernetes mounts no token, as outside of a cluster, or no certificates.
    """
    host, port = (environ.get(f"KUBERNETES_SERVICE_{key}", "") for key in ("HOST", "PORT"))
    token = SERVICE_ACCOUNT / "token"
    try:
        read_token(token)
        namespace = files.read(SERVICE_ACCOUNT / "namespace", 253).decode().strip()
    except (OSError, ValueError) as error:
        where = f"the pod's ServiceAccount token mounted in {SERVICE_ACCOUNT}"
        raise ConfigError([f"{variable}: needs {where}: {error}"]) from error
    if not host or not port:
        raise ConfigError([f"{variable}: KUBERNETES_SERVICE_HOST and _PORT are not set: this is no pod"])
    try:
        address = read_address(f"https://{f'[{host}]' if ':' in host else host}:{port}", "https://172.30.0.1:443")
    except ValueError as error:
        raise ConfigError([f"{variable}: KUBERNETES_SERVICE_HOST and _PORT: the address of them {error}"]) from error
    server = Endpoint(
        address.url,
        # By its file, since the kubelet replaces it.
        api_key_file=token,
        ca_bundle=str(SERVICE_ACCOUNT / "ca.crt"),
        advice=of_kubernetes(component),
    )
    tls.check_files(server)
    return Pod(namespace, server)


def check_object(answer: Any, what: str, kind: str, namespace: str, name: str) -> Mapping[str, Any]:
    """Return what the API server answered to `what`, if it is this object: each says its kind, namespace and name.

    Raises RefusedError for any other one, such as a `Status` that says in a 200 what went wrong.
    """
    found = mapping(answer)
    metadata = mapping(found.get("metadata"))
    if (found.get("kind"), metadata.get("namespace"), metadata.get("name")) == (kind, namespace, name):
        return found
    shown = f"a {found['kind']}" if isinstance(found.get("kind"), str) else "something"
    said = f": {found['message']}" if isinstance(found.get("message"), str) else ""
    raise RefusedError(
        f"{what} answered with {one_line(shown, 60)} that is not the {kind} '{name}' of the namespace '{namespace}'"
        f"{one_line(said, 200)}; look at what stands in front of the Kubernetes API"
    )
