"""Further headers of each request, such as `X-Forwarded-User`, from a mounted file: `Name: value`, one a line."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hook import files
from hook.secrets import keep_out

MAX_BYTES = 32 * 1024
"""What common gateways accept as the headers of one request."""
_LEAST_CHARACTERS = 6
"""What is shorter is no secret but a level or a word, and would be masked in each message that has it."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110, 5.6.2)."""
_OF_THE_HOOK = ("accept-encoding", "connection", "expect", "host", "keep-alive", "range", "te", "trailer", "upgrade")
_BEGIN_OF_THE_HOOK = ("content-", "if-", "proxy-", "transfer-")
"""Those of one connection, and those that say what a request or its answer is: the program sends them itself."""


def read_headers(path: Path, *, may_authorize: bool) -> Mapping[str, str]:
    """Return the headers in a file, and mask their values in all output from now on.

    Raises ValueError, which says what is wrong with which line but not what is in it.
    """
    try:
        content = files.read(path, MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES >> 10} KiB, which no server accepts")
    found: dict[str, str] = {}
    for number, line in enumerate(content.decode("ascii", "replace").split("\n"), start=1):
        if line.strip():
            name, colon, value = (part.strip(" \t\r") for part in line.partition(":"))
            keep_out(*(secret for secret in _secrets(value) if len(secret) >= _LEAST_CHARACTERS))
            if problem := _problem(name, value if colon else "", found, may_authorize=may_authorize):
                raise ValueError(f"line {number}: {problem}")
            found[name] = value
    if not found:
        raise ValueError("is empty")
    return found


def _problem(name: str, value: str, found: Mapping[str, str], *, may_authorize: bool) -> str | None:
    if not (_NAME.fullmatch(name) and value):
        return "must be `Name: value`"
    if not (value.isascii() and value.isprintable()):
        return "the value must hold visible ASCII characters and spaces alone; JSON can write others as \\uXXXX"
    if name.lower() in _OF_THE_HOOK or name.lower().startswith(_BEGIN_OF_THE_HOOK):
        return f"leave out {name}; the program sends it itself where it is needed"
    if name.lower() == "authorization" and not may_authorize:
        return f"leave out {name}; the API key, or the user of the URL, is sent in it"
    if name.lower() in map(str.lower, found):
        return "the header stands in an earlier line, too; write it once"
    return None


def _secrets(value: str) -> Iterator[str]:
    """Yield what no output may show: of JSON each text in it. Its keys and numbers are parts of messages."""
    with suppress(ValueError, RecursionError):
        if isinstance(found := json.loads(value), dict | list):
            yield from _texts(found)
            return
    yield value
    # What follows the scheme of an Authorization.
    yield value.rpartition(" ")[2]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
