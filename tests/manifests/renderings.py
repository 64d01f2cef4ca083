"""The renderings of `manifests/`: every way to install the hook, rendered by the real kustomize and Helm."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
CHART = Path("helm", "llamastack-register-collections")
COMPONENTS = ("service-ca", "api-key", "consumer-api-key", "self-heal", "publish-ids", "rollout", "alerts")
OPERATED = {"ogx-server": "ogx", "llama-stack-distribution": "llama-stack"}
"""The overlays for a server that an operator runs, each with the name of its server: that of its Deployment."""
NAME = "llamastack-register-collections"
RELEASE = "register-collections"
PUBLISHED = "llamastack-collections"
DEPLOYMENT = "llama-stack"
NAMESPACE = "private-ai-demo"

_TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "register-collections" / "tools"
_SECONDS = 300

_KUSTOMIZATIONS: dict[str, dict[str, Any]] = {
    f"{root}{''.join(f'+{component}' for component in components)}": {
        "resources": [f"../manifests/{folder}"],
        "components": [f"../manifests/components/{component}" for component in components],
        # What a component adds is not inside the overlay, so whoever adds it names the namespace; and a RoleBinding has
        # to name that of the ServiceAccount.
        **(
            {"namespace": NAMESPACE}
            if {"publish-ids", "rollout"} & {*components} or (root == "stage02" and components)
            else {}
        ),
    }
    for root, folder in (("base", "base"), ("stage02", "overlays/stage02"))
    for components in ((), *((component,) for component in COMPONENTS), COMPONENTS)
}
_KUSTOMIZATIONS["consumer"] = {
    # What gitops/stage02-model-alignment of private-ai-demo does to all that it holds.
    "namespace": NAMESPACE,
    "labels": [
        {
            "includeSelectors": False,
            "pairs": {
                "app.kubernetes.io/part-of": "private-ai-demo",
                "app.kubernetes.io/managed-by": "argocd",
                "stage": "02",
            },
        }
    ],
    "resources": ["llamastack-config.yaml", "../manifests/overlays/stage02"],
}
_KUSTOMIZATIONS |= {
    # What an operator runs; and the same with every component, of which its own has `rollout`.
    f"{overlay}{''.join(f'+{component}' for component in components)}": {
        "namespace": NAMESPACE,
        "resources": [f"../manifests/overlays/{overlay}"],
        "components": [f"../manifests/components/{component}" for component in components],
    }
    for overlay in OPERATED
    for components in ((), tuple(component for component in COMPONENTS if component != "rollout"))
}
_KUSTOMIZATIONS["own"] = {
    # The base with a list and a setting of one's own, as docs/argocd.md has it.
    "namespace": NAMESPACE,
    "resources": ["../manifests/base"],
    "configMapGenerator": [
        {"name": NAME, "behavior": "replace", "files": ["collections.yaml"]},
        {"name": f"{NAME}-settings", "behavior": "merge", "literals": ["HOOK_ON_LOST=recreate"]},
    ],
}
COLLECTIONS = yaml.safe_load((ROOT / "tests" / "live" / "collections.yaml").read_text())["vector_dbs"]
"""A list of collections, which the chart wants to be given."""
EXISTING = "llamastack-config"
"""The server's own ConfigMap, where the chart is given one."""
_CHARTS: dict[str, dict[str, Any]] = {
    "chart": {"collections": COLLECTIONS},
    # The same as base with every component.
    "chart+all": {
        "collections": COLLECTIONS,
        "serviceCa": {"enabled": True},
        "apiKeySecret": {"name": f"{NAME}-api-key"},
        "selfHeal": {"enabled": True},
        "publishConfigMap": PUBLISHED,
        "consumerApiKeySecret": {"name": f"{NAME}-consumer-api-key"},
        "waitForDeployment": DEPLOYMENT,
    },
    # Every setting of the program, none with its default.
    "chart+settings": {
        "allowEmpty": True,
        "requestTimeoutSeconds": 10,
        "apiKeySecret": {"name": "api-key"},
        "consumerApiKeySecret": {"name": "consumer-api-key"},
        "oauth": {"tokenUrl": "https://keycloak/token", "clientId": "hook", "clientSecret": {"name": "client"}},
        "consumerOauth": {"clientId": "pipelines", "clientSecret": {"name": "consumer-client"}},
        "headersSecret": {"name": "headers"},
        "consumerHeadersSecret": {"name": "consumer-headers"},
        "connections": 40,
        "prove": "read",
        "onDuplicate": "oldest",
        "onLost": "recreate",
        "onUnproven": "fail",
        "publishConfigMap": PUBLISHED,
        "waitForDeployment": DEPLOYMENT,
        "output": "text",
        "logLevel": "debug",
        "logFormat": "console",
    },
    "chart+existing": {
        "existingConfigMap": {"name": EXISTING},
        "waitForDeployment": DEPLOYMENT,
        "image": {"repository": "quay.example/hook", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "pull"}],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "envFrom": [{"configMapRef": {"name": "proxies"}}, {"secretRef": {"name": "credentials", "optional": True}}],
        "extraVolumes": [{"name": "client", "secret": {"secretName": "client-certificate"}}],
        "extraVolumeMounts": [{"name": "client", "mountPath": "/etc/client", "readOnly": True}],
        "podLabels": {"team": "rag"},
    },
}
KUSTOMIZE_ALL = f"base+{'+'.join(COMPONENTS)}", f"stage02+{'+'.join(COMPONENTS)}", *OPERATED
KUSTOMIZED = tuple(_KUSTOMIZATIONS)
CHARTS = tuple(_CHARTS)
EVERY = KUSTOMIZED + CHARTS

_OWN_COLLECTIONS = "vector_dbs: [{vector_db_id: red_hat_docs, embedding_model: granite}]\n"
_CONSUMERS_CONFIGMAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: llamastack-config
data:
  run.yaml: |
    version: 2
    apis: [vector_io]
    vector_databases: # read by nobody
      - vector_db_id: red_hat_docs
    vector_dbs:
      - vector_db_id: red_hat_docs
        provider_id: milvus-shared
        provider_vector_db_id: red_hat_docs
        embedding_model: ibm-granite/granite-embedding-125m-english
        embedding_dimension: 768
    server:
      port: 8321
"""


def tool(*names: str) -> str:
    """Return the first of these programs that is installed. A test that needs one fails without it."""
    path = os.pathsep.join([str(_TOOLS / "bin"), str(_TOOLS / "checks" / "bin"), os.environ["PATH"]])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    pytest.fail(f"{' or '.join(names)} is not installed: install it, or run tests/manifests/install-tools.sh")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; whether it may fail is the caller's business."""
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)


def render(name: str, manifests: Path = MANIFESTS, program: str = "helm") -> subprocess.CompletedProcess[str]:
    """Render one of `EVERY`; `program` is Helm's, for a chart."""
    if name in _KUSTOMIZATIONS:
        return kustomize(_KUSTOMIZATIONS[name], manifests)
    with tempfile.TemporaryDirectory() as temporary:
        values = Path(temporary, "values.yaml")
        values.write_text(json.dumps(_CHARTS[name]))
        return helm_template(manifests / CHART, "--values", str(values), program=program)


def kustomize(
    kustomization: dict[str, Any], manifests: Path = MANIFESTS, files: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Render a kustomization beside a copy of `manifests`, as an app with `files` of its own would."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(manifests, Path(temporary, "manifests"))
        app = Path(temporary, "app")
        app.mkdir()
        (app / "llamastack-config.yaml").write_text(_CONSUMERS_CONFIGMAP)
        (app / "collections.yaml").write_text(_OWN_COLLECTIONS)
        for file, content in files.items():
            (app / file).write_text(content)
        (app / "kustomization.yaml").write_text(json.dumps(kustomization))
        program = tool("kubectl", "kustomize")
        return run(program, "kustomize" if Path(program).name == "kubectl" else "build", app)


def helm_template(
    chart: Path, *arguments: str, release: str = RELEASE, program: str = "helm"
) -> subprocess.CompletedProcess[str]:
    """Render a chart for the oldest Kubernetes that it is for."""
    command = "template", release, chart, "--kube-version", "1.29.0", "-n", "demo"
    return run(tool(program), *command, *arguments)


def helm_template_declaring(chart: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Render a chart with a list of collections, which other arguments may replace."""
    return helm_template(chart, "--set-json", f"collections={json.dumps(COLLECTIONS)}", *arguments)


@cache
def text(name: str) -> str:
    """Return one of `EVERY` as YAML; a test whose rendering fails fails with the renderer's own words."""
    done = render(name)
    if done.returncode != 0:
        pytest.fail(f"{name} does not render:\n{done.stderr}")
    return done.stdout


def publishes(name: str) -> bool:
    """Return whether one of `EVERY` was asked to publish the addresses, which needs a right in the cluster."""
    return "publish-ids" in name or bool(_CHARTS.get(name, {}).get("publishConfigMap"))


def waits(name: str) -> bool:
    """Return whether one of `EVERY` was asked to wait for the server's rollout, which needs a right to read it."""
    return "rollout" in name or is_operated(name) or bool(_CHARTS.get(name, {}).get("waitForDeployment"))


def is_operated(name: str) -> bool:
    """Return whether one of `EVERY` is for a server that an operator runs."""
    return name.split("+")[0] in OPERATED


def deployment(name: str) -> str:
    """Return the name of the Deployment that one of `EVERY` waits for."""
    return OPERATED.get(name.split("+")[0], DEPLOYMENT)


@cache
def _as_json(name: str) -> str:
    """Return the objects of one of `EVERY`, in what is read a hundred times faster than YAML."""
    return json.dumps([document for document in yaml.safe_load_all(text(name)) if document])


def objects(name: str) -> list[Any]:
    """Return the objects of one of `EVERY`, which are the caller's own."""
    found: list[Any] = json.loads(_as_json(name))
    return found


def one(name: str, kind: str, object_name: str = NAME) -> Any:
    """Return the one object of that kind and name."""
    (found,) = (o for o in objects(name) if o["kind"] == kind and o["metadata"]["name"] == object_name)
    return found


def job_specs(name: str) -> tuple[Any, Any]:
    """Return the spec of the hook Job, and that of the CronJob's Jobs."""
    return one(name, "Job")["spec"], one(name, "CronJob")["spec"]["jobTemplate"]["spec"]


def pod(name: str) -> Any:
    """Return the Job's pod."""
    return job_specs(name)[0]["template"]


def container(name: str) -> Any:
    """Return the pod's one container."""
    (only,) = pod(name)["spec"]["containers"]
    return only


def environment(name: str) -> dict[str, str]:
    """Return the environment variables of the container: its own, and those of the settings that it has not."""
    found = {variable["name"]: variable["value"] for variable in container(name).get("env", [])}
    for source in container(name).get("envFrom", []):
        reference = source.get("configMapRef", {}).get("name")
        for each in (o for o in objects(name) if (o["kind"], o["metadata"]["name"]) == ("ConfigMap", reference)):
            found |= {key: value for key, value in each["data"].items() if key not in found}
    return found
