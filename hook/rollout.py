"""Waiting until the rollout of the server's Deployment is over, so that no verdict is that of a pod about to go."""

from collections.abc import Mapping
from typing import Any

from hook.backoff import retry
from hook.deadline import Deadline
from hook.errors import RefusedError, UnavailableError
from hook.http.answers import mapping
from hook.http.client import Http
from hook.kubernetes import own_pod
from hook.llamastack.dialects import number
from hook.logs import log

VARIABLE = "HOOK_WAIT_FOR_DEPLOYMENT"


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
    try:
        found = http.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    except RefusedError as error:
        if error.status != 404:
            raise
        raise RefusedError(
            f"the namespace '{namespace}' has no Deployment '{name}': correct {VARIABLE}, or leave it out"
        ) from error
    wanted, missing = _missing(mapping(found))
    if missing is not None:
        raise UnavailableError(
            f"the rollout of the Deployment '{name}' is not over: {missing}; "
            f"look at it with `oc rollout status deployment/{name} -n {namespace}`"
        )
    return wanted


def _missing(deployment: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return how many replicas are wanted, and what keeps the rollout from being over, or None.

    A field of the status that is not there counts 0, and `spec.replicas` 1, as in the API (apps/v1, Deployment);
    `terminatingReplicas` is shown from Kubernetes 1.33 on, where that is turned on.
    """
    status = mapping(deployment.get("status"))
    asked = number(mapping(deployment.get("spec")).get("replicas"))
    wanted = 1 if asked is None else asked
    generation = number(mapping(deployment.get("metadata")).get("generation")) or 0
    count = {key: number(status.get(f"{key}Replicas")) or 0 for key in ("updated", "ready", "available", "terminating")}
    if (number(status.get("observedGeneration")) or 0) < generation:
        return wanted, "Kubernetes has not seen its last change yet"
    if wanted == 0:
        return wanted, "it is scaled to 0 replicas"
    left = max((number(status.get("replicas")) or 0) - count["updated"], 0) + count["terminating"]
    if left:
        return wanted, f"{left} pods that are about to go are left"
    if not wanted == count["updated"] == count["ready"] == count["available"]:
        ready = f"{count['ready']} of {wanted} pods are ready, {count['available']} available, {count['updated']} new"
        return wanted, ready
    return wanted, None
