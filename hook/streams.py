"""stdout and stderr that never make the program wait for their reader.

A pipe that nobody reads is full after 64 KiB, and a terminal stands still at Ctrl-S. A write into either may take for
ever, and no signal ends it. So a thread writes, the program goes on, and its end waits for a reader only so long. This
imports next to nothing, since it has to be there before everything else.
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

STALL_SECONDS = 5.0
"""How long `flush` waits for a reader who takes nothing."""
PATIENCE_SECONDS = 10.0
"""And for one who takes little; both for each of the two streams. Kubernetes gives 30 s before it kills a pod."""
_MAX_BYTES = 8 * 2**20
"""What may wait to be written: the log of many thousand collections."""
_AT_ONCE = 4096
"""What the kernel writes into a pipe undivided; and after each of them a reader is seen to be alive."""


class Stream(io.RawIOBase):
    """Takes what is written at once, whatever its reader does, and loses the oldest of it where that is too much."""

    def __init__(self, descriptor: int) -> None:
        """Start to write to a descriptor. Raises RuntimeError where there can be no thread."""
        self.lost = 0
        """How many writes, each a line of the log, were lost."""
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_writing = False
        self._moved = 0.0
        """When the reader took something, or there was something to take after a rest."""
        self._error: OSError | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._write_all, daemon=True).start()

    def writable(self) -> bool:
        """Tell that one can write."""
        return True

    def isatty(self) -> bool:
        """Tell whether a person reads it."""
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Take it, and return its length."""
        content = bytes(data)
        with self._changed:
            if not (self._waiting or self._is_writing):
                self._moved = time.monotonic()
            self._waiting.append(content)
            self._size += len(content)
            # The newest says what came of the run. Half of it, so that not every line from now on is one that is lost.
            while self._size > _MAX_BYTES // (2 if self.lost else 1) and len(self._waiting) > 1:
                self._size -= len(self._waiting.popleft())
                self.lost += 1
            self._changed.notify_all()
        return len(content)

    def flush(self) -> None:
        """Return when all is written. Raises OSError where something could not be, TimeoutError if nobody reads it."""
        started = time.monotonic()
        with self._changed:
            while self._waiting or self._is_writing:
                until = min(self._moved + STALL_SECONDS, started + PATIENCE_SECONDS)
                if time.monotonic() >= until:
                    raise TimeoutError("nobody reads it")
                self._changed.wait(until - time.monotonic())
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                content = self._waiting.popleft()
                while self._waiting and len(content) + len(self._waiting[0]) <= _AT_ONCE:
                    content += self._waiting.popleft()
                self._size -= len(content)
                self._is_writing = True
            try:
                self._write(content)
            except OSError as error:
                self._error = error
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _write(self, content: bytes) -> None:
        while content:
            try:
                content = content[os.write(self._descriptor, content[:_AT_ONCE]) :]
            except BlockingIOError:
                # Somebody has made it so that no write waits, for all who have it open.
                select.select([], [self._descriptor], [])
            self._moved = time.monotonic()


def install() -> None:
    """Put such streams in the place of stdout and stderr; one for both where they are the same file, to keep the order.

    One that is closed stays so, and both stay as they are where there can be no thread.
    """
    streams: dict[int, Stream] = {}
    for name in ("stdout", "stderr"):
        # One that is closed is None.
        with suppress(AttributeError, OSError, RuntimeError):
            text = getattr(sys, name)
            descriptor = text.fileno()
            same = next((each for other, each in streams.items() if os.path.sameopenfile(other, descriptor)), None)
            streams[descriptor] = stream = same or Stream(descriptor)
            setattr(sys, name, io.TextIOWrapper(stream, text.encoding, text.errors, write_through=True))


def finish() -> None:
    """Wait until what was written is read, but not for ever."""
    for text in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):
            text.flush()
