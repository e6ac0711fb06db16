"""
Messages of which nothing is to be said but that they wait for an answer: nothing
is known of them, and nobody else talks or was forgotten.  Many of them are kept
by as many statements as one.

What costs is the statement: with each, the thread and the reactor contend for
the interpreter.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from micamsgr.conversation.events import BotName, Conversation, PageId, Psid, Said
from micamsgr.conversation.missed import NEAR
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.reception import Arrival, heard, person, received
from micamsgr.conversation.states import EventState

from .erasure import fingerprint
from .rows import place_conversations, trace, values
from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN, SPOKEN, of

# So many go into one statement; of each number of them there is a statement of
# its own, which SQLite keeps ready.
_MOST = 64

# Names those that are not plain, by their numbers.
_GLANCE = f"""
    WITH given (number, key, bot, page, psid, person, at, wall) AS (VALUES {{rows}})
    SELECT number FROM given
    WHERE EXISTS (SELECT 1 FROM event
            WHERE event.key = given.key AND event.bot = given.bot)
        OR EXISTS (SELECT 1 FROM tombstone WHERE tombstone.person = given.person)
        OR EXISTS (SELECT 1 FROM conversation
            WHERE conversation.bot = given.bot AND conversation.page = given.page
            AND conversation.psid = given.psid
            AND (conversation.quiet_until > given.wall OR EXISTS (SELECT 1 FROM event
                WHERE event.conversation = conversation.id AND {of("event", SPOKEN)}
                AND event.at BETWEEN given.at - {NEAR} AND given.at + {NEAR}
                AND event.source = 'backfill')))
"""

_INSERT = """
    INSERT INTO event
        (key, conversation, bot, page, kind, mid, at, received, text, state)
    WITH given (number, key, bot, page, psid, kind, mid, at, received, text)
        AS (VALUES {rows})
    SELECT key, (SELECT id FROM conversation WHERE conversation.bot = given.bot
            AND conversation.page = given.page AND conversation.psid = given.psid),
        bot, page, kind, mid, at, received, text, 'new'
    FROM given ORDER BY number
"""

_WAITING = f"""
    FROM event AS waiting WHERE waiting.conversation = conversation.id
    AND {of("waiting", OPEN_EVENT)} AND waiting.state = 'new'
"""

# What waits in the conversations of the events after one, and whether that is
# all of their unfinished business.
_FOUND = f"""
    SELECT conversation.id, heard, (SELECT min(received) {_WAITING}),
        (SELECT min(id) {_WAITING}), farewell IS NULL
        AND NOT EXISTS (SELECT 1 FROM turn
            WHERE turn.conversation = conversation.id AND {of("turn", OPEN_TURN)})
        AND NOT EXISTS (SELECT 1 FROM part
            WHERE part.conversation = conversation.id AND {of("part", OPEN_PART)})
    FROM event JOIN conversation ON conversation.id = event.conversation
    WHERE event.id > ? ORDER BY event.id
"""


@frozen
class Kept:
    """
    :ivar trace: by what the log names the turn over all the events that wait in
        the conversation.
    :ivar situation: all of the conversation's unfinished business, where that is
        only events that wait.
    """

    conversation: int
    trace: str
    situation: Situation | None


@frozen
class _Message:
    arrival: Arrival
    said: Said
    now: Moment

    @property
    def person(self) -> tuple[str, str, str]:
        return self.arrival.bot, self.said.page, self.said.psid

    @property
    def wall(self) -> int:
        """As of when a human's quiet must have ended."""
        return self.now.wall if self.now.sure else self.said.at


def keep_plain(
    database: sqlite3.Connection, deliveries: Sequence[tuple[Sequence[Arrival], Moment]]
) -> dict[tuple[BotName, bytes], Kept]:
    """
    Keep those of some deliveries' messages that are plain; all that is said by
    somebody of whom anything else is among them is left, for its order matters.

    :return: those that are kept, by bot and key.
    """
    arrivals = [(arrival, now) for these, now in deliveries for arrival in these]
    keys = Counter((arrival.bot, arrival.event.key) for arrival, _ in arrivals)
    messages: list[_Message] = []
    others: set[tuple[str, ...]] = set()
    for arrival, now in arrivals:
        event = arrival.event
        if (
            isinstance(event, Said)
            and arrival.state is EventState.NEW
            and not arrival.backfilled
            and keys[arrival.bot, event.key] == 1
        ):
            messages.append(_Message(arrival, event, now))
        else:
            others.add((arrival.bot, *(person(event) or ())))
    kept = {}
    for some in _slices([it for it in messages if it.person not in others]):
        kept.update(_keep(database, some))
    return kept


def _keep(
    database: sqlite3.Connection, messages: Sequence[_Message]
) -> dict[tuple[BotName, bytes], Kept]:
    glanced = _do(
        database,
        _GLANCE,
        [
            (
                number,
                it.said.key,
                *it.person,
                fingerprint(*it.person),
                it.said.at,
                it.wall,
            )
            for number, it in enumerate(messages)
        ],
    )
    odd = {messages[number].person for (number,) in glanced.fetchall()}
    plain = [it for it in messages if it.person not in odd]
    if not plain:
        return {}
    place_conversations(
        database,
        [(*it.person, heard(it.arrival, it.now), it.now.wall) for it in plain],
    )
    last = _do(
        database,
        _INSERT,
        [
            (
                number,
                it.said.key,
                *it.person,
                it.said.kind,
                it.said.mid,
                it.said.at,
                received(it.said, it.now),
                it.said.text,
            )
            for number, it in enumerate(plain)
        ],
    ).lastrowid
    assert last is not None
    # Each ID is one more than the largest one before.
    found = database.execute(_FOUND, (last - len(plain),)).fetchall()
    return {
        (it.arrival.bot, it.said.key): _kept(it, *row)
        for it, row in zip(plain, found, strict=True)
    }


def _kept(
    message: _Message, id: int, heard: int, waiting: int, first: int, all: bool
) -> Kept:
    bot, page, psid = message.person
    situation = Situation(
        id=id,
        conversation=Conversation(BotName(bot), PageId(page), Psid(psid)),
        heard=heard,
        waiting=waiting,
        trace=trace(first),
    )
    return Kept(id, situation.trace, situation if all else None)


def _slices(messages: Sequence[_Message]) -> Iterator[Sequence[_Message]]:
    for start in range(0, len(messages), _MOST):
        yield messages[start : start + _MOST]


def _do(
    database: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]
) -> sqlite3.Cursor:
    return database.execute(
        statement.format(rows=values(rows)), [value for row in rows for value in row]
    )
