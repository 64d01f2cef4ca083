"""The pages that people read, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[1]
_PATTERNS = ("*.md", "docs/**/*.md", "manifests/helm/*/README.md")
PAGES = MappingProxyType(
    {str(path.relative_to(ROOT)): path.read_text() for pattern in _PATTERNS for path in sorted(ROOT.glob(pattern))}
)
"""Each page's text, by its path in the repository."""

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHELL = ("sh", "bash", "console")
_END = re.compile(r"[();|&]+|[<>]+")


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return _BLOCK.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code of a page that are in this language."""
    return [block for each, block in _BLOCK.findall(text) if each == language]


def spans(text: str) -> list[str]:
    """Return what stands in backticks, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text))]


def lines(text: str) -> Iterator[str]:
    """Yield each line that people could type: those of the blocks for a shell, and what stands in backticks."""
    for language, block in _BLOCK.findall(text):
        if language not in _SHELL:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            # What a console prints is no command.
            if language != "console" or line.startswith("$ "):
                yield line.strip().removeprefix("$ ")
    yield from spans(text)


def commands(text: str, *programs: str) -> Iterator[list[str]]:
    """Yield each command line of these programs as its words, without redirections; a bare name is none."""
    for line in lines(text):
        for words in _simple_commands(line):
            # VARIABLE=value before a command is a part of it, and so is what starts it.
            while words and re.match(r"[A-Z_]+=|exec$|export$", words[0]):
                words = words[1:]
            if len(words) > 1 and words[0] in programs:
                yield words


def misquoted(quotation: str, text: str) -> str:
    """Return the first part of a quotation that is not in a text, after the parts before it; "" where all are.

    A line with `…` alone stands for what is left out. What chance decides (ids, ports, seconds) is the same in all.
    """
    rest = f"\n{_without_chance(text)}"
    for part in re.split(r"^…\n", _without_chance(quotation), flags=re.MULTILINE):
        _, found, rest = rest.partition(f"\n{part}")
        if not found:
            return part
        rest = f"\n{rest}"
    return ""


def _without_chance(text: str) -> str:
    return re.sub(
        r"[\d.]+ s\b", "0.0 s", re.sub(r"(?<=127\.0\.0\.1:)\d+", "0", re.sub(r"vs_[0-9a-f-]{36}", "vs_0", text))
    )


def _simple_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line: of a list, a pipe, or a substitution."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    for each in (*inner, re.sub(r"\$\([^()]*\)", "_", line)):
        lexer = shlex.shlex(each, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            tokens = list(lexer)
        except ValueError:
            continue  # a quotation mark alone: no command
        words: list[str] = []
        skipped = False
        for token in tokens:
            if _END.fullmatch(token):
                if token[0] in "<>":
                    skipped = True
                    words = words[:-1] if words and words[-1].isdigit() else words
                else:
                    yield words
                    words = []
            elif skipped:
                skipped = False
            else:
                words = [*words, token]
        yield words
