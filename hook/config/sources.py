"""The texts that declare collections: files, the files of a folder, pipes, and standard input."""

import errno
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hook import files
from hook.deadline import SLICE_SECONDS, Deadline, heed_signals
from hook.errors import ConfigError

MAX_CONFIG_BYTES = 2**20
"""What etcd, and so a ConfigMap, can hold."""
_STANDARD_INPUT = ("-", "/dev/stdin")
_SUFFIXES = (".yaml", ".yml", ".json")
"""Of the files of a folder that are read, in any case."""
_WRITER_SECONDS = 1.0
"""How long a named pipe may have no writer. One that waits for a reader is there at once."""


@dataclass(frozen=True, slots=True)
class Source:
    """One text that may declare collections."""

    name: str
    """The file's path, as messages show it."""
    text: str
    in_folder: bool = False
    """Whether it was found in a folder, where others may declare instead."""


def read_all(paths: Sequence[Path], deadline: Deadline) -> Iterator[Source | ConfigError | Path]:
    """Yield each source, or why it cannot be read, and each subfolder. A pipe has to end before the deadline."""
    for path in paths:
        try:
            in_folder = path.is_dir()
            # A mounted ConfigMap has hidden files and folders besides.
            visible = sorted(each for each in path.iterdir() if each.name[0] != ".") if in_folder else []
            subfolders = [each for each in visible if each.is_dir()]
        except OSError as error:
            yield _unreadable(path, error)
            continue
        yield from subfolders
        files_of_it = [each for each in visible if each.suffix.lower() in _SUFFIXES and each not in subfolders]
        found = files_of_it if in_folder else [path]
        if not found:
            yield ConfigError([f"{path}: the folder has no *.yaml, *.yml or *.json file"])
        for each in found:
            try:
                yield Source(str(each), _text(each, deadline), in_folder)
            except OSError as error:
                yield _unreadable(each, error)
            except UnicodeDecodeError as error:
                yield ConfigError([f"{each}: is not UTF-8 text: {error.reason} at byte {error.start}"])
            except ConfigError as error:
                yield error


def _unreadable(path: Path, error: OSError) -> ConfigError:
    if isinstance(error, FileNotFoundError):
        remedy = "check --config or HOOK_CONFIG, and the volume that is mounted"
        return ConfigError([f"{path}: no such file; {remedy}"])
    return ConfigError([f"{path}: cannot be read: {error.strerror}; mount it there, or set HOOK_CONFIG"])


def _text(path: Path, deadline: Deadline) -> str:
    limit = MAX_CONFIG_BYTES + 1
    is_input = str(path) in _STANDARD_INPUT
    is_pipe = is_input or path.is_fifo()
    content = _read_pipe(None if is_input else path, limit, deadline) if is_pipe else files.read(path, limit)
    if len(content) == limit:
        problem = f"is larger than {MAX_CONFIG_BYTES >> 20} MiB, more than a ConfigMap can hold"
        raise ConfigError([f"{path}: {problem}"])
    return content.decode()


def _read_pipe(path: Path | None, limit: int, deadline: Deadline) -> bytes:
    """Return at most `limit` bytes of a named pipe, or of standard input for None. Raises OSError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.dup(0) if path is None else os.open(path, flags)
    content = b""
    with os.fdopen(descriptor, "rb"):
        if path is not None and not _is_ready(descriptor, Deadline(min(_WRITER_SECONDS, deadline.remaining()))):
            with suppress(BlockingIOError):
                content = os.read(descriptor, limit) or _refuse("nobody writes to this pipe")
        while len(content) < limit:
            if not _is_ready(descriptor, deadline):
                _refuse(f"its end did not come within {deadline.seconds:g} s")
            if not (chunk := os.read(descriptor, limit - len(content))):
                break
            content += chunk
    return content


def _is_ready(descriptor: int, deadline: Deadline) -> bool:
    """Wait for something to read, or for the end of it. Raises Stopped as soon as a signal came."""
    while not select.select([descriptor], [], [], min(SLICE_SECONDS, deadline.remaining()))[0]:
        heed_signals()
        if not deadline.remaining():
            return False
    return True


def _refuse(problem: str) -> NoReturn:
    raise OSError(errno.ETIMEDOUT, problem)
