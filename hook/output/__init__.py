"""One result in all its forms: the report on stdout, the pod's termination message, the log, and a file of addresses.

It never asks a server. It adds two failures of its own: an id that cannot be printed, and addresses that nobody can
read.
"""

from hook.output import addresses
from hook.output.emit import emit
from hook.output.report import Report

__all__ = ["Report", "addresses", "emit"]
