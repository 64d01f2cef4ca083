"""Credentials: read from their files, and masked where output is made, whatever a server echoes."""

from pathlib import Path

from hook import files

MASK = "***"
MIN_CHARACTERS = 6
"""What is shorter is no secret, but would be found in every other word."""

TOKEN_MAX_BYTES = 8192
"""More than any bearer token, and about what servers accept as one header."""

_secrets: set[str] = set()


def read_token(path: Path) -> str:
    """Return the bearer token in a file. Raises ValueError, saying what is wrong with the file but not what is in it.

    A projected token changes under way, so it is read anew for each request.
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
    return token


def check_token(token: str) -> None:
    """Raise ValueError where a token could be no header."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("must hold one token of visible ASCII characters and nothing else")


def keep_out(*secrets: str | None) -> None:
    """Keep these out of every log event and report of this process from now on."""
    _secrets.update(secret for secret in secrets if secret is not None and len(secret) >= MIN_CHARACTERS)


def forget() -> None:
    """Start anew, as for another run in the same process."""
    _secrets.clear()


def masked(text: str) -> str:
    """Return the text with each secret in it replaced."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
