"""
Writes files whole or not at all, for their owner alone.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_OWNERS = 0o600

# What a service's group may do with a file that it was given.
_GROUPS = 0o640


class Changed(OSError):
    """A file was changed by somebody else meanwhile."""


def read(path: Path) -> bytes:
    """
    Read a file; nothing where there is none.

    :raises OSError: it can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def mode(path: Path) -> str:
    """Tell who may do what with a file, such as ``0600``."""
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def write(path: Path, content: bytes, before: bytes, like: Path | None = None) -> None:
    """
    Put a file in the place of another, or of none, durably.

    Its mode is 0600.  Where there was one it keeps owner and group, and the
    group may read it if it could before, but nobody gets more than they had.
    Whoever looks sees the old one or the new one.  A link stays one.

    :param before: what the file holds, as far as the caller knows; nothing
        where there is none.
    :param like: a file whose owner and group it gets if there is none.

    :raises Changed: it holds something else.
    :raises OSError: it can't be written; nothing has changed.
    """
    path = Path(os.path.realpath(path))
    if read(path) != before:
        raise Changed(0, "it was changed meanwhile")
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
            stream.flush()
            _like(stream.fileno(), path if before or like is None else like)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_secret(path: Path, text: str, like: Path) -> None:
    """
    Put a secret into a file of its own, in a directory that nobody else reads
    if it has to be made.

    :param like: a file; whoever may read that one may read this one.

    :raises OSError: it can't be written.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True)
        _enterable(path.parent, like)
    content = f"{text}\n".encode()
    before = read(path)
    if content != before:
        write(path, content, before, like)


def _enterable(directory: Path, like: Path) -> None:
    with suppress(FileNotFoundError):
        of = like.stat()
        if of.st_mode & stat.S_IRGRP:
            os.chown(directory, of.st_uid, of.st_gid)
            directory.chmod(0o750)


def _like(number: int, path: Path) -> None:
    os.fchmod(number, _OWNERS)
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    new = os.fstat(number)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        # Whoever reads it by its group still has to.
        os.fchown(number, old.st_uid, old.st_gid)
    os.fchmod(number, _OWNERS | (stat.S_IMODE(old.st_mode) & _GROUPS))


def _sync(directory: Path) -> None:
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
