"""Says whether every place names one version, and with TAG whether that version can be released under it."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from release import refs

ROOT = Path(__file__).parents[1]
CHART = Path("manifests", "helm", "llamastack-register-collections")

_IN_PAGES = {
    "newTag": r"newTag: ([0-9.]+[0-9])",
    "image": r"(?:register-collections|\$IMAGE):([0-9.]+[0-9])",
    "tag": r"\btag[:=] ?([0-9.]+[0-9])",
    "version": r"--version ([0-9.]+[0-9])",
}
"""How pages and examples name a version."""


def main() -> int:
    """Print every place with its version, then what is wrong; 0 if nothing is. With --changes: what is new."""
    if sys.argv[1:] == ["--changes"]:
        print("\n".join(f"- {change}" for change in changes(ROOT)))
        return 0
    for place, version in versions(ROOT):
        print(f"{version or 'none':12} {place}")
    found = problems(ROOT, os.environ.get("TAG", ""))
    for problem in found:
        print(f"WRONG: {problem}", file=sys.stderr)
    return 1 if found else 0


def problems(root: Path, tag: str = "") -> list[str]:
    """Return what keeps a version from being released; `tag` is empty where none is to be released yet."""
    named = list(versions(root))
    version = named[0][1]
    found = [f"{place} says {other}, the program {version}" for place, other in named if other != version]
    expected = tag or refs.UNRELEASED
    found += [
        f"{place} names the ref {ref}, not {expected}: write it by `make release-ref REF={expected}`"
        for place, ref in refs.named(root)
        if ref != expected and (tag or ref != f"v{version}")
    ]
    if tag and tag != f"v{version}":
        found.append(f"the tag is {tag}, and the version asks for v{version}")
    if tag and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading(root)[1]):
        found.append(f"CHANGELOG.md gives {version} no date, but: {heading(root)[1]}")
    return found


def versions(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each place that names the version, and what it says; the program's own first."""
    yield "hook/__init__.py", _found(r'__version__ = "(.*)"', root / "hook" / "__init__.py")
    yield "CHANGELOG.md", heading(root)[0]
    chart = _yaml(root / CHART / "Chart.yaml")
    yield "Chart.yaml, version", str(chart["version"])
    yield "Chart.yaml, appVersion", str(chart["appVersion"])
    yield "Containerfile", _found(r'image\.version="(.*)"', root / "Containerfile")
    job = root / "manifests" / "base" / "job.yaml"
    yield "manifests/base/job.yaml", _found(r"image: register-collections:(\S+)", job)
    for path in (root / "README.md", *sorted(root.glob("docs/**/*.md")), *sorted(root.glob("examples/*.yaml"))):
        for what, pattern in _IN_PAGES.items():
            for version in sorted(set(re.findall(pattern, path.read_text()))):
                yield f"{path.relative_to(root)}, {what}", version
    for path in sorted(root.glob("manifests/overlays/*/kustomization.yaml")):
        for image in _yaml(path).get("images", []):
            yield str(path.relative_to(root)), str(image["newTag"])


def heading(root: Path) -> tuple[str, str]:
    """Return the newest version of the changelog, and what stands behind it in brackets: its date, or `unreleased`."""
    found = re.search(r"^## (\S+) \((.*)\)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    return (found[1], found[2]) if found else ("", "")


def changes(root: Path) -> list[str]:
    """Return the entries of the changelog for its newest version, each on one line."""
    section = re.split(r"^## .*$", (root / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1]
    return [" ".join(entry.split()) for entry in re.split(r"^- ", section, flags=re.MULTILINE)[1:]]


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text())
    return match[1] if match else ""


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


if __name__ == "__main__":
    sys.exit(main())
