"""What a pod knows of its cluster: the API server, its own namespace, and the token of its ServiceAccount."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hook import files
from hook.deadline import Deadline
from hook.errors import RefusedError, SettingError, UnavailableError, one_line
from hook.http import Endpoint, Http, mapping, of_kubernetes, read_address, tls
from hook.secrets import read_token

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts the pod's token, its namespace and the API server's certificate authority."""


@dataclass(frozen=True, slots=True)
class Pod:
    """How this pod may talk to its API server."""

    namespace: str
    server: Endpoint


def own_pod(variable: str, component: str, environ: Mapping[str, str]) -> Pod:
    """Return the pod's own access. Raises SettingError outside of a pod, and without a token or certificates.

    `variable` is the setting that needs it, and `component` the one of the manifests that grants it.
    """
    host, port = (environ.get(f"KUBERNETES_SERVICE_{key}", "") for key in ("HOST", "PORT"))
    if not host or not port:
        raise SettingError(
            [f"{variable}: not running in a pod (KUBERNETES_SERVICE_HOST and _PORT are not set); leave it out here"]
        )
    token = SERVICE_ACCOUNT / "token"
    try:
        read_token(token)
        namespace = files.read(SERVICE_ACCOUNT / "namespace", 253).decode().strip()
    except (OSError, ValueError) as error:
        remedy = f"use the component {component}, which mounts the ServiceAccount's token"
        raise SettingError([f"{variable}: no usable token in {SERVICE_ACCOUNT} ({error}); {remedy}"]) from error
    try:
        address = read_address(f"https://{f'[{host}]' if ':' in host else host}:{port}", "https://172.30.0.1:443")
    except ValueError as error:
        raise SettingError([f"{variable}: the address in KUBERNETES_SERVICE_HOST and _PORT {error}"]) from error
    # The file of the token, not the token: the kubelet replaces it.
    ca_bundle = str(SERVICE_ACCOUNT / "ca.crt")
    server = Endpoint(address.url, api_key_file=token, ca_bundle=ca_bundle, hints=of_kubernetes(component))
    tls.check_files(server)
    return Pod(namespace, server)


class Objects:
    """The objects of the pod's namespace, as far as its ServiceAccount has rights to them."""

    def __init__(self, pod: Pod, request_timeout_seconds: float, deadline: Deadline) -> None:
        self.namespace = pod.namespace
        self._http = Http(pod.server, request_timeout_seconds, deadline)

    def get(self, api: str, kind: str, name: str, *unless: int) -> Mapping[str, Any] | RefusedError:
        """Return an object of an API, such as `apis/apps/v1`, or a refusal whose status is one of `unless`."""
        path = self._path(api, kind, name)
        try:
            return self._checked(self._http.get(path), f"GET {path}", kind, name)
        except RefusedError as error:
            if error.status not in unless:
                raise
            return error

    def apply(self, manager: str, name: str, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Apply a ConfigMap on the server's side as this field manager, and return it as it is stored."""
        path = self._path("api/v1", "ConfigMap", name)
        # By force: a key with a collection's name is ours, also if another tool wrote it.
        try:
            answer = self._http.apply(path, {"fieldManager": manager, "force": "true"}, manifest)
        except RefusedError as error:
            if error.status != 409:
                raise
            # With force this is no conflict about an owner: somebody else wrote at the same time.
            raise UnavailableError(str(error), status=error.status) from error
        return self._checked(answer, f"PATCH {path}", "ConfigMap", name)

    def _path(self, api: str, kind: str, name: str) -> str:
        return f"/{api}/namespaces/{self.namespace}/{kind.lower()}s/{name}"

    def _checked(self, answer: Any, what: str, kind: str, name: str) -> Mapping[str, Any]:
        """Return the answer if it is that object: a `Status`, which says what went wrong, can come with a 200."""
        found = mapping(answer)
        metadata = mapping(found.get("metadata"))
        if (found.get("kind"), metadata.get("namespace"), metadata.get("name")) == (kind, self.namespace, name):
            return found
        shown = f"a {found['kind']}" if isinstance(found.get("kind"), str) else "something else"
        word = f" ({one_line(found['message'], 200)})" if isinstance(found.get("message"), str) else ""
        raise RefusedError(
            f"{what} answered with {one_line(shown, 60)}{word}, not with {kind} '{name}' of namespace "
            f"'{self.namespace}'; check what answers at KUBERNETES_SERVICE_HOST"
        )


def mappings(values: Any) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list; none where it is no list."""
    return [mapping(each) for each in values] if isinstance(values, list) else []
