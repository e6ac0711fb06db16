"""
What is kept for how long: the tables are gone over in slices, by rowid, which
grows with time.  Nothing here begins or ends a transaction.

How far a task has come is in the table ``progress``: that of one that blanks
texts, for good; that of one that deletes rows, until it has come to rows that
are too young, since next time it finds few rows left where it begins.

What is open or in doubt is passed over.  Where texts are blanked it is noted,
and its turn comes once it has ended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from attrs import frozen

from micamsgr.conversation.ulid import ulid

from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN

DAY = 86_400_000

#: The most rows of one slice.
SLICE = 250

# Rows of a turn, or of a conversation, may be so much younger than it, in
# milliseconds.
_TURN_LASTS, _CONVERSATION_LASTS = 2 * DAY, 7 * DAY

# People are few, and most have something left.
_PEOPLE = 20 * SLICE

# What is dated so far in the future, in milliseconds, has a wrong date.
_FUTURE = DAY


@frozen(kw_only=True)
class Ages:
    """
    For how many seconds things are kept; see ``retention`` in the
    configuration.
    """

    texts: float
    raw: float
    ledger: float


@frozen
class Slice:
    """
    :ivar changed: how many rows were changed or deleted.
    :ivar more: whether there may be more to do.
    """

    changed: int
    more: bool


@frozen(kw_only=True)
class Task:
    """
    :ivar name: tells it from others, and names it in ``progress``.
    :ivar age: which of the ages holds for it.
    :ivar work: does a slice, of what was there before a time in milliseconds;
        the third argument is now, the fourth the most rows, which may be passed
        by what one person spent on each day.
    :ivar alone: whether foreign keys must not be enforced meanwhile: SQLite
        would look through whole tables for what refers to each row, and
        nothing does.
    """

    name: str
    age: str
    work: Callable[[sqlite3.Connection, int, int, int], Slice]
    alone: bool = False

    @property
    def key(self) -> str:
        """The key of the configuration that sets the age."""
        return f"retention.{self.age}"

    @property
    def kind(self) -> str:
        """Of what it erases rows, or what they hold; for the log."""
        return f"{self.name.partition('.')[2]}s"


def position(database: sqlite3.Connection, task: str) -> int:
    """
    Read how far a task has come; 0 where it is to begin.
    """
    row = database.execute(
        "SELECT value FROM progress WHERE task = ?", (task,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def move(database: sqlite3.Connection, task: str, to: int) -> None:
    """
    Note how far a task has come.
    """
    database.execute(
        "INSERT INTO progress (task, value) VALUES (?, ?)"
        " ON CONFLICT (task) DO UPDATE SET value = excluded.value"
        " WHERE value <> excluded.value",
        (task, to),
    )


def forget_position(database: sqlite3.Connection, task: str) -> None:
    """
    Let a task begin anew.
    """
    database.execute("DELETE FROM progress WHERE task = ?", (task,))


@frozen(kw_only=True)
class _Rows:
    """
    The rows of a table, as a task sees them.

    :ivar when: the condition that a row is of the time before ``:time``.
    :ivar spared: the condition that it is not to be touched.
    """

    table: str
    when: str
    spared: str = "0"

    def after(
        self, database: sqlite3.Connection, start: int, before: int, now: int, most: int
    ) -> list[tuple[int, bool, bool, bool]]:
        """
        Read the next rows: rowid, whether it is old, whether it is spared,
        whether its date is wrong.
        """
        old, future = (self.when.replace(":time", name) for name in (":old", ":far"))
        return database.execute(
            f"SELECT rowid, {old}, {self.spared}, NOT {future} FROM {self.table}"
            " WHERE rowid > :start ORDER BY rowid LIMIT :most",
            {
                "start": start,
                "old": _comparable(self.table, before),
                "far": _comparable(self.table, now + _FUTURE),
                "most": most,
            },
        ).fetchall()


def _comparable(table: str, time: int) -> int | str:
    """
    Spell a time as rows of a table are dated: parts have only their IDs.
    """
    return ulid(max(0, time), bytes(10)) if table == "part" else time


_EVENTS = _Rows(table="event", when="(received < :time)", spared=f"({OPEN_EVENT})")
_PARTS = _Rows(table="part", when="(id < :time)", spared=f"({OPEN_PART})")
_UTTERANCES = _Rows(table="utterance", when="(at < :time)")
_DELETIONS = _Rows(table="deletion", when="(at < :time)", spared="(psid IS NOT NULL)")
_TURNS = _Rows(
    table="turn",
    when=f"(began < :time - {_TURN_LASTS})",
    spared=f"({OPEN_TURN} OR EXISTS (SELECT 1 FROM part WHERE turn = turn.id))",
)


def _blanking(name: str, rows: _Rows, change: str, there: str) -> Callable[..., Slice]:
    """
    Make a task's work that changes rows, and goes on where it left off.

    :param there: the condition that there is something to be changed.
    """

    def work(database: sqlite3.Connection, before: int, now: int, most: int) -> Slice:
        ended = _blank_ended(database, before, most)
        if ended:
            return Slice(ended, True)
        start = position(database, name)
        found = rows.after(database, start, before, now, most)
        if not found:
            return Slice(0, _begin_anew(database, name, rows.table, start))
        passed, blank = start, []
        for rowid, old, spared, odd in found:
            if not old and not odd:
                break
            passed = rowid
            if odd or spared:
                move(database, f"{name}:{rowid}", rowid)
            else:
                blank.append((rowid,))
        changed = _change(database, blank)
        move(database, name, passed)
        return Slice(changed, passed == found[-1][0] and len(found) == most)

    def _change(database: sqlite3.Connection, rowids: list[tuple[int]]) -> int:
        if not rowids:
            return 0
        return database.executemany(
            f"UPDATE {rows.table} SET {change} WHERE rowid = ? AND {there}", rowids
        ).rowcount

    def _blank_ended(database: sqlite3.Connection, before: int, most: int) -> int:
        """
        Change what was passed over and may be changed by now.
        """
        old = rows.when.replace(":time", ":old")
        found = database.execute(
            f"SELECT task, value FROM progress LEFT JOIN {rows.table}"
            f" ON {rows.table}.rowid = value WHERE task GLOB :tasks"
            f" AND ({rows.table}.rowid IS NULL OR ({old} AND NOT {rows.spared}))"
            " LIMIT :most",
            {
                "tasks": f"{name}:*",
                "old": _comparable(rows.table, before),
                "most": most,
            },
        ).fetchall()
        _change(database, [(rowid,) for _, rowid in found])
        for task, _ in found:
            forget_position(database, task)
        return len(found)

    return work


def _begin_anew(
    database: sqlite3.Connection, name: str, table: str, start: int
) -> bool:
    """
    Begin anew where rowids have begun anew: all rows were deleted, or somebody
    ran ``VACUUM``.

    :return: whether that is so.
    """
    (last,) = database.execute(f"SELECT max(rowid) FROM {table}").fetchone()
    if start <= (last or 0):
        return False
    move(database, name, 0)
    return last is not None


def _deleting(name: str, rows: _Rows) -> Callable[..., Slice]:
    """
    Make a task's work that deletes rows.
    """

    def work(database: sqlite3.Connection, before: int, now: int, most: int) -> Slice:
        start = position(database, name)
        found = rows.after(database, start, before, now, most)
        delete, young = [], False
        for rowid, old, spared, odd in found:
            if not old and not odd:
                young = True
                break
            if old and not spared:
                delete.append((rowid,))
        database.executemany(f"DELETE FROM {rows.table} WHERE rowid = ?", delete)
        if young or len(found) < most:
            forget_position(database, name)
            return Slice(len(delete), False)
        move(database, name, found[-1][0])
        return Slice(len(delete), True)

    return work


def _spending(database: sqlite3.Connection, before: int, now: int, most: int) -> Slice:
    name = "ledger.spending"
    (bots,) = database.execute(
        "WITH RECURSIVE known (bot) AS (SELECT min(bot) FROM spending UNION ALL"
        " SELECT (SELECT min(bot) FROM spending WHERE bot > known.bot) FROM known"
        " WHERE known.bot IS NOT NULL)"
        " SELECT json_group_array(bot) FILTER (WHERE bot IS NOT NULL) FROM known"
    ).fetchone()
    # Of each bot, the same range of conversations.
    start = position(database, name) - 1
    (end,) = database.execute(
        "SELECT min(last) FROM (SELECT (SELECT conversation FROM spending"
        " WHERE bot = value AND conversation > :start ORDER BY conversation, day"
        " LIMIT 1 OFFSET :most) AS last FROM json_each(:bots))",
        {"start": start, "most": most, "bots": bots},
    ).fetchone()
    changed = database.execute(
        "DELETE FROM spending WHERE bot IN (SELECT value FROM json_each(:bots))"
        " AND conversation > :start AND conversation <= coalesce(:end, conversation)"
        " AND day < :day",
        {"start": start, "end": end, "day": before // DAY, "bots": bots},
    ).rowcount
    if end is None:
        forget_position(database, name)
    else:
        move(database, name, end + 1)
    return Slice(changed, end is not None)


def _conversations(
    database: sqlite3.Connection, before: int, now: int, most: int
) -> Slice:
    name = "ledger.conversation"
    start = position(database, name)
    (last,) = database.execute("SELECT max(id) FROM conversation").fetchone()
    nothing = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {rows} AND conversation = conversation.id)"
        for rows in (
            "utterance WHERE 1",
            f"event WHERE {OPEN_EVENT}",
            f"turn WHERE {OPEN_TURN}",
            f"part WHERE {OPEN_PART}",
        )
    )
    found = database.execute(
        "SELECT id FROM conversation WHERE id > :start AND id <= :start + :people"
        " AND max(seen, heard) < :old AND quiet_until < :now"
        f" AND {nothing} ORDER BY id LIMIT :most",
        {
            "start": start,
            "people": _PEOPLE,
            "old": before - _CONVERSATION_LASTS,
            "now": now,
            "most": most,
        },
    ).fetchall()
    database.executemany("DELETE FROM conversation WHERE id = ?", found)
    reached = found[-1][0] if len(found) == most else start + _PEOPLE
    if reached >= (last or 0):
        forget_position(database, name)
        return Slice(len(found), False)
    move(database, name, reached)
    return Slice(len(found), True)


def _blank(name: str, age: str, rows: _Rows, change: str, there: str) -> Task:
    return Task(name=name, age=age, work=_blanking(name, rows, change, there))


def _delete(name: str, age: str, rows: _Rows, alone: bool = False) -> Task:
    return Task(name=name, age=age, work=_deleting(name, rows), alone=alone)


# What refers to something goes before it.
TASKS = (
    _blank("raw.event", "raw", _EVENTS, "raw = NULL", "raw IS NOT NULL"),
    _blank("texts.event", "texts", _EVENTS, "text = NULL", "text IS NOT NULL"),
    _blank("texts.part", "texts", _PARTS, "text = ''", "text <> ''"),
    _delete("texts.utterance", "texts", _UTTERANCES),
    _delete("ledger.event", "ledger", _EVENTS),
    _delete("ledger.part", "ledger", _PARTS),
    _delete("ledger.turn", "ledger", _TURNS, alone=True),
    _delete("ledger.deletion", "ledger", _DELETIONS),
    Task(name="ledger.spending", age="ledger", work=_spending),
    Task(name="ledger.conversation", age="ledger", work=_conversations, alone=True),
)
