"""
Stores, in memory and in a file, and how they come to hold something.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import BotName, Said
from micamsgr.conversation.interfaces import Begun
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Turn
from micamsgr.conversation.policy import Limits
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState
from micamsgr.store.service import StoreService
from micamsgr.store.sqlite import SQLiteStore
from micamsgr.testing import BOT, NOW, memory_store, said

MOMENT = Moment(wall=NOW, tick=Tick(100.0, "boot"), started=90.0)

OTHER_BOT = BotName("other")


def part(turn: Turn, number: int = 1, kind: Kind = Kind.ANSWER) -> Part:
    """
    Make a part of a turn's answer.
    """
    return Part(
        id=f"{turn.id}-{kind.value}-{number}",
        turn=turn.id,
        kind=kind,
        number=number,
        text=f"part {number}",
    )


class StoreCase(TestCase):
    """
    A store, and how it comes to hold something.
    """

    store: SQLiteStore

    def look(self) -> sqlite3.Connection:
        """
        Open what the store keeps, for a look past it.
        """
        raise NotImplementedError

    def rows(self, table: str) -> list[Any]:
        """
        Read the states and reasons of a table's rows, oldest first.
        """
        with closing(self.look()) as database:
            query = f"SELECT state, reason FROM {table} ORDER BY rowid"
            return database.execute(query).fetchall()

    async def arrive(self, *events: Said, bot: BotName = BOT, after: int = 0) -> None:
        """
        Record events that want an answer, so many milliseconds later.
        """
        arrivals = [
            Arrival(bot=bot, event=event, state=EventState.NEW, opens=True)
            for event in events
        ]
        await self.store.record(arrivals, evolve(MOMENT, wall=NOW + after))

    async def begin(self, conversation: int = 1) -> Begun:
        begun = await self.store.begin(conversation, 100, Limits(), len, MOMENT)
        assert begun is not None
        return begun

    async def compose(self, count: int = 2) -> tuple[Part, ...]:
        """
        Answer one message in so many parts, of which the first is being sent.
        """
        await self.arrive(said())
        turn = (await self.begin()).turn
        parts = [part(turn, number) for number in range(1, count + 1)]
        parts[0] = lifecycle.intend(parts[0], MOMENT)
        situation = await self.store.compose(turn, "hello", parts, 7, MOMENT)
        self.assertEqual(situation.parts, tuple(parts))
        return situation.parts


class MemoryCase(StoreCase):
    """
    The store in memory, without a thread.
    """

    def setUp(self) -> None:
        self.store = memory_store()
        self.kept = self.store.database.connection

    def look(self) -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        self.kept.backup(copy)
        return copy


class FileCase(StoreCase):
    """
    The store in a file, with its two threads.
    """

    timeout = 30.0

    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()).absolute())
        # Space that nobody needs any more.
        self.addCleanup(Path(f"{self.path}.ballast").unlink, missing_ok=True)
        self.start()

    def start(self) -> None:
        self.service = StoreService(reactor, self.path)  # type: ignore[arg-type]
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.store = self.service.store

    def look(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)


if TYPE_CHECKING:
    Contract = StoreCase
else:
    # Its tests are run by the classes that mix it in, and not by itself.
    Contract = object
