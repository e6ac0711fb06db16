"""
Stores as earlier programs left them, from the SQL in ``micamsgr/test/stores``.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from micamsgr.store.schema import MIGRATIONS

STORES = Path(__file__).parent / "stores"

NEWEST = len(MIGRATIONS)

#: All rows of all tables, each row by column.
Content = dict[str, list[dict[str, Any]]]

# The columns that hold milliseconds.
_TIMES = (
    ("conversation", "opened"),
    ("conversation", "heard"),
    ("conversation", "quiet_until"),
    ("event", "at"),
    ("event", "received"),
    ("turn", "began"),
    ("part", "first_wall"),
    ("utterance", "at"),
)


def file_of(version: int) -> Path:
    """
    Tell where the store of a version is.
    """
    return STORES / f"version_{version}.sql"


def make_store(path: Path, version: int) -> None:
    """
    Make a store of a version, with a log as the daemon's has.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(file_of(version).read_text(encoding="utf-8"))
        database.execute("PRAGMA journal_mode = WAL").fetchone()


def enlarge(path: Path, events: int) -> None:
    """
    Put so many answered messages into a store of any version.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n"
            " WHERE n < ?) INSERT INTO event (key, conversation, bot, page, kind, mid,"
            " at, received, text, state) SELECT CAST(printf('%016d', n) AS BLOB),"
            " 1 + n % 7, 'mica', '108463527190842', 'message', 'm_' || n, n, n,"
            " 'Words ' || n, 'done' FROM n",
            (events,),
        )


def move_to(path: Path, now: int) -> None:
    """
    Let the last event of a store have been received at a time.

    :param now: milliseconds.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        (last,) = database.execute("SELECT max(received) FROM event").fetchone()
        for table, column in _TIMES:
            database.execute(
                f"UPDATE {table} SET {column} = {column} + ? WHERE {column} > 0",
                (now - last,),
            )


def content(database: sqlite3.Connection) -> Content:
    """
    Read all that is in a store.
    """
    found: Content = {}
    for (table,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite_%'"
    ).fetchall():
        rows = database.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in rows.description]
        found[table] = [dict(zip(names, row, strict=True)) for row in rows]
    return found


def shape(database: sqlite3.Connection) -> dict[str, str]:
    """
    Read the definitions of tables and indexes, less comments and spaces, which
    SQLite moves about as it adds columns.
    """
    return {
        name: re.sub(r"--[^\n]*|\s", "", sql)
        for name, sql in database.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            " AND name NOT LIKE 'sqlite_%'"
        )
    }


def version(database: sqlite3.Connection) -> int:
    """
    Read of which version a store is.
    """
    (number,) = database.execute("PRAGMA user_version").fetchone()
    return int(number)
