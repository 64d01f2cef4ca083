"""The addresses of the collections, published as a ConfigMap by server-side apply with the pod's own token."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hook.deadline import Deadline
from hook.errors import HookError, PublishError, RefusedError, UnavailableError, one_line
from hook.http.answers import mapping
from hook.http.client import Http
from hook.kubernetes.pod import check_object, own_pod
from hook.logs import log
from hook.retry import retry

FIELD_MANAGER = "register-collections"
URL_ANNOTATION = "register-collections/server-url"
CHANGED_ANNOTATION = "register-collections/changed-at"
PATIENCE_SECONDS = 60.0
"""How much of the budget publishing may take: enough for an API server that restarts. After it the Job does not try
again, which would only take the same time: all of the wait and the proof."""
_LABELS = {"app.kubernetes.io/managed-by": FIELD_MANAGER}


def can_be_key(name: str) -> bool:
    """Tell whether a ConfigMap can hold a key of this name (Kubernetes, ConfigMap `data`)."""
    return re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name) is not None and not re.fullmatch(r"\.|\.\..*", name)


@dataclass(frozen=True, slots=True)
class Change:
    """What an apply would make of a ConfigMap."""

    added: frozenset[str]
    """The keys that are not there yet."""
    changed: frozenset[str]
    """Those that hold something else."""
    removed: frozenset[str]
    """Those that go since they are ours alone and no longer wanted."""
    same_server: bool
    same_owner: bool
    """Whether our field manager owns exactly the keys that are wanted."""

    @property
    def of_data(self) -> bool:
        """Whether a consumer would see any of it."""
        return bool(self.added or self.changed or self.removed)

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.of_data or not self.same_server or not self.same_owner


def difference(found: Mapping[str, Any], addresses: Mapping[str, str], server_url: str) -> Change:
    """Return what has to be done to a ConfigMap, as the API server shows it, for it to hold these addresses.

    An apply removes what its field manager owned and no longer sends, but for what another manager owns, too, and
    never anything that it does not own (Kubernetes, Server-Side Apply). So a key that is only theirs is no change, and
    an unwanted one that is shared is given up once.
    """
    ours, theirs = _owned_keys(mapping(found.get("metadata")).get("managedFields"))
    data, wanted = mapping(found.get("data")), frozenset(addresses)
    return Change(
        added=wanted - data.keys(),
        changed=frozenset(name for name in wanted & data.keys() if data[name] != addresses[name]),
        removed=(ours & data.keys()) - theirs - wanted,
        same_server=_annotations(found).get(URL_ANNOTATION) == server_url,
        same_owner=ours == wanted,
    )


def _owned_keys(managed_fields: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys of `data` that our applies own, and those that anybody else does.

    A key `a` is `f:a` in `fieldsV1`, and a dot there is the map itself (Kubernetes, FieldsV1).
    """
    ours, theirs = set[str](), set[str]()
    for entry in map(mapping, managed_fields if isinstance(managed_fields, list) else []):
        is_ours = (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply")
        fields = mapping(mapping(entry.get("fieldsV1")).get("f:data"))
        (ours if is_ours else theirs).update(key[2:] for key in fields if key.startswith("f:"))
    return frozenset(ours), frozenset(theirs)


def _annotations(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(found.get("metadata")).get("annotations"))


class Publisher:
    """Writes one ConfigMap of the pod's own namespace."""

    def __init__(
        self, name: str, environ: Mapping[str, str], request_timeout_seconds: float, deadline: Deadline
    ) -> None:
        """Read what Kubernetes mounts into a pod. Raises ConfigError where it is not there."""
        self._pod = own_pod("HOOK_PUBLISH_CONFIGMAP", "publish-ids", environ)
        self.namespace = self._pod.namespace
        self.name = name
        self._request_timeout_seconds = request_timeout_seconds
        self._deadline = deadline
        self._path = f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"

    def publish(self, addresses: Mapping[str, str], server_url: str) -> None:
        """Make the ConfigMap hold these addresses by name, and no other of ours; what is so already is not rewritten.

        Raises PublishError in a sentence of its own, or UnavailableError where the budget of the run ended before the
        patience for that, so that another try may have it: the collections stay registered in any case.
        """
        sent: list[Change] = []
        sentence = "The collections are registered, but publishing their addresses failed"
        if not addresses:
            sentence = "No collection is declared, and publishing that failed"
        patience = min(Deadline(PATIENCE_SECONDS), self._deadline, key=Deadline.remaining)
        try:
            http = Http(self._pod.server, self._request_timeout_seconds, patience)
            retry(lambda: self._apply(http, addresses, server_url, sent), patience, "publish.retry_scheduled")
        except UnavailableError as error:
            kind = UnavailableError if patience is self._deadline else PublishError
            raise kind(f"{sentence}: {error}; run the hook again to publish them") from error
        except HookError as error:
            # Even where it is the pod's files, which were as they should be at the start.
            raise PublishError(f"{sentence}: {error}") from error
        where = {"configmap": self.name, "namespace": self.namespace}
        if not sent:
            log.info("publish.unchanged", **where)
            return
        # The last one, which may have been done without an answer, so that the try after it found nothing to do.
        counts = {key: len(getattr(sent[-1], key)) for key in ("added", "changed", "removed")}
        log.info("publish.applied", **where, **counts)

    def _apply(self, http: Http, addresses: Mapping[str, str], server_url: str, sent: list[Change]) -> None:
        """Apply the ConfigMap if it is not as it should be, and add to `sent` what that changes."""
        try:
            found = self._check(http.get(self._path), "GET")
        except RefusedError as error:
            if error.status != 404:
                raise
            found = {}
        change = difference(found, addresses, server_url)
        if change.needed:
            changed_at = None if change.of_data else _annotations(found).get(CHANGED_ANNOTATION)
            changed_at = changed_at or datetime.now(UTC).isoformat(timespec="seconds")
            manifest = self._manifest(addresses, server_url, changed_at)
            sent.append(change)
            try:
                # By force, since a name of ours is ours, whoever has written it.
                answer = http.apply(self._path, {"fieldManager": FIELD_MANAGER, "force": "true"}, manifest)
            except RefusedError as error:
                if error.status != 409:
                    raise
                # Not about who owns what: somebody else wrote, or made it, at the same time.
                raise UnavailableError(str(error), status=error.status) from error
            # The API server answers with what it has stored, which is more than was sent where others own a part.
            left = difference(self._check(answer, "PATCH"), addresses, server_url)
            if left.of_data or not left.same_server:
                keys = one_line(", ".join(sorted(left.added | left.changed | left.removed))) or URL_ANNOTATION
                raise RefusedError(
                    f"PATCH {self._path} answered with a ConfigMap that is not what was sent, in: {keys}; look for an "
                    "admission webhook that changes it, and at what stands in front of the Kubernetes API"
                )

    def _check(self, answer: Any, method: str) -> Mapping[str, Any]:
        return check_object(answer, f"{method} {self._path}", "ConfigMap", self.namespace, self.name)

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
