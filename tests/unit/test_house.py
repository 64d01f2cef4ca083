"""The packages of the program, as docs/maintainers/development.md shows them."""

import ast
import re
from importlib import import_module
from pathlib import Path

import hook

HOUSE = Path(hook.__file__).parent
PAGE = (HOUSE.parent / "docs" / "maintainers" / "development.md").read_text()
PACKAGES = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py"))


def test_the_diagram_shows_each_import_between_packages() -> None:
    """And no other one."""
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    shown = set(re.findall(r"(\w+) --> (\w+)", diagram))

    assert shown == {edge for path in HOUSE.rglob("*.py") for edge in _edges(path)}


def test_the_table_says_what_each_package_is_for() -> None:
    """In the first sentence of its docstring."""
    sentences = {}
    for name in PACKAGES:
        text = ast.get_docstring(ast.parse((HOUSE / name / "__init__.py").read_text())) or ""
        sentences[name] = " ".join(text.split("\n\n")[0].split())

    assert dict(re.findall(r"^\| `hook/(\w+)/` \| (.*) \|$", PAGE, re.MULTILINE)) == sentences


def test_a_package_is_used_by_its_face_alone() -> None:
    """By the names that its `__init__` exports."""
    faces = {name: import_module(f"hook.{name}").__all__ for name in PACKAGES}
    inside = [
        f"{path.relative_to(HOUSE)}: {module}.{name}"
        for path in HOUSE.rglob("*.py")
        for module, name in _imports(path)
        for package in [module.split(".")[1] if module.count(".") else ""]
        if package in faces and package != path.relative_to(HOUSE).parts[0]
        if module != f"hook.{package}" or name not in faces[package]
    ]

    assert inside == []


def test_no_module_is_longer_than_a_person_reads_at_once() -> None:
    long = {path.name: lines for path in HOUSE.rglob("*.py") if (lines := len(path.read_text().splitlines())) > 250}

    assert long == {}


def test_the_story_is_short() -> None:
    assert len((HOUSE / "registration" / "run.py").read_text().splitlines()) < 100


def _imports(path: Path) -> list[tuple[str, str]]:
    """Return module and name of each import of a part of the program."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hook"
        for alias in node.names
    ]


def _edges(path: Path) -> set[tuple[str, str]]:
    """Return the imports of a module that lead into another package."""
    here = path.relative_to(HOUSE).with_suffix("").parts[0]
    modules = [f"{module}.{name}" if module == "hook" else module for module, name in _imports(path)]
    return {(here, module.split(".")[1]) for module in modules if module.split(".")[1] in set(PACKAGES) - {here}}
