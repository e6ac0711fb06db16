"""
Tests for asking the store's thread whether it is alive.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.store.connection import TendedConnection
from micamsgr.store.thread import DatabaseThread


class PingTests(TestCase):
    """
    Tests for :meth:`DatabaseThread.ping`.
    """

    timeout = 30.0

    def setUp(self) -> None:
        self.commits: list[int] = []
        self.statements: list[str] = []
        path = self.mktemp()

        def connect() -> sqlite3.Connection:
            database = sqlite3.connect(path, isolation_level=None)
            database.set_trace_callback(self.statements.append)
            return database

        real: Any = reactor
        self.thread = DatabaseThread(
            real,
            connect,
            committed=lambda seconds, count: self.commits.append(count),
            most_waiting=2,
        )
        self.thread.start()
        self.addCleanup(self.thread.stop)

    def hold(self) -> tuple[threading.Event, Deferred[None]]:
        """
        Keep the thread at work until the event is set.
        """
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def work(_: sqlite3.Connection) -> None:
            go_on.wait(20.0)

        return go_on, self.thread.transact(work)

    async def test_alive(self) -> None:
        """
        A thread that lives answers, and no commit is counted for it.
        """
        await self.thread.ping()
        self.assertEqual(self.commits, [])
        working = self.thread.transact(lambda _: None)
        await gatherResults([self.thread.ping(), working])
        self.assertEqual(self.commits, [1])

    async def test_disk(self) -> None:
        """
        The disk is not touched for it.
        """
        await self.thread.ping()
        self.assertEqual(self.statements, [])
        await self.thread.transact(lambda _: None)
        self.assertIn("COMMIT", self.statements)

    async def test_busy(self) -> None:
        """
        One that hangs doesn't answer until it goes on; that no more may wait
        for it keeps nobody from asking.
        """
        go_on, held = self.hold()
        waiting = self.thread.transact(lambda _: None)
        refused = self.thread.transact(lambda _: None)
        await self.assertFailure(refused, StoreUnavailable)
        ping = self.thread.ping()
        self.assertFalse(ping.called)
        go_on.set()
        await gatherResults([held, waiting, ping])

    async def test_closed_for_now(self) -> None:
        """
        One that lives while its disk fails answers too: it is not dead.
        """
        self.patch(TendedConnection, "tend", lambda _: None)
        connection = self.thread._connection
        database, connection._database = connection._database, None
        self.assertTrue(self.thread.closed)
        await self.thread.ping()
        connection._database = database
        self.assertFalse(self.thread.closed)

    async def test_ended(self) -> None:
        """
        One that was stopped is said to be so at once.
        """
        stopped = self.thread.stop()
        failure = self.failureResultOf(self.thread.ping(), StoreUnavailable)
        self.assertEqual(failure.value.detail, "the store is closed")
        await stopped
