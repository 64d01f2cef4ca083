"""The Python that runs the program as a whole, where it is not the one of the tests."""

import os
import sys

PYTHON = os.environ.get("RUNTIME_PYTHON", sys.executable)
"""`make` names one with the packages of the image alone."""
