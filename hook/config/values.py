"""The single values of a configuration: of the right type, expanded, or a problem with a path."""

import re
from collections.abc import Mapping
from typing import Any

from hook.config.substitution import MAX_LENGTH, UnsetError, substitute
from hook.config.yaml_text import template_hint
from hook.errors import one_line


class Values:
    """Reads values, and gathers all problems and warnings."""

    def __init__(self, environ: Mapping[str, str], *, allow_unset: bool = False) -> None:
        """Take the variables to expand; `allow_unset` makes an unset one a warning."""
        self.problems: list[tuple[str, str]] = []
        """What is wrong, each with the path of the value."""
        self.warnings: dict[str, str] = {}
        """By path, what is ignored or cannot be known here."""
        self.environ = environ
        self._allow_unset = allow_unset

    def has_type(self, kind: type[Any], value: Any, path: str, wanted: str) -> bool:
        """Tell whether a value has its type, and note a problem if not."""
        if isinstance(value, kind):
            return True
        template = template_hint(value) if isinstance(value, str) else ""
        hint = f"; it {template}" if template else "; quote it" if kind is str else ""
        self.problems.append((path, f"must be {wanted}, not {kind_of(value)}{hint}"))
        return False

    def text(self, entry: dict[Any, Any], key: str, path: str, *, required: bool = False) -> str | None:
        """Return the expanded text, which is empty only if an optional one expands to nothing; None without one."""
        value, path = entry.get(key), f"{path}.{key}"
        if value is None and required:
            self.problems.append((path, "is missing"))
        if value is None or not self.has_type(str, value, path, "a string"):
            return None
        resolved = self.substituted(value, path)
        if resolved is None or (resolved == "" != value and not required):
            return resolved
        if not resolved.strip():
            self.problems.append((path, "is empty"))
        elif resolved != resolved.strip() or not resolved.isprintable():
            problem = "has a space at its start or end, or a character that cannot be printed"
            self.problems.append((path, problem))
        return resolved

    def dimension(self, value: Any, path: str) -> int | None:
        """Return the length of a vector; None without one, or for a problem."""
        if isinstance(value, str):
            value = self.substituted(value, path)
            if path in self.warnings:
                return None
            if value is not None and re.fullmatch(r"[1-9][0-9]{0,8}", value):
                value = int(value)
        if value is None or (type(value) is int and 0 < value < 10**9):
            return value
        problem = f"must be a whole number above 0 in plain digits, such as 768, not {kind_of(value)}"
        self.problems.append((path, problem))
        return None

    def expanded(self, value: Any, path: str) -> Any:
        """Return a value with all variables in it expanded, as numbers where they are such."""
        if isinstance(value, dict):
            return {key: self.expanded(each, f"{path}.{one_line(str(key), 60)}") for key, each in value.items()}
        if isinstance(value, str) and "${env." in value:
            value = self.substituted(value, path)
            return int(value) if value is not None and re.fullmatch(r"0|[1-9][0-9]{0,8}", value) else value
        return value

    def substituted(self, text: str, path: str) -> str | None:
        """Return the expanded text, None for a problem, or the text itself for an unset variable that is allowed."""
        try:
            if hint := template_hint(text):
                raise ValueError(f"'{one_line(text, 80)}' {hint}")
            return substitute(text, self.environ)
        except ValueError as error:
            if self._allow_unset and isinstance(error, UnsetError):
                self.warnings[path] = f"{error}; every other command needs it"
                return text
            self.problems.append((path, str(error)))
        return None


def kind_of(value: object) -> str:
    """Return what a value is; its text only if it is short, because aliases can make a list very long."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, str | bytes) and len(value) > MAX_LENGTH:
        return f"text of {len(value)} characters" if isinstance(value, str) else "binary data"
    return "empty" if value is None else one_line(repr(value), 80)
