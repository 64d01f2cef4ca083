"""A configuration from a text, as from a file."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hook.config.file import Config, Loading, Rules
from hook.config.sources import Source
from hook.errors import ConfigError

NAME = "a file"
_PLACE = re.compile(rf"{NAME}:[0-9]+:[0-9]+: ")


def parse(text: str, environ: Mapping[str, str], *, name: str = NAME, **rules: Any) -> Config:
    """Read a text. Without a name, no problem and no warning has a place, and none says what only a list lacks."""
    loading = Loading(environ, Rules(**rules))
    loading.add(Source(name, text))
    try:
        found = loading.config()
    except ConfigError as error:
        error.problems = tuple(_PLACE.sub("", problem) for problem in error.problems)
        raise
    hints = {path: hint for path, hint in found.warnings.items() if not hint.startswith("is missing: the hook takes")}
    return replace(found, warnings={_PLACE.sub("", path): _PLACE.sub("", hint) for path, hint in hints.items()})
