"""
What SQLite's complaints say about the disk, and what the disk itself says.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from enum import Enum
from pathlib import Path


class Trouble(Enum):
    """
    What is wrong with the file or the disk that it is on.
    """

    #: There is no room; what was written before is well.
    FULL = "full"
    #: It can't be written to or opened, for as long as that lasts.
    CLOSED = "closed"
    #: Reading, writing or fsync fails.
    FAILING = "failing"
    #: What is in the file is not what was written.
    DAMAGED = "damaged"


class Damaged(ValueError):
    """
    What is in the file is not what was written.
    """


# By SQLite's own words, since Python 3.10 does not tell its codes.
_WORDS = {
    "database or disk is full": Trouble.FULL,
    "disk I/O error": Trouble.FAILING,
    "unable to open database file": Trouble.CLOSED,
    "attempt to write a readonly database": Trouble.CLOSED,
    "database disk image is malformed": Trouble.DAMAGED,
    "malformed database schema": Trouble.DAMAGED,
    "file is not a database": Trouble.DAMAGED,
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# So much SQLite writes at least when it begins a log.
_TRIAL = 1 << 16


def trouble(error: BaseException | None) -> Trouble | None:
    """
    Read from an exception, or from what caused it, what is wrong.

    :return: ``None`` where the disk is not to blame.
    """
    while error is not None:
        if isinstance(error, Damaged):
            return Trouble.DAMAGED
        if isinstance(error, sqlite3.DatabaseError):
            text = str(error)
            return next(
                (what for words, what in _WORDS.items() if text.startswith(words)), None
            )
        error = error.__cause__
    return None


def ask_disk(store: Path) -> Trouble:
    """
    Find out, by writing beside the store, why SQLite can't.

    SQLite speaks of an I/O error also where there is no room for its index of
    the log, where a quota is used up, and where the disk may only be read.

    :return: ``FAILING`` where nothing else is found.
    """
    trial = store.with_name(f"{store.name}.trial")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(trial, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _TRIAL)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _FULL:
            return Trouble.FULL
        return Trouble.FAILING if error.errno == errno.EIO else Trouble.CLOSED
    finally:
        with suppress(OSError):
            trial.unlink()
    return Trouble.FAILING


def is_full(error: OSError) -> bool:
    """
    Say whether there is no room.
    """
    return error.errno in _FULL
