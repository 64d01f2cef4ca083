"""Credentials: read from their files, and masked in every text that is written, also when a server repeats them."""

from pathlib import Path
from threading import Lock

from hook import files
from hook.spellings import Secret, hidden

MASK = "***"
MOST_CHARACTERS = 64 * 1024
"""What is shown of a text: more than any message has, and little enough to be searched in a moment."""
_AHEAD = 1024
"""How much farther the search goes: a secret may begin at the end of what is shown."""

TOKEN_MAX_BYTES = 8192
"""More than any bearer token, and about what servers accept as one header."""
_known: dict[str, Secret] = {}
_lock = Lock()


def read_token(path: Path) -> str:
    """Return the bearer token in a file, and mask it in all output from now on.

    Raises ValueError, which says what is wrong with the file but not what is in it. A projected token is renewed
    during the run, so the file is read anew for each request.
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
    """Raise ValueError for a token that no header can hold."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("must hold one token of visible ASCII characters and nothing else")


def keep_out(*secrets: str) -> None:
    """Mask these secrets in every log event and report of this process from now on."""
    with _lock:
        _known.update({secret: Secret.of(secret) for secret in secrets if secret and secret not in _known})


def forget() -> None:
    """Forget all secrets, as for another run in the same process."""
    with _lock:
        _known.clear()


def masked(text: str, limit: int = MOST_CHARACTERS) -> str:
    """Return at most `limit` characters of a text, with each secret in it replaced."""
    with _lock:
        # The longest first: a password may be a part of a token.
        secrets = [_known[secret] for secret in sorted(_known, key=len, reverse=True)]
    return hidden(text[: limit + _AHEAD], secrets, MASK)[:limit] if secrets else text[:limit]
