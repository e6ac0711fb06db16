"""
Whose the store is: one daemon's at a time.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

from micamsgr.errors import StoreUnavailable


@frozen
class Lock:
    """
    Keeps other daemons away from a store, until it is released or the process
    ends.

    To be released after the last connection to the store is closed: closing
    any descriptor of a file ends the locks that SQLite has on it.
    """

    _descriptors: list[int] = field(factory=list)

    def release(self) -> None:
        """
        Let others have the store.
        """
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.pop())


def lock(path: str) -> Lock:
    """
    Keep other daemons away from the store at *path*, which is made if it is
    not there.

    Two locks: on a file beside it, for who comes by the same name though the
    store itself was replaced; and on the store itself, for who comes by another
    name, a hard link or another mount.

    :raises StoreUnavailable: where another daemon has it.
    """
    held = Lock()
    try:
        # Whoever comes by a symbolic link must find the same lock.
        for file in (f"{Path(path).resolve()}.lock", path):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            held._descriptors.append(descriptor)
            _take(descriptor, path)
    except FileNotFoundError as error:
        held.release()
        raise StoreUnavailable(
            f"can't use the store {path}: there is no directory"
            f" {Path(error.filename).parent}: make it, for the daemon's user to"
            " write in, or correct `store:`"
        ) from error
    except PermissionError as error:
        held.release()
        raise StoreUnavailable(
            f"can't use the store {path}: {error.strerror}: {error.filename}: let the"
            " daemon's user write there, or correct `store:`"
        ) from error
    except OSError as error:
        held.release()
        raise StoreUnavailable(
            f"can't use the store {path}: {error.strerror}: {error.filename}"
        ) from error
    except StoreUnavailable:
        held.release()
        raise
    return held


def _take(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreUnavailable(
            f"another daemon is using the store {path}: stop that one first, or "
            "name another file in `store:`"
        ) from error
    except OSError as error:
        raise StoreUnavailable(
            f"can't lock the store {path}: {error.strerror}"
        ) from error
