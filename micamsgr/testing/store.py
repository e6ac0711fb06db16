"""
The real store, in memory.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred

from micamsgr.conversation.parts import Part
from micamsgr.errors import StoreUnavailable
from micamsgr.store.database import Work, in_transaction, open_database
from micamsgr.store.rows import PART, read_part
from micamsgr.store.sqlite import SQLiteStore

T = TypeVar("T")

# Takes from a store what came after version 3 of its tables.
BACK_TO_VERSION_3 = """
    DROP INDEX part_given_up;
    ALTER TABLE turn DROP COLUMN first;
    DROP INDEX conversation_farewell;
    ALTER TABLE conversation DROP COLUMN farewell;
    DROP TABLE deletion;
    DROP INDEX event_spoken;
    PRAGMA user_version = 3;
"""


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

    def alone(self, work: Work[T]) -> Deferred[T]:
        """
        See :meth:`micamsgr.store.database.DatabaseThread.alone`.
        """
        return maybeDeferred(work, self.connection)

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
