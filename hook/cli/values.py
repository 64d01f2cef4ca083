"""The values of flags and variables, each looked up and converted by itself."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hook.cli.flags import SETTINGS
from hook.http import check_expanded

SETTING = {setting.flag: setting for setting in SETTINGS}
"""The settings, by their flags."""
_T = TypeVar("_T")


class Values:
    """Looks values up, flag before environment before default, and gathers the problems."""

    def __init__(self, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._arguments = arguments
        self.environ = environ

    def take(self, flag: str, convert: Callable[[str], _T], default: _T) -> _T:
        """Return the converted value, or `default` if it is not set or wrong."""
        value, source = self.text(flag)
        choices = SETTING[flag].choices
        try:
            if value is None:
                return default
            check_expanded(value)
            if choices and value not in choices:
                raise ValueError(f"must be one of {', '.join(choices)}")
            return convert(value)
        except ValueError as error:
            # A value on the command line may be a secret at the wrong place.
            actual_value = "" if source.startswith("--") else f", not '{value}'"
            self.problems.append(f"{source}: {error}{actual_value}")
            return default

    def paths(self) -> tuple[Path, ...]:
        """Return the flag's paths, each of which is given by a flag of its own, or those of the variable."""
        given = self._arguments.get("config")
        if given and not all(given):
            self.problems.append("--config: must be the path of a file or folder, or - for standard input")
        return tuple(map(Path, given)) if given else self.take("--config", _split, ())

    def choice(self, flag: str) -> str | None:
        """Return one of the choices, or None where it is not set or wrong."""
        return self.take(flag, str, None)

    def text(self, flag: str) -> tuple[str | None, str]:
        """Return the value and its name for a message. An empty variable counts as unset."""
        setting = SETTING[flag]
        given = self._arguments.get(setting.key)
        if given is not None:
            return given, flag
        return self.environ.get(str(setting.variable)) or setting.default, str(setting.variable)

    def file(self, flag: str, read: Callable[[Path], Any]) -> Path | None:
        """Return the path of a file with a secret, which must be readable already."""
        path, source = self.text(flag)
        if path is None:
            return None
        try:
            check_expanded(path)
            read(Path(path))
        except ValueError as error:
            # Some people put the secret itself here.
            shown = path if path.startswith(("/", ".")) else "path not shown, because it may be the token"
            self.problems.append(f"{source}: {shown}: {error}")
        return Path(path)


def _split(value: str) -> tuple[Path, ...]:
    if paths := [path for path in value.split(os.pathsep) if path]:
        return tuple(map(Path, paths))
    raise ValueError(f"must hold paths, with {os.pathsep} between them")
