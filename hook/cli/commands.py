"""What the program can be asked to do, with what the help says of each command."""

from typing import NamedTuple

from hook.errors import ExitCode

PROGRAM = "register-collections"
DEFAULT = "register"
"""The command of a call that names none."""

EXIT_CODES = {
    ExitCode.OK: "all collections are usable; check, plan and resolve may leave some unverified",
    ExitCode.UNEXPECTED: "a bug in this program; the log has the traceback",
    ExitCode.CONFIG: "the configuration or the usage is wrong; nothing was written",
    ExitCode.UNAVAILABLE: "the server, a backend or the embedding model does not answer; run again",
    ExitCode.REFUSED: "the server refuses, or has no such model or provider",
    ExitCode.MISMATCH: "a collection is missing, drifted, duplicated, lost, divided or hidden",
    ExitCode.UNPUBLISHED: "all are usable, but their addresses cannot be published or written",
    ExitCode.CHANGES: "with --detailed-exitcode: register would create something",
}
"""What each exit code means, in one line; signals end a run with 128 and their number."""
_OF_ALL = (ExitCode.OK, ExitCode.UNEXPECTED, ExitCode.CONFIG)
_OF_SERVERS = (*_OF_ALL, ExitCode.UNAVAILABLE, ExitCode.REFUSED)


class Command(NamedTuple):
    """One command."""

    name: str
    summary: str
    """What it does, for the list of commands."""
    example: str
    exit_codes: tuple[ExitCode, ...]
    note: str = ""
    """What else there is to know before it is used."""
    argument: str = ""
    """What it takes besides flags, any number of them."""
    argument_help: str = ""
    ok: str = EXIT_CODES[ExitCode.OK]
    """What exit code 0 means for it."""


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "register",
            "register what is missing, and verify all (the default)",
            "register --url http://localhost:8321 --config collections.yaml",
            (*_OF_SERVERS, ExitCode.MISMATCH, ExitCode.UNPUBLISHED),
        ),
        Command(
            "plan",
            "say what register would do and why, and change nothing",
            "plan --detailed-exitcode --config collections.yaml",
            (*_OF_SERVERS, ExitCode.MISMATCH, ExitCode.CHANGES),
            ok="nothing is wrong; some collections may be unverified",
        ),
        Command(
            "check",
            "verify all, and change nothing",
            "check --on-unproven fail",
            (*_OF_SERVERS, ExitCode.MISMATCH),
            ok="all collections are usable; some may be unverified",
        ),
        Command(
            "validate",
            "read the configuration, and ask no server",
            "validate collections.yaml",
            _OF_ALL,
            argument="FILE",
            argument_help="the files to check, each by itself, in place of --config",
            ok="the configuration is valid",
        ),
        Command(
            "resolve",
            "verify all, and print the addresses of the named collections",
            "resolve red_hat_docs --to addresses.json",
            (*_OF_SERVERS, ExitCode.MISMATCH, ExitCode.UNPUBLISHED),
            argument="NAME",
            argument_help="the collections, in the order to print",
            ok="all of them are usable; some may be unverified",
        ),
        Command(
            "prune",
            "list what this program made and no collection declares any more; with --yes, delete it",
            "prune --config collections.yaml",
            _OF_SERVERS,
            "Use it only if one configuration declares all collections of the server. Give it all files and the same\n"
            "variables as the hook. The metadata of a vector store does not name the configuration, so those of\n"
            "another team's hook look like yours. Never deleted: what a collection uses, and what is younger than an\n"
            "hour.",
            ok="nothing went wrong, whether or not something was listed or deleted",
        ),
    )
}
PROVING = ("register", "plan", "check", "resolve")
"""The commands that prove collections."""
ASKING = (*PROVING, "prune")
"""The commands that ask a server."""
