"""What the stand-in servers share."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class StandInServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own, and says nothing of a client that goes away in the middle.

    A test reads what the hook writes to the same stderr, and such a client is part of many tests. Anything else that
    goes wrong in a handler is a mistake of the stand-in, which is shown.
    """

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over what a closed connection raises, TLS's errors included."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
