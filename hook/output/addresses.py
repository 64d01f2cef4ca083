"""What `resolve` hands over: addresses, on stdout, or in a file that a shell and the readers of dotenv files take."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hook import files
from hook.domain import Finding, State
from hook.errors import ConfigError, RefusedError, one_line

KEY_PREFIX = "VECTOR_STORE_"


def labels(asked: Sequence[str], findings: Mapping[str, Finding], aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each collection by what it is asked for: its name, or its alias, and all where none is asked.

    Raises ConfigError for what has no address.
    """
    enabled = [name for name, finding in findings.items() if finding.state is not State.DISABLED]
    known = {label: name for name in enabled for label in (name, aliases.get(name)) if label is not None}
    declared = one_line(", ".join(known)) or "none"
    disabled = [name for name, finding in findings.items() if finding.state is State.DISABLED]
    off = {label: name for name in disabled for label in (name, aliases.get(name))}
    problems = [
        f"{one_line(label, 100)}: is disabled: {findings[off[label]].detail}"
        if label in off
        else f"{one_line(label, 100)}: no collection of this name is declared; there are: {declared}"
        for label in asked
        if label not in known
    ]
    if problems:
        raise ConfigError(problems)
    return {label: known[label] for label in asked or known}


def key_of(label: str) -> str:
    """Return the variable that holds an address: `VECTOR_STORE_RED_HAT_DOCS` for `red-hat docs`."""
    return KEY_PREFIX + re.sub(r"[^A-Z0-9]+", "_", label.upper())


def check(path: Path, wanted: Mapping[str, str]) -> None:
    """Raise ConfigError for what is no place for a file, and where two collections would be the same variable in it.

    `wanted` is as from `labels`.
    """
    try:
        is_odd = path.is_symlink() or (path.exists() and not path.is_file())
        has_folder = path.parent.is_dir()
    except OSError as error:
        raise _not_written(path, error) from error
    if is_odd:
        raise ConfigError([f"--to: {path}: is there already, and no regular file: name another one"])
    if not has_folder:
        raise ConfigError([f"--to: {path}: there is no such folder: mount one there"])
    if _is_json(path):
        return
    first: dict[str, str] = {}
    problems = [
        f"--to: '{one_line(label, 100)}' and '{one_line(first[key_of(label)], 100)}' are both {key_of(label)}: name "
        "the collections that you need, or write a file that ends with .json"
        for label, name in wanted.items()
        if wanted[first.setdefault(key_of(label), label)] != name
    ]
    if problems:
        raise ConfigError(problems)


def render(addresses: Mapping[str, str], asked: Sequence[str], output: str) -> str:
    """Return what is printed: the address of each label, one a line as often as asked, or as a JSON object."""
    return json.dumps(addresses) if output == "json" else "\n".join(addresses[label] for label in asked)


def write(path: Path, addresses: Mapping[str, str]) -> None:
    """Put the addresses into a file, whole or not at all: JSON where its name says so, else a variable a line.

    Raises ConfigError where it cannot be written, and RefusedError for an id that no line can hold.
    """
    lines = {key_of(label): address for label, address in addresses.items()}
    text = json.dumps(addresses) + "\n" if _is_json(path) else "".join(map(_line, lines, lines.values()))
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> ConfigError:
    return ConfigError([f"--to: {path}: cannot be written: {error.strerror}"])


def _is_json(path: Path) -> bool:
    return path.name.endswith(".json")


def _line(key: str, address: str) -> str:
    """Return an assignment. Between quotes, shells and dotenv readers agree only on what neither gives a meaning."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,-]+", address):
        return f"{key}={address}\n"
    if not re.search(r"['\\$]", address):
        return f"{key}='{address}'\n"
    raise RefusedError(
        f"{key}: no line for both a shell and a dotenv reader can hold the id '{one_line(address, 100)}': write a file "
        "that ends with .json"
    )
