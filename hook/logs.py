"""Structured logs on stderr: one event a line, with a constant name and key-value pairs."""

import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

from hook.secrets import masked

LEVELS = ("debug", "info", "warning", "error", "off")

_CONSTANTS = ("event", "level", "timestamp")
"""Fields that are never masked: they hold no text of a server or a user, and programs read them."""

_REPORTED = ("config.noted", "config.collections_disabled", "model.refuses_dimensions")
"""The events of a run that the report repeats."""

log: Any = structlog.get_logger()
"""The logger of every module; `configure` decides where it writes."""


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads the stream. A stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


def lost() -> int:
    """Return how many events were dropped because the reader was too slow."""
    return int(getattr(getattr(sys.stderr, "buffer", None), "lost", 0))


class _Stderr:
    """The current stderr. A log that cannot be written must not stop a registration."""

    def __init__(self) -> None:
        self.is_ending = False
        self.rewrites = False
        """Whether progress is one line that is rewritten."""
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> None:
        with self._lock:
            if self.is_ending and threading.current_thread() is not threading.main_thread():
                return
            self.rewrite("")
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(text)

    def rewrite(self, text: str) -> None:
        """Replace the line of progress by another one, or by nothing."""
        with self._lock, suppress(OSError, ValueError, AttributeError):
            if text != self._line and not (text and self.is_ending):
                self._line = text
                sys.stderr.write(f"\r\x1b[2K{text}")

    def flush(self) -> None:
        pass


_stderr = _Stderr()


def end() -> None:
    """Let nothing follow the summary: connections that nobody waits for any more may still be answered."""
    _stderr.is_ending = True
    _stderr.rewrite("")


def rewrites_lines() -> bool:
    """Tell whether progress is one line that is rewritten, as on a terminal that can do that."""
    return _stderr.rewrites


def progress(event: str, fields: Mapping[str, float], text: str) -> None:
    """Say how far the run is: as an event, or by a text on the line that is rewritten."""
    if _stderr.rewrites:
        _stderr.rewrite(text)
    else:
        log.info(event, **fields)


def _leave_out_reported(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event["event"] in _REPORTED:
        raise structlog.DropEvent
    return event


def _mask_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask all texts, and all lists of texts."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _CONSTANTS:
            event[key] = masked(value)
        elif isinstance(value, list):
            event[key] = [masked(each) for each in value]
    return event


def has_colors(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Tell whether a stream is colored. NO_COLOR comes first, then FORCE_COLOR; an empty variable counts as unset."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (is_terminal(stream) and environ.get("TERM") != "dumb")


def configure(level: str, log_format: str, environ: Mapping[str, str], *, is_reported: bool = False) -> None:
    """Send events of `level` and above to stderr, as `json` lines or as `console` lines for a person.

    With `is_reported`, the same person reads the report, and the log leaves out what stands there.
    """
    is_json = log_format == "json"
    _stderr.is_ending = False
    _stderr.rewrites = not is_json and is_terminal(sys.stderr) and environ.get("TERM") != "dumb" and level != "off"
    structlog.configure(
        processors=[
            *([_leave_out_reported] if is_reported else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_secrets,
            structlog.processors.JSONRenderer()
            if is_json
            else structlog.dev.ConsoleRenderer(colors=has_colors(sys.stderr, environ)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("critical" if level == "off" else level),
        logger_factory=structlog.WriteLoggerFactory(_stderr),  # type: ignore[arg-type]
        # Tests configure it more than once.
        cache_logger_on_first_use=False,
    )
