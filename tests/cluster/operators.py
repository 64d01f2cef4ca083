"""What the operators of OGX (0.14.0) and LlamaStack (0.9.0) do in one namespace, as far as the hook can notice it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from tests.cluster.kube import IMAGE, PATIENCE, Api, Room, deployment_spec


@dataclass(frozen=True)
class Kind:
    """One operator's kind, and where its spec has what the hook has to know."""

    version: str
    name: str
    plural: str
    label: str
    """Without it on a ConfigMap, the operator does not see its changes."""
    is_blind: bool
    """Whether it then does not see the ConfigMap at all."""

    def spec(self, name: str, port: int | None = None, **scaling: int) -> dict[str, Any]:
        """Return what a user writes, for a server whose ConfigMap is `<name>-config`."""
        config = {"name": f"{name}-config", "key": "config.yaml"}
        if self.is_blind:
            spec: dict[str, Any] = {"distribution": {"name": "starter"}, "overrideConfig": config}
            spec |= {"network": {"port": port}} if port else {}
            return spec | ({"workload": {"autoscaling": scaling}} if scaling else {})
        server: dict[str, Any] = {"distribution": {"name": "starter"}, "userConfig": {"configMapName": config["name"]}}
        server |= {"containerSpec": {"port": port}} if port else {}
        return {"server": server | ({"autoscaling": scaling} if scaling else {})}

    def resource(self, name: str, port: int | None = None, **scaling: int) -> dict[str, Any]:
        """Return the whole resource."""
        metadata = {"name": name}
        return {
            "apiVersion": self.version,
            "kind": self.name,
            "metadata": metadata,
            "spec": self.spec(name, port, **scaling),
        }

    def port(self, spec: Mapping[str, Any]) -> int:
        part = spec.get("network") if self.is_blind else spec["server"].get("containerSpec")
        return int((part or {}).get("port", 8321))

    def is_scaled(self, spec: Mapping[str, Any]) -> bool:
        part = spec.get("workload") if self.is_blind else spec["server"]
        return "autoscaling" in (part or {})


KINDS = {
    "ogx-server": Kind("ogx.io/v1beta1", "OGXServer", "ogxservers", "ogx.io/watch", is_blind=True),
    "llama-stack-distribution": Kind(
        "llamastack.io/v1alpha1",
        "LlamaStackDistribution",
        "llamastackdistributions",
        "llamastack.io/watch",
        is_blind=False,
    ),
}
"""By overlay and component, what an operator runs."""


@dataclass
class Operator:
    """A thread that works on one resource after the other: on those that changed, or their ConfigMap or Deployment."""

    room: Room
    kind: Kind
    late_seconds: float = 0.0
    """How long it is not there at first."""
    slow: str = ""
    """The name of the resource whose server answers only while this is `free`."""
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._api = Api(self.room.facts)  # its session is for one thread
        self._rests = threading.Event()

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._seen: dict[str, Any] = {}
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._end.set()
        self.free.set()
        self._thread.join()

    def _work(self) -> None:
        if self._end.wait(self.late_seconds):
            return
        while not self._end.wait(0.3):
            is_idle = True
            for found in self._list():
                name = found["metadata"]["name"]
                events = self._events(found)
                if events != self._seen.get(name):
                    is_idle = False
                    self._reconcile(found)
                    self._seen[name] = events
            if is_idle:
                self._rests.set()

    def wait_until_idle(self) -> None:
        """Wait until it has looked at each resource and had nothing to do: readiness is an event, too."""
        self._rests.clear()
        assert self._rests.wait(PATIENCE)

    def _list(self) -> list[Any]:
        found: list[Any] = self._api.request("GET", self._path())["items"]
        return found

    def _path(self, *parts: str) -> str:
        return "/".join((f"/apis/{self.kind.version}/namespaces/{self.room.name}/{self.kind.plural}", *parts))

    def _configmap(self, name: str) -> Any:
        return self._api.get(self.room.name, "configmaps", name)

    def _is_watched(self, configmap: Any) -> bool:
        return bool(configmap["metadata"].get("labels", {}).get(self.kind.label) == "true")

    def _events(self, found: Any) -> Any:
        """Return what an operator is told of: no change of a ConfigMap without the label."""
        name = found["metadata"]["name"]
        configmap = self._configmap(self._config_name(found))
        watched = configmap["metadata"]["resourceVersion"] if configmap and self._is_watched(configmap) else None
        ready = (self._deployment(name) or {}).get("status", {}).get("readyReplicas")
        return found["metadata"]["generation"], watched, ready

    def _config_name(self, found: Any) -> str:
        spec = found["spec"]
        name: str = (
            spec["overrideConfig"]["name"] if self.kind.is_blind else spec["server"]["userConfig"]["configMapName"]
        )
        return name

    def _deployment(self, name: str) -> Any:
        return self._api.request("GET", f"/apis/apps/v1/namespaces/{self.room.name}/deployments/{name}")

    def _reconcile(self, found: Any) -> None:
        name, wanted = found["metadata"]["name"], int(found["spec"].get("replicas", 1))
        configmap = self._configmap(self._config_name(found))
        if configmap is None or (self.kind.is_blind and not self._is_watched(configmap)):
            said = f"Resource reconciliation failed: ConfigMap {self._config_name(found)} not found"
            self._write(name, "Failed", 0, said)
            return
        metadata = configmap["metadata"]
        self.make(found, f"{metadata['resourceVersion']}-{metadata['name']}")
        if name == self.slow:
            # Its server is asked for its providers, and meanwhile no other resource is looked at.
            self.free.wait(PATIENCE)
        ready = int(self._deployment(name).get("status", {}).get("readyReplicas", 0))
        if ready == wanted:
            self._write(name, "Ready", ready, "")
        else:
            how = "scaling down" if ready > wanted else "scaling"
            said = f"Deployment is {how}: {ready}/{wanted} replicas ready" if ready else "Deployment is pending"
            self._write(name, "Initializing", ready, said)

    def make(self, found: Any, config: str) -> None:
        """Make the Service and the Deployment, with what tells the pods' ConfigMap."""
        name, room = found["metadata"]["name"], self.room
        port = {"name": "http", "port": self.kind.port(found["spec"]), "protocol": "TCP"}
        self._apply("/api/v1", "services", "Service", f"{name}-service", {"spec": {"ports": [port]}})
        endpoints = {
            "addressType": "IPv4",
            "endpoints": [{"addresses": [room.facts.address]}],
            "ports": [{"name": "http", "port": room.facts.servers[room.server], "protocol": "TCP"}],
        }
        labels = {"kubernetes.io/service-name": f"{name}-service"}
        self._apply(
            "/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice", f"{name}-service", endpoints, labels=labels
        )
        spec = deployment_spec(room.facts.image or IMAGE)
        spec["template"]["metadata"]["annotations"] = {"configmap.hash/user-config": config}
        spec["template"]["spec"]["containers"][0]["env"] = [{"name": "SPEC", "value": str(found["spec"])}]
        if not self.kind.is_scaled(found["spec"]):
            spec["replicas"] = int(found["spec"].get("replicas", 1))
        owner = {"apiVersion": self.kind.version, "kind": self.kind.name, "controller": True, "name": name}
        owners = [owner | {"uid": found["metadata"]["uid"]}]
        self._apply("/apis/apps/v1", "deployments", "Deployment", name, {"spec": spec}, ownerReferences=owners)

    def _apply(self, version: str, plural: str, kind: str, name: str, body: Mapping[str, Any], **metadata: Any) -> None:
        path = f"{version}/namespaces/{self.room.name}/{plural}/{name}?fieldManager=operator&force=true"
        api_version = version.removeprefix("/apis/").removeprefix("/api/")
        whole = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}, **body}
        self._api.request("PATCH", path, whole, "application/apply-patch+yaml")

    def _write(self, name: str, phase: str, ready: int, said: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "DeploymentReady", "reason": "DeploymentReady", "lastTransitionTime": now}
        status = {
            "phase": phase,
            "availableReplicas": ready,
            "version": {"lastUpdated": now},
            "conditions": [condition | {"status": "False" if said else "True", "message": said}],
        }
        self._api.request("PATCH", self._path(name, "status"), {"status": status}, "application/merge-patch+json")
