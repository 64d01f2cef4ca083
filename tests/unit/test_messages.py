"""What `make messages` prints, and how the program must not speak."""

import re
from pathlib import Path

import pytest

from tests.messages import HOUSE, main, messages

BANNED = (
    "whoever",
    "is no ",
    "of it:",
    "but for",
    "which is allowed",
    "look at the LlamaStack pod",
    "is there already",
    "carries on",
    "anew",
    "what is no",
    "told",
)
"""Idioms that have to be read twice. Say it subject first, in the present, in a sentence of its own."""
PLAIN = sorted(
    path.relative_to(HOUSE)
    for path in (*(HOUSE / "output").glob("*.py"), *map(HOUSE.joinpath, ("streams.py", "logs.py", "files.py")))
)


def test_it_prints_each_message_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """A field of an f-string stands in braces."""
    main()

    printed = capsys.readouterr().out.splitlines()
    texts = [line.split(": ", 1)[1] for line in printed]
    assert all(re.match(r"hook/[\w/]+\.py:\d+: ", line) for line in printed)
    assert "--to: {path}: exists and is not a regular file; choose another path" in texts
    assert "interrupted by {Signals(signal_number).name}; run again to continue" in texts
    assert "seconds for one request" in texts
    assert "use the ids above in /v1/vector-io/insert, not the names" in texts


def test_it_leaves_out_docstrings_patterns_and_parts(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""A docstring."""\nre.compile("a b")\nx = f"{a:.1f} s", "word", ["two words"]\n')

    assert [*messages(path)] == [(3, "{a} s"), (3, "two words")]


@pytest.mark.parametrize("path", PLAIN, ids=str)
def test_a_module_says_it_plainly(path: Path) -> None:
    """In its messages, docstrings and comments."""
    text = " ".join((HOUSE / path).read_text().split()).lower()

    assert [phrase for phrase in BANNED if phrase.lower() in text] == []
