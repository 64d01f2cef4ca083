"""Writes the manual page and the shell completions of `share/`, which the wheel installs, from the program's help."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from hook.cli.usage import help_parser

SHARE = Path(__file__).parents[1] / "share"
COMPLETIONS = {
    "bash": "bash-completion/completions/register-collections",
    "fish": "fish/vendor_completions.d/register-collections.fish",
    "zsh": "zsh/site-functions/_register-collections",
}
MANUAL = "man/man1/register-collections.1"


def main() -> None:
    """Write the files."""
    for name, text in rendered().items():
        (SHARE / name).parent.mkdir(parents=True, exist_ok=True)
        (SHARE / name).write_text(text)


def rendered() -> dict[str, str]:
    """Return the text of each file by its path in `share/`."""
    parser = help_parser()
    parsers = {"": parser, **_commands(parser)}
    for action in (action for each in parsers.values() for action in each._actions):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    texts = {path: shtab.complete(parser, shell=shell) for shell, path in COMPLETIONS.items()}
    # No white space at the ends of lines, which Git warns of.
    texts = {path: "".join(f"{line.rstrip()}\n" for line in text.splitlines()) for path, text in texts.items()}
    return texts | {MANUAL: "".join(f"{line}\n" for line in _manual(parsers))}


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: each
        for action in parser._actions
        if isinstance(action.choices, dict)
        for name, each in action.choices.items()
    }


def _manual(parsers: dict[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Yield the lines of the page, in roff."""
    top = parsers.pop("")
    yield from (f".TH {top.prog.upper()} 1", ".SH NAME", _roff(f"{top.prog} - {top.description}"))
    yield from (".SH SYNOPSIS", _roff(str(top.usage)), ".SH FLAGS", *_flags(top, set()), ".SH COMMANDS")
    shared = {action.dest for action in top._actions}
    for name, parser in parsers.items():
        yield from (f".SS {name}", _roff(str(parser.description)), *_flags(parser, shared))
        yield from (".PP", ".nf", *map(_roff, str(parser.epilog).splitlines()), ".fi")


def _flags(parser: argparse.ArgumentParser, shared: set[str]) -> Iterator[str]:
    for action in parser._actions:
        if action.help and action.dest not in shared and not isinstance(action.choices, dict):
            names = " ".join([", ".join(action.option_strings), str(action.metavar or "")]).strip()
            yield from (".TP", f".B {_roff(names)}", _roff(action.help.replace("%%", "%")))


def _roff(text: str) -> str:
    """Return a line as roff shows it: a dash stays one, and no line is a request."""
    text = text.replace("\\", "\\\\").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    main()
