"""Packages the chart for an image that was pushed: its repository and digest, and what Artifact Hub shows of both."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from release.chart_readme import render
from release.check import CHART, ROOT, changes


def main(argv: Sequence[str] | None = None) -> int:
    """Write the package into a folder, as `helm package` names it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True, help="the image without tag, such as registry.example/team/name")
    parser.add_argument("--digest", required=True, help="sha256:…, which the registry gave the pushed image")
    parser.add_argument("--source", required=True, help="the URL of the repository that it was built from")
    parser.add_argument("--helm", default="helm", help="the program")
    parser.add_argument("--destination", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        chart = Path(temporary, CHART.name)
        shutil.copytree(ROOT / CHART, chart)
        shutil.copy(ROOT / "LICENSE", chart)
        _edit_values(chart / "values.yaml", arguments.image, arguments.digest)
        _edit_about(chart / "Chart.yaml", f"{arguments.image}@{arguments.digest}", arguments.source)
        # Its table shows the values that were edited.
        (chart / "README.md").write_text(render(chart))
        command = [arguments.helm, "package", chart, "--destination", arguments.destination]
        return subprocess.run(command, check=False).returncode


def _edit_values(path: Path, repository: str, digest: str) -> None:
    text = path.read_text()
    for before, after in (
        ("  repository: register-collections\n", f"  repository: {repository}\n"),
        ('  digest: ""\n', f"  digest: {digest}\n"),
    ):
        if text.count(before) != 1:
            raise SystemExit(f"values.yaml does not have this line once: {before.strip()}")
        text = text.replace(before, after)
    path.write_text(text)


def _edit_about(path: Path, image: str, source: str) -> None:
    about: dict[str, Any] = yaml.safe_load(path.read_text())
    annotations = about.setdefault("annotations", {})
    annotations["artifacthub.io/images"] = _text([{"name": "register-collections", "image": image}])
    annotations["artifacthub.io/changes"] = _text(changes(ROOT))
    annotations["artifacthub.io/links"] = _text([{"name": "source", "url": source}])
    icon = f"{source}/raw/v{about['version']}/{CHART}/icon.svg"
    about |= {"home": source, "sources": [source], "icon": icon}
    path.write_text(yaml.safe_dump(about, sort_keys=False))


def _text(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000)


if __name__ == "__main__":
    sys.exit(main())
