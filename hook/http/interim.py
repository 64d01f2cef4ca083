"""Interim answers (1xx), such as «102 Processing», after which the answer itself comes."""

from http.client import CONTINUE, HTTPResponse
from typing import Any

from hook.deadline import Deadline


class FinalResponse(HTTPResponse):
    """The first answer that is not interim (RFC 9110, 15.2); http.client itself skips only 100.

    Raises TimeoutError where interim answers go on for longer than one read may take.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._limit = Deadline(sock.gettimeout())

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if not 100 <= status < 200:
            return version, status, reason
        if self._limit.remaining() == 0:
            raise TimeoutError("nothing but interim answers")
        return version, CONTINUE, reason
