"""One result in all its forms: the report on stdout, the pod's termination message, the log, and a file of addresses.

It decides nothing: all that it writes is in the report.
"""

from hook.output.report import Report, closing_sentence

__all__ = ["Report", "closing_sentence"]
