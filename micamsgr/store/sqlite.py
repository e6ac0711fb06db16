"""
The store in SQLite: what is kept, and every transition as a conditional update
in one transaction with what it depends on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from attrs import define, field
from zope.interface import implementer

from micamsgr.conversation.assistant import Utterance
from micamsgr.conversation.events import BotName, Echo, Mid, PageId, Psid
from micamsgr.conversation.interfaces import Begun, IStore, Recorded
from micamsgr.conversation.limits import Limit, over_until
from micamsgr.conversation.missed import Gap, Recollection
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.parts import Part
from micamsgr.conversation.planner import Situation, Turn
from micamsgr.conversation.policy import Limits
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import TurnState

from . import gaps
from .arrivals import record, record_all, silence
from .database import Transact
from .group import Alike
from .rows import insert_part, read_situation
from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN
from .spending import settle_all, tell
from .turns import (
    Beginning,
    Composition,
    begin_all,
    change_all,
    compose_all,
    finish_events,
    open_turns,
)


@implementer(IStore)
@define(eq=False)
class SQLiteStore:
    """
    :ivar _write: commits, durably.
    :ivar _read: sees what was committed; may be the same.
    :ivar _admit: commits as well, but refuses while there is no room for what
        is new.
    """

    _write: Transact
    _read: Transact
    _admit: Transact | None = field(default=None, kw_only=True)

    async def record(self, arrivals: Sequence[Arrival], now: Moment) -> Recorded:
        # Echoes settle what is open, or keep us from talking over a human.
        settling = all(isinstance(arrival.event, Echo) for arrival in arrivals)
        transact = self._write if settling or not self._admit else self._admit
        return await transact(Alike(record_all, (arrivals, now)))

    async def waiting(self, bot: BotName, after: int, limit: int) -> Sequence[int]:
        def work(database: sqlite3.Connection) -> list[int]:
            rows = database.execute(
                f"""
                SELECT open.conversation FROM (
                    SELECT conversation FROM event
                    WHERE {OPEN_EVENT} AND conversation > :after
                    UNION SELECT conversation FROM turn
                    WHERE {OPEN_TURN} AND conversation > :after
                    UNION SELECT conversation FROM part
                    WHERE {OPEN_PART} AND conversation > :after
                    UNION SELECT id FROM conversation
                    WHERE farewell IS NOT NULL AND id > :after
                ) AS open
                JOIN conversation ON conversation.id = open.conversation
                WHERE conversation.bot = :bot
                ORDER BY open.conversation LIMIT :limit
                """,
                {"after": after, "bot": bot, "limit": limit},
            )
            return [conversation for (conversation,) in rows]

        return await self._read(work)

    async def situation(self, conversation: int) -> Situation:
        return await self._read(lambda database: read_situation(database, conversation))

    async def begin(
        self,
        conversation: int,
        history: int,
        limits: Limits,
        estimate: Callable[[Sequence[Utterance]], int],
        now: Moment,
    ) -> Begun | None:
        beginning = Beginning(
            conversation=conversation,
            history=history,
            limits=limits,
            estimate=estimate,
            now=now,
        )
        return await self._write(Alike(begin_all, beginning))

    async def open(self, conversation: int) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            open_turns(database, [conversation])
            return read_situation(database, conversation)

        return await self._write(work)

    async def apologize(self, turn: Turn, part: Part) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            conversation = _conversation(database, turn)
            situation = read_situation(database, conversation)
            now = situation.turn
            if (
                now is None
                or now.id != turn.id
                or now.apologized
                or now.state is TurnState.COMPOSED
            ):
                return situation
            insert_part(database, conversation, part)
            return read_situation(database, conversation)

        return await self._write(work)

    async def park(self, turn: Turn, rest: Tick, why: str, tokens: int) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            settled = settle_all(database, {turn.id: tokens})
            database.execute(
                "UPDATE turn SET state = 'ready', tries = tries + 1, reason = ?,"
                " rest = ?, boot = ? WHERE id = ? AND state = 'generating'",
                (why, rest.seconds, rest.boot, turn.id),
            )
            return read_situation(database, settled[turn.id].conversation)

        return await self._write(work)

    async def compose(
        self, turn: Turn, text: str, parts: Sequence[Part], tokens: int, now: Moment
    ) -> Situation:
        composition = Composition(
            turn=turn, text=text, parts=parts, tokens=tokens, now=now
        )
        return await self._write(Alike(compose_all, composition))

    async def fail(
        self,
        turn: Turn,
        reason: str,
        notice: Part,
        now: Moment,
        tokens: int | None,
        farewell: bool = False,
    ) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            conversation = _conversation(database, turn)
            if tokens is not None:
                settle_all(database, {turn.id: tokens})
            if _end_turn(database, conversation, "failed", reason):
                finish_events(database, {conversation: turn.id}, "dead", reason)
                insert_part(database, conversation, notice)
                if farewell:
                    _bid_farewell(database, conversation, notice.id)
            return read_situation(database, conversation)

        return await self._write(work)

    async def passed_on(self, conversation: int) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            _bid_farewell(database, conversation, None)
            return read_situation(database, conversation)

        return await self._write(work)

    async def refuse(
        self, turn: Turn, limit: Limit, notice: Part, now: Moment
    ) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            conversation = _conversation(database, turn)
            until, reason = over_until(limit, now.wall), f"limits.{limit.value}"
            if _end_turn(database, conversation, "failed", reason):
                finish_events(database, {conversation: turn.id}, "dead", reason)
                if tell(database, turn.id, now.wall, until):
                    insert_part(database, conversation, notice)
            return read_situation(database, conversation)

        return await self._write(work)

    async def lapse(self, situation: Situation, reason: str) -> Situation:
        conversation = situation.id

        def work(database: sqlite3.Connection) -> Situation:
            now = read_situation(database, conversation)
            if now.heard != situation.heard:
                return now
            turn = _end_turn(database, conversation, "expired", reason)
            finish_events(database, {conversation: turn}, "dead", reason)
            return read_situation(database, conversation)

        return await self._write(work)

    async def change(self, before: Part, after: Part) -> Situation:
        return await self._write(Alike(change_all, (before, after)))

    async def take_over(self, conversation: int, until: int) -> Situation:
        def work(database: sqlite3.Connection) -> Situation:
            silence(database, conversation, until)
            return read_situation(database, conversation)

        return await self._write(work)

    async def claimed(self, mids: Collection[Mid], part: str) -> frozenset[Mid]:
        def work(database: sqlite3.Connection) -> frozenset[Mid]:
            marks = ", ".join("?" * len(mids))
            rows = database.execute(
                f"SELECT mid FROM part WHERE mid IN ({marks}) AND id <> ?",
                (*mids, part),
            )
            return frozenset(Mid(mid) for (mid,) in rows)

        return await self._read(work)

    async def interrupted(
        self,
        bot: BotName,
        now: Moment,
        since: int | None = None,
        floor: int | None = None,
        before: int | None = None,
    ) -> Gap:
        return await self._write(
            lambda database: gaps.interrupted(database, bot, now, since, floor, before)
        )

    async def lacked(self, bot: BotName, now: Moment) -> None:
        await self._write(lambda database: gaps.lacked(database, bot, now))

    async def told(self, bot: BotName, now: Moment, at: int | None) -> Gap | None:
        return await self._write(lambda database: gaps.told(database, bot, now, at))

    async def repaired(self, bot: BotName, gap: Gap) -> None:
        await self._write(lambda database: gaps.repaired(database, bot, gap))

    async def recollect(
        self, bot: BotName, page: PageId, psid: Psid, since: int
    ) -> Recollection:
        return await self._read(
            lambda database: gaps.recollect(database, bot, page, psid, since)
        )

    async def record_missed(
        self,
        bot: BotName,
        page: PageId,
        psid: Psid,
        since: int,
        judge: Callable[[Recollection], Sequence[Arrival]],
        now: Moment,
    ) -> tuple[Sequence[Arrival], Recorded]:
        def work(database: sqlite3.Connection) -> tuple[Sequence[Arrival], Recorded]:
            arrivals = judge(gaps.recollect(database, bot, page, psid, since))
            return arrivals, record(database, arrivals, now)

        return await (self._admit or self._write)(work)

    async def ids_agree(self, bot: BotName) -> bool:
        return await self._read(lambda database: gaps.ids_agree(database, bot))

    async def note_ids_agree(self, bot: BotName) -> None:
        await self._write(lambda database: gaps.note_ids_agree(database, bot))

    async def remembered_page(self, bot: BotName, token: str) -> PageId | None:
        def work(database: sqlite3.Connection) -> PageId | None:
            row = database.execute(
                "SELECT page FROM page WHERE bot = ? AND token = ?", (bot, token)
            ).fetchone()
            return None if row is None else PageId(row[0])

        return await self._read(work)

    async def remember_page(self, bot: BotName, token: str, page: PageId) -> None:
        def work(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO page (bot, token, page) VALUES (?, ?, ?)"
                " ON CONFLICT (bot) DO UPDATE SET"
                " token = excluded.token, page = excluded.page",
                (bot, token, page),
            )

        await self._write(work)


def _conversation(database: sqlite3.Connection, turn: Turn) -> int:
    (conversation,) = database.execute(
        "SELECT conversation FROM turn WHERE id = ?", (turn.id,)
    ).fetchone()
    return int(conversation)


def _end_turn(
    database: sqlite3.Connection, conversation: int, state: str, reason: str
) -> int | None:
    """
    End the turn that is being made, if there is one.

    :return: its ID.
    """
    row = database.execute(
        "UPDATE turn SET state = ?, reason = ?"
        f" WHERE conversation = ? AND {OPEN_TURN} AND state <> 'composed'"
        " RETURNING id",
        (state, reason, conversation),
    ).fetchone()
    return None if row is None else int(row[0])


def _bid_farewell(
    database: sqlite3.Connection, conversation: int, notice: str | None
) -> None:
    database.execute(
        "UPDATE conversation SET farewell = ? WHERE id = ?", (notice, conversation)
    )
