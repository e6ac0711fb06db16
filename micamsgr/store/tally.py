"""
Counting what becomes of events, turns and parts, whoever changes them: in the
transaction that changes them, so that what is rolled back is not counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from attrs import frozen

from .schema import ENDED, OPEN_EVENT, OPEN_PART, OPEN_TURN, of


@frozen(kw_only=True)
class Count:
    """
    How often something came into a state.

    :ivar what: ``event``, ``turn`` or ``part``; ``arrival`` for the state in
        which an event begins.
    :ivar kind: the event's or the part's.
    :ivar reason: why it ended, where it did; may be in the words of an LLM's
        server.
    """

    what: str
    kind: str
    state: str
    reason: str
    count: int


@frozen(kw_only=True)
class Figures:
    """
    What is open.

    :ivar states: how many there are, by ``event``, ``turn`` or ``part`` and
        state.
    :ivar oldest: when the oldest event was received that has no answer yet, in
        milliseconds by Meta's clock.
    :ivar tokens: by bot, what was spent or set aside on this day.
    """

    states: dict[tuple[str, str], int]
    oldest: int | None
    tokens: dict[str, int]


def count_states(database: sqlite3.Connection) -> None:
    """
    Count, on this connection, every change of state from now on.
    """
    # Each change is a row, until they are counted: to look for the one to be
    # counted up takes as long as the change.
    database.execute("CREATE TEMP TABLE tally (what, kind, state, reason)")
    for name, what, table, when in (
        ("event_arrives_counted", "arrival", "event", "INSERT"),
        ("event_moves_counted", "event", "event", "UPDATE OF state"),
        ("turn_begins_counted", "turn", "turn", "INSERT"),
        ("turn_moves_counted", "turn", "turn", "UPDATE OF state"),
        ("part_begins_counted", "part", "part", "INSERT"),
        ("part_moves_counted", "part", "part", "UPDATE OF state"),
    ):
        kind = "''" if table == "turn" else "NEW.kind"
        moved = "" if when == "INSERT" else "WHEN NEW.state <> OLD.state"
        database.execute(
            f"CREATE TEMP TRIGGER {name} AFTER {when} ON main.{table} {moved} BEGIN"
            f" INSERT INTO tally VALUES ('{what}', {kind}, NEW.state,"
            f" CASE WHEN {of('NEW', ENDED)} THEN coalesce(NEW.reason, '')"
            " ELSE '' END); END"
        )


def take_counts(database: sqlite3.Connection) -> list[Count]:
    """
    Read what was counted since the last time.
    """
    rows = database.execute(
        "SELECT what, kind, state, reason, count(*) FROM tally GROUP BY 1, 2, 3, 4"
    ).fetchall()
    database.execute("DELETE FROM tally")
    return [
        Count(what=what, kind=kind, state=state, reason=reason, count=count)
        for what, kind, state, reason, count in rows
    ]


def read_figures(
    database: sqlite3.Connection, day: int, bots: Collection[str] | None = None
) -> Figures:
    """
    Look at what is open, and only at that.

    :param day: since the epoch, UTC.
    :param bots: whose oldest event to look for; ``None``: anybody's.
    """
    states: dict[tuple[str, str], int] = {}
    for table, is_open in (
        ("event", OPEN_EVENT),
        ("turn", OPEN_TURN),
        ("part", OPEN_PART),
    ):
        for state, count in database.execute(
            f"SELECT state, count(*) FROM {table} WHERE {is_open} GROUP BY state"
        ):
            states[table, state] = count
    theirs = "" if bots is None else f" AND bot IN ({', '.join('?' * len(bots))})"
    (waiting,) = database.execute(
        f"SELECT min(received) FROM event WHERE {OPEN_EVENT}{theirs}",
        tuple(bots or ()),
    ).fetchone()
    # An answer that is made is none to the person yet; what is in doubt may be.
    (made,) = database.execute(
        "SELECT min(began) FROM part JOIN turn ON turn.id = part.turn"
        " JOIN conversation ON conversation.id = part.conversation"
        f" WHERE {of('part', OPEN_PART)} AND part.state <> 'unknown'{theirs}",
        tuple(bots or ()),
    ).fetchone()
    oldest = min((at for at in (waiting, made) if at is not None), default=None)
    tokens = database.execute(
        "WITH RECURSIVE known (bot) AS (SELECT min(bot) FROM spending UNION ALL"
        " SELECT (SELECT min(bot) FROM spending WHERE bot > known.bot) FROM known"
        " WHERE known.bot IS NOT NULL)"
        " SELECT bot, tokens FROM known JOIN spending USING (bot)"
        " WHERE conversation = 0 AND day = ?",
        (day,),
    ).fetchall()
    return Figures(states=states, oldest=oldest, tokens=dict(tokens))
