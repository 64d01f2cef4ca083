"""One result, told everywhere: the report on stdout, the pod's termination message, the log, and a file of addresses.

It decides nothing: what is told is in the report.
"""

from hook.output.report import Report, closing_sentence

__all__ = ["Report", "closing_sentence"]
