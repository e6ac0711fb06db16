"""
Whether a file is a whole store of ours, found out without changing a byte of
it or of its log.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from .schema import (
    ANOTHERS,
    APPLICATION_ID,
    MIGRATIONS,
    OPEN_EVENT,
    OPEN_PART,
    OPEN_TURN,
    version_of,
)
from .trouble import Damaged, Trouble, trouble

#: How long a start may wait for the check; the rest of it comes later.
CHECK_SECONDS = 0.3

_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_LOG_MAGIC = (0x377F0682, 0x377F0683)
_LOG_HEAD, _FRAME_HEAD = 32, 24

_OPEN_ROWS = (("part", OPEN_PART), ("turn", OPEN_TURN), ("event", OPEN_EVENT))


def damaged(detail: object) -> Damaged:
    """
    Make the exception that says so, and what to do.
    """
    return Damaged(
        f"it is damaged ({detail}), and is left as it is: restore a backup; or, to"
        " begin anew, move it away together with the files whose names begin with"
        " its name"
    )


def examine(path: Path, seconds: float = CHECK_SECONDS) -> None:
    """
    Check that the file can be the store: whose it is, its version, its tables,
    whether its log is whole, the rows of what is not finished, and then all
    pages; as far as it gets in the time.

    No connection of this process may be open on the file.

    :raises ValueError: where it can't, with the reason and what to do.
    :raises sqlite3.Error: where it can't be read.
    """
    path = path.resolve()
    log, journal = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    head = _read(path, 100)
    logged = len(_read(log, _LOG_HEAD)) > 0
    rollback = _read(journal, 20)
    if rollback.startswith(_JOURNAL_MAGIC):
        # A start was cut short.  SQLite undoes it when the file is opened.
        application, before = head[68:72], rollback[16:20]
        if any(before) and application != struct.pack(">I", APPLICATION_ID):
            raise ValueError(ANOTHERS)
        return
    if not head:
        if logged:
            # SQLite would take it for a new one, and remove the log.
            raise damaged(f"it is empty, and its log {log.name} is not")
        return
    if not head.startswith(_MAGIC):
        raise ValueError(
            "it is not a database: name another file in `store:`; or, if it was"
            " the store, restore a backup"
        )
    with _left_alone(path):
        _examine(path, log if logged else None, seconds)


def _read(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        return b""


@contextmanager
def _left_alone(path: Path) -> Iterator[None]:
    """
    If the file is refused, remove what looking at it has put beside it.
    """
    index = path.with_name(f"{path.name}-shm")
    there = index.exists()
    try:
        yield
    except BaseException:
        if not there:
            with suppress(OSError):
                index.unlink()
        raise


def _examine(path: Path, log: Path | None, seconds: float) -> None:
    # Without a log the file is all there is.  A connection that may only read
    # brings nothing from the log into it, not even when it is closed.
    how = "mode=ro" if log is not None else "immutable=1"
    # Closed after the connection: see store/lock.py.
    index = -1
    try:
        with closing(_connect(path, how)) as database:
            version_of(database, MIGRATIONS)
            if log is not None:
                index = os.open(f"{path}-shm", os.O_RDONLY | os.O_CLOEXEC)
                _check_log(log, index)
            check(database, seconds)
    except sqlite3.DatabaseError as error:
        if trouble(error) is Trouble.DAMAGED:
            raise damaged(error) from error
        raise
    finally:
        if index >= 0:
            os.close(index)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text that is none is not found out by reading it as text.
    database.text_factory = bytes
    return database


# The log


def _check_log(log: Path, index: int) -> None:
    """
    Look for commits behind the end that SQLite has found.

    SQLite reads its log up to the first frame that is not whole.  A loss of
    power leaves one commit there at most, since none begins before the one
    before it is on the disk.  More than one were acknowledged.

    :raises Damaged: where there are.

    Source: sqlite.org/walformat.html, sections 1.2, 1.3 and 2.1; sqlite.org/
    fileformat2.html, section 4.1.
    """
    with log.open("rb") as file:
        head = file.read(_LOG_HEAD)
        length = os.fstat(file.fileno()).st_size
        magic, _, page = struct.unpack_from(">3I", head.ljust(_LOG_HEAD, b"\0"))
        if length < _LOG_HEAD + _FRAME_HEAD:
            return
        if magic not in _LOG_MAGIC or _checksum(head) != head[24:]:
            # It is no longer than a sector, which is written whole or not.
            raise damaged("the head of its log is lost")
        (whole,) = struct.unpack("=I", os.pread(index, 4, 16))
        lost = 0
        for number in range(whole, (length - _LOG_HEAD) // (_FRAME_HEAD + page)):
            file.seek(_LOG_HEAD + number * (_FRAME_HEAD + page))
            frame = file.read(_FRAME_HEAD)
            lost += frame[8:16] == head[16:24] and any(frame[4:8])
        if lost > 1:
            raise damaged(f"its log breaks off before {lost} commits")


def _checksum(head: bytes) -> bytes:
    # Whose words it adds up, of the machine that has made it, the magic tells.
    order = ">" if head[3] & 1 else "<"
    words = struct.unpack(f"{order}6I", head[:24])
    one = other = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return struct.pack(">2I", one, other)


# The pages


def check(database: sqlite3.Connection, seconds: float) -> bool:
    """
    Read the rows of what is not finished, and then go through all pages.

    :param seconds: how long that may take.

    :return: whether all was gone through in that time.

    :raises Damaged: where something is wrong.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    with interrupted(database, seconds) as over:
        try:
            if version:
                for table, condition in _OPEN_ROWS:
                    for _ in database.execute(
                        f"SELECT * FROM {table} WHERE {condition}"
                    ):
                        pass
            _complain(database.execute("PRAGMA quick_check(1)").fetchone(), over)
        except sqlite3.DatabaseError as error:
            if trouble(error) is Trouble.DAMAGED:
                raise damaged(error) from error
            if not over.is_set():
                raise
    return not over.is_set()


def check_table(database: sqlite3.Connection, table: str, over: Event) -> None:
    """
    Go through all pages of a table and its indexes, until *over* is set.

    :raises Damaged: where something is wrong.
    :raises sqlite3.Error: where it can't be read, or was interrupted.
    """
    try:
        row = database.execute(f"PRAGMA quick_check('{table}')").fetchone()
    except sqlite3.DatabaseError as error:
        if trouble(error) is Trouble.DAMAGED:
            raise damaged(error) from error
        raise
    _complain(row, over)


def tables(database: sqlite3.Connection) -> list[str]:
    """
    List the tables.
    """
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    return [name for (name,) in rows]


def _complain(row: tuple[object], over: Event) -> None:
    (found,) = row
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
    # Interrupted, SQLite complains of what it has not seen.
    if text != "ok" and not over.is_set():
        raise damaged(" ".join(text.split()))


@contextmanager
def interrupted(database: sqlite3.Connection, seconds: float) -> Iterator[Event]:
    """
    Interrupt, after so many seconds, whatever the connection does in the block.

    :return: is set once the time is over.
    """
    over, done = Event(), Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        over.set()
        # Only what is under way at that moment is interrupted.
        while True:
            database.interrupt()
            if done.wait(0.02):
                return

    thread = Thread(target=watch, name="store: time limit", daemon=True)
    thread.start()
    try:
        yield over
    finally:
        done.set()
        thread.join()
