"""The flags, each with the environment variable that it overrides."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from hook import __version__
from hook.errors import ConfigError
from hook.logs import LEVELS

COMMANDS = ("register", "check", "validate", "resolve")
SWITCH = ("false", "true")
"""The choices of a flag without a value."""


class Setting(NamedTuple):
    """One flag with the environment variable that it overrides."""

    flag: str
    variable: str
    default: str | None
    help: str
    choices: tuple[str, ...] = ()


SETTINGS = (
    Setting("--url", "LLAMA_STACK_URL", "http://llama-stack-service:8321", "where LlamaStack answers"),
    Setting("--config", "HOOK_CONFIG", "/config/collections.yaml", "the file that declares the collections"),
    Setting("--allow-empty", "HOOK_ALLOW_EMPTY", "false", "exit 0 if no collection is declared", SWITCH),
    Setting("--timeout", "HOOK_TIMEOUT_SECONDS", "300", "seconds for the whole run, with all waits and requests"),
    Setting("--request-timeout", "HOOK_REQUEST_TIMEOUT_SECONDS", "30", "seconds for one request"),
    Setting("--api-key-file", "LLAMA_STACK_API_KEY_FILE", None, "the file with the bearer token"),
    Setting("--consumer-api-key-file", "HOOK_CONSUMER_API_KEY_FILE", None, "the file with the pipelines' token"),
    Setting("--connections", "HOOK_CONNECTIONS", "20", "fresh connections for each question, to reach all workers"),
    Setting("--prove", "HOOK_PROVE", "write", "prove with an empty insert and a query, or a query", ("write", "read")),
    Setting("--on-duplicate", "HOOK_ON_DUPLICATE", "fail", "if vector stores share a name", ("fail", "oldest")),
    Setting("--on-lost", "HOOK_ON_LOST", "fail", "if a vector store is listed but dead", ("fail", "recreate")),
    Setting("--on-unproven", "HOOK_ON_UNPROVEN", "warn", "if only a write could prove one", ("warn", "fail")),
    Setting("--publish-configmap", "HOOK_PUBLISH_CONFIGMAP", None, "the ConfigMap to write the addresses into"),
    Setting("--wait-for-deployment", "HOOK_WAIT_FOR_DEPLOYMENT", None, "the Deployment whose rollout to wait for"),
    Setting("--output", "HOOK_OUTPUT", None, "the report; text on a terminal, else json", ("text", "json")),
    Setting("--log-level", "HOOK_LOG_LEVEL", "info", "the least severe event to log", LEVELS),
    Setting("--log-format", "HOOK_LOG_FORMAT", None, "console on a terminal, else json", ("console", "json")),
)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises ConfigError, so that usage errors are in the report as well."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments:"):
            # Only the first, if it looks like a flag, and never its value: some people try --api-key=SECRET.
            found = re.search(r"(?<= )--[a-z][a-z-]*(?=[ =]|$)", message)
            message = f"unrecognized arguments: {found[0]}" if found else "unrecognized arguments"
        # argparse quotes arguments, which may be secrets.
        message = re.split(r"[:]? ['\"]", message)[0]
        raise ConfigError([f"{message}; see register-collections --help"])


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Return the command and the flags that were given. Raises ConfigError for a usage error."""
    parser = _Parser(
        prog="register-collections",
        description="Register the configured collections as vector stores of a LlamaStack server, and verify them.",
        allow_abbrev=False,
    )
    commands = (
        "register what is missing and verify (the default); check: verify, change nothing; validate: only read the "
        "configuration; resolve: print the addresses of the named collections"
    )
    to = "for resolve: the FILE for the addresses (*.json, or lines for a shell), of all collections if none is named"
    parser.add_argument("--version", action="version", version=f"register-collections {__version__}")
    parser.add_argument("command", nargs="?", default=COMMANDS[0], metavar="|".join(COMMANDS), help=commands)
    parser.add_argument("--strict", action="store_true", help="for validate: an unset variable is an error")
    parser.add_argument("--to", metavar="FILE", help=to)
    parser.add_argument("names", nargs="*", metavar="NAME", help="for resolve: the collections, in the order to print")
    for setting in SETTINGS:
        help_text = f"{setting.help} ({setting.variable})" + (f" [{setting.default}]" if setting.default else "")
        metavar = "|".join(setting.choices) or setting.flag[2:].upper().replace("-", "_")
        is_switch = setting.choices == SWITCH
        options = {"action": "store_const", "const": SWITCH[1]} if is_switch else {"metavar": metavar}
        parser.add_argument(setting.flag, help=help_text, **options)  # type: ignore[arg-type]
    arguments = vars(parser.parse_intermixed_args(argv))
    command, is_resolve = arguments["command"], arguments["command"] == "resolve"
    if command not in COMMANDS:
        parser.error(f"unknown command; commands: {', '.join(COMMANDS)}")
    if not is_resolve and arguments["to"] is not None:
        parser.error("only resolve takes --to")
    if is_resolve != bool(arguments["names"] or arguments["to"] is not None):
        parser.error("resolve takes the names of collections, and only resolve does")
    if command != "validate" and arguments["strict"]:
        parser.error("only validate takes --strict")
    return arguments
