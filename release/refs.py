"""The Git ref that the pages name: `main` until a tag is released, then that tag; with an argument, writes it there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNRELEASED = "main"
_REF = rf"({UNRELEASED}|v[0-9]+\.[0-9]+\.[0-9]+)\b"
_NAMED = re.compile(
    rf"(?P<before>\?ref=|\brev: |\$SOURCE@|\$SOURCE, ref: |the ref `)(?P<ref>{_REF})|"
    rf"(?P<flux>\bref: \{{)(?:branch|tag): (?P<of_flux>{_REF})"
)


def main() -> int:
    """Write a ref into all pages."""
    (ref,) = sys.argv[1:]
    for path in pages(ROOT):
        path.write_text(replaced(path.read_text(), ref))
    return 0


def pages(root: Path) -> list[Path]:
    """Return each page and example that people copy from."""
    return [root / "README.md", *sorted(root.glob("docs/**/*.md")), *sorted(root.glob("examples/*.y*ml"))]


def named(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each page with each ref that it names."""
    for path in pages(root):
        for ref in sorted({each["ref"] or each["of_flux"] for each in _NAMED.finditer(path.read_text())}):
            yield str(path.relative_to(root)), ref


def replaced(text: str, ref: str) -> str:
    """Return a page that names this ref."""
    kind = "branch" if ref == UNRELEASED else "tag"

    def new(found: re.Match[str]) -> str:
        return f"{found['flux']}{kind}: {ref}" if found["flux"] else f"{found['before']}{ref}"

    return _NAMED.sub(new, text)


if __name__ == "__main__":
    sys.exit(main())
