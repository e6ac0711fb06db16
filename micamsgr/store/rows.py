"""
How values lie in the tables.  Nothing here begins or ends a transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.conversation.events import BotName, Conversation, PageId, Psid
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Situation, Turn
from micamsgr.conversation.states import PartState, TurnState

from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN

# What read_part() reads, in its order.
PART = (
    "id, turn, kind, number, text, state, attempt, absent, intended,"
    " first_intended, first_wall, looked, rest, boot, resent, withdrawn, mid, echo,"
    " reason, (SELECT first FROM turn WHERE turn.id = part.turn)"
)


def trace(event: int | None) -> str:
    """
    Say by what the log, and whoever asks about it, names an event; and all that
    becomes of it and of what is answered together with it.

    :param event: the ID of the oldest; ``None``: nobody wrote it down.
    """
    return "" if event is None else f"e{event}"


def read_situation(database: sqlite3.Connection, conversation: int) -> Situation:
    """
    Read a conversation's unfinished business.

    :raises KeyError: where there is no such conversation.
    """
    row = database.execute(
        "SELECT bot, page, psid, heard, farewell FROM conversation WHERE id = ?",
        (conversation,),
    ).fetchone()
    if row is None:
        raise KeyError(conversation)
    bot, page, psid, heard, farewell = row
    turn = database.execute(
        "SELECT id, state, began, tries, reason, rest, boot, EXISTS (SELECT 1 FROM part"
        " WHERE turn = turn.id AND kind = 'apology'), first"
        f" FROM turn WHERE conversation = ? AND {OPEN_TURN}",
        (conversation,),
    ).fetchone()
    begun = None if turn is None else _read_turn(turn)
    parts = database.execute(
        f"SELECT {PART} FROM part WHERE conversation = ? AND {OPEN_PART}"
        " ORDER BY turn, number",
        (conversation,),
    )
    waiting, first = database.execute(
        "SELECT min(received), min(id) FROM event"
        f" WHERE conversation = ? AND {OPEN_EVENT} AND state = 'new'",
        (conversation,),
    ).fetchone()
    return Situation(
        id=conversation,
        conversation=Conversation(BotName(bot), PageId(page), Psid(psid)),
        heard=heard,
        turn=begun,
        parts=tuple(read_part(part) for part in parts),
        waiting=waiting,
        farewell=farewell,
        trace=trace(first) if begun is None else begun.trace,
    )


def _read_turn(row: tuple[Any, ...]) -> Turn:
    id, state, began, tries, why, rest, boot, apologized, first = row
    return Turn(
        id=id,
        state=TurnState(state),
        began=began,
        tries=tries,
        why=why,
        rest=_tick(rest, boot),
        apologized=bool(apologized),
        trace=trace(first),
    )


def read_part(row: tuple[Any, ...]) -> Part:
    """
    Make a part from a row of the columns ``PART``.
    """
    (
        id,
        turn,
        kind,
        number,
        text,
        state,
        attempt,
        absent,
        intended,
        first_intended,
        first_wall,
        looked,
        rest,
        boot,
        resent,
        withdrawn,
        mid,
        echo,
        reason,
        first,
    ) = row
    return Part(
        id=id,
        turn=turn,
        kind=Kind(kind),
        number=number,
        text=text,
        state=PartState(state),
        attempt=attempt,
        absent=absent,
        intended=_tick(intended, boot),
        first_intended=_tick(first_intended, boot),
        first_wall=first_wall,
        looked=_tick(looked, boot),
        rest=_tick(rest, boot),
        resent=bool(resent),
        withdrawn=bool(withdrawn),
        mid=mid,
        echo=echo,
        reason=reason,
        trace=trace(first),
    )


def _tick(seconds: float | None, boot: str | None) -> Tick | None:
    return None if seconds is None or boot is None else Tick(seconds, boot)


def insert_part(database: sqlite3.Connection, conversation: int, part: Part) -> None:
    """
    Add a part: ``composed``, as each begins, and then as it is.
    """
    database.execute(
        "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 'composed')",
        (
            part.id,
            part.turn,
            conversation,
            part.kind.value,
            part.number,
            part.text,
        ),
    )
    if part.state is not PartState.COMPOSED:
        _write_part(database, part, PartState.COMPOSED, 0)


def replace_part(database: sqlite3.Connection, before: Part, after: Part) -> bool:
    """
    Put *after* in the place of *before*, where state and attempt are still
    those of *before*.  That it was withdrawn meanwhile stays so.

    :return: whether they were.
    """
    return _write_part(database, after, before.state, before.attempt)


def _write_part(
    database: sqlite3.Connection, part: Part, state: PartState, attempt: int
) -> bool:
    ticks = (part.first_intended, part.intended, part.looked, part.rest)
    # All that are of this boot share a column; a tick of an earlier boot says
    # no more than that it is past.
    boot = next((t.boot for t in reversed(ticks) if t is not None), None)
    seconds = [None if t is None or t.boot != boot else t.seconds for t in ticks]
    first_intended, intended, looked, rest = seconds
    return (
        database.execute(
            "UPDATE part SET state = ?, reason = ?, attempt = ?, absent = ?,"
            " first_wall = ?, first_intended = ?, intended = ?, looked = ?, rest = ?,"
            " boot = ?, resent = ?, withdrawn = withdrawn OR ?, mid = ?, echo = ?"
            " WHERE id = ? AND state = ? AND attempt = ?",
            (
                part.state.value,
                part.reason,
                part.attempt,
                part.absent,
                part.first_wall,
                first_intended,
                intended,
                looked,
                rest,
                boot,
                part.resent,
                part.withdrawn,
                part.mid,
                part.echo,
                part.id,
                state.value,
                attempt,
            ),
        ).rowcount
        == 1
    )


def close_turn(database: sqlite3.Connection, part: Part) -> None:
    """
    Draw the conclusions for a turn from what has become of one of its parts.

    If an answer's part ended other than sent, those behind it are withdrawn; so
    are an operator's words.
    With the last part of the answer the turn closes.
    """
    if part.kind not in (Kind.ANSWER, Kind.OPERATOR):
        return
    if part.state in (PartState.REFUSED, PartState.EXPIRED, PartState.DEAD):
        database.execute(
            "UPDATE part SET state = 'expired', reason = 'sibling'"
            " WHERE turn = ? AND kind = ? AND state = 'composed'",
            (part.turn, part.kind.value),
        )
    database.execute(
        "UPDATE turn SET state = 'closed' WHERE id = ? AND state = 'composed'"
        " AND NOT EXISTS (SELECT 1 FROM part WHERE turn = turn.id"
        f" AND kind = 'answer' AND {OPEN_PART.replace('state', 'part.state')})",
        (part.turn,),
    )


def utter(
    database: sqlite3.Connection, conversation: int, role: str, at: int, text: str
) -> int:
    """
    Add to a conversation's history.

    :return: by what the words are known there.
    """
    id = database.execute(
        "INSERT INTO utterance (conversation, role, at, text) VALUES (?, ?, ?, ?)",
        (conversation, role, at, text),
    ).lastrowid
    assert id is not None
    return id


def utterances(
    database: sqlite3.Connection, turn: Turn, most: int
) -> tuple[Utterance, ...]:
    """
    Read what was said before a turn, and what the turn is to answer.

    :param most: how many utterances of the past to read.
    """
    (conversation,) = database.execute(
        "SELECT conversation FROM turn WHERE id = ?", (turn.id,)
    ).fetchone()
    past = database.execute(
        "SELECT role, text FROM utterance WHERE conversation = ?"
        " ORDER BY id DESC LIMIT ?",
        (conversation, most),
    ).fetchall()
    present = database.execute(
        f"SELECT 'person', text FROM event WHERE conversation = ? AND {OPEN_EVENT}"
        " AND turn = ? ORDER BY at, id",
        (conversation, turn.id),
    ).fetchall()
    return tuple(
        Utterance(Role(role), text) for role, text in [*reversed(past), *present]
    )
