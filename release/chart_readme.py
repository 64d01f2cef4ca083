"""Writes the chart's README, whose table of values is made of `values.yaml` and the comments in it."""

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

A Job runs after each install and upgrade, and Helm fails where it fails. A CronJob with the same pod, suspended unless
`selfHeal.enabled`, is for every other run. Argo CD runs the Job as a PostSync hook.

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
    return INTRODUCTION.format(**about) + "".join(_row(key, values) for key in keys if key.comment)


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
