"""
Looks into the store at what becomes of the messages that come, for an operator
who waits for one: nothing is changed, the daemon that has it is not disturbed,
and neither words nor people are read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from attrs import frozen

from .look import is_taken
from .schema import MIGRATIONS, version_of

# The most messages to look at.
_MOST = 50

_SAID = "('message', 'quick_reply', 'postback')"


@frozen(kw_only=True)
class PartSight:
    """
    A message to a person.

    :ivar attempt: how often it was begun to be sent.
    :ivar echoed: whether Meta has told that it is in the conversation.
    """

    id: str
    kind: str
    state: str
    reason: str | None
    attempt: int
    echoed: bool


@frozen(kw_only=True)
class MessageSight:
    """
    A person's message, and what is made of it.

    :ivar conversation: a number; ``None``: it belongs to none of ours.
    :ivar late: seconds from when it was written until it was kept.
    :ivar turn: the number of the turn that answers it, if there is one.
    :ivar turn_state: of that turn.
    :ivar tries: how often the LLM was asked in vain.
    :ivar parts: of that turn, in their order.
    :ivar delivered: whether Meta has told that something of ours reached the
        person since the answer was first sent; *read*: that they read it.
    """

    id: int
    conversation: int | None
    bot: str
    late: float
    state: str
    reason: str | None
    turn: int | None = None
    turn_state: str | None = None
    tries: int = 0
    parts: tuple[PartSight, ...] = ()
    delivered: bool = False
    read: bool = False


@frozen(kw_only=True)
class Sight:
    """
    What was seen.

    :ivar runs: whether a daemon has the store.
    :ivar problem: why it can't be read; empty: it can.
    :ivar last: the number of the last event; ``None``: not known.
    :ivar messages: those that came after the one that was named, oldest first.
    :ivar others: how many other events came after it.
    :ivar read_back: how many messages Meta did not deliver: they were read from
        the thread.
    """

    runs: bool
    problem: str = ""
    last: int | None = None
    messages: tuple[MessageSight, ...] = ()
    others: int = 0
    read_back: int = 0


def follow(path: Path, after: int | None) -> Sight:
    """
    Look at the first fifty messages that came after an event.

    This waits for the disk, and for a second at most for who writes.  No
    connection of this process may be open on the store.

    :param after: its number; ``None``: only the last one's is wanted.
    """
    try:
        path = path.resolve()
        there = path.exists()
    except OSError as error:
        # As where the directory is closed to whoever asks.
        return Sight(runs=False, problem=f"{path}: {error.strerror}")
    if not there:
        return Sight(runs=is_taken(path), last=0)
    if not os.access(path, os.R_OK):
        return Sight(runs=False, problem=f"{path}: whoever asks may not read it")
    runs = is_taken(path)
    uri = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as database:
            database.isolation_level = None
            database.execute("BEGIN")
            version = version_of(database, MIGRATIONS)
            if version < len(MIGRATIONS):
                # It is brought up to date, or is made, at the daemon's start.
                return Sight(runs=runs)
            return _follow(database, after, runs)
    except (sqlite3.Error, ValueError) as error:
        return Sight(runs=runs, problem=f"{path}: {error}")


def _follow(database: sqlite3.Connection, after: int | None, runs: bool) -> Sight:
    (last,) = database.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
    if after is None or last <= after:
        return Sight(runs=runs, last=last)
    came = f"kind IN {_SAID} AND source <> 'backfill'"
    rows = database.execute(
        "SELECT event.id, event.conversation, bot, received - at, event.state,"
        " event.reason, turn, turn.state, turn.tries FROM event"
        " LEFT JOIN turn ON turn.id = event.turn"
        f" WHERE event.id > ? AND {came} ORDER BY event.id LIMIT ?",
        (after, _MOST),
    ).fetchall()
    (others, read_back) = database.execute(
        f"SELECT count(*) FILTER (WHERE kind NOT IN {_SAID}),"
        f" count(*) FILTER (WHERE kind IN {_SAID} AND source = 'backfill')"
        " FROM event WHERE id > ?",
        (after,),
    ).fetchone()
    receipts = _receipts(database, after, {row[1] for row in rows} - {None})
    messages = []
    for id, conversation, bot, late, state, reason, turn, turn_state, tries in rows:
        parts, sent_at = _parts(database, turn)
        messages.append(
            MessageSight(
                id=id,
                conversation=conversation,
                bot=bot,
                late=late / 1000.0,
                state=state,
                reason=reason,
                turn=turn,
                turn_state=turn_state,
                tries=tries or 0,
                parts=parts,
                delivered=_since(receipts, conversation, "delivery", sent_at),
                read=_since(receipts, conversation, "read", sent_at),
            )
        )
    return Sight(
        runs=runs,
        last=last,
        messages=tuple(messages),
        others=others,
        read_back=read_back,
    )


def _parts(
    database: sqlite3.Connection, turn: int | None
) -> tuple[tuple[PartSight, ...], int | None]:
    """
    :return: a turn's parts, and when the last of its answer was first sent, in
        milliseconds; ``None``: it is not.
    """
    rows = database.execute(
        "SELECT id, kind, state, reason, attempt, echo IS NOT NULL, first_wall"
        " FROM part WHERE turn = ? ORDER BY kind, number",
        (turn,),
    ).fetchall()
    found = tuple(
        PartSight(
            id=id,
            kind=kind,
            state=state,
            reason=reason,
            attempt=attempt,
            echoed=bool(echoed),
        )
        for id, kind, state, reason, attempt, echoed, _ in rows
    )
    answer = [row[6] for row in rows if row[1] == "answer"]
    if not answer or None in answer:
        return found, None
    return found, max(answer)


def _receipts(
    database: sqlite3.Connection, after: int, conversations: Collection[int]
) -> dict[tuple[int, str], int]:
    """
    Say when a conversation was last told of as delivered or read, in
    milliseconds.
    """
    marks = ", ".join("?" * len(conversations))
    rows = database.execute(
        "SELECT conversation, kind, max(received) FROM event WHERE id > ?"
        f" AND kind IN ('delivery', 'read') AND conversation IN ({marks})"
        " GROUP BY conversation, kind",
        (after, *conversations),
    )
    return {(conversation, kind): at for conversation, kind, at in rows}


def _since(
    receipts: dict[tuple[int, str], int],
    conversation: int | None,
    kind: str,
    sent_at: int | None,
) -> bool:
    if conversation is None or sent_at is None:
        return False
    return receipts.get((conversation, kind), -1) >= sent_at
