"""
What was used of the limits, as it lies in the tables.  Nothing here begins or
ends a transaction.
"""

from __future__ import annotations

import sqlite3

from micamsgr.conversation.limits import DAY, MINUTE, Limit, Usage, reached, set_aside
from micamsgr.conversation.policy import Limits

# In the place of a conversation: all who write to a bot.
_ALL = 0


def reserve(
    database: sqlite3.Connection,
    turn: int,
    limits: Limits,
    now: int,
    cost: int,
) -> Limit | None:
    """
    Set aside what a call may cost, if no limit is reached.

    :param now: milliseconds.
    :param cost: the most tokens that it may cost.

    :return: the limit that is reached; then nothing is set aside.
    """
    bot, conversation, turns = database.execute(
        "SELECT bot, conversation.id, reserved_on IS NULL FROM turn JOIN conversation"
        " ON conversation.id = turn.conversation WHERE turn.id = ?",
        (turn,),
    ).fetchone()
    day, minute = now // DAY, now // MINUTE
    usage = _usage(database, bot, conversation, now)
    limit = reached(limits, usage, turns)
    if limit is not None:
        return limit
    tokens = set_aside(limits, usage, cost)
    database.execute(
        "INSERT INTO spending (bot, conversation, day, turns, tokens, minute,"
        " minute_turns) VALUES (:bot, :conversation, :day, :turns, :tokens, :minute,"
        " :turns) ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " turns = turns + :turns, tokens = tokens + :tokens,"
        " minute_turns = :turns + CASE WHEN minute = :minute THEN minute_turns"
        " ELSE 0 END, minute = :minute",
        {
            "bot": bot,
            "conversation": conversation,
            "day": day,
            "turns": turns,
            "tokens": tokens,
            "minute": minute,
        },
    )
    _add(database, bot, _ALL, day, tokens)
    database.execute(
        "UPDATE turn SET reserved = ?, reserved_on = ? WHERE id = ?",
        (tokens, day, turn),
    )
    return None


def settle(database: sqlite3.Connection, turn: int, tokens: int) -> None:
    """
    Put what a call did cost in the place of what was set aside for it.
    """
    row = database.execute(
        "SELECT bot, conversation.id, reserved, reserved_on FROM turn"
        " JOIN conversation ON conversation.id = turn.conversation"
        " WHERE turn.id = ? AND reserved IS NOT NULL",
        (turn,),
    ).fetchone()
    if row is None:
        return
    bot, conversation, reserved, day = row
    for whose in (conversation, _ALL):
        _add(database, bot, whose, day, tokens - reserved)
    database.execute("UPDATE turn SET reserved = NULL WHERE id = ?", (turn,))


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
    _add(database, bot, conversation, day, 0)
    return (
        database.execute(
            "UPDATE spending SET told_until = ? WHERE bot = ? AND conversation = ?"
            " AND day = ? AND told_until <= ?",
            (until, bot, conversation, day, now),
        ).rowcount
        == 1
    )


def _usage(
    database: sqlite3.Connection, bot: str, conversation: int, now: int
) -> Usage:
    row = database.execute(
        "SELECT turns, tokens, CASE WHEN minute = ? THEN minute_turns ELSE 0 END"
        " FROM spending WHERE bot = ? AND conversation = ? AND day = ?",
        (now // MINUTE, bot, conversation, now // DAY),
    ).fetchone()
    turns, tokens, minute_turns = row or (0, 0, 0)
    total = database.execute(
        "SELECT tokens FROM spending WHERE bot = ? AND conversation = ? AND day = ?",
        (bot, _ALL, now // DAY),
    ).fetchone()
    return Usage(
        minute_turns=minute_turns,
        turns=turns,
        tokens=tokens,
        bot_tokens=0 if total is None else total[0],
    )


def _add(
    database: sqlite3.Connection, bot: str, conversation: int, day: int, tokens: int
) -> None:
    database.execute(
        "INSERT INTO spending (bot, conversation, day, tokens) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " tokens = tokens + excluded.tokens",
        (bot, conversation, day, tokens),
    )
