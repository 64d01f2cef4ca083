"""Reading and writing files that are files: a FIFO or a device could hold the run for ever, or never end."""

import errno
import os
import stat
from pathlib import Path


def read(path: Path, limit: int) -> bytes:
    """Return the first `limit` bytes of a file. Raises OSError, also where it is no regular one."""
    with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def write(path: Path, content: bytes) -> None:
    """Let a file hold this and nothing else; it is made where it is not there. Raises OSError as `read` does."""
    with os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate()
        file.write(content)


def _open(path: Path, flags: int) -> int:
    # O_NONBLOCK, since opening a FIFO waits for its other end, and means nothing for a regular file.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file")
