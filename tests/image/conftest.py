"""Lets these tests boot the real servers of `tests/live`, whose modules are scripts beside each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
