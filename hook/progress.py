"""How far a run has come, whatever ends it."""

from dataclasses import dataclass, field

from hook.domain import Finding
from hook.flags import COMMANDS


@dataclass
class Progress:
    """What is known so far, so that a run can tell it whenever it ends."""

    command: str = COMMANDS[0]
    server_url: str | None = None
    server_version: str | None = None
    findings: dict[str, Finding] = field(default_factory=dict)
