"""Credentials: read from their files, and masked where output is made, whatever a server echoes."""

from pathlib import Path
from threading import Lock

from hook import files
from hook.spellings import Secret, find, prepared

MASK = "***"
MOST_CHARACTERS = 64 * 1024
"""What is shown of any text: more than any message has, and no more than can be searched in a moment."""
_AHEAD = 1024
"""How much farther is searched: what a secret begins with may be the end of what is shown."""

TOKEN_MAX_BYTES = 8192
"""More than any bearer token, and about what servers accept as one header."""

_LONGEST_ID = 1024
"""Characters. No release gives a tenth of that, and all that are asked after have to be searched within a second."""

_known: dict[str, tuple[Secret, ...]] = {}
_lock = Lock()


def read_token(path: Path) -> str:
    """Return the bearer token in a file, which is kept out of every output from now on.

    Raises ValueError, saying what is wrong with the file but not what is in it. A projected token changes under way,
    so it is read anew for each request.
    """
    try:
        content = files.read(path, TOKEN_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    token = content.decode("ascii", "replace").strip()
    if len(content) > TOKEN_MAX_BYTES:
        raise ValueError("is larger than a token")
    if not token:
        raise ValueError("is empty")
    check_token(token)
    keep_out(token)
    return token


def check_token(token: str) -> None:
    """Raise ValueError where a token could be no header."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("must hold one token of visible ASCII characters and nothing else")


def keep_out(*secrets: str) -> None:
    """Keep these out of every log event and report of this process from now on."""
    with _lock:
        for secret in secrets:
            if secret and secret not in _known:
                _known[secret] = tuple(prepared(secret))


def forget() -> None:
    """Start anew, as for another run in the same process."""
    with _lock:
        _known.clear()


def masked(text: str, limit: int = MOST_CHARACTERS) -> str:
    """Return the first `limit` characters of a text, with each secret in them replaced, however it is spelled."""
    with _lock:
        secrets = [form for forms in _known.values() for form in forms]
    shown, end = [], 0
    for begin, stop in find(text[: limit + _AHEAD], secrets) if secrets else ():
        if begin < limit:
            shown += [text[end:begin], MASK]
            end = stop
    return "".join([*shown, text[end:limit]])


def holds_secret(text: str) -> bool:
    """Tell whether a secret is in an id, or enough of it to give it away; in one beyond all measure one may be."""
    return bool(_known) and (len(text) > _LONGEST_ID or masked(text) != text)
