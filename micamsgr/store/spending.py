"""
What was used of the limits, as it lies in the tables.  Nothing here begins or
ends a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from micamsgr.conversation.limits import DAY, MINUTE, Limit, Usage, reached, set_aside
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.policy import Limits

from .rows import values

# In the place of a conversation: all who write to a bot.
_ALL = 0

_USAGE = f"""
    SELECT turn.reserved_on IS NULL,
        CASE WHEN own.minute = :minute THEN own.minute_turns ELSE 0 END,
        coalesce(own.turns, 0), coalesce(own.tokens, 0), coalesce(everybody.tokens, 0)
    FROM turn
    LEFT JOIN spending AS own ON own.bot = :bot
        AND own.conversation = :conversation AND own.day = :day
    LEFT JOIN spending AS everybody ON everybody.bot = :bot
        AND everybody.conversation = {_ALL} AND everybody.day = :day
    WHERE turn.id = :turn
"""


def reserve(
    database: sqlite3.Connection,
    situation: Situation,
    limits: Limits,
    now: int,
    cost: int,
) -> Limit | None:
    """
    Set aside what a call may cost, if no limit is reached.

    :param situation: of the conversation; the call is for its turn.
    :param now: milliseconds.
    :param cost: the most tokens that it may cost.

    :return: the limit that is reached; then nothing is set aside.
    """
    assert situation.turn is not None
    bot, turn = situation.conversation.bot, situation.turn.id
    day, minute = now // DAY, now // MINUTE
    turns, usage = _usage(database, bot, situation.id, turn, now)
    limit = reached(limits, usage, turns)
    if limit is not None:
        return limit
    tokens = set_aside(limits, usage, cost)
    database.execute(
        "INSERT INTO spending (bot, conversation, day, turns, tokens, minute,"
        " minute_turns) VALUES (:bot, :conversation, :day, :turns, :tokens, :minute,"
        f" :turns), (:bot, {_ALL}, :day, 0, :tokens, 0, 0)"
        " ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " turns = turns + excluded.turns, tokens = tokens + excluded.tokens,"
        " minute_turns = excluded.minute_turns + CASE WHEN minute = excluded.minute"
        " THEN minute_turns ELSE 0 END, minute = excluded.minute",
        {
            "bot": bot,
            "conversation": situation.id,
            "day": day,
            "turns": turns,
            "tokens": tokens,
            "minute": minute,
        },
    )
    database.execute(
        "UPDATE turn SET reserved = ?, reserved_on = ? WHERE id = ?",
        (tokens, day, turn),
    )
    return None


def settle(database: sqlite3.Connection, turn: int, tokens: int) -> int:
    """
    Put what a call did cost in the place of what was set aside for it.

    :return: the turn's conversation.
    """
    bot, conversation, reserved, day = database.execute(
        "SELECT bot, conversation.id, reserved, reserved_on FROM turn"
        " JOIN conversation ON conversation.id = turn.conversation"
        " WHERE turn.id = ?",
        (turn,),
    ).fetchone()
    if reserved is not None:
        _add(database, bot, (conversation, _ALL), day, tokens - reserved)
        database.execute("UPDATE turn SET reserved = NULL WHERE id = ?", (turn,))
    return int(conversation)


def tell(database: sqlite3.Connection, turn: int, now: int, until: int) -> bool:
    """
    Note that a person is told of a limit; all times are milliseconds.

    :return: whether that is to be done: ``False`` where it was already.
    """
    bot, conversation = database.execute(
        "SELECT bot, conversation.id FROM turn JOIN conversation"
        " ON conversation.id = turn.conversation WHERE turn.id = ?",
        (turn,),
    ).fetchone()
    day = now // DAY
    _add(database, bot, (conversation,), day, 0)
    return (
        database.execute(
            "UPDATE spending SET told_until = ? WHERE bot = ? AND conversation = ?"
            " AND day = ? AND told_until <= ?",
            (until, bot, conversation, day, now),
        ).rowcount
        == 1
    )


def _usage(
    database: sqlite3.Connection, bot: str, conversation: int, turn: int, now: int
) -> tuple[int, Usage]:
    """
    :return: also 1 for a turn that begins, 0 for another call in it.
    """
    turns, *used = database.execute(
        _USAGE,
        {
            "turn": turn,
            "bot": bot,
            "conversation": conversation,
            "minute": now // MINUTE,
            "day": now // DAY,
        },
    ).fetchone()
    minute_turns, day_turns, tokens, bot_tokens = used
    return turns, Usage(
        minute_turns=minute_turns,
        turns=day_turns,
        tokens=tokens,
        bot_tokens=bot_tokens,
    )


def _add(
    database: sqlite3.Connection,
    bot: str,
    conversations: Sequence[int],
    day: int,
    tokens: int,
) -> None:
    rows = [(bot, conversation, day, tokens) for conversation in conversations]
    database.execute(
        "INSERT INTO spending (bot, conversation, day, tokens)"
        f" VALUES {values(rows)} ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " tokens = tokens + excluded.tokens",
        [value for row in rows for value in row],
    )
