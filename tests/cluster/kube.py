"""A namespace with the product in it, seen as its user sees it; and the Kubernetes API."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import requests

from hook import __version__
from tests.cluster.place import ARGOCD, ROOT, Facts

HOOK = "llamastack-register-collections"
"""The name of the Job, the CronJob, the ServiceAccount and the container's ConfigMap."""
SETTINGS = f"{HOOK}-settings"
"""The ConfigMap with the program's variables."""
CONTAINER = "register-collections"
IMAGE = f"{CONTAINER}:{__version__}"
"""What `make image` makes, and the manifests name."""
PUBLISHED = "llamastack-collections"
MODEL = "ibm-granite/granite-embedding-125m-english"
UID = 1000650000
"""Such as OpenShift assigns to a namespace."""
PATIENCE = 180.0
"""Seconds for what takes a few on an idle machine."""

LABEL = "register-collections-test"
"""On all that a run makes outside of its namespaces, and on those."""
APPLICATIONS = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGOCD}/applications"

_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
_KINDS = {"applications": "/apis/argoproj.io/v1alpha1", "jobs": "/apis/batch/v1", "cronjobs": "/apis/batch/v1"}


class Api:
    """The Kubernetes API, as the administrator; `kubectl proxy` knows how."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._session = requests.Session()
        self._session.trust_env = False

    def alive(self) -> bool:
        """Return whether the API server answers."""
        try:
            return self._session.get(f"{self.facts.api}/readyz", timeout=10).ok
        except requests.ConnectionError:
            return False

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        """Send a request and return the answer, or None where there is no such object."""
        headers = {"Content-Type": kind}
        answer = self._session.request(method, self.facts.api + path, json=body, headers=headers, timeout=60)
        if answer.status_code == 404:
            return None
        assert answer.ok, answer.text
        return answer.json()

    def get(self, namespace: str, kind: str, name: str = "", **query: str) -> Any:
        """Return an object of a namespace, or the list of them, or None."""
        base = _KINDS.get(kind, "/api/v1")
        text = "&".join(f"{key}={value}" for key, value in query.items())
        found = self.request("GET", f"{base}/namespaces/{namespace}/{kind}/{name}".rstrip("/") + f"?{text}")
        return found if name else found["items"]

    def patch(self, namespace: str, kind: str, name: str, patch: object) -> Any:
        """Merge something into an object, as somebody else."""
        path = f"{_KINDS.get(kind, '/api/v1')}/namespaces/{namespace}/{kind}/{name}?fieldManager=somebody"
        return self.request("PATCH", path, patch, "application/merge-patch+json")

    def until(self, what: str, seen: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Return what `seen` does, once that is something; fail where it stays nothing."""
        end = time.monotonic() + seconds
        while not (result := seen()):
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds:.0f} s: {what}")
            time.sleep(0.4)
        return result

    def sweep(self) -> None:
        """Delete each app and each namespace of this run that is still there, and wait until they are gone."""
        selector = f"labelSelector={LABEL}={self.facts.run}"
        if "Argo CD" not in self.facts.lacks:
            self.request("DELETE", f"{APPLICATIONS}?{selector}")

        def left() -> list[str]:
            found = self.request("GET", f"/api/v1/namespaces?{selector}")["items"]
            return [each["metadata"]["name"] for each in found]

        for name in left():
            self.request("DELETE", f"/api/v1/namespaces/{name}")
            for pod in self.get(name, "pods"):
                # Those of tests/cluster/test_ends.py have a finalizer, which a test that failed has left there.
                self.patch(name, "pods", pod["metadata"]["name"], {"metadata": {"finalizers": None}})
        self.until("the namespaces of this run are gone", lambda: not left())


def run(
    *command: str | Path, environ: Mapping[str, str] | None = None, folder: Path | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; whether it may fail is the caller's business."""
    return subprocess.run(
        command,
        env={**os.environ, **(environ or {})},
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def collections(*names: str, provider: str = "milvus-shared", model: str = MODEL) -> str:
    """Return a configuration that declares these."""
    entries = [{"vector_db_id": name, "provider_id": provider, "embedding_model": model} for name in names]
    return json.dumps({"vector_dbs": entries})


@dataclass(frozen=True, slots=True)
class Try:
    """One pod of a Job, by what it has left."""

    exit_code: int | None
    message: str
    pod: Any

    @property
    def sentence(self) -> str:
        """Return the termination message's first line."""
        return self.message.split("\n")[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a Job."""

    complete: bool
    reason: str
    message: str
    tries: list[Try]
    job: Any

    @property
    def exit_codes(self) -> list[int | None]:
        """Return that of each try, in their order."""
        return [each.exit_code for each in self.tries]

    @property
    def began(self) -> str:
        """Return when its Job was made; a later one's is greater."""
        moment: str = self.job["metadata"]["creationTimestamp"]
        return moment

    @property
    def last(self) -> Try:
        """Return the last try."""
        return self.tries[-1]


class Room:
    """A namespace of one test: Pod Security `restricted`, the Service, and a folder for kustomizations."""

    def __init__(self, api: Api, name: str, folder: Path, server: str = "0.3.5", whole_name: bool = False) -> None:
        self.api = api
        self.facts = api.facts
        self.name = name if whole_name else f"{api.facts.run}-{name}"
        self.folder = folder
        self.server = server

    def __enter__(self) -> Self:
        # By the last one OpenShift GitOps is let in.
        labels = {**_RESTRICTED, LABEL: self.facts.run, "argocd.argoproj.io/managed-by": ARGOCD}
        self._create("/api/v1/namespaces", {"metadata": {"name": self.name, "labels": labels}})
        service = {
            "metadata": {"name": "llama-stack-service"},
            "spec": {"ports": [{"name": "http", "port": 8321, "protocol": "TCP"}]},
        }
        self._create(f"/api/v1/namespaces/{self.name}/services", service)
        self.connect(self.server)
        shutil.copytree(ROOT / "manifests", self.folder / "manifests")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.api.request("DELETE", f"/api/v1/namespaces/{self.name}")

    def _create(self, path: str, body: object) -> None:
        assert self.api.request("POST", path, body) is not None

    def connect(self, server: str | None, port: int = 0) -> None:
        """Put a server behind the Service, or none, as while it is down."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.name}/endpointslices"
        body = {
            "metadata": {
                "name": "llama-stack-service",
                "labels": {"kubernetes.io/service-name": "llama-stack-service"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.facts.address]}] if server else [],
            "ports": [{"name": "http", "port": port or self.facts.servers[server or "0.3.5"], "protocol": "TCP"}],
        }
        if self.api.request("GET", f"{path}/llama-stack-service") is None:
            self._create(path, body)
        else:
            self.api.request("PUT", f"{path}/llama-stack-service", body)

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl in this namespace."""
        return run("kubectl", "--namespace", self.name, *arguments, stdin=stdin, folder=self.folder)

    def must(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl in this namespace, and return its output; the test fails where it does."""
        done = self.kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def configmap(self, name: str, **files: str) -> None:
        """Make or change a ConfigMap; `run_yaml` is the key run.yaml."""
        data = {key.replace("_", "."): content for key, content in files.items()}
        body = {"metadata": {"name": name}, "data": data}
        path = f"/api/v1/namespaces/{self.name}/configmaps"
        if self.api.request("GET", f"{path}/{name}") is None:
            self._create(path, body)
        else:
            self.api.request("PUT", f"{path}/{name}", body)

    def secret(self, name: str, token: str) -> None:
        """Make a Secret with a token."""
        self._create(
            f"/api/v1/namespaces/{self.name}/secrets", {"metadata": {"name": name}, "stringData": {"token": token}}
        )

    def kustomization(
        self, *components: str, config: str | None = None, base: str = "base", **settings: str
    ) -> dict[str, Any]:
        """Return a user's kustomization: the base with components, a list of their own, and settings."""
        content: dict[str, Any] = {
            "namespace": self.name,
            "resources": [f"../manifests/{base}"],
            "components": [f"../manifests/components/{component}" for component in components],
            "patches": [],
            "configMapGenerator": [],
        }
        if config is not None:
            content["configMapGenerator"].append({"name": HOOK, "behavior": "replace", "files": ["collections.yaml"]})
            self.write("collections.yaml", config)
        if settings:
            literals = [f"{name}={value}" for name, value in settings.items()]
            content["configMapGenerator"].append({"name": SETTINGS, "behavior": "merge", "literals": literals})
        if self.facts.image:
            content["images"] = [{"name": CONTAINER, **image(self.facts.image)}]
        return content

    def write(self, name: str, content: str) -> Path:
        """Write a file beside the kustomization."""
        path = self.folder / "app" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return path

    def apply(self, kustomization: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Apply a kustomization, as `oc apply -k` does."""
        folder = self.write("kustomization.yaml", json.dumps(kustomization)).parent
        return self.kubectl("apply", "-k", folder)

    def install(self, *components: str, config: str | None = None, **settings: str) -> None:
        """Apply the base with these."""
        done = self.apply(self.kustomization(*components, config=config, **settings))
        assert done.returncode == 0, done.stderr

    def again(self, name: str = "again") -> "Outcome":
        """Run a Job from the CronJob, and return what became of it."""
        self.must("create", "job", name, f"--from=cronjob/{HOOK}")
        return self.outcome(name)

    def job(self, name: str = HOOK) -> Any:
        """Return a Job, or None."""
        return self.api.get(self.name, "jobs", name)

    def pods(self, job: str = HOOK) -> list[Any]:
        """Return the pods of a Job, the oldest first."""
        found = self.api.get(self.name, "pods", labelSelector=f"job-name={job}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def outcome(self, name: str = HOOK, seconds: float = PATIENCE) -> Outcome:
        """Wait until a Job has ended, and return how."""

        def ended() -> Any:
            job = self.job(name) or {}
            for condition in job.get("status", {}).get("conditions", []):
                if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                    return job, condition
            return None

        job, condition = self.api.until(f"the Job {name} ends in {self.name}", ended, seconds)
        tries = [self.as_try(pod) for pod in self.pods(name)]
        return Outcome(
            condition["type"] == "Complete", condition.get("reason", ""), condition.get("message", ""), tries, job
        )

    def scheduled_jobs(self) -> list[Any]:
        """Return the Jobs that the CronJob has made by itself and that are still there."""
        return [job for job in self.api.get(self.name, "jobs") if job["metadata"]["name"] != HOOK]

    def scheduled(self, seen: Callable[[Outcome], bool]) -> Outcome:
        """Wait for a run of the CronJob that has ended as it should, and return how."""

        def found() -> Outcome | None:
            for job in self.scheduled_jobs():
                conditions = {each["type"] for each in job.get("status", {}).get("conditions", [])}
                if conditions & {"Complete", "Failed"}:
                    outcome = self.outcome(job["metadata"]["name"])
                    if seen(outcome):
                        return outcome
            return None

        run: Outcome = self.api.until("a scheduled run ends so", found)
        return run

    @staticmethod
    def as_try(pod: Any) -> Try:
        """Return how a pod has ended, if it has."""
        statuses: Sequence[Any] = pod["status"].get("containerStatuses", [])
        ended = statuses[0]["state"].get("terminated", {}) if statuses else {}
        return Try(ended.get("exitCode"), ended.get("message", ""), pod)

    def logs(self, job: str = HOOK) -> str:
        """Return what a Job's last pod has said."""
        return self.must("logs", f"job/{job}", "--tail=-1")

    def running(self, job: str = HOOK) -> Any:
        """Wait until a pod of a Job waits for its server, and return the pod."""

        def waits() -> Any:
            for pod in self.pods(job):
                if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]:
                    log = self.kubectl("logs", pod["metadata"]["name"]).stdout
                    if "retry_scheduled" in log:
                        return pod
            return None

        return self.api.until(f"a pod of {job} waits for its server", waits)

    def stores(self, name: str | None = None, server: str | None = None) -> list[Any]:
        """Return the vector stores of the server, or those of one name."""
        found = vector_stores(self.facts.servers[server or self.server])
        return [store for store in found if name in (None, store["name"])]


def deployment_spec(image: str, **container: Any) -> dict[str, Any]:
    """Return the spec of a Deployment that does nothing, and may be in a namespace of Pod Security `restricted`."""
    labels = {"app": "idle"}
    idle = {
        "name": "idle",
        "image": image,
        "command": ["sleep", "600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **container,
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [idle],
    }
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def image(reference: str) -> dict[str, str]:
    """Return the fields of kustomize's `images` for another image."""
    repository, _, tag = reference.rpartition(":")
    return {"newName": repository, "newTag": tag}


def server_url(port: int) -> str:
    """Return where a server answers on this machine."""
    return f"http://127.0.0.1:{port}"


def vector_stores(port: int) -> list[Any]:
    """Return all vector stores of a server."""
    stores: list[Any] = []
    after = ""
    while True:
        answer = _server("GET", f"{server_url(port)}/v1/vector_stores?limit=100{after}")
        stores += answer["data"]
        if not answer.get("has_more"):
            return stores
        after = f"&after={answer['last_id']}"


def create_store(port: int, name: str, provider: str = "milvus-shared") -> str:
    """Create a vector store past the product, as a loop of curl does, and return its id."""
    body = {
        "name": name,
        "provider_id": provider,
        "embedding_model": f"sentence-transformers/{MODEL}",
        "embedding_dimension": 768,
    }
    made: str = _server("POST", f"{server_url(port)}/v1/vector_stores", body)["id"]
    return made


def delete_store(port: int, store: str) -> None:
    """Delete a vector store past the product."""
    _server("DELETE", f"{server_url(port)}/v1/vector_stores/{store}")


def _server(method: str, url: str, body: object = None) -> Any:
    answer = requests.request(method, url, json=body, timeout=60, proxies={"http": ""}, headers={"Connection": "close"})
    assert answer.ok, answer.text
    return answer.json()
