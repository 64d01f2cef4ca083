"""What a run is asked to do: from the command line and the environment to `Settings`, checked at once.

It sends nothing, and reads only the files that hold a token.
"""

from hook.cli.flags import parse_arguments
from hook.cli.settings import Settings, parse, presentation

__all__ = ["Settings", "parse", "parse_arguments", "presentation"]
