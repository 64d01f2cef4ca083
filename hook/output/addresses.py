"""The addresses that `resolve` prints, or writes to a file for a shell, a dotenv reader or a JSON parser."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hook import files
from hook.domain import GOOD_STATES, Finding, State
from hook.errors import ConfigError, PublishError, RefusedError, SettingError, one_line

KEY_PREFIX = "VECTOR_STORE_"


def labels(asked: Sequence[str], findings: Mapping[str, Finding], aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the collection of each label: a label is a name or an alias, as asked, or all if none is asked.

    Raises ConfigError for a collection without an address.
    """
    names: dict[str, str] = {}
    disabled: dict[str, str] = {}
    for name, finding in findings.items():
        for label in filter(None, (name, aliases.get(name))):
            if finding.state is State.DISABLED:
                disabled[label] = finding.detail
            else:
                names[label] = name
    declared = one_line(", ".join(names)) or "none"
    problems = [
        f"{one_line(label, 100)}: "
        + (f"disabled: {disabled[label]}" if label in disabled else f"not declared; declared collections: {declared}")
        for label in asked
        if label not in names
    ]
    if problems:
        raise ConfigError(problems)
    return {label: names[label] for label in asked or names}


def checked(finding: Finding) -> Finding:
    """Return the finding, or a rejected one if its id cannot be printed: an altered id would be no address."""
    if finding.state not in GOOD_STATES or (finding.id or "").isprintable():
        return finding
    detail = (
        "its id on the server holds an unprintable character; delete the vector store (its contents go too), then run "
        "`register`"
    )
    return replace(finding, state=State.REJECTED, detail=detail)


def key_of(label: str) -> str:
    """Return the variable that holds an address: `VECTOR_STORE_RED_HAT_DOCS` for `red-hat docs`."""
    return KEY_PREFIX + re.sub(r"[^A-Z0-9]+", "_", label.upper())


def check(path: Path, wanted: Mapping[str, str]) -> None:
    """Raise SettingError if no file can be written there, or if two collections would share a variable in it.

    `wanted` is the result of `labels`.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise SettingError([f"--to: {path}: exists and is not a regular file; choose another path"])
        if not path.parent.is_dir():
            raise SettingError([f"--to: {path}: its folder does not exist; mount a volume there"])
    except OSError as error:
        raise SettingError([f"--to: {path}: cannot be written: {error.strerror}"]) from error
    first: dict[str, str] = {}
    problems = [
        f"--to: '{one_line(label, 100)}' and '{one_line(first[key_of(label)], 100)}' map to the same variable "
        f"{key_of(label)}; write JSON (--to FILE.json), or name only one"
        for label, name in wanted.items()
        if not _is_json(path) and wanted[first.setdefault(key_of(label), label)] != name
    ]
    if problems:
        raise SettingError(problems)


def render(addresses: Mapping[str, str], asked: Sequence[str], output: str) -> str:
    """Return what is printed: a JSON object, or one address a line in the order of `asked`."""
    return json.dumps(addresses) if output == "json" else "\n".join(addresses[label] for label in asked)


def write(path: Path, addresses: Mapping[str, str]) -> None:
    """Replace a file by one with the addresses: JSON if the path ends with .json, else one variable a line.

    Raises PublishError if it cannot be written, and RefusedError for an id that no line can hold.
    """
    lines = {key_of(label): address for label, address in addresses.items()}
    text = json.dumps(addresses) + "\n" if _is_json(path) else "".join(map(_line, lines, lines.values()))
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise PublishError(
            f"The collections are registered, but their addresses cannot be written to {path}: {error.strerror}"
        ) from error


def _is_json(path: Path) -> bool:
    return path.name.endswith(".json")


def _line(key: str, address: str) -> str:
    """Return an assignment. Shells and dotenv readers agree on single quotes, as long as these need no escape."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,-]+", address):
        return f"{key}={address}\n"
    if not re.search(r"['\\$]", address):
        return f"{key}='{address}'\n"
    raise RefusedError(
        f"{key}: a shell and a dotenv reader disagree on '{one_line(address, 100)}'; write JSON (--to FILE.json)"
    )
