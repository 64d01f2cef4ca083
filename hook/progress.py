"""The state of a run, for the report, however the run ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hook.domain import Finding


@dataclass
class Progress:
    """The results so far."""

    command: str = "register"
    tells_changes: bool = False
    """Whether the exit code says that something is planned."""
    server_url: str | None = None
    server_version: str | None = None
    findings: dict[str, Finding] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The second name of a collection, by its name."""
    disabled: Mapping[str, str] = field(default_factory=dict)
    """By name, the key that switches a collection off, and its value as it is written."""
    warnings: tuple[str, ...] = ()
    """Warnings about the configuration, each with its path, and about the models."""
