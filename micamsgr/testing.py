"""
Stand-ins for tests: the real store in memory, clocks that a test sets, and a
messenger and an assistant that do what the test says, and no sooner.

Each keeps the promises of its interface, refusals included.  What serves only
the test is not part of the interface.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import Clock
from zope.interface import implementer

from .conversation.assistant import IAssistant, Reply, Utterance
from .conversation.events import BotName, Conversation, Echo, Mid, PageId, Psid, Said
from .conversation.interfaces import IMessenger, Presence
from .conversation.moment import Moment, Tick
from .conversation.outcomes import InDoubt, LookedUp, NeverSent, Outcome, Seen, Sent
from .conversation.pacing import Pressure
from .conversation.parts import Part
from .errors import RemoteError, StoreUnavailable
from .store.database import Work, in_transaction, open_database
from .store.rows import PART, read_part
from .store.sqlite import SQLiteStore

T = TypeVar("T")

BOT = BotName("mica")
PAGE = PageId("108463527190842")
ALICE = Psid("6284913775102846")
BOB = Psid("7391046258813370")
CAROL = Psid("8120375946620415")

#: When :class:`FixedClocks` begin, in milliseconds since the epoch.
NOW = 1_795_362_617_000

#: The app as which a human in the Page's inbox sends.
INBOX = "263902037430900"

#: How many of a conversation's messages a look-up shows.
SHOWN = 20


@define(eq=False)
class MemoryDatabase:
    """
    An SQLite database in memory, that does its work when the test wants.

    :ivar stepped: whether transactions wait for :meth:`step`.
    :ivar failing: whether transactions fail, and do nothing.
    """

    stepped: bool = False
    failing: bool = False

    connection: sqlite3.Connection = field(
        factory=partial(open_database, ":memory:"), init=False
    )
    _waiting: deque[Callable[[], None]] = field(factory=deque, init=False)

    def transact(self, work: Work[T]) -> Deferred[T]:
        """
        See :class:`micamsgr.store.database.Transact`.
        """
        result: Deferred[T] = Deferred()

        def perform() -> None:
            if self.failing:
                result.errback(StoreUnavailable("the test says so"))
            else:
                done = maybeDeferred(in_transaction, self.connection, work)
                done.chainDeferred(result)

        if self.stepped:
            self._waiting.append(perform)
        else:
            perform()
        return result

    def step(self) -> bool:
        """
        Perform the oldest transaction that waits; say whether there was one.
        """
        if not self._waiting:
            return False
        self._waiting.popleft()()
        return True


@define(eq=False)
class MemoryStore(SQLiteStore):
    """
    The real store, and a look at what became of things.
    """

    database: MemoryDatabase

    def events(self) -> list[tuple[str, str | None]]:
        """
        Tell the state and reason of each event, in the order of arrival.
        """
        return self._ends("event")

    def turns(self) -> list[tuple[str, str | None]]:
        """
        Tell the state and reason of each turn, oldest first.
        """
        return self._ends("turn")

    def parts(self) -> list[Part]:
        """
        Read all parts, in the order of their turns and numbers.
        """
        rows = self.database.connection.execute(
            f"SELECT {PART} FROM part ORDER BY turn, number"
        )
        return [read_part(row) for row in rows]

    def _ends(self, table: str) -> list[tuple[str, str | None]]:
        query = f"SELECT state, reason FROM {table} ORDER BY id"
        return self.database.connection.execute(query).fetchall()


def memory_store() -> MemoryStore:
    """
    Make an empty store in memory, that has done what it is asked for at once.
    """
    database = MemoryDatabase()
    return MemoryStore(database.transact, database.transact, database)


def stepped_store() -> tuple[MemoryStore, Callable[[], bool]]:
    """
    Make an empty store in memory, as slow as a test wants it.

    :return: the store; and for the test its :meth:`MemoryDatabase.step`.
    """
    store = memory_store()
    store.database.stepped = True
    return store, store.database.step


# Time


@define(eq=False)
class FixedClocks:
    """
    Tell the time by a test's :class:`~twisted.internet.task.Clock`.

    :ivar boot: which boot of the machine it is.
    :ivar wall: its milliseconds when the Clock showed 0; set it, and it jumps.
    """

    _clock: Clock
    boot: str = "first boot"
    wall: int = NOW

    _started: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self._clock.seconds()

    def now(self) -> Moment:
        """
        Read both clocks.
        """
        seconds = self._clock.seconds()
        return Moment(
            wall=self.wall + round(seconds * 1000),
            tick=Tick(seconds, self.boot),
            started=self._started,
        )


# The world around


@frozen(kw_only=True)
class Arrived:
    """
    A message of the Page's that a person got.

    :ivar at: milliseconds, by Meta's clock.
    """

    conversation: Conversation
    mid: Mid
    text: str
    metadata: str
    at: int

    def echo(self, *, metadata: bool = True, app_id: str | None = None) -> Echo:
        """
        Make the event that tells of it.

        :param metadata: whether it says what the sender gave the Send API.
        """
        return echo(
            self.text,
            self.conversation.psid,
            mid=self.mid,
            metadata=self.metadata if metadata else None,
            app_id=app_id,
            at=self.at,
        )


@define(eq=False)
class Sending:
    """
    A send that is under way.

    :ivar arrived: what the person got of it, if anything yet.
    """

    conversation: Conversation
    text: str
    metadata: str
    outcome: Deferred[Outcome] = field(factory=Deferred)
    arrived: Arrived | None = None


@implementer(IMessenger)
@define(eq=False)
class MemoryMessenger:
    """
    Send nothing but what the test lets arrive, and settle nothing by itself.

    :ivar pending: sends under way, oldest first.
    :ivar arrived: what people got, oldest first.
    :ivar shown: what people saw beside words, oldest first.
    :ivar holding: for what :meth:`show` waits, if for anything.
    :ivar looked_up: whose conversations were looked up, oldest first.
    :ivar look_ups: what the next look-ups give; after these, what arrived.
    :ivar pressed: a test calls it, as if an answer had told of a limit.
    """

    _now: Callable[[], Moment]

    pending: list[Sending] = field(factory=list, init=False)
    arrived: list[Arrived] = field(factory=list, init=False)
    shown: list[tuple[Psid, Presence]] = field(factory=list, init=False)
    holding: Deferred[None] | None = field(default=None, init=False)
    looked_up: list[Psid] = field(factory=list, init=False)
    look_ups: list[LookedUp | RemoteError] = field(factory=list, init=False)
    pressed: Callable[[Pressure], None] = field(default=lambda _: None, init=False)

    async def send(
        self, conversation: Conversation, text: str, metadata: str
    ) -> Outcome:
        if not 1 <= len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 2000:
            return NeverSent("message", "the text's length")
        sending = Sending(conversation, text, metadata)
        self.pending.append(sending)
        try:
            return await sending.outcome
        except CancelledError:
            self.pending.remove(sending)
            return InDoubt("canceled")

    async def look_up(self, conversation: Conversation) -> LookedUp:
        self.looked_up.append(conversation.psid)
        if not self.look_ups:
            seen = tuple(
                Seen(arrived.mid, arrived.at // 1000 * 1000, arrived.text)
                for arrived in reversed(self.arrived)
                if arrived.conversation == conversation
            )[:SHOWN]
            return LookedUp(seen, seen[-1].at if len(seen) == SHOWN else None)
        scripted = self.look_ups.pop(0)
        if isinstance(scripted, RemoteError):
            raise scripted
        return scripted

    async def show(self, conversation: Conversation, presence: Presence) -> None:
        self.shown.append((conversation.psid, presence))
        if self.holding is not None:
            with suppress(CancelledError):
                await self.holding

    def arrive(self, which: int = 0) -> Arrived:
        """
        Let a pending send reach the person, telling the sender nothing yet.
        """
        sending = self.pending[which]
        sending.arrived = Arrived(
            conversation=sending.conversation,
            mid=Mid(f"m_{len(self.arrived) + 1}"),
            text=sending.text,
            metadata=sending.metadata,
            at=self._now().wall,
        )
        self.arrived.append(sending.arrived)
        return sending.arrived

    def settle(self, outcome: Outcome | None = None, which: int = 0) -> None:
        """
        Tell the sender of a pending send what came of it.

        :param outcome: by default, it arrives and that is known.
        """
        if outcome is None:
            outcome = Sent((self.pending[which].arrived or self.arrive(which)).mid)
        self.pending.pop(which).outcome.callback(outcome)

    def settle_all(self) -> None:
        """
        Let everything arrive, also what is sent in consequence.
        """
        while self.pending:
            self.settle()

    def texts(self, psid: Psid | None = None) -> list[str]:
        """
        Tell what one person, or everybody, has read, oldest first.
        """
        return [
            arrived.text
            for arrived in self.arrived
            if psid in (None, arrived.conversation.psid)
        ]


@define(eq=False)
class Question:
    """
    Something that the assistant is asked.
    """

    utterances: tuple[Utterance, ...]
    reply: Deferred[Reply] = field(factory=Deferred)

    @property
    def texts(self) -> list[str]:
        """What was said, oldest first."""
        return [utterance.text for utterance in self.utterances]


@implementer(IAssistant)
@define(eq=False)
class MemoryAssistant:
    """
    Answer when the test says so.

    :ivar pending: questions that wait for an answer, oldest first.
    :ivar asked: all questions, oldest first.
    :ivar most: what a reply may cost, in tokens.
    """

    pending: list[Question] = field(factory=list, init=False)
    asked: list[Question] = field(factory=list, init=False)
    most: int = field(default=1, init=False)

    async def reply(self, utterances: Sequence[Utterance]) -> Reply:
        question = Question(tuple(utterances))
        self.pending.append(question)
        self.asked.append(question)
        try:
            return await question.reply
        except CancelledError:
            self.pending.remove(question)
            raise

    def estimate(self, utterances: Sequence[Utterance]) -> int:
        return self.most

    def answer(self, text: str = "hello", which: int = 0, *, tokens: int = 1) -> None:
        """
        Answer a pending question.
        """
        reply = Reply(text=text, tokens=tokens)
        self.pending.pop(which).reply.callback(reply)

    def fail(self, error: Exception, which: int = 0) -> None:
        """
        Let a pending question have no answer.
        """
        self.pending.pop(which).reply.errback(error)

    def answer_all(self) -> None:
        """
        Answer every question with the last thing said, also those that follow.
        """
        while self.pending:
            self.answer(f"re: {self.pending[0].texts[-1]}")


# Events


def said(
    text: str = "hi",
    psid: Psid = ALICE,
    *,
    at: int = NOW,
    kind: str = "message",
    page: PageId = PAGE,
    standby: bool = False,
) -> Said:
    """
    Make the event that a person said something; a new one each time.
    """
    key = os.urandom(16)
    return Said(
        key=key,
        page=page,
        psid=psid,
        at=at,
        kind=kind,
        mid=Mid(f"m_{key.hex()}"),
        text=text,
        standby=standby,
    )


def echo(
    text: str = "I'll take over",
    psid: Psid = ALICE,
    *,
    mid: Mid | None = None,
    metadata: str | None = None,
    app_id: str | None = INBOX,
    at: int = NOW,
    page: PageId = PAGE,
) -> Echo:
    """
    Make the event that the Page said something new, by default a human's words.
    """
    key = os.urandom(16)
    return Echo(
        key=key,
        page=page,
        psid=psid,
        at=at,
        mid=mid or Mid(f"m_{key.hex()}"),
        text=text,
        metadata=metadata,
        app_id=app_id,
    )
