"""Files that are read and written without ever waiting: what is no regular file is refused.

A pipe has no end before somebody writes to it, and a device may have none at all.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

_NO_FILE = "it is not a regular file"


def read(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file. Raises OSError, also for what is no regular file."""
    with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def write(path: Path, content: bytes) -> None:
    """Replace the content of a file. Raises OSError, also for what is no regular file."""
    with os.fdopen(_opened(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate()
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of one, or where there is none, so that nobody ever sees a part of it; all may read it.

    Raises OSError, also where there is no regular file, as behind a link.
    """
    with suppress(FileNotFoundError):
        if not S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EINVAL, _NO_FILE, str(path))
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
    """Raise OSError where somebody else, who is going to open it, would not find a regular file."""
    os.close(_opened(path, os.O_RDONLY))


def _opened(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # What the kernel says of a pipe that nobody reads.
        if error.errno == errno.ENXIO:
            raise OSError(errno.EINVAL, _NO_FILE, str(path)) from error
        raise
    # Asked of what is open, and not before, so that it cannot be replaced in between.
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NO_FILE, str(path))
    return descriptor
