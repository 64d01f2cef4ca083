"""What can end a run, and with which exit code: one code for each thing that an operator would do next."""

from collections.abc import Sequence
from enum import IntEnum
from signal import Signals
from typing import Any, ClassVar

from hook.secrets import masked

TEXT_LIMIT = 400
"""Characters of somebody else's text that one message carries: enough for every answer seen, short in a log."""
_RAW_CHARACTERS_EACH = 20
"""How much of a text is looked at for each character of it that is shown: the rest of it would not be, unless the
beginning is nearly all white space."""
MAX_PROBLEMS = 100
"""How many problems of one configuration are told; more come from one cause."""


class ExitCode(IntEnum):
    """The exit codes. The lower-case name of a member is the `outcome` in the report."""

    OK = 0
    UNEXPECTED = 1
    CONFIG = 2
    UNAVAILABLE = 3
    REFUSED = 4
    MISMATCH = 5
    UNPUBLISHED = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class HookError(Exception):
    """Ends a run for a foreseeable reason; its text is one line for the person at 3 a.m."""

    exit_code: ClassVar[ExitCode]


class ConfigError(HookError):
    """The configuration or the usage is wrong, and nothing was sent."""

    exit_code = ExitCode.CONFIG

    def __init__(self, problems: Sequence[str]) -> None:
        more = len(problems) - MAX_PROBLEMS
        self.problems = (*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else []))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"The configuration has {count}: {'; '.join(self.problems)}")


class UnavailableError(HookError):
    """The server is not ready, or stopped answering: the same call may work later."""

    exit_code = ExitCode.UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        in_flight: bool = False,
        timed_out: bool = False,
        in_json: bool = False,
        passed_on: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, where there was an answer."""
        self.passed_on = passed_on
        """Whether that status is not the server's own, but that of a model or a backend which it asked itself."""
        self.in_json = in_json
        """Whether that answer was JSON, as all of LlamaStack's are; what a gateway answers by itself is a page."""
        self.retry_after_seconds = retry_after_seconds
        """How long the server asked to be left alone, in seconds."""
        self.in_flight = in_flight
        """Whether a write was sent and nobody knows what came of it, so that repeating it could do it twice."""
        self.timed_out = timed_out
        """Whether the server may be working on it for any time to come."""


class BudgetError(UnavailableError):
    """The budget ended, and with it a request that might have been answered: a symptom, never the cause."""


class RefusedError(HookError):
    """The server refuses, or is not the server that was meant: the same call will never work."""

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, where there was an answer."""
        self.detail = detail
        """What the server said, in one line."""


class ReplacedError(HookError):
    """The server was replaced under the run by one of another API: what was heard before is void, so nobody waits."""

    exit_code = ExitCode.UNAVAILABLE


class PublishError(HookError):
    """The collections are usable, and their addresses could not be written where they were to be."""

    exit_code = ExitCode.UNPUBLISHED


class Stopped(BaseException):
    """A signal asks the run to end; no `except Exception` may swallow it."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = ExitCode(128 + signal_number)
        super().__init__(f"Stopped by {Signals(signal_number).name} before the end; the next run carries on from there")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return somebody else's text as one printable line of at most `limit` characters, without secrets.

    They are masked before it is cut, which could leave half of one; and it is cut before it is cleaned, which takes
    seconds for an answer of some MiB.
    """
    looked_at = limit * _RAW_CHARACTERS_EACH
    return printable(masked(text, looked_at), limit, is_whole=len(text) <= looked_at)


def printable(text: str, limit: int, *, is_whole: bool = True) -> str:
    """Return a text as one printable line of at most `limit` characters: for a name, which is shown as it is.

    White space is folded and control characters are escaped, so that no answer can forge a line of a log.
    """
    cut = text[: limit * _RAW_CHARACTERS_EACH]
    folded = " ".join(cut.split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in folded)
    if len(line) <= limit and len(cut) == len(text) and is_whole:
        return line
    return line[: limit - 1] + "…"


def causes_of(error: BaseException) -> list[BaseException]:
    """Return an error and what it wraps, the innermost last: requests wraps urllib3, which wraps the socket."""
    chain = [error]
    while True:
        inner: Any = chain[-1].__cause__ or getattr(chain[-1], "reason", None) or chain[-1].__context__
        if not isinstance(inner, BaseException) and chain[-1].args:
            inner = chain[-1].args[-1]
        if not isinstance(inner, BaseException) or inner in chain:
            return chain
        chain.append(inner)
