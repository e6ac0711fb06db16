"""
Forgetting a person: what they wrote and were told, and who they are.  Nothing
here begins or ends a transaction.

The rows stay, so that the sums are right and nothing is answered again that is
delivered again; without texts, without Meta's IDs, and below a conversation
that names nobody.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from hashlib import sha256

from attrs import frozen

from .retention import Slice, forget_position, move, position
from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN

#: What a page-scoped ID looks like.
PSID = "[A-Za-z0-9_.-]{1,64}"

#: Why something ended that was open.
ERASED = "erased"

# So many rows of a slice are looked at, at most: who is to be found by no index
# is found so in a few seconds, and nobody else waits for longer than for one.
_LOOKED_AT = 5000

# What is blanked, by table.
_CHANGES = {
    "event": "text = NULL, mid = NULL,"
    " reason = CASE state WHEN 'dead' THEN 'erased' ELSE reason END",
    "part": "text = '', mid = NULL, echo = NULL,"
    " reason = CASE WHEN reason IS NULL THEN NULL ELSE 'erased' END",
    "turn": "reason = CASE WHEN reason IS NULL THEN NULL ELSE 'erased' END",
}


@frozen(kw_only=True)
class Person:
    """
    Whom to forget.

    :ivar bots: as which bots know them; none: all.
    :ivar page: of which Page; ``None``: of any.
    :ivar pages: bot and Page of those threads that may be read from Meta,
        whether the person is known there or not.
    """

    psid: str
    page: str | None = None
    bot: str | None = None
    pages: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True)
class Forgotten:
    """
    :ivar conversations: how many were the person's.
    :ivar before: whether they had been forgotten before.
    :ivar tasks: what is left for :func:`go_on`.
    """

    conversations: int
    before: bool
    tasks: tuple[str, ...]


def fingerprint(bot: str, page: str, psid: str) -> bytes:
    """
    Name a person in a way that doesn't tell who they are.
    """
    return sha256("\0".join((bot, page, psid)).encode()).digest()


def erased_until(
    database: sqlite3.Connection, bot: str, page: str, psid: str
) -> int | None:
    """
    Say up to when a person's words are erased, in milliseconds by Meta's
    clock; ``None``: they aren't.
    """
    row = database.execute(
        "SELECT at FROM tombstone WHERE person = ?", (fingerprint(bot, page, psid),)
    ).fetchone()
    return None if row is None else int(row[0])


def forget_raw(
    database: sqlite3.Connection, psid: str, after: int, most: int
) -> tuple[int | None, int]:
    """
    Erase what could not be read and names the person, in the next rows.

    :param most: how many are searched.

    :return: where to go on, ``None`` at the end; and how many were erased.
    """
    last = _reach(database, "event", after)
    if last is None:
        return None, 0
    found = database.execute(
        "SELECT id, raw FROM event WHERE id > ? AND id <= ? AND raw IS NOT NULL"
        " ORDER BY id LIMIT ?",
        (after, last, most),
    ).fetchall()
    # Not within another number.
    named = re.compile(rf"(?<!\w){re.escape(psid)}(?!\w)".encode(), re.ASCII)
    erase = [(id,) for id, raw in found if named.search(raw)]
    database.executemany("UPDATE event SET raw = NULL WHERE id = ?", erase)
    return (found[-1][0] if len(found) == most else last), len(erase)


def _reach(database: sqlite3.Connection, table: str, after: int) -> int | None:
    """
    Find the last of the next rows that are looked at; ``None``: there is none.
    """
    (last,) = database.execute(
        f"SELECT max(r) FROM (SELECT rowid AS r FROM {table} WHERE rowid > ?"
        " ORDER BY rowid LIMIT ?)",
        (after, _LOOKED_AT),
    ).fetchone()
    return None if last is None else int(last)


def forget(database: sqlite3.Connection, person: Person, now: int) -> Forgotten:
    """
    End what is open of a person's, take their name away, and keep in mind that
    what is older stays erased; the rest is for :func:`go_on`.

    What is not answered ends as dead, and what is not sent as expired.  A part
    in doubt ends as dead: it may have arrived, and is not sent again.

    :param now: milliseconds, by Meta's clock.
    """
    found = database.execute(
        "SELECT id, bot, page FROM conversation WHERE psid = :psid"
        " AND bot = coalesce(:bot, bot) AND page = coalesce(:page, page)",
        {"psid": person.psid, "bot": person.bot, "page": person.page},
    ).fetchall()
    before = False
    for bot, page in {*person.pages, *((bot, page) for _, bot, page in found)}:
        before |= erased_until(database, bot, page, person.psid) is not None
        database.execute(
            "INSERT INTO tombstone (person, at) VALUES (?, ?)"
            " ON CONFLICT (person) DO UPDATE SET at = max(at, excluded.at)",
            (fingerprint(bot, page, person.psid), now),
        )
    for conversation, _, _ in found:
        _end(database, conversation)
        database.execute(
            "UPDATE conversation SET psid = ?, opened = 0, heard = 0, quiet_until = 0,"
            " farewell = NULL WHERE id = ?",
            (f"{ERASED} {conversation}", conversation),
        )
    tasks = tuple(
        f"{ERASED}.{table}:{conversation}"
        for conversation, _, _ in found
        for table in ("utterance", *_CHANGES)
    )
    for task in tasks:
        move(database, task, 0)
    return Forgotten(conversations=len(found), before=before, tasks=tasks)


def _end(database: sqlite3.Connection, conversation: int) -> None:
    of = (ERASED, conversation)
    database.execute(
        "UPDATE event SET state = 'dead', reason = ?, text = NULL"
        f" WHERE conversation = ? AND {OPEN_EVENT}",
        of,
    )
    for state, after in (
        ("composed", "expired"),
        ("sending", "unknown"),
        ("unknown", "dead"),
    ):
        database.execute(
            f"UPDATE part SET state = '{after}', reason = ?, text = '', rest = NULL"
            f" WHERE conversation = ? AND {OPEN_PART} AND state = '{state}'",
            of,
        )
    database.execute(
        "UPDATE turn SET state = 'expired', reason = ?"
        f" WHERE conversation = ? AND {OPEN_TURN} AND state <> 'composed'",
        of,
    )
    database.execute(
        f"UPDATE turn SET state = 'closed' WHERE conversation = ? AND {OPEN_TURN}",
        (conversation,),
    )


def pending(database: sqlite3.Connection) -> list[str]:
    """
    List what is left for :func:`go_on`.
    """
    rows = database.execute(
        "SELECT task FROM progress WHERE task GLOB ? ORDER BY task", (f"{ERASED}.*",)
    )
    return [task for (task,) in rows]


def go_on(database: sqlite3.Connection, task: str, most: int) -> Slice:
    """
    Erase texts in the next rows.

    :param task: of those that :func:`pending` lists.
    :param most: how many are changed.
    """
    table, _, conversation = task.removeprefix(f"{ERASED}.").partition(":")
    if table == "utterance":
        changed = database.execute(
            "DELETE FROM utterance WHERE id IN"
            " (SELECT id FROM utterance WHERE conversation = ? LIMIT ?)",
            (int(conversation), most),
        ).rowcount
        last = 1 if changed == most else None
    else:
        start = position(database, task)
        last = _reach(database, table, start)
        found = database.execute(
            f"SELECT rowid FROM {table} WHERE rowid > ? AND rowid <= ?"
            " AND conversation = ? ORDER BY rowid LIMIT ?",
            (start, last, int(conversation), most),
        ).fetchall()
        database.executemany(
            f"UPDATE {table} SET {_CHANGES[table]} WHERE rowid = ?", found
        )
        changed = len(found)
        if changed == most:
            last = found[-1][0]
    if last is None:
        forget_position(database, task)
    else:
        move(database, task, last)
    return Slice(changed, last is not None)


def remembered_pages(database: sqlite3.Connection) -> Collection[tuple[str, str]]:
    """
    List bot and Page of those whose tokens were found to be of a Page.
    """
    return database.execute("SELECT bot, page FROM page").fetchall()
