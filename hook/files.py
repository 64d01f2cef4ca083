"""Reads and writes files without ever blocking: only regular files are accepted.

A named pipe blocks until somebody opens its other end, and a device may never end.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG


def read(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file. Raises OSError, also if it is not a regular file."""
    with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def write(path: Path, content: bytes) -> None:
    """Overwrite a file. Raises OSError, also if it is not a regular file."""
    with os.fdopen(_opened(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate()
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Create or replace a file in one step, readable for all, so that nobody sees a part of it.

    Raises OSError, also if the path is not a regular file, such as a link.
    """
    with suppress(FileNotFoundError):
        if not S_ISREG(path.lstat().st_mode):
            raise _odd(path)
    descriptor, name = tempfile.mkstemp(prefix=".register-collections-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def check(path: Path) -> None:
    """Raise OSError if a library that opens the file by itself would not find a regular file."""
    os.close(_opened(path, os.O_RDONLY))


def _opened(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # The kernel's answer for a named pipe without a reader.
        raise (_odd(path) if error.errno == errno.ENXIO else error) from None
    # The open file is checked, not the path, which could be replaced in between.
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _odd(path)
    return descriptor


def _odd(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))
