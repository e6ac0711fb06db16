"""
All that is kept of one person, for them to have.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any

from micamsgr.errors import Declined, StoreUnavailable

from .database import open_for_reading
from .erasure import fingerprint
from .schema import MIGRATIONS, version_of

_TABLES = {
    "events": "event",
    "turns": "turn",
    "parts": "part",
    "utterances": "utterance",
    "spending": "spending",
}


def open_beside(path: str) -> sqlite3.Connection:
    """
    Open a store for reading, whether a daemon has it or not.

    :raises StoreUnavailable: where it can't be read, or is of another version.
    """
    database = open_for_reading(path)
    try:
        version = version_of(database, MIGRATIONS)
        if version < len(MIGRATIONS):
            raise ValueError(
                "it is of an older version: bring it up to date by"
                " `micamessenger migrate`"
            )
    except (ValueError, sqlite3.Error) as error:
        database.close()
        raise StoreUnavailable(f"can't read the store {path}: {error}") from error
    return database


def export(
    path: str, psid: str, bot: str | None = None, page: str | None = None
) -> dict[str, Any]:
    """
    Read all that is kept of a person, at one moment.

    :return: ``psid``; ``conversations``, each with its row and, by table, the
        rows that belong to it; ``unreadable``, what could not be read and
        names them; ``erased_until``, by bot and Page, up to when their words
        were erased.

    :raises Declined: where nothing is kept.
    :raises StoreUnavailable: where the store can't be read.
    """
    try:
        with closing(open_beside(path)) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")
            found = _read(database, psid, bot, page)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't read the store {path}: {error}") from error
    if not (found["conversations"] or found["unreadable"] or found["erased_until"]):
        raise Declined("nothing is kept of anybody of that ID")
    return found


def _read(
    database: sqlite3.Connection, psid: str, bot: str | None, page: str | None
) -> dict[str, Any]:
    conversations = []
    known = database.execute("SELECT bot, page FROM page").fetchall()
    places = {(row["bot"], row["page"]) for row in known}
    for row in database.execute(
        "SELECT * FROM conversation WHERE psid = :psid AND bot = coalesce(:bot, bot)"
        " AND page = coalesce(:page, page) ORDER BY id",
        {"psid": psid, "bot": bot, "page": page},
    ).fetchall():
        places.add((row["bot"], row["page"]))
        rows = {
            name: [
                _plain(each)
                for each in database.execute(
                    f"SELECT * FROM {table} WHERE conversation = ? ORDER BY rowid"
                    if table != "spending"
                    else "SELECT * FROM spending WHERE conversation = ? ORDER BY day",
                    (row["id"],),
                )
            ]
            for name, table in _TABLES.items()
        }
        conversations.append({**_plain(row), **rows})
    return {
        "psid": psid,
        "conversations": conversations,
        "unreadable": _unreadable(database, psid, bot, page),
        "erased_until": [
            {"bot": of_bot, "page": of_page, "at": at}
            for of_bot, of_page in sorted(places)
            if bot in (None, of_bot) and page in (None, of_page)
            for (at,) in database.execute(
                "SELECT at FROM tombstone WHERE person = ?",
                (fingerprint(of_bot, of_page, psid),),
            )
        ],
    }


def _unreadable(
    database: sqlite3.Connection, psid: str, bot: str | None, page: str | None
) -> list[dict[str, Any]]:
    named = re.compile(rf"(?<!\w){re.escape(psid)}(?!\w)".encode(), re.ASCII)
    rows = database.execute(
        "SELECT * FROM event WHERE raw IS NOT NULL AND bot = coalesce(:bot, bot)"
        " AND page = coalesce(:page, page) ORDER BY id",
        {"bot": bot, "page": page},
    )
    return [_plain(row) for row in rows if named.search(row["raw"])]


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    """
    Make of a row what JSON can say; bytes become text, or hexadecimal digits.
    """
    return {
        name: (
            row[name].decode("utf-8", "backslashreplace")
            if name == "raw" and row[name] is not None
            else row[name].hex()
            if isinstance(row[name], bytes)
            else row[name]
        )
        for name in row.keys()  # noqa: SIM118
    }
