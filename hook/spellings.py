"""Hides a secret in a text, in whatever encoding a server repeats it.

Where the secret stands as it is, only the secret is replaced. Where it is cut off, or shows only after decoding (JSON,
HTML, URLs, base64, hexadecimal, nested in any order), the word is replaced, or the whole text if it spans words.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

SHORT = 6
"""A secret of fewer characters is found only as a word of its own: it would be a part of every other word."""
PIECE = 12
"""So many characters in a row give a longer secret away."""
_MOST_VIEWS = 64
"""How many decodings of one text are searched, so that no text takes long."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[ux]\{([0-9a-fA-F]{1,5})\}|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|(.?))", re.S)
_READABLE = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f\ufffd]{6,}")
"""A text within decoded bytes. In other bytes a short secret could be found by chance."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, prepared for the search."""

    exact: re.Pattern[str]
    """Finds it as it is."""
    pieces: frozenset[str] = frozenset()
    """Find a longer one: each run of its characters that gives it away, folded."""
    length: int = 0
    """The length of a piece."""

    @classmethod
    def of(cls, text: str) -> "Secret":
        """Prepare a secret. What looks like an escape in it is decoded together with the text around it."""
        forms = [form for form in map(_folded, _unescaped(text)) if len(form) >= SHORT]
        if len(_folded(text)) < SHORT:
            return cls(re.compile(rf"(?<![0-9A-Za-z]){re.escape(text)}(?![0-9A-Za-z])"))
        length = min(PIECE, *map(len, forms))
        pieces = frozenset(piece for form in forms for piece in _runs(form, length))
        return cls(re.compile(re.escape(text), re.IGNORECASE), pieces, length)

    def is_in(self, text: str) -> bool:
        """Tell whether the secret, or enough of it, is in a decoded text."""
        if not self.pieces:
            return bool(self.exact.search(text))
        return not self.pieces.isdisjoint(_runs(_folded(text), self.length))


def hidden(text: str, secrets: Sequence[Secret], mask: str) -> str:
    """Return a text with each secret replaced, and each word, or the text, that shows one otherwise."""
    for secret in secrets:
        text = secret.exact.sub(mask, text)
    if not _shows_one(text, secrets):
        return text
    text = re.sub(r"\S+", lambda word: mask if _shows_one(word[0], secrets) else word[0], text)
    return mask if _shows_one(text, secrets) else text


def _shows_one(text: str, secrets: Sequence[Secret]) -> bool:
    """Tell whether a text shows a secret in any decoding, or has too many decodings to tell."""
    return any(
        number == _MOST_VIEWS or any(secret.is_in(view) for secret in secrets)
        for number, view in enumerate(_views(text))
    )


def _folded(text: str) -> str:
    """Return a text without case, white space and plus signs, which stand for a space in URLs."""
    return re.sub(r"[\s+]+", "", text).lower()


def _runs(text: str, length: int) -> Iterator[str]:
    return (text[i : i + length] for i in range(len(text) - length + 1))


def _views(text: str) -> Iterator[str]:
    """Yield a text, and all that it can be decoded to."""
    for view in _unescaped(text):
        yield view
    packed = "".join(view.split())
    for pattern, width, decode in _ENCODINGS:
        runs = pattern.findall(packed)
        # A run may begin with the end of a word that stands before it.
        for start in range(width if runs else 0):
            decoded = "\0".join(decode(run[start:]).decode("utf-8", "replace") for run in runs)
            if found := _READABLE.findall(decoded):
                yield from _views("\0".join(found))


def _unescaped(text: str) -> Iterator[str]:
    """Yield a text, and again each time that some of its escapes are decoded, until there are none."""
    yield text
    before = None
    while text != before:
        before = text
        for decode in (unescape, unquote, lambda escaped: _ESCAPE.sub(_meaning, escaped)):
            text, previous = decode(text), text
            if text != previous:
                yield text


def _meaning(escape: re.Match[str]) -> str:
    *hexadecimal, octal, itself = escape.groups()
    if itself is not None:
        return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(itself, itself)
    return chr(int(octal, 8) if octal else int("".join(filter(None, hexadecimal)), 16))


def _base64(text: str) -> bytes:
    return b64decode(text[: len(text) - (len(text) % 4 == 1)].translate(str.maketrans("-_", "+/")) + "==")


_ENCODINGS = (
    (re.compile(r"[A-Za-z0-9+/_-]{8,}"), 4, _base64),
    (re.compile(r"[0-9a-fA-F]{12,}"), 2, lambda text: bytes.fromhex(text[: len(text) // 2 * 2])),
)
"""What encoded bytes look like, in how many places a group of characters may begin, and how they are read."""
