"""What a run is asked to do: from the command line and the environment to `Settings`, checked at once.

It sends nothing, and reads only the files that hold a token.
"""

from hook.cli.settings import MAX_CONNECTIONS, Presentation, Settings, parse, presentation
from hook.cli.usage import parse_arguments

__all__ = ["MAX_CONNECTIONS", "Presentation", "Settings", "parse", "parse_arguments", "presentation"]
