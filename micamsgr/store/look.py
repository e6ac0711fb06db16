"""
A look at a store, for an operator: nothing in it is changed, and the daemon
that has it is not disturbed.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from attrs import frozen

from .integrity import examine
from .schema import MIGRATIONS, version_of

#: The version that this program makes of a store.
NEWEST = len(MIGRATIONS)

_BLOCK = 4096


@frozen(kw_only=True)
class Look:
    """
    What was seen.

    :ivar version: of the schema; 0: there is no store yet.  ``None``: it is not
        known.
    :ivar taken: whether a daemon has it.
    :ivar problem: why it can't be the store; empty: it can.
    :ivar unwritable: why nothing can be written; empty: it can.
    :ivar mode: the permission bits; ``None``: there is no store yet.
    :ivar free: bytes; ``None``: not known.
    :ivar sync: seconds that it took to put 4 KiB on the disk; ``None``: not
        tried.
    :ivar people: by bot, how many have a conversation.
    """

    version: int | None
    taken: bool
    problem: str
    unwritable: str
    mode: int | None
    free: int | None
    sync: float | None
    people: dict[str, int]


def look(path: Path) -> Look:
    """
    Look at a store; this waits for the disk.

    No connection of this process may be open on it.
    """
    path = path.resolve()
    taken = is_taken(path)
    mode: int | None = None
    version: int | None = 0
    people: dict[str, int] = {}
    problem = ""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if not os.access(path, os.R_OK | os.W_OK):
            version = None
        elif not taken:
            examine(path)
        if version is not None and (path.stat().st_size or taken):
            version, people = _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        version, problem = None, error.strerror or str(error)
    except (sqlite3.Error, ValueError) as error:
        version, problem = None, str(error)
    unwritable, sync = _try_to_write(path)
    return Look(
        version=version,
        taken=taken,
        problem=problem,
        unwritable=unwritable,
        mode=mode,
        free=_free(path.parent),
        sync=sync,
        people=people,
    )


def is_taken(path: Path) -> bool:
    """
    Say whether a daemon has a store; see :mod:`.lock`.
    """
    try:
        # Only the file beside it: closing a descriptor of the store itself
        # could end locks of this process.
        descriptor = os.open(f"{path.resolve()}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _read(path: Path) -> tuple[int, dict[str, int]]:
    uri = f"{path.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as database:
        version = version_of(database, MIGRATIONS)
        people: dict[str, int] = {}
        if version:
            rows = database.execute(
                "SELECT bot, count(DISTINCT psid) FROM conversation GROUP BY bot"
            )
            people = {str(bot): int(count) for bot, count in rows}
    return version, people


def _try_to_write(path: Path) -> tuple[str, float | None]:
    """
    Put a block on the disk, beside the store, and take it away.

    :return: why that can't be done, or nothing; and the seconds.
    """
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path}: whoever asks may not read and write it", None
    try:
        with tempfile.NamedTemporaryFile(
            prefix=f".{path.name}.", suffix=".check", dir=path.parent
        ) as file:
            file.write(bytes(_BLOCK))
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            return "", time.monotonic() - began
    except OSError as error:
        return f"{path.parent}: {error.strerror}", None


def _free(directory: Path) -> int | None:
    with suppress(OSError):
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize
    return None
