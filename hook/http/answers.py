"""What an answer means: a value, or one of two errors, «later» and «never»."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hook.errors import RefusedError, UnavailableError, one_line
from hook.http import tls
from hook.http.endpoint import Endpoint

_LATER_STATUSES = (408, 425, 429)
"""The 4xx statuses that ask for the same request again later."""

_OWN_WORD_STATUSES = (425, 429, 500)
"""The statuses that say that the server did nothing. Any other can be a gateway's, while the server works on."""

_TIMEOUT_STATUSES = (408, 504, 524)

_PASSED_ON = r"(Error code|Unexpected Response): \d{3}\b"
"""How OpenAI's and qdrant's clients begin a message, whose status LlamaStack takes over (0.3.5 to ogx 1.5.0)."""

_MAX_RETRY_AFTER_SECONDS = 1e9

_MAX_ERROR_BYTES = 256 * 1024
"""What is read of an error answer, a thousand times what is shown: parsing one can take seconds a MiB."""

_MAX_REPR_CHARACTERS = 10_000
"""What is read of one as Python's repr."""

_MAX_JSON_BYTES = 32 * 1024 * 1024
"""The memory that the values of one answer may take, enough for 5,000 vector stores. A whole run has 256 MiB."""
_BYTES_EACH = {b"{": 240, b"[": 88, b",": 64, b":": 120}
"""What CPython takes at most for the value, or the key, that one of these characters begins."""

_DENIED = (401, 403)

_MESSAGES = (("error", "message"), ("error", "detail"), ("detail",))
"""Where the message of an error is, by release: see `error_text`."""

_REPR_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_REPR_PART = re.compile(rf"{_REPR_TEXT}|[^\s,]+")
_REPR_ERROR = re.compile(rf"""'loc': [\[(]((?:{_REPR_TEXT}|[^'"\])])*)[\])], 'msg': ({_REPR_TEXT})""")
"""A place and what is wrong there. Python's own parser takes seconds for some texts, and writes warnings to stderr."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    what: str
    """The request's method and path."""
    status: int
    headers: Mapping[str, str]
    """By name, whatever its case."""
    content: bytes
    authorized: bool
    """Whether the request carried credentials."""
    server: Endpoint
    """The one that was asked."""

    @property
    def is_json(self) -> bool:
        """Whether its type says so."""
        return "json" in self.headers.get("Content-Type", "")

    @property
    def date(self) -> float | None:
        """Return the time of the server's own clock, in seconds since the epoch, or None where it does not say."""
        with suppress(ValueError):
            return datetime.strptime(f"{self.headers.get('Date')} +0000", "%a, %d %b %Y %H:%M:%S GMT %z").timestamp()
        return None


def read(answer: Answer) -> Any:
    """Return the JSON of an answer, or None for an empty 204.

    Raises UnavailableError where the same request may work later, and RefusedError where it never will.
    """
    status, hints = answer.status, answer.server.hints
    sentence, remedy = f"{answer.what} answered {status}", f"probably not {hints.server}: {hints.address}"
    if 300 <= status < 400:
        # Without its path and query, where login pages keep their state.
        target = re.match(r"(\w+://)(?:[^/?#]*@)?([^/?#]*)", answer.headers.get("Location", ""))
        where = f" to {one_line(target[1] + target[2], 100)}" if target else ""
        meaning = f"a login page or another address is in front of {hints.server}; {hints.in_front}"
        raise RefusedError(f"{sentence}, a redirect{where}: {meaning}", status=status)
    if status >= 400:
        raise _status_error(answer)
    if not answer.content and status == 204:
        return None
    if memory(answer.content) > _MAX_JSON_BYTES:
        size = f"{_MAX_JSON_BYTES >> 20} MiB in memory"
        raise RefusedError(f"{answer.what}: response over {size}; {remedy}", status=status)
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        if page := _page(answer.content):
            raise _other_server(answer, page) from error
        kind = one_line(answer.headers.get("Content-Type", "no content type"), 60)
        raise RefusedError(f"{sentence}, but its content ({kind}) is not JSON; {remedy}", status=status) from error


def memory(content: bytes) -> int:
    """Return how many bytes the values of some JSON take at most, as text and as objects."""
    text = len(content) * (1 if content.isascii() else 8)
    return text + sum(content.count(character) * size for character, size in _BYTES_EACH.items())


def is_compressed(headers: Mapping[str, str]) -> bool:
    """Tell whether the content has an encoding other than `identity` (RFC 9110, 8.4)."""
    return not {each.strip().lower() for each in headers.get("Content-Encoding", "").split(",")} <= {"", "identity"}


def _status_error(answer: Answer) -> UnavailableError | RefusedError:
    status, what, hints = answer.status, answer.what, answer.server.hints
    page = _page(answer.content)
    detail = _denial(answer.content) if status in _DENIED else page or error_text(answer.content)
    passed_on = re.match(_PASSED_ON, detail) is not None
    sentence = f"{what} answered {status}"
    if status in _LATER_STATUSES or status >= 500:
        # After a POST, what to do depends on what it was for, which the caller knows.
        hint = f"; {hints.failed}" if status >= 500 and what.startswith("GET ") else ""
        return UnavailableError(
            f"{sentence} with {page}{hint}" if page else f"{sentence}: {detail}{hint}",
            status=status,
            retry_after_seconds=retry_after_seconds(answer.headers.get("Retry-After")),
            in_flight=status not in _OWN_WORD_STATUSES and not passed_on and what.startswith("POST "),
            timed_out=status in _TIMEOUT_STATUSES,
            in_json=answer.is_json,
            passed_on=passed_on,
        )
    if passed_on:
        meaning = f"a model or a backend behind {hints.server} answered that; check its settings there"
    elif status in _DENIED and page:
        meaning = f"a login page is in front of {hints.server}; {hints.in_front}"
    elif status == 401 and answer.authorized:
        meaning = f"{answer.server.address} did not accept {hints.credential}; {hints.key}"
    elif status == 401:
        remedy = "set LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name)"
        meaning = f"no API key is configured for {answer.server.address}; {remedy}"
    elif status == 403:
        meaning = f"access to {answer.server.address} is denied; {hints.rights}"
    elif not answer.is_json and tls.is_wanted(answer.server, status, _text(answer.content)):
        meaning = f"{answer.server.address} speaks TLS; {hints.secure}"
    elif status == 407:
        meaning = f"a proxy on the way wants credentials; {hints.address}"
    elif page:
        return _other_server(answer, page)
    else:
        return RefusedError(f"{sentence}: {detail}", status=status, detail=detail)
    word = f" ({detail})" if detail else ""
    return RefusedError(f"{sentence}{word}: {meaning}", status=status, detail=detail)


def _other_server(answer: Answer, page: str) -> RefusedError:
    server = answer.server
    sentence = f"{server.url} is not {server.hints.server}: {answer.what} answered {answer.status} with {page}"
    return RefusedError(f"{sentence}; {server.hints.address}", status=answer.status, detail=page)


def _page(content: bytes) -> str:
    """Return `an HTML page "Title"` for one, in place of its markup, or an empty text."""
    text = _text(content)
    if not re.match(r"\s*<(!doctype html|html|head)\b", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]{0,100}>([^<]{1,200})", text, re.IGNORECASE)
    return f'an HTML page "{one_line(title[1], 100)}"' if title else "an HTML page"


def error_text(content: bytes) -> str:
    """Return the readable part of an error answer, in one line.

    The shapes are `detail` as text or as an object (up to 0.4.7), `error.detail` (0.5.x and every validation error
    up to there), `error.message` (0.6.0 and newer), and plain text from what stands in front of the server.
    """
    text = _text(content)
    with suppress(ValueError, RecursionError):
        value: Any = json.loads(text)
        for keys in (*_MESSAGES, ("error",), ("message",)):
            found = _dig(value, keys)
            if found:
                return one_line(_readable(found)) or one_line(text)
    return one_line(text) or "an empty answer"


def _text(content: bytes) -> str:
    return content[:_MAX_ERROR_BYTES].decode("utf-8", "replace")


def _denial(content: bytes) -> str:
    """Return what the server says of a refused credential, or "": the rest may echo the request that had it."""
    with suppress(ValueError, RecursionError):
        value = json.loads(content[:_MAX_ERROR_BYTES])
        # Here the Kubernetes API says which right is missing.
        keys = (*_MESSAGES, *([("message",)] if mapping(value).get("kind") == "Status" else []))
        return next((one_line(_readable(found)) for key in keys if isinstance(found := _dig(value, key), str)), "")
    return ""


def _dig(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = mapping(value).get(key)
    return value


def _readable(found: Any) -> str:
    """Return a validation error as `body.limit: Input should be …`; from 0.6.0 on it is Python's repr."""
    if isinstance(found, str):
        errors = _REPR_ERROR.finditer(found, 0, _MAX_REPR_CHARACTERS) if found.startswith("{'errors'") else ()
        shown = [f"{'.'.join(map(_unquoted, _REPR_PART.findall(each[1])))}: {_unquoted(each[2])}" for each in errors]
        return "; ".join(shown) or found
    # Any other shape is shown as it is.
    with suppress(LookupError, TypeError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found["errors"])
    return json.dumps(found, ensure_ascii=False)


def _unquoted(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part[1:-1]) if part[:1] in "'\"" else part


def retry_after_seconds(header: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, a number or a date; None where it is neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), _MAX_RETRY_AFTER_SECONDS)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
