"""Writes the chart's README: what it needs, values to copy, and a table made of `values.yaml` and its comments."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "manifests" / "helm" / "llamastack-register-collections"
INTRODUCTION = """\
# {name}

{description}

A Job runs after each install and upgrade, and Helm fails if it fails. A CronJob with the same pod, suspended unless
`selfHeal.enabled`, is for every other run. Argo CD runs the Job as a PostSync hook.

## Prerequisites

- Kubernetes 1.29 or newer, and Helm 4.2 or newer, or Helm 3.22
- a LlamaStack or OGX server that the namespace reaches
- the image of register-collections, where your cluster can pull it

## Install

From a checkout, with one of the sets of values below:

```sh
helm install register-collections manifests/helm/llamastack-register-collections -n NAMESPACE --values=my-values.yaml
```

Helm waits five minutes for the Job: raise its `--timeout` if you raise `activeDeadlineSeconds`.

## Values to copy

A list of your own:

```yaml
image: {repository: registry.example/team/register-collections}
url: http://llama-stack-service:8321
collections:
  - vector_db_id: my_docs
    embedding_model: ibm-granite/granite-embedding-125m-english
```

The list in the server's own ConfigMap, verified every 15 minutes, with alerts:

```yaml
image: {repository: registry.example/team/register-collections}
existingConfigMap: {name: llamastack-config, key: run.yaml}
selfHeal: {enabled: true}
prometheusRule: {enabled: true}
```

A server with TLS and a token on OpenShift, whose rollout is waited for; the addresses are published for pipelines:

```yaml
image: {repository: registry.example/team/register-collections}
url: https://llama-stack-service:8321
existingConfigMap: {name: llamastack-config, key: run.yaml}
serviceCa: {enabled: true}
apiKeySecret: {name: llama-stack-token, key: token}
waitForDeployment: llama-stack
publishConfigMap: llamastack-collections
```

## Values

| Value | Default | Meaning |
| --- | --- | --- |
"""
LONGEST_DEFAULT = 60


@dataclass(frozen=True)
class _Key:
    """One key of values.yaml."""

    path: tuple[str, ...]
    comment: str


def main() -> int:
    """Write the file."""
    (CHART / "README.md").write_text(render(CHART))
    return 0


def render(chart: Path) -> str:
    """Return the text of the README."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    text = (chart / "values.yaml").read_text()
    keys = list(_keys(text))
    values = yaml.safe_load(text)
    introduction = INTRODUCTION.replace("{name}", about["name"]).replace("{description}", about["description"])
    return introduction + "".join(_row(key, values) for key in keys if key.comment)


def _keys(text: str) -> Iterator[_Key]:
    """Yield each key with the comment above it."""
    above: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if found := re.fullmatch(r" *# ?(.*)", line):
            comment.append(found[1])
        elif found := re.match(r"( *)([A-Za-z]\w*):", line):
            above = [*(each for each in above if each[0] < len(found[1])), (len(found[1]), found[2])]
            yield _Key(tuple(name for _, name in above), " ".join(comment))
            comment = []
        else:
            comment = []


def _row(key: _Key, values: Any) -> str:
    for name in key.path:
        values = values[name]
    default = json.dumps(values, ensure_ascii=False)
    default = "in values.yaml" if len(default) > LONGEST_DEFAULT else f"`{default}`"
    return f"| `{'.'.join(key.path)}` | {default} | {key.comment.replace('|', chr(92) + '|')} |\n"


if __name__ == "__main__":
    sys.exit(main())
