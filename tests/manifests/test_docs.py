"""The commands for a cluster that the pages show, as far as their programs can say without one."""

import re
from collections.abc import Sequence
from functools import cache

import pytest

from tests.manifests.renderings import run, tool
from tests.pages import PAGES, commands

COMMANDS = [
    words
    for text in PAGES.values()
    for words in commands(text, "oc", "kubectl", "helm")
    if words[:2] != ["oc", "start-build"]  # OpenShift's own
]
DEEPER = {"create": 2, "create secret": 3}
"""How many words name what is done, where that is not one."""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_each_flag_is_one_of_the_program(words: Sequence[str]) -> None:
    """`oc` takes what kubectl takes."""
    program, *others = words
    named = [word.split("=")[0] for word in others if word.startswith("-")]

    assert set(named) - flags("helm" if program == "helm" else "kubectl", action(others)) == set()


def test_there_are_commands_with_flags() -> None:
    """And an invented one is none, so the test above proves something."""
    assert len([None for words in COMMANDS if any(word.startswith("-") for word in words)]) >= 10
    assert "--from" in flags("kubectl", ("create", "job"))
    assert "--fromm" not in flags("kubectl", ("create", "job"))


def action(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that name what is done."""
    depth = next((DEEPER[key] for key in sorted(DEEPER, reverse=True) if " ".join(words).startswith(f"{key} ")), 1)
    return tuple(words[:depth])


@cache
def flags(program: str, action: tuple[str, ...]) -> set[str]:
    """Return the flags of an action, and those of the whole program."""
    done = run(tool(program), *action, "--help")
    everywhere = run(tool(program), "options").stdout if program == "kubectl" else ""
    assert done.returncode == 0, done.stderr
    pairs = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", done.stdout + everywhere, re.MULTILINE)
    return {flag for pair in pairs for flag in pair}
