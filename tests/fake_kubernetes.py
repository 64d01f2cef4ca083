"""A stand-in for the one corner of a Kubernetes API server that the hook uses, on a real TLS socket.

It knows server-side apply as far as ConfigMaps go (Kubernetes, «Server-Side Apply»; structured-merge-diff, `Updater`):
`managedFields` say who owns each field; an apply owns exactly what it sends and gives up the rest, which goes where
nobody else owns it; a value that differs from another manager's is a conflict, or with `force` taken from it; the same
value is shared; an update takes what it changes. What changes nothing makes no new `resourceVersion`. Anything else, or
another token, is refused in the API server's own words.
"""

import copy
import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

from tests.stand_in import StandInServer

TOKEN = "pod-token-7f3a"

Fields = dict[tuple[str, ...], Any]
"""The values of an object by their paths."""


@dataclass
class FakeKubernetes:
    """The server's state: its ConfigMaps and Deployments by path, and what it was asked."""

    deployments: dict[str, list[Any]] = field(default_factory=dict)
    """What each read of a Deployment answers, one after the other; the last one for ever."""
    configmaps: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    forbidden: bool = False
    failures: int = 0
    """How many requests are answered 503."""
    conflicts: int = 0
    """How many writes are answered 409, as where others write at the same time."""
    lost_answers: int = 0
    """How many writes are done whose answer never comes."""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """What is answered first, by somebody who is in front of the API server: status, headers and content."""
    versions: int = 0

    def __enter__(self) -> "FakeKubernetes":
        self.authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server = StandInServer(("127.0.0.1", 0), _Handler)
        self._server.fake = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def mount(self, folder: Path, namespace: str = "private-ai-demo") -> None:
        """Write what Kubernetes mounts into a pod."""
        folder.mkdir(exist_ok=True)
        (folder / "token").write_text(TOKEN)
        (folder / "namespace").write_text(namespace)
        self.authority.cert_pem.write_to_path(str(folder / "ca.crt"))

    def environ(self) -> dict[str, str]:
        """Return the variables by which a pod finds its API server."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def apply(self, path: str, manager: str, manifest: dict[str, Any], *, force: bool = False) -> str | None:
        """Apply a ConfigMap as this manager, or return with what it conflicts."""
        live = self.configmaps.get(path)
        owners = _owners(live)
        if live is not None and not owners:
            owners[("before-first-apply", "Update")] = set(_fields(live))
        before, sent = _fields(live), _fields(manifest)
        me = (manager, "Apply")
        given_up = owners.get(me, set()) - set(sent)
        others = {owner: paths for owner, paths in owners.items() if owner != me}
        foreign = set[tuple[str, ...]]().union(*others.values())
        after = {path: value for path, value in before.items() if path not in given_up - foreign} | sent
        written = {path for path, value in after.items() if path not in before or before[path] != value}
        for (other, _), paths in others.items():
            if paths & written and not force:
                where = min(paths & written)
                return f'Apply failed with 1 conflict: conflict with "{other}": .{".".join(where)}'
        kept = {owner: (paths - written) & set(after) for owner, paths in others.items()}
        self._store(path, manifest, after, kept | {me: set(sent)})
        return None

    def update(self, path: str, manager: str, data: dict[str, str]) -> None:
        """Replace the data of a ConfigMap, made where it is not there, as `oc edit` and most controllers do."""
        live = self.configmaps.get(path) or {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
        before, after = _fields(live), _fields(live | {"data": data})
        written = {path for path, value in after.items() if path not in before or before[path] != value}
        owners = {owner: (paths - written) & set(after) for owner, paths in _owners(live).items()}
        me = (manager, "Update")
        self._store(path, live, after, owners | {me: owners.get(me, set()) | written})

    def _store(
        self,
        path: str,
        manifest: dict[str, Any],
        fields: Fields,
        owners: dict[tuple[str, str], set[tuple[str, ...]]],
    ) -> None:
        live = self.configmaps.get(path, {})
        namespace, _, name = path.removeprefix("/api/v1/namespaces/").split("/")
        stored: dict[str, Any] = {
            "apiVersion": manifest["apiVersion"],
            "kind": manifest["kind"],
            "metadata": {"name": name, "namespace": namespace},
        }
        for (*parents, key), value in fields.items():
            place = stored
            for parent in parents:
                place = place.setdefault(parent, {})
            place[key] = value
        stored["metadata"]["managedFields"] = [
            {
                "manager": manager,
                "operation": operation,
                "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": _fields_v1(paths, dots=operation == "Update"),
            }
            for (manager, operation), paths in sorted(owners.items())
            if paths
        ]
        version = live.get("metadata", {}).get("resourceVersion")
        if version is None or stored != {**live, "metadata": _without_version(live["metadata"])}:
            self.versions += 1
            version = str(self.versions)
        stored["metadata"]["resourceVersion"] = version
        self.configmaps[path] = stored


def _without_version(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "resourceVersion"}


def _fields(configmap: dict[str, Any] | None) -> Fields:
    """Return what can be owned of a ConfigMap: its labels, annotations and data."""
    places = (("metadata", "labels"), ("metadata", "annotations"), ("data",))
    fields: Fields = {}
    for place in places:
        inner: Any = configmap or {}
        for key in place:
            inner = inner.get(key) or {}
        fields |= {(*place, key): value for key, value in inner.items()}
    return fields


def _fields_v1(paths: set[tuple[str, ...]], *, dots: bool) -> dict[str, Any]:
    """Return them as `fieldsV1` has them; an update owns the maps, too, whose name there is a dot."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        place = tree
        for depth, key in enumerate(path):
            place = place.setdefault(f"f:{key}", {".": {}} if dots and depth == len(path) - 2 else {})
    return tree


def _owners(configmap: dict[str, Any] | None) -> dict[tuple[str, str], set[tuple[str, ...]]]:
    entries = (configmap or {}).get("metadata", {}).get("managedFields", [])
    return {(each["manager"], each["operation"]): _paths(each["fieldsV1"]) for each in entries}


def _paths(tree: dict[str, Any], parents: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    paths: set[tuple[str, ...]] = set()
    for key, inner in tree.items():
        if key != ".":
            path = (*parents, key[2:])
            paths |= _paths(inner, path) if inner else {path}
    return paths


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.fake.requests.append(f"{self.command} {url.path}")
        if self.server.fake.answers:
            self._send(*self.server.fake.answers.pop(0))
            return
        status, body = self._answer(url.path, {k: v[0] for k, v in parse_qs(url.query).items()}, content)
        if self.command == "PATCH" and self.server.fake.lost_answers:
            self.server.fake.lost_answers -= 1
            self.close_connection = True
            return
        self._send(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, path: str, query: dict[str, str], content: bytes) -> tuple[int, Any]:
        fake: FakeKubernetes = self.server.fake
        if fake.failures:
            fake.failures -= 1
            return self._status(503, "the server is currently unable to handle the request")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._status(401, "Unauthorized")
        if fake.forbidden:
            return self._status(403, 'configmaps "ids" is forbidden: User cannot patch resource')
        if path in fake.deployments:
            seen = fake.deployments[path]
            return 200, seen.pop(0) if len(seen) > 1 else seen[0]
        if self.command == "GET":
            found = fake.configmaps.get(path)
            return (200, found) if found else self._status(404, f"{path} not found")
        if self.headers.get("Content-Type") != "application/apply-patch+yaml":
            return self._status(415, "the body of the request was in an unknown format")
        if not query.get("fieldManager"):
            return self._status(400, "PatchOptions.fieldManager: Required value")
        applied = json.loads(content)
        if "managedFields" in applied["metadata"]:
            return self._status(400, "metadata.managedFields must be nil")
        if fake.conflicts:
            fake.conflicts -= 1
            return self._status(409, 'Operation cannot be fulfilled on configmaps "ids": the object has been modified')
        if fake.configmaps.get(path, {}).get("immutable"):
            why = "data: Forbidden: field is immutable when `immutable` is set"
            return self._status(422, f'ConfigMap "ids" is invalid: {why}')
        conflict = fake.apply(path, query["fieldManager"], applied, force=query.get("force") == "true")
        return self._status(409, conflict) if conflict else (200, copy.deepcopy(fake.configmaps[path]))

    def _status(self, code: int, message: str) -> tuple[int, Any]:
        return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}
