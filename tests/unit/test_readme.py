"""The tables of README and `docs/` are the program's."""

import re

from hook.cli.commands import COMMANDS
from hook.cli.flags import SETTINGS
from hook.domain import State
from hook.errors import ExitCode
from tests.pages import PAGES


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading of one page, without its head and without backticks."""
    (page,) = (text for text in PAGES.values() if f"\n## {heading}\n" in text)
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)[2:]
    return [[cell.strip().replace("`", "") for cell in row.split("|")] for row in rows]


def test_the_exit_codes_are_the_program_s() -> None:
    """Number and outcome, all of them, in their order."""
    assert [(int(row[0]), row[1]) for row in table("Exit codes")] == [(code, code.name.lower()) for code in ExitCode]


def test_the_settings_are_the_program_s() -> None:
    """Flag, variable and default; the rows without a flag are variables alone."""
    documented = {row[0]: (row[1], row[2]) for row in table("Settings") if row[0]}
    by_terminal = {
        "--output": "text on a terminal, github in GitHub Actions, else json",
        "--log-level": "warning on a terminal, else info",
        "--log-format": "console on a terminal, else json",
    }

    assert documented == {
        setting.flag: (setting.variable, setting.default or by_terminal.get(setting.flag, "")) for setting in SETTINGS
    }


def test_the_choices_are_in_the_settings() -> None:
    """What can be chosen is said."""
    meanings = {row[0]: " ".join(row) for row in table("Settings")}
    missing = [
        choice
        for setting in SETTINGS
        for choice in setting.choices
        if setting.flag != "--log-level" and choice not in meanings[setting.flag]
    ]

    assert missing == []


def test_the_commands_are_the_program_s() -> None:
    """Each has its row."""
    assert [row[0].removesuffix(" NAME …").split()[-1] for row in table("Commands")] == list(COMMANDS)


def test_the_states_are_the_program_s() -> None:
    """Each has a row: why, and what to do."""
    rows = table("By state")

    assert sorted(row[0] for row in rows) == sorted(state.value for state in State)
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_each_exit_code_says_what_to_do() -> None:
    rows = table("By exit code")

    assert [row[0] for row in rows] == [f"{code:d} {code.name.lower()}" for code in ExitCode]
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_each_symptom_says_what_to_do() -> None:
    rows = table("By symptom")

    assert len(rows) >= 15
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
