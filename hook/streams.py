"""stdout and stderr that never make the program wait for their reader.

A write blocks if nobody reads: a pipe holds 64 KiB, and Ctrl-S stops a terminal. So a thread writes, and the end of the
program waits for it for a limited time. This module imports next to nothing, since it comes before everything else.
"""

import io
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any


class Stream(io.FileIO):
    """Accepts each write at once. If too many wait for the reader, it drops the oldest."""

    def __init__(self, descriptor: int, *, flush_seconds: float = 5.0, most_writes: int = 20_000) -> None:
        """Start the thread that writes to a descriptor. Raises RuntimeError if there can be none.

        The end of the program waits `flush_seconds` for the reader: Kubernetes kills a pod after 30 s. Up to
        `most_writes`, each a line of the log, may wait: some 8 MB.
        """
        super().__init__(descriptor, "wb", closefd=False)
        self.lost = 0
        """How many writes were dropped."""
        self._waiting: deque[bytes] = deque(maxlen=most_writes)
        self._is_writing = False
        self._flush_seconds = flush_seconds
        self._flush_until: float | None = None
        self._error: OSError | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._write_all, daemon=True).start()

    def write(self, data: Any) -> int:
        """Accept the data, and return its length."""
        content = bytes(data)
        with self._changed:
            # The newest lines matter most: they hold the result of the run.
            self.lost += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(content)
            self._changed.notify_all()
        return len(content)

    def flush(self) -> None:
        """Wait until all is written. The time limit begins with the first flush.

        Raises OSError if a write failed, and TimeoutError if nobody reads.
        """
        with self._changed:
            self._flush_until = self._flush_until or time.monotonic() + self._flush_seconds
            left = self._flush_until - time.monotonic()
            if not self._changed.wait_for(lambda: not (self._waiting or self._is_writing), left):
                raise TimeoutError("nobody reads it")
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                content = self._waiting.popleft()
                self._is_writing = True
            try:
                while content:
                    written = super().write(content)
                    if written is None:
                        # Another program made the file non-blocking for everybody who has it open.
                        select.select([], [self], [])
                    content = content[written or 0 :]
            except OSError as error:
                self._error = error


def install() -> None:
    """Replace stdout and stderr by such streams, by a single one if both are the same file, to keep the order.

    A closed one stays closed. Without a thread both stay as they are.
    """
    streams: dict[int, Stream] = {}
    for name in ("stdout", "stderr"):
        # A closed one is None.
        with suppress(AttributeError, OSError, RuntimeError):
            text = getattr(sys, name)
            descriptor = text.fileno()
            same = next((each for other, each in streams.items() if os.path.sameopenfile(other, descriptor)), None)
            streams[descriptor] = stream = same or Stream(descriptor)
            setattr(sys, name, io.TextIOWrapper(stream, text.encoding, text.errors, write_through=True))


def finish() -> None:
    """Wait until all output is read, or the time limit is over."""
    for text in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):
            text.flush()
