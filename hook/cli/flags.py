"""The flags, each with the environment variable that it overrides, and how a command line is read."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hook import __version__
from hook.errors import ConfigError
from hook.logs import LEVELS

COMMANDS = ("register", "check", "validate", "resolve")


@dataclass(frozen=True, slots=True)
class Setting:
    """One flag with the environment variable that it overrides."""

    flag: str
    variable: str
    default: str | None
    help: str
    choices: tuple[str, ...] = ()

    @property
    def is_switch(self) -> bool:
        """Tell whether the flag takes no value; its variable is `true` or `false`."""
        return self.choices == SWITCH


SWITCH = ("false", "true")

SETTINGS = (
    Setting("--url", "LLAMA_STACK_URL", "http://llama-stack-service:8321", "where LlamaStack answers"),
    Setting("--config", "HOOK_CONFIG", "/config/collections.yaml", "the file that declares the collections"),
    Setting("--allow-empty", "HOOK_ALLOW_EMPTY", "false", "nothing declared is no error (false or true)", SWITCH),
    Setting("--timeout", "HOOK_TIMEOUT_SECONDS", "300", "seconds for the whole run, every wait and request included"),
    Setting("--request-timeout", "HOOK_REQUEST_TIMEOUT_SECONDS", "30", "seconds for one request"),
    Setting("--api-key-file", "LLAMA_STACK_API_KEY_FILE", None, "a file that holds the bearer token"),
    Setting("--consumer-api-key-file", "HOOK_CONSUMER_API_KEY_FILE", None, "a file that holds the pipelines' token"),
    Setting("--connections", "HOOK_CONNECTIONS", "20", "fresh connections for each question, to meet every process"),
    Setting("--prove", "HOOK_PROVE", "write", "prove by an empty insert and a query, or the query", ("write", "read")),
    Setting("--on-duplicate", "HOOK_ON_DUPLICATE", "fail", "several vector stores of one name", ("fail", "oldest")),
    Setting("--on-lost", "HOOK_ON_LOST", "fail", "a vector store that is listed but dead", ("fail", "recreate")),
    Setting("--on-unproven", "HOOK_ON_UNPROVEN", "warn", "what only a write could prove", ("warn", "fail")),
    Setting("--publish-configmap", "HOOK_PUBLISH_CONFIGMAP", None, "a ConfigMap that gets the addresses to use"),
    Setting("--wait-for-deployment", "HOOK_WAIT_FOR_DEPLOYMENT", None, "a Deployment whose rollout has to end first"),
    Setting("--output", "HOOK_OUTPUT", None, "the report; text on a terminal, else json", ("text", "json")),
    Setting("--log-level", "HOOK_LOG_LEVEL", "info", "the least severe event to log", LEVELS),
    Setting("--log-format", "HOOK_LOG_FORMAT", None, "console on a terminal, else json", ("console", "json")),
)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is a ConfigError, so that it reaches the report like any other."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments:"):
            # Only the first, if it can be a flag, and not what follows it: people try --api-key.
            found = re.search(r"(?<= )--[a-z][a-z-]*(?=[ =]|$)", message)
            message = f"unrecognized arguments: {found[0]}" if found else "unrecognized arguments"
        # What the library quotes is what was typed, which may be a key as well.
        message = re.split(r"[:]? ['\"]", message)[0]
        raise ConfigError([f"{message}; see register-collections --help"])


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Return the command and the flags that were given. Raises ConfigError for a usage error."""
    parser = _Parser(
        prog="register-collections",
        description="Register the configured collections as vector stores of a LlamaStack server, and verify them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"register-collections {__version__}")
    parser.add_argument(
        "command",
        nargs="?",
        default=COMMANDS[0],
        metavar="|".join(COMMANDS),
        help="register what is missing and verify (the default); check: verify, change nothing; validate: load only; "
        "resolve: print the addresses of the named collections",
    )
    parser.add_argument("--strict", action="store_true", help="for validate: a variable that is unset is an error")
    parser.add_argument(
        "--to",
        metavar="FILE",
        help="for resolve: write the addresses, of all collections where none is named, into FILE, as lines for a "
        "shell, or as JSON where its name ends with .json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="for resolve: the collections, in the order to print")
    for setting in SETTINGS:
        if setting.is_switch:
            help_text = f"{setting.help} ({setting.variable})"
            parser.add_argument(setting.flag, action="store_const", const=SWITCH[1], help=help_text)
            continue
        default = f" [{setting.default}]" if setting.default else ""
        parser.add_argument(
            setting.flag,
            metavar="|".join(setting.choices) or setting.flag[2:].upper().replace("-", "_"),
            help=f"{setting.help} ({setting.variable}){default}",
        )
    arguments = vars(parser.parse_intermixed_args(argv))
    if arguments["command"] not in COMMANDS:
        parser.error(f"there is no such command; the commands are {', '.join(COMMANDS)}")
    if arguments["command"] != "resolve" and arguments["to"] is not None:
        parser.error("only resolve takes --to")
    if (arguments["command"] == "resolve") != bool(arguments["names"] or arguments["to"] is not None):
        parser.error("resolve takes the names of collections, and only resolve does")
    if arguments["command"] != "validate" and arguments["strict"]:
        parser.error("only validate takes --strict")
    return arguments
