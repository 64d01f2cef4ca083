"""How far a run has come, whatever ends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hook.domain import Finding


@dataclass
class Progress:
    """What is known so far, so that a run can tell it whenever it ends."""

    command: str = "register"
    server_url: str | None = None
    server_version: str | None = None
    findings: dict[str, Finding] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """By name, the second names."""
    warnings: tuple[str, ...] = ()
    """What is remarkable about the configuration, each with its path, and about the models."""
    addresses: str | None = None
    """What `resolve` is to print, once all of it is certain."""
