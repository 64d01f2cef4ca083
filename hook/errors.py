"""What can end a run, and with which exit code: one code for each thing that an operator would do next."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, InitVar, dataclass
from enum import IntEnum
from signal import Signals
from typing import Any, ClassVar

from hook.secrets import masked

TEXT_LIMIT = 400
"""Characters of somebody else's text that one message carries: enough for every answer seen, short in a log."""
_RAW_CHARACTERS_EACH = 20
"""How many characters are read for each one that is shown, since white space is folded."""
MAX_PROBLEMS = 100
"""How many problems of one configuration are listed."""


class ExitCode(IntEnum):
    """The exit codes. The lower-case name of a member is the `outcome` in the report."""

    OK = 0
    UNEXPECTED = 1
    CONFIG = 2
    UNAVAILABLE = 3
    REFUSED = 4
    MISMATCH = 5
    UNPUBLISHED = 6
    CHANGES = 7
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def is_success(self) -> bool:
        """Tell whether nothing is wrong."""
        return self in (ExitCode.OK, ExitCode.CHANGES)


class HookError(Exception):
    """Ends a run for a foreseeable reason; its text is one line for the person at 3 a.m."""

    exit_code: ClassVar[ExitCode]


class ConfigError(HookError):
    """The configuration, the usage or a file that they name is wrong. Nothing was registered."""

    exit_code = ExitCode.CONFIG
    subject, noun = "The configuration has ", "problem"

    def __init__(self, problems: Sequence[str], sentence: str = "") -> None:
        more = len(problems) - MAX_PROBLEMS
        self.problems = (*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else []))
        count = f"{self.subject}{len(problems)} {self.noun}{'s' * (len(problems) != 1)}"
        super().__init__(f"{sentence or count}: {'; '.join(self.problems)}")


class SettingError(ConfigError):
    """A flag or a variable has a wrong value."""

    subject, noun = "", "invalid setting"


class UsageError(ConfigError):
    """The command line is wrong."""

    def __init__(self, command: str, problems: Sequence[str]) -> None:
        super().__init__(problems, f"usage error in {command}")


@dataclass(eq=False, repr=False)
class UnavailableError(HookError):
    """The server is not ready, or stopped answering: the same call may work later."""

    exit_code = ExitCode.UNAVAILABLE

    message: InitVar[str]
    _: KW_ONLY
    status: int | None = None
    """The HTTP status, where there was an answer."""
    retry_after_seconds: float | None = None
    """The server's `Retry-After`."""
    in_flight: bool = False
    """Whether a write was sent and its outcome is unknown, so that a repetition could do it twice."""
    timed_out: bool = False
    """Whether the server may still be working on it."""
    in_json: bool = False
    """Whether the answer was JSON, as all of LlamaStack's are; a gateway's own answer is a page."""
    passed_on: bool = False
    """Whether the status is that of a model or a backend which the server asked."""


class BudgetError(UnavailableError):
    """The budget ended, and with it a request that might have been answered: a symptom, never the cause."""


@dataclass(eq=False, repr=False)
class RefusedError(HookError):
    """The server refuses, or is not the server that was meant: the same call will never work."""

    exit_code = ExitCode.REFUSED

    message: InitVar[str]
    _: KW_ONLY
    status: int | None = None
    """The HTTP status, where there was an answer."""
    detail: str = ""
    """What the server said, in one line."""


class ReplacedError(HookError):
    """The server was replaced under the run by one of another API, so earlier answers are void."""

    exit_code = ExitCode.UNAVAILABLE


class PublishError(HookError):
    """The collections are usable, and their addresses could not be written where they were to be."""

    exit_code = ExitCode.UNPUBLISHED


class Stopped(BaseException):
    """A signal asks the run to end; no `except Exception` may swallow it."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = ExitCode(128 + signal_number)
        super().__init__(f"interrupted by {Signals(signal_number).name}; run again to continue")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return somebody else's text as one printable line of at most `limit` characters, without secrets.

    It is masked before it is cut, so that no half of a secret is left, and cut before it is cleaned, which takes
    seconds for some MiB.
    """
    read = limit * _RAW_CHARACTERS_EACH
    return printable(masked(text, read), limit, is_whole=len(text) <= read)


def printable(text: str, limit: int, *, is_whole: bool = True) -> str:
    """Return a text as one printable line of at most `limit` characters, for a name, which is not masked.

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
