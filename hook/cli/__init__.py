"""What a run is asked to do: from the command line and the environment to `Settings`, checked at once.

It sends nothing and reads no file but the ones that hold a token.
"""

from hook.cli.flags import COMMANDS, SETTINGS, parse_arguments
from hook.cli.settings import MAX_CONNECTIONS, Presentation, Settings, parse, presentation

__all__ = [
    "COMMANDS",
    "MAX_CONNECTIONS",
    "SETTINGS",
    "Presentation",
    "Settings",
    "parse",
    "parse_arguments",
    "presentation",
]
