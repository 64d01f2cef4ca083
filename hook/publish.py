"""The addresses of the collections, published as a ConfigMap by server-side apply with the pod's own token."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hook.backoff import retry
from hook.deadline import Deadline
from hook.errors import RefusedError, UnavailableError
from hook.http.answers import mapping
from hook.kubernetes import own_pod
from hook.logs import log

FIELD_MANAGER = "register-collections"
URL_ANNOTATION = "register-collections/server-url"
CHANGED_ANNOTATION = "register-collections/changed-at"
_LABELS = {"app.kubernetes.io/managed-by": FIELD_MANAGER}


def can_be_key(name: str) -> bool:
    """Tell whether a ConfigMap can hold a key of this name (Kubernetes, ConfigMap `data`)."""
    return re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name) is not None and not re.fullmatch(r"\.|\.\..*", name)


class Publisher:
    """Writes one ConfigMap of the pod's own namespace."""

    def __init__(
        self, name: str, environ: Mapping[str, str], request_timeout_seconds: float, deadline: Deadline
    ) -> None:
        """Read what Kubernetes mounts into a pod. Raises ConfigError where it is not there."""
        pod = own_pod("HOOK_PUBLISH_CONFIGMAP", "publish-ids", environ, request_timeout_seconds, deadline)
        self.namespace = pod.namespace
        self.name = name
        self._http = pod.http
        self._deadline = deadline
        self._path = f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"

    def publish(self, addresses: Mapping[str, str], server_url: str) -> None:
        """Make the ConfigMap hold these addresses by name, and nothing else; what is so already is not rewritten.

        Raises UnavailableError and RefusedError in a sentence of its own: the collections stay registered.
        """
        try:
            changed = retry(lambda: self._apply(addresses, server_url), self._deadline, "publish.retry_scheduled")
        except (UnavailableError, RefusedError) as error:
            kind = type(error)
            raise kind(f"The collections are registered, but their addresses are not published: {error}") from error
        log.info("publish.applied" if changed else "publish.unchanged", configmap=self.name, namespace=self.namespace)

    def _apply(self, addresses: Mapping[str, str], server_url: str) -> bool:
        """Apply the ConfigMap if it is not as it should be, and tell whether it was not.

        A key too many is removed by applying if it is ours, and stays if it is somebody else's; with the time of change
        kept, applying what is so already changes nothing.
        """
        try:
            found = mapping(self._http.get(self._path))
        except RefusedError as error:
            if error.status != 404:
                raise
            found = {}
        annotations = mapping(mapping(found.get("metadata")).get("annotations"))
        data = mapping(found.get("data"))
        same = annotations.get(URL_ANNOTATION) == server_url and addresses.items() <= data.items()
        if same and len(data) == len(addresses):
            return False
        changed_at = annotations.get(CHANGED_ANNOTATION) if same else None
        changed_at = changed_at or datetime.now(UTC).isoformat(timespec="seconds")
        manifest = self._manifest(addresses, server_url, changed_at)
        self._http.apply(self._path, {"fieldManager": FIELD_MANAGER, "force": "true"}, manifest)
        return not same

    def _manifest(self, addresses: Mapping[str, str], server_url: str, changed_at: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": _LABELS,
                "annotations": {URL_ANNOTATION: server_url, CHANGED_ANNOTATION: changed_at},
            },
            "data": dict(addresses),
        }
