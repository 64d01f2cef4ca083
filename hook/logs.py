"""Structured logs on stderr: one event a line, a constant name and key-values."""

import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

from hook.secrets import masked

LEVELS = ("debug", "info", "warning", "error")

_OWN_WORDS = ("event", "level", "timestamp")
"""What says nothing of a server or a user, and is read by programs: a token may be one of these words."""

log: Any = structlog.get_logger()
"""The logger of every module; `configure` decides where it writes."""


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads the stream; one that was closed before the start is None."""
    return stream is not None and stream.isatty()


def lost() -> int:
    """Return how many events nobody has read in time."""
    return int(getattr(getattr(sys.stderr, "buffer", None), "lost", 0))


class _Stream:
    """stderr, where it is there and can be written: a log that cannot be told must not stop a registration."""

    def write(self, text: str) -> None:
        """Write text, if that is possible."""
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Do nothing: no line of the log waits for its reader."""


def _mask_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key in _OWN_WORDS else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return masked(value) if isinstance(value, str) else value


def _has_colors(environ: Mapping[str, str]) -> bool:
    """Tell whether stderr is to be colored: an empty variable counts as unset, and NO_COLOR comes before the others."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (is_terminal(sys.stderr) and environ.get("TERM") != "dumb")


def configure(level: str, log_format: str, environ: Mapping[str, str]) -> None:
    """Send events of `level` and above to stderr, as `json` or, for a person, as `console` lines."""
    renderer: Any
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=_has_colors(environ))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Stream()),  # type: ignore[arg-type]
        # A second `configure`, as in the tests, must take effect.
        cache_logger_on_first_use=False,
    )
