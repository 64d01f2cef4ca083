"""Credentials that must appear in no output, whatever a server echoes: masked where the output is made."""

MASK = "***"
MIN_CHARACTERS = 6
"""What is shorter is no secret, but would be found in every other word."""

_secrets: set[str] = set()


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
