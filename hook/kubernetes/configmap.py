"""The addresses of the collections, published as a ConfigMap by server-side apply with the pod's own token."""

import re
from collections.abc import Mapping
from typing import Any

from hook.deadline import Deadline
from hook.errors import HookError, PublishError, RefusedError, UnavailableError, one_line
from hook.http import mapping
from hook.kubernetes.pod import Objects, own_pod
from hook.logs import log
from hook.retry import retry

FIELD_MANAGER = "register-collections"
URL_ANNOTATION = "register-collections/server-url"


def can_be_key(name: str) -> bool:
    """Tell whether a ConfigMap can hold a key of this name (Kubernetes, ConfigMap `data`)."""
    return re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name) is not None and not re.fullmatch(r"\.|\.\..*", name)


class Publisher:
    """Writes one ConfigMap of the pod's own namespace."""

    def __init__(
        self, name: str, environ: Mapping[str, str], request_timeout_seconds: float, deadline: Deadline
    ) -> None:
        """Read what Kubernetes mounts into a pod. Raises ConfigError where it is not there."""
        self._pod = own_pod("HOOK_PUBLISH_CONFIGMAP", "publish-ids (Helm: publishConfigMap)", environ)
        self._name = name
        self._request_timeout_seconds = request_timeout_seconds
        self._deadline = deadline

    def publish(self, addresses: Mapping[str, str], server_url: str) -> None:
        """Apply the ConfigMap: the API server removes the keys that an earlier run applied and this one does not.

        Raises PublishError, or UnavailableError where the budget of the run ended before `publish_seconds`, so that
        another try may have them. The collections stay registered.
        """
        sentence = "The collections are registered, but publishing their addresses failed"
        if not addresses:
            sentence = "No collection is declared, and publishing that failed"
        limit = min(self._deadline.part(self._deadline.timings.publish_seconds), self._deadline, key=Deadline.remaining)
        event = "publish.retry_scheduled"
        try:
            objects = Objects(self._pod, self._request_timeout_seconds, limit)
            before = retry(lambda: self._version(objects), limit, event)
            after = retry(lambda: self._apply(objects, addresses, server_url), limit, event)
        except UnavailableError as error:
            kind = UnavailableError if limit is self._deadline else PublishError
            raise kind(f"{sentence}: {error}; run the hook again to publish them") from error
        except HookError as error:
            # Also a ConfigError: the pod's files can change after the start.
            raise PublishError(f"{sentence}: {error}") from error
        # The API server keeps the version of an object in which an apply changes nothing.
        outcome = "publish.unchanged" if before == after else "publish.applied"
        log.info(outcome, configmap=self._name, namespace=self._pod.namespace, keys=len(addresses))

    def _version(self, objects: Objects) -> Any:
        """Return the ConfigMap's resourceVersion, or None where there is no ConfigMap."""
        found = objects.get("api/v1", "ConfigMap", self._name, 404)
        return None if isinstance(found, RefusedError) else found["metadata"].get("resourceVersion")

    def _apply(self, objects: Objects, addresses: Mapping[str, str], server_url: str) -> Any:
        """Apply the ConfigMap, and return its resourceVersion."""
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._name,
                "namespace": self._pod.namespace,
                "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER},
                "annotations": {URL_ANNOTATION: server_url},
            },
            "data": dict(addresses),
        }
        stored = objects.apply(FIELD_MANAGER, self._name, manifest)
        data, annotations = mapping(stored.get("data")), mapping(stored["metadata"].get("annotations"))
        wrong = sorted(key for key, value in addresses.items() if data.get(key) != value)
        if annotations.get(URL_ANNOTATION) != server_url:
            wrong.append(URL_ANNOTATION)
        if wrong:
            raise RefusedError(
                f"the API server stored ConfigMap '{self._name}' with other values than were sent, for "
                f"{one_line(', '.join(wrong))}; look for an admission webhook that changes ConfigMaps"
            )
        return stored["metadata"].get("resourceVersion")
