"""Reads the command line, and says what is wrong with it in the words of its help."""

import argparse
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from hook import __version__
from hook.cli.commands import COMMANDS, DEFAULT, EXIT_CODES, PROGRAM, Command
from hook.cli.flags import FLAGS, SETTINGS, SWITCH
from hook.errors import ExitCode, UsageError

_NO_VALUE = "\0"
"""Stands for a value that was left out; no argument can hold it."""
_ALL = (*SETTINGS, *FLAGS)
_SWITCHES = {setting.flag for setting in _ALL if setting.is_switch}


class _Reader(argparse.ArgumentParser):
    """Takes whatever is typed; what is wrong with it is found afterwards, when the command is known."""

    def error(self, message: str) -> NoReturn:
        # argparse quotes arguments, which may be secrets.
        raise UsageError(PROGRAM, [re.split(r"[:]? ['\"]", message)[0]])


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Return the command, its `words`, the flags that were given, and all `problems` of usage.

    The problems are raised by `settings.parse`, so that their report has the form that the same command line asks for.
    Raises SystemExit after --help and --version.
    """
    reader = _Reader(add_help=False, allow_abbrev=False)
    reader.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    reader.add_argument("-h", "--help", action="store_true")
    reader.add_argument("words", nargs="*")
    for each in _ALL:
        if each.is_switch:
            reader.add_argument(each.flag, action="store_const", const=SWITCH[1])
        else:
            action = "append" if each.is_repeated else "store"
            reader.add_argument(each.flag, nargs="?", const=_NO_VALUE, action=action)
    valued = [word for word in argv if "=" in word and word.partition("=")[0] in _SWITCHES]
    found, unknown = reader.parse_known_intermixed_args([word for word in argv if word not in valued])
    arguments = vars(found)
    words = arguments["words"]
    named = words[:1] if words and words[0] in COMMANDS else []
    if arguments.pop("help"):
        help_parser().parse_args([*named, "--help"])
    arguments["command"] = named[0] if named else DEFAULT
    problems = [f"{word.partition('=')[0]} takes no value" for word in valued]
    problems += _problems_of_flags(arguments)
    if unknown:
        problems.append(_unknown_flag(unknown))
    elif words and not named:
        problems.append(_unknown_command(words[0]))
    else:
        arguments["words"] = words[1:]
        problems += _problems_of_words(arguments)
    arguments["typed"] = named[0] if named else PROGRAM
    arguments["problems"] = [f"{problem}; see {' '.join([PROGRAM, *named])} --help" for problem in problems]
    return arguments


def _problems_of_flags(arguments: dict[str, Any]) -> list[str]:
    """Return what is wrong with the flags that are known, and leave out those without their value."""
    problems = []
    for each in _ALL:
        value = arguments[each.key]
        if value == _NO_VALUE or (each.is_repeated and _NO_VALUE in (value or ())):
            problems.append(f"{each.flag} needs a value: {'|'.join(each.takes)}")
            arguments[each.key] = None
        elif value is not None and each.variable is None and arguments["command"] not in each.commands:
            problems.append(f"only {' and '.join(each.commands)} takes {each.flag}")
    return problems


def _problems_of_words(arguments: Mapping[str, Any]) -> list[str]:
    command, words = COMMANDS[arguments["command"]], arguments["words"]
    if words and command.name == "validate" and arguments["config"] is not None:
        return ["give the files either as `--config FILE` or as `validate FILE …`, not both"]
    if command.name == "resolve" and not words and arguments["to"] is None:
        return ["resolve needs the name of a collection: `resolve NAME …`, or `resolve --to FILE` for all"]
    if words and not command.argument:
        # What looks like no name may be a secret at the wrong place.
        name = words[0] if re.fullmatch(r"[a-z_]{1,40}", words[0]) else "NAME"
        return [f"{command.name} takes no names; to verify one collection, use `resolve {name}`"]
    return []


def _unknown_flag(unknown: Sequence[str]) -> str:
    """Name the first one, if it looks like a flag, and never its value: some people try --api-key=SECRET."""
    found = re.match(r"--[a-z][a-z-]*(?=$|=)", unknown[0])
    if found is None:
        return "unrecognized arguments"
    # Without the dashes, which all have in common.
    known = {setting.flag[2:]: setting.flag for setting in _ALL} | {name: f"the command `{name}`" for name in COMMANDS}
    return f"unrecognized arguments: {found[0]}{_meant(found[0][2:], known)}"


def _unknown_command(word: str) -> str:
    """Name what was typed, if it is a short word."""
    shown = f" '{word}'" if re.fullmatch(r"[a-z]{1,12}", word) else ""
    return f"unknown command{shown}{_meant(word, {name: name for name in COMMANDS})}; commands: {', '.join(COMMANDS)}"


def _meant(word: str, known: Mapping[str, str]) -> str:
    close = get_close_matches(word, known, 1)
    return f", did you mean {known[close[0]]}?" if close else ""


def help_parser() -> argparse.ArgumentParser:
    """Return the parser of the help, of the manual page and of the shell completions."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [COMMAND] [FLAG ...] [NAME ...]",
        description="Register the configured collections as vector stores of a LlamaStack server, and verify them.",
        epilog=_epilog(COMMANDS[DEFAULT]) + f"\n\nhelp of one command:\n  {PROGRAM} COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS.values():
        sub = commands.add_parser(
            command.name,
            usage=f"{PROGRAM} {command.name} [FLAG ...]" + (f" [{command.argument} ...]" if command.argument else ""),
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.\n\n{command.note}".strip(),
            epilog=_epilog(command),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command.argument:
            sub.add_argument("words", nargs="*", metavar=command.argument, help=command.argument_help)
        _add_flags(sub, command.name)
    _add_flags(parser, None)
    return parser


def _add_flags(parser: argparse.ArgumentParser, command: str | None) -> None:
    """Add the flags that matter to a command, or all that have a variable."""
    for each in _ALL:
        if each.variable is None if command is None else each.commands and command not in each.commands:
            continue
        notes = [f"({each.variable})"] * bool(each.variable) + [f"[{each.default}]"] * bool(each.default)
        text = " ".join([each.help, *notes]).replace("%", "%%")
        if each.is_switch:
            parser.add_argument(each.flag, action="store_true", help=text)
        else:
            parser.add_argument(each.flag, metavar="|".join(each.takes), help=text)


def _epilog(command: Command) -> str:
    meanings = EXIT_CODES | {ExitCode.OK: command.ok}
    codes = "".join(f"  {code:<3}{code.name.lower():<12} {meanings[code]}\n" for code in command.exit_codes)
    signals = "/".join(f"{code:d}" for code in ExitCode if code > 128)
    return f"exit codes:\n{codes}  {signals:<15} ended by a signal\n\nexample:\n  {PROGRAM} {command.example}"
