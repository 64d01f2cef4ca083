"""Whether the operator of a server has carried out the last change of its resource and of the server's ConfigMap.

An operator works on one resource after the other, so until then a rollout that is to come looks like one that is over.
"""

from collections.abc import Mapping
from typing import Any

from hook.errors import RefusedError, UnavailableError, one_line
from hook.http import mapping
from hook.kubernetes.pod import Objects, mappings

GROUPS = ("llamastack.io", "ogx.io")
"""The API groups of the two operators (llama-stack-k8s-operator from 0.2.0 on, ogx-k8s-operator from 0.10.0 on)."""
_CONFIG = "configmap.hash/user-config"
"""The annotation in which both keep what the pods were made with: the ConfigMap's resourceVersion, `-`, its name."""

_NONE_GENERATED = "ConfigGenerationInactive"
_UNREADABLE = (403, 404)
"""The statuses of what the pod may not read, or what is in another namespace."""


def owner_of(deployment: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reference to the operator's resource that controls a Deployment, or None."""
    for each in mappings(mapping(deployment.get("metadata")).get("ownerReferences")):
        if str(each.get("apiVersion")).partition("/")[0] in GROUPS and each.get("controller") is True:
            return each
    return None


def check_resource(objects: Objects, owner: Mapping[str, Any]) -> list[str]:
    """Return once the operator has looked at its resource since somebody changed it, or why that cannot be told.

    Raises UnavailableError before that, and while the operator reports Failed. Compared are the times that the API
    server keeps (`metadata.managedFields`) and `status.version.lastUpdated`, which each look of the operator sets.
    """
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    resource = objects.get(f"apis/{owner['apiVersion']}", kind, name, *_UNREADABLE)
    if isinstance(resource, RefusedError):
        return [str(resource)]
    status, writes = mapping(resource.get("status")), mappings(resource["metadata"].get("managedFields"))
    shown = one_line(name, 253)
    describe = f"kubectl describe {one_line(kind, 60).lower()} {shown} -n {objects.namespace}"
    # In the one format of the API, whose order is that of time.
    changed = max((str(each.get("time")) for each in writes if each.get("subresource") != "status"), default="")
    if str(mapping(status.get("version")).get("lastUpdated") or "") < changed:
        raise UnavailableError(
            f"the operator has not yet processed the last change of {kind} '{shown}': check the operator's pod, and "
            f"{describe}"
        )
    if status.get("phase") == "Failed":
        # It also says, of a server with a configuration of its own, that it generates none.
        failed = (
            each
            for each in mappings(status.get("conditions"))
            if each.get("status") == "False" and each.get("reason") != _NONE_GENERATED
        )
        said = one_line("; ".join(str(each.get("message")) for each in failed))
        raise UnavailableError(f"the operator reports {kind} '{shown}' as Failed: {said}; see {describe}")
    return []


def check_config(objects: Objects, deployment: Mapping[str, Any]) -> list[str]:
    """Return once a Deployment's pods are made with the server's ConfigMap as it is, or why that cannot be told.

    Raises UnavailableError before that. A server without a ConfigMap needs nothing.
    """
    metadata: Mapping[str, Any] = deployment
    for key in ("spec", "template", "metadata", "annotations"):
        metadata = mapping(metadata.get(key))
    version, _, name = str(metadata.get(_CONFIG) or "").partition("-")
    if not name:
        return []
    configmap = objects.get("api/v1", "ConfigMap", name, *_UNREADABLE)
    if isinstance(configmap, RefusedError):
        return [str(configmap)]
    if configmap["metadata"].get("resourceVersion") != version:
        label, other = (f"{group}/watch=true" for group in GROUPS)
        shown = one_line(name, 253)
        raise UnavailableError(
            f"the operator has not yet restarted the server with the last change of ConfigMap '{shown}'; with its "
            f"label it sees a change at once: kubectl label configmap {shown} -n {objects.namespace} {label} (or "
            f"{other})"
        )
    return []
