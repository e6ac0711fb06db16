"""
An SQLite file, opened as it must be for a commit to survive a loss of power.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from micamsgr.errors import StoreUnavailable

from .group import Transact, Work
from .integrity import CHECK_SECONDS, check, examine
from .schema import MIGRATIONS, check_tables, guard_states, migrate
from .tally import count_states
from .trouble import Trouble, trouble

__all__ = ["Transact", "Work", "in_transaction", "open_database", "open_for_reading"]

T = TypeVar("T")

# Seconds to wait for another program that uses the file.
_BUSY = 5.0


def open_database(path: str) -> sqlite3.Connection:
    """
    Open the store for writing, making or migrating it as need be.

    :param path: of the file, which gets mode 0600; or ``:memory:``.

    :raises StoreUnavailable: where that can't be done, with the reason; a file
        that can't be the store is left as it is.
    """
    if path != ":memory:":
        admit_file(path)
    return connect(path)


def admit_file(path: str) -> None:
    """
    Make the file, if it is not there; see whether it can be the store, if it
    is.  No connection of this process may be open on it.

    :raises StoreUnavailable: where it can't.
    """
    _make(Path(path))
    try:
        examine(Path(path))
    except (sqlite3.Error, ValueError, OSError) as error:
        raise _unusable(path, error) from error


def reopen_database(path: str) -> sqlite3.Connection:
    """
    Open the store for writing once more, after the connection on which
    something failed was closed; other connections of this process may be open.

    :raises StoreUnavailable: where that can't be done, or the file is found to
        be damaged.
    """
    database = connect(path)
    try:
        check(database, CHECK_SECONDS)
    except (sqlite3.Error, ValueError) as error:
        database.close()
        raise _unusable(path, error) from error
    return database


def connect(path: str) -> sqlite3.Connection:
    """
    Open a file that was admitted, making or migrating the tables as need be.

    :raises StoreUnavailable: where that can't be done, with the reason.
    """
    try:
        database = sqlite3.connect(
            path,
            timeout=_BUSY,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
    except (sqlite3.Error, ValueError) as error:
        raise _unusable(path, error) from error
    return database


def _unusable(path: str, error: Exception) -> StoreUnavailable:
    why = getattr(error, "strerror", None) or error
    return StoreUnavailable(f"can't use the store {path}: {why}")


def _prepare(database: sqlite3.Connection) -> None:
    # FULL, not NORMAL: that one may roll back the last commits after a
    # loss of power, and by then we have told Meta 200.
    database.execute("PRAGMA synchronous = FULL")
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    if synchronous != 2:
        raise ValueError("it can't be set to synchronous = FULL")
    _settle(database)
    # Before the journal's mode, which is written into the file: one that isn't
    # ours is left as it is.
    migrate(database, MIGRATIONS)
    check_tables(database)
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode not in ("wal", "memory"):
        raise ValueError("it can't be set to journal_mode = WAL")
    guard_states(database)
    count_states(database)
    _empty_log(database)


def _empty_log(database: sqlite3.Connection) -> None:
    """
    Bring the log into the file, so that nothing stays in it of a commit that
    was cut short.
    """
    # Who else reads now is not waited for.
    database.execute("PRAGMA busy_timeout = 0")
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        # Where there is no room it stays, and that harms nobody.
        if trouble(error) not in (None, Trouble.FULL):
            raise
    database.execute(f"PRAGMA busy_timeout = {int(_BUSY * 1000)}")


def open_for_reading(path: str) -> sqlite3.Connection:
    """
    Open a second connection to a store, one that can't write.

    :raises StoreUnavailable: where there is none.
    """
    try:
        database = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _settle(database)
            database.execute("PRAGMA query_only = ON")
            # Log and index are opened with the first look, which is not to be
            # the first one to fail.
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't read the store {path}: {error}") from error
    return database


def _make(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Whoever made it, nobody else is to read what people write.
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        raise StoreUnavailable(
            f"can't use the store {path}: {error.strerror}"
        ) from error


def _settle(database: sqlite3.Connection) -> None:
    for pragma in (
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "temp_store = MEMORY",
        "secure_delete = ON",
    ):
        database.execute(f"PRAGMA {pragma}")


def in_transaction(database: sqlite3.Connection, work: Work[T]) -> T:
    """
    Call *work* between ``BEGIN IMMEDIATE`` and ``COMMIT`` or ``ROLLBACK``.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        result = work(database)
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return result
