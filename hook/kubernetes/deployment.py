"""Waiting until the rollout of the server's Deployment is complete, so that no old pod is verified."""

from collections.abc import Mapping
from typing import Any

from hook.deadline import Deadline
from hook.errors import RefusedError, UnavailableError, one_line
from hook.heartbeat import doing
from hook.http import mapping
from hook.kubernetes import operator
from hook.kubernetes.pod import Objects, own_pod
from hook.logs import log
from hook.retry import retry

VARIABLE = "HOOK_WAIT_FOR_DEPLOYMENT"
_UNREAD = (
    "a change that the operator has not yet carried out is not waited for; the component self-heal "
    "(Helm: selfHeal.enabled) registers again later"
)
_MAX_COUNT = 2**31 - 1
"""The largest number of pods that the API can hold, an int32 (apps/v1, Deployment)."""
_MAX_GENERATION = 2**63 - 1


def wait_for_rollout(name: str, environ: Mapping[str, str], request_timeout_seconds: float, deadline: Deadline) -> int:
    """Return the number of replicas of a Deployment in the pod's namespace, as soon as only its newest pods are left.

    Where an operator makes the Deployment, that operator has to have carried out what was changed last, as far as the
    pod may read it. Raises UnavailableError where the budget ends before that, also for a Deployment that is not there
    yet, RefusedError where it cannot be read, and ConfigError outside of a pod.
    """
    objects = Objects(
        own_pod(VARIABLE, "rollout (Helm: waitForDeployment)", environ), request_timeout_seconds, deadline
    )
    with doing("rollout.waiting"):
        replicas, unread = retry(lambda: _replicas(objects, name), deadline, "rollout.retry_scheduled")
    for reason in unread:
        log.warning("rollout.operator_unread", cause=reason, hint=_UNREAD)
    log.info("rollout.finished", deployment=name, namespace=objects.namespace, replicas=replicas)
    return replicas


def _replicas(objects: Objects, name: str) -> tuple[int, list[str]]:
    """Return the number of replicas, and what could not be read of the operator that makes them.

    Raises UnavailableError until there are some and the rollout is over.
    """
    deployment = _read(objects, name)
    owner, unread = operator.owner_of(deployment), []
    if owner is not None:
        unread += operator.check_resource(objects, owner)
        # What it has done is to be seen only in what is read after that.
        deployment = _read(objects, name)
        unread += operator.check_config(objects, deployment)
    replicas = _count(mapping(deployment.get("spec")), "replicas", 1)
    if missing := _missing(deployment, replicas):
        raise UnavailableError(
            f"the rollout of Deployment '{name}' is not complete: {missing}; "
            f"check it with `kubectl rollout status deployment/{name} -n {objects.namespace}`"
        )
    return replicas, unread


def _read(objects: Objects, name: str) -> Mapping[str, Any]:
    """Return the Deployment. Raises UnavailableError where there is none."""
    found = objects.get("apis/apps/v1", "Deployment", name, 404)
    if not isinstance(found, RefusedError):
        return found
    # An operator makes it some time after the sync.
    raise UnavailableError(
        f"the namespace '{objects.namespace}' has no Deployment '{name}' yet; "
        f"check {VARIABLE}; kubectl get deployments -n {objects.namespace} lists what is there"
    ) from found


def _missing(deployment: Mapping[str, Any], wanted: int) -> str:
    """Return what a rollout still lacks, or "". `terminatingReplicas` is shown by some Kubernetes from 1.33 on."""
    status = mapping(deployment.get("status"))
    generation = _count(mapping(deployment.get("metadata")), "generation", 0, _MAX_GENERATION)
    count = {key: _count(status, f"{key}Replicas", 0) for key in ("updated", "ready", "available", "terminating")}
    old = max(_count(status, "replicas", 0) - count["updated"], 0) + count["terminating"]
    if _count(status, "observedGeneration", 0, _MAX_GENERATION) < generation:
        return "Kubernetes has not yet observed its last change"
    if wanted == 0:
        return "it is scaled to 0 replicas"
    if old:
        return f"old pods still running: {old}"
    if not wanted == count["updated"] == count["ready"] == count["available"]:
        return f"{count['ready']} of {wanted} pods ready, {count['available']} available, {count['updated']} updated"
    return ""


def _count(values: Mapping[str, Any], key: str, default: int, most: int = _MAX_COUNT) -> int:
    """Return a number of a Deployment. Raises RefusedError for one that the API cannot hold."""
    value = values.get(key)
    if value is None:
        return default
    if type(value) is int and 0 <= value <= most:
        return value
    shown = "an object" if isinstance(value, dict | list) else one_line(repr(value), 40)
    raise RefusedError(f"the Deployment's {key} is {shown}, not a number that the Kubernetes API can hold")
