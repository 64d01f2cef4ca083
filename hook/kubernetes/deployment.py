"""Waiting until the rollout of the server's Deployment is over, so that no verdict is that of a pod about to go."""

from collections.abc import Mapping
from typing import Any

from hook.deadline import Deadline
from hook.errors import RefusedError, UnavailableError, one_line
from hook.http.answers import mapping
from hook.http.client import Http
from hook.kubernetes.pod import check_object, own_pod
from hook.logs import log
from hook.retry import retry

VARIABLE = "HOOK_WAIT_FOR_DEPLOYMENT"
_MAX_COUNT = 2**31 - 1
"""What an int32 holds, as all numbers of pods are (apps/v1, Deployment)."""
_MAX_GENERATION = 2**63 - 1


def wait_for_rollout(name: str, environ: Mapping[str, str], request_timeout_seconds: float, deadline: Deadline) -> int:
    """Return the number of replicas of a Deployment of the pod's namespace, as soon as only its newest pods are left.

    Raises UnavailableError where the budget ends before that, RefusedError without the right to read it or where it is
    not there, and ConfigError outside of a pod.
    """
    pod = own_pod(VARIABLE, "rollout", environ)
    http = Http(pod.server, request_timeout_seconds, deadline)
    replicas = retry(lambda: _finished(http, pod.namespace, name), deadline, "rollout.retry_scheduled")
    log.info("rollout.finished", deployment=name, namespace=pod.namespace, replicas=replicas)
    return replicas


def _finished(http: Http, namespace: str, name: str) -> int:
    """Return the number of replicas. Raises UnavailableError while the rollout goes on."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    try:
        answer = http.get(path)
    except RefusedError as error:
        if error.status != 404:
            raise
        raise RefusedError(
            f"the namespace '{namespace}' has no Deployment '{name}': correct {VARIABLE}, or leave it out"
        ) from error
    wanted, missing = _missing(check_object(answer, f"GET {path}", "Deployment", namespace, name))
    if missing is not None:
        raise UnavailableError(
            f"the rollout of the Deployment '{name}' is not over: {missing}; "
            f"look at it with `oc rollout status deployment/{name} -n {namespace}`"
        )
    return wanted


def _missing(deployment: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return how many replicas are wanted, and what keeps the rollout from being over, or None.

    A field of the status that is not there counts 0, and `spec.replicas` 1, as in the API (apps/v1, Deployment);
    `terminatingReplicas` is shown from Kubernetes 1.33 on, where that is turned on. Raises RefusedError for a number
    that the API cannot hold, since nothing is known of such a Deployment.
    """
    status = mapping(deployment.get("status"))
    wanted = _count(mapping(deployment.get("spec")), "replicas", 1)
    generation = _count(mapping(deployment.get("metadata")), "generation", 0, _MAX_GENERATION)
    count = {key: _count(status, f"{key}Replicas", 0) for key in ("updated", "ready", "available", "terminating")}
    pods = _count(status, "replicas", 0)
    if _count(status, "observedGeneration", 0, _MAX_GENERATION) < generation:
        return wanted, "Kubernetes has not seen its last change yet"
    if wanted == 0:
        return wanted, "it is scaled to 0 replicas"
    left = max(pods - count["updated"], 0) + count["terminating"]
    if left:
        return wanted, f"{left} pods that are about to go are left"
    if not wanted == count["updated"] == count["ready"] == count["available"]:
        ready = f"{count['ready']} of {wanted} pods are ready, {count['available']} available, {count['updated']} new"
        return wanted, ready
    return wanted, None


def _count(values: Mapping[str, Any], key: str, default: int, most: int = _MAX_COUNT) -> int:
    value = values.get(key)
    if value is None:
        return default
    if type(value) is int and 0 <= value <= most:
        return value
    shown = "what is no number" if isinstance(value, dict | list) else one_line(repr(value), 40)
    raise RefusedError(
        f"the Deployment has {shown} for {key}, which no Kubernetes API answers: look at what stands in front of it"
    )
