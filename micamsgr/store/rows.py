"""
How values lie in the tables.  Nothing here begins or ends a transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from micamsgr.conversation.events import BotName, Conversation, PageId, Psid
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Situation, Turn
from micamsgr.conversation.states import OPEN_PARTS, PartState, TurnState

from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN, of

# Stands for all that given_values() writes, so that there is one statement for any
# number of them.
GIVEN = "(SELECT value FROM json_each(?))"

# What read_part() reads, in its order.
PART = (
    "part.id, part.turn, part.kind, part.number, part.text, part.state,"
    " part.attempt, part.absent, part.intended, part.first_intended,"
    " part.first_wall, part.looked, part.rest, part.boot, part.resent,"
    " part.withdrawn, part.mid, part.echo, part.reason,"
    " (SELECT its.first FROM turn AS its WHERE its.id = part.turn)"
)

_TURN = (
    "turn.id, turn.state, turn.began, turn.tries, turn.reason, turn.rest, turn.boot,"
    " EXISTS (SELECT 1 FROM part AS its WHERE its.turn = turn.id"
    " AND its.kind = 'apology'), turn.first"
)

# One row for each open part, or one without any.
_SITUATION = f"""
    SELECT conversation.id, conversation.bot, conversation.page,
        conversation.psid, conversation.heard, conversation.farewell,
        (SELECT min(received) FROM event WHERE event.conversation = conversation.id
            AND {of("event", OPEN_EVENT)} AND event.state = 'new'),
        (SELECT min(id) FROM event WHERE event.conversation = conversation.id
            AND {of("event", OPEN_EVENT)} AND event.state = 'new'),
        {_TURN}, {PART}
    FROM conversation
    LEFT JOIN turn ON turn.conversation = conversation.id AND {of("turn", OPEN_TURN)}
    LEFT JOIN part ON part.conversation = conversation.id AND {of("part", OPEN_PART)}
    WHERE conversation.id {{which}}
    ORDER BY conversation.id, part.turn, part.number
"""
_ITS_SITUATION = _SITUATION.format(which="= ?")
_SITUATIONS = _SITUATION.format(which=f"IN {GIVEN}")


# A thread in which nobody wrote for so many milliseconds is opened anew.
_IDLE = 24 * 3600 * 1000


def trace(event: int | None) -> str:
    """
    Say by what the log, and whoever asks about it, names an event; and all that
    becomes of it and of what is answered together with it.

    :param event: the ID of the oldest; ``None``: nobody wrote it down.
    """
    return "" if event is None else f"e{event}"


def values(rows: Sequence[tuple[Any, ...]]) -> str:
    """
    Write what stands behind ``VALUES`` for so many rows, all of one length.
    """
    row = f"({', '.join('?' * len(rows[0]))})"
    return ", ".join([row] * len(rows))


def given_values(values: Sequence[int] | Sequence[str]) -> str:
    """
    Write IDs for ``GIVEN``.
    """
    return json.dumps(values)


def place_conversations(
    database: sqlite3.Connection, given: Sequence[tuple[str, str, str, int, int]]
) -> None:
    """
    Make conversations where there are none, and note what opens the window, one
    after the other.

    :param given: bot, Page and PSID; when somebody was heard in it, if that
        opens the window, else 0; and what time it is: all in milliseconds.
    """
    rows = [(*whose, heard, heard, seen) for *whose, heard, seen in given]
    database.execute(
        "INSERT INTO conversation (bot, page, psid, opened, heard, seen)"
        f" VALUES {values(rows)} ON CONFLICT (bot, page, psid) DO UPDATE SET"
        f" opened = CASE WHEN excluded.heard > heard + {_IDLE} THEN excluded.opened"
        " ELSE opened END, heard = max(heard, excluded.heard), seen = excluded.seen",
        [value for row in rows for value in row],
    )


def read_situation(database: sqlite3.Connection, conversation: int) -> Situation:
    """
    Read a conversation's unfinished business.

    :raises KeyError: where there is no such conversation.
    """
    return _situations(database, _ITS_SITUATION, conversation)[conversation]


def read_situations(
    database: sqlite3.Connection, conversations: Sequence[int]
) -> dict[int, Situation]:
    """
    Read the unfinished business of those conversations that there are.
    """
    return _situations(database, _SITUATIONS, given_values(conversations))


def _situations(
    database: sqlite3.Connection, statement: str, which: int | str
) -> dict[int, Situation]:
    rows = database.execute(statement, (which,)).fetchall()
    return {
        conversation: _situation(list(theirs))
        for conversation, theirs in groupby(rows, itemgetter(0))
    }


def _situation(rows: Sequence[tuple[Any, ...]]) -> Situation:
    id, bot, page, psid, heard, farewell, waiting, first = rows[0][:8]
    turn, parts = rows[0][8:17], [row[17:] for row in rows if row[17] is not None]
    begun = None if turn[0] is None else _read_turn(turn)
    return Situation(
        id=id,
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


def insert_parts(
    database: sqlite3.Connection, given: Sequence[tuple[int, Part]]
) -> None:
    """
    Add parts to conversations: ``composed``, as each begins, and then as it is.
    """
    database.executemany(
        "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 'composed')",
        [
            (it.id, it.turn, conversation, it.kind.value, it.number, it.text)
            for conversation, it in given
        ],
    )
    replace_parts(
        database, [it for _, it in given if it.state is not PartState.COMPOSED]
    )


def insert_part(database: sqlite3.Connection, conversation: int, part: Part) -> None:
    """
    Add one.
    """
    insert_parts(database, [(conversation, part)])


def replace_part(database: sqlite3.Connection, before: Part, after: Part) -> bool:
    """
    Put *after* in the place of *before*, where state and attempt are still
    those of *before*.

    :return: whether they were.
    """
    there = database.execute(
        "SELECT 1 FROM part WHERE id = ? AND state = ? AND attempt = ?",
        (before.id, before.state.value, before.attempt),
    ).fetchone()
    if there is not None:
        replace_parts(database, [after])
    return there is not None


def replace_parts(database: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """
    Write parts as they are now.  That one was withdrawn meanwhile stays so.
    """
    database.executemany(
        "UPDATE part SET state = ?, reason = ?, attempt = ?, absent = ?,"
        " first_wall = ?, first_intended = ?, intended = ?, looked = ?, rest = ?,"
        " boot = ?, resent = ?, withdrawn = withdrawn OR ?, mid = ?, echo = ?"
        " WHERE id = ?",
        [_written(part) for part in parts],
    )


def _written(part: Part) -> tuple[object, ...]:
    ticks = (part.first_intended, part.intended, part.looked, part.rest)
    # All that are of this boot share a column; a tick of an earlier boot says
    # no more than that it is past.
    boot = next((t.boot for t in reversed(ticks) if t is not None), None)
    return (
        part.state.value,
        part.reason,
        part.attempt,
        part.absent,
        part.first_wall,
        *(None if t is None or t.boot != boot else t.seconds for t in ticks),
        boot,
        part.resent,
        part.withdrawn,
        part.mid,
        part.echo,
        part.id,
    )


def close_turn(database: sqlite3.Connection, part: Part) -> None:
    """
    Draw the conclusions for a turn from what has become of one of its parts.
    """
    close_turns(database, [part])


def close_turns(database: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """
    Draw the conclusions for turns from what has become of some of their parts.

    If an answer's part ended other than sent, those behind it are withdrawn; so
    are an operator's words.
    With the last part of the answer the turn closes.
    """
    kinds = Kind.ANSWER, Kind.OPERATOR
    ended = [it for it in parts if it.kind in kinds and it.state not in OPEN_PARTS]
    for part in ended:
        if part.state is not PartState.SENT:
            database.execute(
                "UPDATE part SET state = 'expired', reason = 'sibling'"
                " WHERE turn = ? AND kind = ? AND state = 'composed'",
                (part.turn, part.kind.value),
            )
    if ended:
        database.execute(
            f"UPDATE turn SET state = 'closed' WHERE id IN {GIVEN}"
            " AND state = 'composed' AND NOT EXISTS (SELECT 1 FROM part"
            " WHERE turn = turn.id AND kind = 'answer'"
            f" AND {of('part', OPEN_PART)})",
            (given_values([it.turn for it in ended]),),
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
