"""The flags, each with the environment variable that it overrides."""

from typing import NamedTuple

from hook.cli.commands import ASKING, PROVING
from hook.logs import LEVELS

SWITCH = ("false", "true")
"""The choices of a flag without a value."""


OUTPUTS = ("text", "json", "markdown", "github")
"""The forms of the report."""


class Setting(NamedTuple):
    """One flag with the environment variable that it overrides."""

    flag: str
    variable: str | None
    """None for a flag that only some commands take."""
    default: str | None
    help: str
    choices: tuple[str, ...] = ()
    metavar: str = ""
    """What stands for its value in the help, where it is no choice."""
    commands: tuple[str, ...] = ()
    """The commands that it matters to; none for all."""
    is_repeated: bool = False
    """Whether it may be given several times."""

    @property
    def key(self) -> str:
        """Return the name of its value among the arguments."""
        return self.flag[2:].replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Tell whether it takes no value."""
        return self.choices == SWITCH


SETTINGS = (
    Setting(
        "--url",
        "LLAMA_STACK_URL",
        "http://llama-stack-service:8321",
        "where LlamaStack answers",
        metavar="URL",
        commands=ASKING,
    ),
    Setting(
        "--config",
        "HOOK_CONFIG",
        "/config/collections.yaml",
        "the file or folder that declares the collections, or - for standard input; may be repeated",
        metavar="PATH",
        is_repeated=True,
    ),
    Setting(
        "--config-key",
        "HOOK_CONFIG_KEY",
        None,
        "the key of a ConfigMap or Secret to read, where several declare",
        metavar="KEY",
    ),
    Setting(
        "--allow-empty", "HOOK_ALLOW_EMPTY", "false", "accept a configuration without collections (exit code 0)", SWITCH
    ),
    Setting(
        "--timeout",
        "HOOK_TIMEOUT_SECONDS",
        "300",
        "seconds for the whole run, with all waits and requests",
        metavar="SECONDS",
        commands=ASKING,
    ),
    Setting(
        "--request-timeout",
        "HOOK_REQUEST_TIMEOUT_SECONDS",
        "30",
        "seconds for one request",
        metavar="SECONDS",
        commands=ASKING,
    ),
    Setting(
        "--api-key-file",
        "LLAMA_STACK_API_KEY_FILE",
        None,
        "the file with the bearer token",
        metavar="FILE",
        commands=ASKING,
    ),
    Setting(
        "--oauth-token-url",
        "HOOK_OAUTH_TOKEN_URL",
        None,
        "where an authorization server gives tokens for a client",
        metavar="URL",
        commands=ASKING,
    ),
    Setting(
        "--oauth-client-id",
        "HOOK_OAUTH_CLIENT_ID",
        None,
        "the client of the authorization server",
        metavar="ID",
        commands=ASKING,
    ),
    Setting(
        "--oauth-client-secret-file",
        "HOOK_OAUTH_CLIENT_SECRET_FILE",
        None,
        "the file with the client's secret",
        metavar="FILE",
        commands=ASKING,
    ),
    Setting(
        "--headers-file",
        "HOOK_HEADERS_FILE",
        None,
        "the file with further headers, one `Name: value` a line",
        metavar="FILE",
        commands=ASKING,
    ),
    Setting(
        "--consumer-api-key-file",
        "HOOK_CONSUMER_API_KEY_FILE",
        None,
        "the file with the consumer token",
        metavar="FILE",
        commands=PROVING,
    ),
    Setting(
        "--consumer-oauth-client-id",
        "HOOK_CONSUMER_OAUTH_CLIENT_ID",
        None,
        "the client of the authorization server that gives the consumer token",
        metavar="ID",
        commands=PROVING,
    ),
    Setting(
        "--consumer-oauth-client-secret-file",
        "HOOK_CONSUMER_OAUTH_CLIENT_SECRET_FILE",
        None,
        "the file with that client's secret",
        metavar="FILE",
        commands=PROVING,
    ),
    Setting(
        "--consumer-headers-file",
        "HOOK_CONSUMER_HEADERS_FILE",
        None,
        "the file with further headers, sent with the consumer token or in place of it",
        metavar="FILE",
        commands=PROVING,
    ),
    Setting(
        "--connections",
        "HOOK_CONNECTIONS",
        "20",
        "connections for each check; more of them reach more workers",
        metavar="NUMBER",
        commands=ASKING,
    ),
    Setting(
        "--prove",
        "HOOK_PROVE",
        "write",
        "how to verify: write = an empty insert and a query, read = a query alone",
        ("write", "read"),
        commands=PROVING,
    ),
    Setting(
        "--on-duplicate",
        "HOOK_ON_DUPLICATE",
        "fail",
        "several stores share a name: fail, use the oldest, or the only one with data",
        ("fail", "oldest", "filled"),
        commands=PROVING,
    ),
    Setting(
        "--on-lost",
        "HOOK_ON_LOST",
        "fail",
        "a listed store takes no inserts: fail, or create an empty one beside it",
        ("fail", "recreate"),
        commands=PROVING,
    ),
    Setting(
        "--on-unproven",
        "HOOK_ON_UNPROVEN",
        "warn",
        "a collection stays unverified: warn, or fail with exit code 3",
        ("warn", "fail"),
        commands=("plan", "check", "resolve"),
    ),
    Setting(
        "--publish-configmap",
        "HOOK_PUBLISH_CONFIGMAP",
        None,
        "the ConfigMap to write the addresses into",
        metavar="NAME",
        commands=("register",),
    ),
    Setting(
        "--wait-for-deployment",
        "HOOK_WAIT_FOR_DEPLOYMENT",
        None,
        "the Deployment whose rollout to wait for",
        metavar="NAME",
        commands=ASKING,
    ),
    Setting(
        "--output",
        "HOOK_OUTPUT",
        None,
        "the report; text on a terminal, github in GitHub Actions, else json",
        OUTPUTS,
    ),
    Setting("--log-level", "HOOK_LOG_LEVEL", None, "the lowest level to log; warning on a terminal, else info", LEVELS),
    Setting("--log-format", "HOOK_LOG_FORMAT", None, "console on a terminal, else json", ("console", "json")),
)

FLAGS = (
    Setting("--detailed-exitcode", None, None, "exit 7 if something would be created", SWITCH, commands=("plan",)),
    Setting("--yes", None, None, "delete the listed stores that are empty", SWITCH, commands=("prune",)),
    Setting("--with-data", None, None, "with --yes: delete also what holds data", SWITCH, commands=("prune",)),
    Setting("--strict", None, None, "an unset variable is an error", SWITCH, commands=("validate",)),
    Setting(
        "--to",
        None,
        None,
        "write the addresses to FILE: JSON if it ends in .json, else NAME=value lines; without NAME, of all "
        "collections",
        metavar="FILE",
        commands=("resolve",),
    ),
)
"""The flags that only some commands take."""
