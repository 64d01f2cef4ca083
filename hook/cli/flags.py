"""The flags, each with the environment variable that it overrides."""

from collections.abc import Iterator
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
    takes: tuple[str, ...]
    """Its choices, or what stands for any value in the help."""
    help: str
    default: str | None = None
    variable: str | None = None
    """None for a flag that only some commands take."""
    commands: tuple[str, ...] = ()
    """The commands that it matters to; none for all."""
    is_repeated: bool = False
    """Whether it may be given several times."""

    @property
    def key(self) -> str:
        """Return the name of its value among the arguments."""
        return self.flag[2:].replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """Return what its value has to be one of, if that is limited."""
        return self.takes if len(self.takes) > 1 else ()

    @property
    def is_switch(self) -> bool:
        """Tell whether it takes no value."""
        return self.takes == SWITCH


def _for(commands: tuple[str, ...], *settings: Setting) -> Iterator[Setting]:
    """Yield the settings of these commands, of all for none. The variable of `--a-flag` is HOOK_A_FLAG by default."""
    for each in settings:
        yield each._replace(commands=commands, variable=each.variable or f"HOOK_{each.key.upper()}")


SETTINGS = (
    *_for(
        ASKING,
        Setting(
            "--url", ("URL",), "where LlamaStack answers", "http://llama-stack-service:8321", variable="LLAMA_STACK_URL"
        ),
        Setting(
            "--timeout",
            ("SECONDS",),
            "seconds for the whole run, with all waits and requests",
            "300",
            variable="HOOK_TIMEOUT_SECONDS",
        ),
        Setting(
            "--request-timeout", ("SECONDS",), "seconds for one request", "30", variable="HOOK_REQUEST_TIMEOUT_SECONDS"
        ),
        Setting("--api-key-file", ("FILE",), "the file with the bearer token", variable="LLAMA_STACK_API_KEY_FILE"),
        Setting("--oauth-token-url", ("URL",), "where an authorization server gives tokens for a client"),
        Setting("--oauth-client-id", ("ID",), "the client of the authorization server"),
        Setting("--oauth-client-secret-file", ("FILE",), "the file with the client's secret"),
        Setting("--headers-file", ("FILE",), "the file with further headers, one `Name: value` a line"),
        Setting("--connections", ("NUMBER",), "connections for each check; more of them reach more workers", "20"),
        Setting("--wait-for-deployment", ("NAME",), "the Deployment whose rollout to wait for"),
    ),
    *_for(
        (),
        Setting(
            "--config",
            ("PATH",),
            "the file or folder that declares the collections, or - for standard input; may be repeated",
            "/config/collections.yaml",
            is_repeated=True,
        ),
        Setting("--config-key", ("KEY",), "the key of a ConfigMap or Secret to read, where several declare"),
        Setting("--allow-empty", SWITCH, "accept a configuration without collections (exit code 0)", "false"),
    ),
    *_for(
        PROVING,
        Setting("--consumer-api-key-file", ("FILE",), "the file with the consumer token"),
        Setting(
            "--consumer-oauth-client-id",
            ("ID",),
            "the client of the authorization server that gives the consumer token",
        ),
        Setting("--consumer-oauth-client-secret-file", ("FILE",), "the file with that client's secret"),
        Setting(
            "--consumer-headers-file",
            ("FILE",),
            "the file with further headers, sent with the consumer token or in place of it",
        ),
        Setting(
            "--prove",
            ("write", "read"),
            "how to verify: write = an empty insert and a query, read = a query alone",
            "write",
        ),
        Setting(
            "--on-duplicate",
            ("fail", "oldest", "filled"),
            "several stores share a name: fail, use the oldest, or the only one with data",
            "fail",
        ),
        Setting(
            "--on-lost",
            ("fail", "recreate"),
            "a listed store takes no inserts: fail, or create an empty one beside it",
            "fail",
        ),
    ),
    *_for(
        ("plan", "check", "resolve"),
        Setting(
            "--on-unproven", ("warn", "fail"), "a collection stays unverified: warn, or fail with exit code 3", "warn"
        ),
    ),
    *_for(
        ("register",),
        Setting("--publish-configmap", ("NAME",), "the ConfigMap to write the addresses into"),
    ),
    *_for(
        (),
        Setting("--output", OUTPUTS, "the report; text on a terminal, github in GitHub Actions, else json"),
        Setting("--log-level", LEVELS, "the lowest level to log; warning on a terminal, else info"),
        Setting("--log-format", ("console", "json"), "console on a terminal, else json"),
    ),
)

FLAGS = (
    Setting("--detailed-exitcode", SWITCH, "exit 7 if something would be created", commands=("plan",)),
    Setting("--yes", SWITCH, "delete the listed stores that are empty", commands=("prune",)),
    Setting("--with-data", SWITCH, "with --yes: delete also what holds data", commands=("prune",)),
    Setting("--strict", SWITCH, "an unset variable is an error", commands=("validate",)),
    Setting(
        "--to",
        ("FILE",),
        "write the addresses to FILE: JSON if it ends in .json, else NAME=value lines; without NAME, of all "
        "collections",
        commands=("resolve",),
    ),
)
"""The flags that only some commands take; they have no variable."""
