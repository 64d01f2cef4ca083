"""An Argo CD app, driven by its command line and seen through its API, as a user does both."""

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from hook import __version__
from tests.cluster.kube import APPLICATIONS, HOOK, LABEL, Outcome, Room, run
from tests.cluster.place import ARGOCD, ask_argocd


class App:
    """An app that syncs the folder `app` of a Git repository of its own into a room."""

    def __init__(self, room: Room, path: str = "app") -> None:
        self.room = room
        self.name = room.name
        self.repository = Path(room.facts.git) / self.name
        self._path = path

    def __enter__(self) -> Self:
        run("git", "init", "--quiet", "--initial-branch=main", self.repository)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.room.api.request("DELETE", f"{APPLICATIONS}/{self.name}")

    def publish_the_product(self) -> None:
        """Make the Git repository of docs/argocd.md's remote bases, with the branch or tag that they name."""
        repository = self.repository.parent / "register-collections"
        run("git", "init", "--quiet", "--initial-branch=main", repository)
        run("cp", "-r", self.room.folder / "manifests", repository)
        for command in (["add", "--all"], ["commit", "--quiet", "--message=All"], ["tag", f"v{__version__}"]):
            _git(repository, *command)

    def commit(self, kustomization: Mapping[str, Any] | None = None, **files: str) -> str:
        """Commit the manifests, a kustomization and files beside it; Argo CD sees the commit at once.

        A name's `__` is a dot. What the room has written for its kustomizations comes along.
        """
        if not (self.repository / "manifests").exists():
            run("cp", "-r", self.room.folder / "manifests", self.repository)
        folder = self.repository / self._path
        folder.mkdir(parents=True, exist_ok=True)
        if (written := self.room.folder / "app").exists():
            run("cp", "-r", f"{written}/.", folder)
        if kustomization is not None:
            (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        _git(self.repository, "add", "--all")
        _git(self.repository, "commit", "--quiet", "--message", "A change")
        revision = _git(self.repository, "rev-parse", "HEAD")
        if self.live() is not None:
            # A look that had begun before takes the wish for another one along with it.
            self.room.api.until("Argo CD has seen the commit", lambda: self._seen() == revision)
        return revision

    def _seen(self) -> str:
        seen: str = self.refresh().get("status", {}).get("sync", {}).get("revision", "")
        return seen

    def create(self, policy: Mapping[str, Any] | None = None, **source: Any) -> None:
        """Make the app, once there is a commit; the policy is the manifest's `syncPolicy`."""
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": self.name, "labels": {LABEL: self.room.facts.run}},
            "spec": {
                "project": "default",
                "source": {"repoURL": f"{self.room.facts.git_url}/{self.name}", "path": self._path, **source},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self.room.name},
                "syncPolicy": policy or {},
            },
        }
        assert self.room.api.request("POST", APPLICATIONS, body) is not None, f"there is no {APPLICATIONS}"
        self.room.api.until(f"Argo CD's API knows {self.name}", self._is_known)

    def _is_known(self) -> bool:
        """Tell whether Argo CD's API has seen the app: until then it denies access to it (3.6)."""
        with suppress(requests.HTTPError):
            return bool(ask_argocd(f"v1/applications/{self.name}"))
        return False

    def live(self) -> Any:
        """Return the Application, or None."""
        return self.room.api.get(ARGOCD, "applications", self.name)

    def refresh(self) -> Any:
        """Let Argo CD look at Git and at the cluster now, and return the Application after it has."""
        annotations = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        self.room.api.patch(ARGOCD, "applications", self.name, annotations)
        return self.room.api.until(
            "Argo CD has looked",
            lambda: (
                None if "argocd.argoproj.io/refresh" in str(self.live()["metadata"].get("annotations")) else self.live()
            ),
        )

    def sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `argocd app sync` until the sync has ended."""
        return run("argocd", "app", "sync", self.name, "--timeout", "400", *arguments)

    def synced(self) -> Any:
        """Sync, which has to succeed, and return the operation."""
        done = self.sync()
        assert done.returncode == 0, done.stdout + done.stderr
        return self.operation()

    def operation(self) -> Any:
        """Return the last sync, or an empty one."""
        return self.live().get("status", {}).get("operationState", {})

    def until_synced(self, revision: str, phase: str) -> Any:
        """Wait until Argo CD has synced a commit by itself, and return the operation."""

        def there() -> Any:
            operation = self.operation()
            print(operation.get("phase"), _revision(operation)[:7], operation.get("message"))  # shown where it fails
            return operation if operation.get("phase") == phase and _revision(operation) == revision else None

        return self.room.api.until(f"a sync of {revision[:7]} is {phase}", there)

    def hook(self) -> Any:
        """Return what the last sync says of the hook, or None where it ran none."""
        results = self.operation().get("syncResult", {}).get("resources", [])
        hooks = [result for result in results if result.get("hookType") == "PostSync"]
        return hooks[0] if hooks else None

    def status(self) -> tuple[str, str]:
        """Return whether the app is Synced, and whether it is Healthy."""
        status = self.refresh()["status"]
        return status["sync"]["status"], status["health"]["status"]

    def node(self, kind: str) -> Any:
        """Return the node of that kind in the app's tree, as Argo CD's UI shows it."""

        def there() -> Any:
            nodes = ask_argocd(f"v1/applications/{self.name}/resource-tree").get("nodes", [])
            found = [node for node in nodes if node["kind"] == kind and node.get("health")]
            return found[-1] if found else None

        return self.room.api.until(f"the tree has a {kind} with a health", there)

    def job_uid(self) -> str:
        """Return by what one run of the hook is told from the next."""
        uid: str = self.room.job(HOOK)["metadata"]["uid"]
        return uid

    def outcome_after(self, uid: str) -> Outcome:
        """Wait until the Job that has replaced this one has ended, and return how.

        The sync may be over before: where Argo CD's cache lags, it takes the old Job's end for the new one's
        (https://github.com/argoproj/argo-cd/issues/10077).
        """

        def replaced() -> bool:
            job = self.room.job(HOOK)
            return job is not None and job["metadata"]["uid"] != uid

        self.room.api.until("the hook has a new Job", replaced)
        return self.room.outcome()


def _revision(operation: Any) -> str:
    revision: str = operation.get("syncResult", {}).get("revision", "")
    return revision


def _git(repository: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "tests" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = run("git", "-C", repository, *arguments, environ=identity)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
