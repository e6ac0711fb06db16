"""
What was used of the limits, as it lies in the tables.  Nothing here begins or
ends a transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

from attrs import frozen

from micamsgr.conversation.limits import DAY, MINUTE, Limit, Usage, reached, set_aside
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.policy import Limits

from .rows import GIVEN, given_values

# In the place of a conversation: all who write to a bot.
_ALL = 0

_USAGE = f"""
    WITH given AS (
        SELECT key AS number, json_extract(value, '$[0]') AS turn,
            json_extract(value, '$[1]') AS bot,
            json_extract(value, '$[2]') AS conversation,
            json_extract(value, '$[3]') AS minute, json_extract(value, '$[4]') AS day
        FROM json_each(?)
    )
    SELECT turn.reserved_on IS NULL,
        CASE WHEN own.minute = given.minute THEN own.minute_turns ELSE 0 END,
        coalesce(own.turns, 0), coalesce(own.tokens, 0), coalesce(everybody.tokens, 0)
    FROM given JOIN turn ON turn.id = given.turn
    LEFT JOIN spending AS own ON own.bot = given.bot
        AND own.conversation = given.conversation AND own.day = given.day
    LEFT JOIN spending AS everybody ON everybody.bot = given.bot
        AND everybody.conversation = {_ALL} AND everybody.day = given.day
    ORDER BY given.number
"""


@frozen
class Reservation:
    """
    What a call may cost.

    :ivar situation: of the conversation; the call is for its turn.
    :ivar now: milliseconds.
    :ivar cost: the most tokens that it may cost.
    """

    situation: Situation
    limits: Limits
    now: int
    cost: int

    @property
    def row(self) -> tuple[int, str, int, int, int]:
        """Turn, bot, conversation, minute and day."""
        situation = self.situation
        assert situation.turn is not None
        bot, turn = situation.conversation.bot, situation.turn.id
        return turn, bot, situation.id, self.now // MINUTE, self.now // DAY


def reserve_all(
    database: sqlite3.Connection, given: Sequence[Reservation]
) -> list[Limit | None]:
    """
    Set aside what calls may cost, one after the other, as far as no limit is
    reached.

    :param given: of as many conversations.

    :return: of each the limit that is reached; then nothing is set aside.
    """
    rows = [it.row for it in given]
    used = database.execute(_USAGE, (json.dumps(rows),)).fetchall()
    limits: list[Limit | None] = []
    own: list[tuple[object, ...]] = []
    everybody: dict[tuple[str, int], int] = defaultdict(int)
    turns: list[tuple[int, int, int]] = []
    for it, row, what in zip(given, rows, used, strict=True):
        turn, bot, conversation, minute, day = row
        begins, minute_turns, day_turns, tokens, bot_tokens = what
        usage = Usage(
            minute_turns=minute_turns,
            turns=day_turns,
            tokens=tokens,
            bot_tokens=bot_tokens + everybody[bot, day],
        )
        limit = reached(it.limits, usage, begins)
        limits.append(limit)
        if limit is None:
            aside = set_aside(it.limits, usage, it.cost)
            everybody[bot, day] += aside
            own.append((bot, conversation, day, begins, aside, minute, begins))
            turns.append((aside, day, turn))
    database.executemany(
        "INSERT INTO spending (bot, conversation, day, turns, tokens, minute,"
        " minute_turns) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " turns = turns + excluded.turns, tokens = tokens + excluded.tokens,"
        " minute_turns = excluded.minute_turns + CASE WHEN minute = excluded.minute"
        " THEN minute_turns ELSE 0 END, minute = excluded.minute",
        own,
    )
    _add(database, [(bot, _ALL, day, sum) for (bot, day), sum in everybody.items()])
    database.executemany(
        "UPDATE turn SET reserved = ?, reserved_on = ? WHERE id = ?", turns
    )
    return limits


@frozen
class Settled:
    """
    A turn of which it is known what it did cost.
    """

    conversation: int
    state: str


def settle_all(
    database: sqlite3.Connection, given: Mapping[int, int]
) -> dict[int, Settled]:
    """
    Put what calls did cost in the place of what was set aside for them.

    :param given: how many tokens each turn did cost.
    """
    turns = given_values(list(given))
    rows = database.execute(
        "SELECT turn.id, turn.state, bot, conversation.id, reserved, reserved_on"
        " FROM turn JOIN conversation ON conversation.id = turn.conversation"
        f" WHERE turn.id IN {GIVEN}",
        (turns,),
    ).fetchall()
    spent: dict[tuple[str, int, int], int] = defaultdict(int)
    for turn, _, bot, conversation, reserved, day in rows:
        if reserved is not None:
            for whose in (conversation, _ALL):
                spent[bot, whose, day] += given[turn] - reserved
    _add(database, [(*whose, tokens) for whose, tokens in spent.items()])
    database.execute(
        f"UPDATE turn SET reserved = NULL WHERE id IN {GIVEN} AND reserved IS NOT NULL",
        (turns,),
    )
    return {turn: Settled(whose, state) for turn, state, _, whose, _, _ in rows}


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
    _add(database, [(bot, conversation, day, 0)])
    return (
        database.execute(
            "UPDATE spending SET told_until = ? WHERE bot = ? AND conversation = ?"
            " AND day = ? AND told_until <= ?",
            (until, bot, conversation, day, now),
        ).rowcount
        == 1
    )


def _add(
    database: sqlite3.Connection, given: Sequence[tuple[str, int, int, int]]
) -> None:
    """
    :param given: bot, conversation, day, and tokens.
    """
    database.executemany(
        "INSERT INTO spending (bot, conversation, day, tokens) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (bot, conversation, day) DO UPDATE SET"
        " tokens = tokens + excluded.tokens",
        given,
    )
