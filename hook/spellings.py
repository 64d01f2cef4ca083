"""Where a secret stands in a text, however it is spelled there.

A server can echo a token escaped for JSON, HTML or a URL, in base64, in other letters, or without its end. Rather than
to list the spellings of a secret, the text is decoded step by step, and the secret is looked for after each step.
"""

import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import chain

SHORT = 6
"""What has fewer characters is found only as a word of its own: it would be a part of every other word."""
PIECE = 12
"""So many characters in a row give a secret away; of a short one, all but three of its own."""
_MOST_VIEWS = 64
"""How many texts are searched, each decoded from one before it, so that nothing takes long."""
_INNER_TEXT = re.compile(r"[ -~]{8}")
"""What has to be in decoded bytes before they are taken for a text, in which a secret can be encoded again."""
_ESCAPE = re.compile(
    r"[\\%]u([0-9a-fA-F]{4})|\\u\{([0-9a-fA-F]{1,6})\}|\\U([0-9a-fA-F]{8})|(?:\\x|%)([0-9a-fA-F]{2})"  # JSON, URLs
    r"|&#[xX]0*([0-9a-fA-F]{1,6});?|&#0*([0-9]{1,7});?|&[a-zA-Z]{2,31};?"  # HTML
    r"|\\([0-3][0-7]{2})|\\([^uUx\n])|\\"  # shells; and a backslash before what stands for itself
)
_NO_SPACE = re.compile(r"\S+")
_FOLDED = re.compile(r"[^\s+]+")
"""What is compared: no white space, which may be put anywhere, and no plus, which stands for it in URLs."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, prepared to be looked for."""

    word: re.Pattern[str] | None
    """How a short one is found."""
    pieces: frozenset[str] = frozenset()
    """How another one is found: each part of it that gives it away, folded."""
    length: int = 0
    """Of each of those."""


@dataclass(frozen=True, slots=True)
class _View:
    """A text as it reads once decoded, and where in the original each of its characters begins and ends."""

    text: str
    begins: Sequence[int]
    ends: Sequence[int]

    def only(self, runs: re.Pattern[str]) -> "_View":
        """Return what is left of the text of these runs of characters."""
        kept = [*chain.from_iterable(range(*match.span()) for match in runs.finditer(self.text))]
        text = "".join(runs.findall(self.text))
        return _View(text, [self.begins[i] for i in kept], [self.ends[i] for i in kept])


def prepared(text: str) -> Iterator[Secret]:
    """Yield a secret in each form that decoding can leave it in: with all of its characters, as bytes, as UTF-16."""
    units = text.encode("utf-16-le", "surrogatepass")
    forms = {
        text,
        text.encode("utf-8", "surrogatepass").decode("latin-1"),
        "".join(chr(int.from_bytes(units[i : i + 2], "little")) for i in range(0, len(units), 2)),
    }
    # A secret that looks like something escaped is decoded with the text around it.
    forms |= {_decoded(form) for form in forms}
    for form in forms:
        folded = _lower("".join(_FOLDED.findall(form)))
        if len(folded) < SHORT:
            yield Secret(re.compile(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])"))
        else:
            length = max(SHORT, min(PIECE, len(folded) - 3))
            pieces = frozenset(folded[i : i + length] for i in range(len(folded) - length + 1))
            yield Secret(None, pieces, length)


def find(text: str, secrets: Sequence[Secret]) -> list[tuple[int, int]]:
    """Return where secrets, or pieces of them, stand in a text: begin and end of each place, in order, none twice.

    In a text of too many layers that is all of it: it is made to hide something.
    """
    places: list[tuple[int, int]] = []
    views = deque([_View(text, range(len(text)), range(1, len(text) + 1))])
    for _ in range(_MOST_VIEWS):
        if not views:
            return _merged(places)
        view = views.popleft()
        places += _places(view, secrets)
        plain = _unescaped(view)
        if plain.text != view.text:
            views.append(plain)
        for inner in _encoded(view.only(_NO_SPACE)):
            if _INNER_TEXT.search(inner.text):
                views.append(inner)
            else:
                # What is no text has each short word somewhere.
                places += _places(inner, [each for each in secrets if each.word is None])
    return [(0, len(text))]


def _places(view: _View, secrets: Sequence[Secret]) -> Iterator[tuple[int, int]]:
    kept = view.only(_FOLDED)
    folded = _lower(kept.text)
    for secret in secrets:
        if secret.word is not None:
            for match in secret.word.finditer(view.text):
                yield view.begins[match.start()], view.ends[match.end() - 1]
            continue
        for i in range(len(folded) - secret.length + 1):
            if folded[i : i + secret.length] in secret.pieces:
                yield kept.begins[i], kept.ends[i + secret.length - 1]


def _lower(text: str) -> str:
    """Return as many characters, without their case."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(char.lower()[0] for char in text)


def _unescaped(view: _View) -> _View:
    """Return the text with each escape replaced by what it stands for, once."""
    texts, begins, ends, end = list[str](), list[Sequence[int]](), list[Sequence[int]](), 0
    for match in _ESCAPE.finditer(view.text):
        start, stands_for = match.start(), _meaning(match)
        texts += [view.text[end:start], stands_for]
        begins += [view.begins[end:start], [view.begins[start]] * len(stands_for)]
        ends += [view.ends[end:start], [view.ends[match.end() - 1]] * len(stands_for)]
        end = match.end()
    if not texts:
        return view
    parts = [*texts, view.text[end:]], [*begins, view.begins[end:]], [*ends, view.ends[end:]]
    return _View("".join(parts[0]), [*chain(*parts[1])], [*chain(*parts[2])])


def _meaning(match: re.Match[str]) -> str:
    *hexadecimal, decimal, octal, itself = match.groups()
    code = next((int(digits, 16) for digits in hexadecimal if digits), None)
    if code is None and decimal:
        code = int(decimal)
    if code is None and octal:
        code = int(octal, 8)
    if code is not None:
        return chr(code) if code <= 0x10FFFF else ""
    if match[0].startswith("&"):
        return unescape(match[0])
    # A lone one, as at the end of a text that was cut.
    return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(itself, itself) if itself else ""


def _decoded(text: str) -> str:
    """Return a text without any escapes."""
    while (plain := _ESCAPE.sub(_meaning, text)) != text:
        text = plain
    return text


def _base64(text: str) -> bytes:
    whole = text.translate(str.maketrans("-_", "+/"))
    whole = whole[:-1] if len(whole) % 4 == 1 else whole
    return b64decode(whole + "=" * (-len(whole) % 4))


def _hexadecimal(text: str) -> bytes:
    return bytes.fromhex(text[: len(text) // 2 * 2])


_ENCODINGS: tuple[tuple[re.Pattern[str], int, int, Callable[[str], bytes]], ...] = (
    (re.compile(r"[A-Za-z0-9+/_-]{8,}"), 4, 3, _base64),
    (re.compile(r"[0-9a-fA-F]{12,}"), 2, 1, _hexadecimal),
)
"""What encoded bytes look like, of how many characters a group is, for how many bytes, and how they are read."""


def _encoded(view: _View) -> Iterator[_View]:
    """Yield what each run of letters and digits stands for; it may begin anywhere in it, as behind another word."""
    for pattern, characters, group, decode in _ENCODINGS:
        for match in pattern.finditer(view.text):
            for start in range(match.start(), match.start() + characters):
                content = decode(view.text[start : match.end()])
                first = [start + k * characters // group for k in range(len(content))]
                last = [start + ((k + 1) * characters - 1) // group for k in range(len(content))]
                begins, ends = [view.begins[i] for i in first], [view.ends[i] for i in last]
                yield _View(content.decode("latin-1"), begins, ends)


def _merged(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(places):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged
