"""A configuration from a text, as from a file."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

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


def problems(text: str, environ: Mapping[str, str] | None = None, **rules: Any) -> tuple[str, ...]:
    """Return what is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {}, **rules)
    return caught.value.problems


def names(text: str, environ: Mapping[str, str] | None = None, **rules: Any) -> list[str]:
    """Return the names of the collections of a text."""
    return [collection.name for collection in parse(text, environ or {}, **rules).collections]


def stores(*entries: dict[str, Any], **fields: Any) -> str:
    """Return a text with these `vector_stores`."""
    return json.dumps({"registered_resources": {"vector_stores": entries}} | fields)
