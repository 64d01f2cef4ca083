"""A stand-in API server into whose pod the hook was put, and a Deployment whose rollout is over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hook.kubernetes import pod
from tests.fake_kubernetes import FakeKubernetes

PATH = "/apis/apps/v1/namespaces/private-ai-demo/deployments/llama-stack"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """Return a stand-in API server into whose pod the hook was put."""
    with FakeKubernetes() as fake:
        fake.mount(tmp_path / "serviceaccount")
        monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")
        yield fake


def deployment(wanted: int | None = 1, generation: int = 3, **status: int) -> dict[str, Any]:
    """Return a Deployment whose rollout is over, but for what `status` says."""
    count = 1 if wanted is None else wanted
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    finished = dict.fromkeys(names, count) | {"observedGeneration": 3} | status
    spec = {} if wanted is None else {"replicas": wanted}
    return identity(generation=generation) | {"spec": spec, "status": finished}


def identity(kind: str = "Deployment", **metadata: Any) -> dict[str, Any]:
    """Return how an object says what it is."""
    return {"kind": kind, "metadata": {"name": "llama-stack", "namespace": "private-ai-demo"} | metadata}
