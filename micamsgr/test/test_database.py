"""
Tests for the thread that commits in groups.

The reactor is the real one: that it goes on while the thread works is the
point.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.store.group import Work
from micamsgr.store.thread import DatabaseThread


def add(number: int) -> Work[int]:
    """
    Make a transaction that adds a number, and returns how many there are.
    """

    def work(database: sqlite3.Connection) -> int:
        database.execute("INSERT INTO number VALUES (?)", (number,))
        return count(database)

    return work


def count(database: sqlite3.Connection) -> int:
    (how_many,) = database.execute("SELECT count(*) FROM number").fetchone()
    return int(how_many)


def add_and_raise(error: BaseException) -> Work[None]:
    """
    Make a transaction that adds 13, and then fails.
    """

    def work(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO number VALUES (13)")
        raise error

    return work


@define(eq=False)
class Handoffs:
    """
    The reactor, counting what comes back from threads.
    """

    count: int = field(default=0, init=False)

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:  # noqa: N802
        self.count += 1
        reactor.callFromThread(function, *arguments)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Closing(sqlite3.Connection):
    """
    A connection that tells when it is closed.
    """

    closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


class DatabaseCase(TestCase):
    """
    A file with some tables, and threads that use it.
    """

    timeout = 30.0

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.statements: list[str] = []
        self.handoffs = Handoffs()
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript(
                "PRAGMA journal_mode = WAL; CREATE TABLE number (n INTEGER);"
                " CREATE TABLE blob (b BLOB); CREATE TABLE parent (n INTEGER UNIQUE);"
                " CREATE TABLE child (n INTEGER REFERENCES parent (n)"
                " DEFERRABLE INITIALLY DEFERRED)"
            )

    def open(
        self, factory: type[sqlite3.Connection] = sqlite3.Connection
    ) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
            factory=factory,
        )
        database.execute("PRAGMA foreign_keys = ON")
        database.set_trace_callback(self.statements.append)
        return database

    def start(
        self, open: Callable[[], sqlite3.Connection] | None = None, **arguments: Any
    ) -> DatabaseThread:
        """
        Start a thread, which is stopped after the test.
        """
        thread = DatabaseThread(self.handoffs, open or self.open, **arguments)  # type: ignore[arg-type]
        thread.start()
        self.addCleanup(thread.stop)
        return thread

    async def block(self, thread: DatabaseThread) -> threading.Event:
        """
        Keep the thread at work in a transaction until the event is set; what
        is asked for from now on goes into the next commit.
        """
        begun, event = threading.Event(), threading.Event()
        self.addCleanup(event.set)

        def work(_: sqlite3.Connection) -> None:
            begun.set()
            event.wait()

        thread.transact(work)
        while not begun.is_set():
            await deferLater(reactor, 0.001)
        return event

    def numbers(self) -> list[int]:
        """
        Read, on a connection of its own, what is committed.
        """
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("SELECT n FROM number ORDER BY rowid")
            return [number for (number,) in rows]


class DatabaseThreadTests(DatabaseCase):
    """
    Tests for :class:`micamsgr.store.thread.DatabaseThread`.
    """

    async def test_committed_when_told(self) -> None:
        """
        Once a transaction has told its result, what it did is committed.
        """
        thread = self.start()
        self.assertEqual(await thread.transact(add(1)), 1)
        self.assertEqual(self.numbers(), [1])

    async def test_group_commit(self) -> None:
        """
        All that was asked for at the same time goes into one commit, and is
        answered together.
        """
        thread = self.start()
        counts = await gatherResults([thread.transact(add(n)) for n in range(50)])
        self.assertEqual(counts, list(range(1, 51)))
        self.assertEqual(self.statements.count("COMMIT"), 1)
        self.assertEqual(self.handoffs.count, 1)

    async def test_meanwhile(self) -> None:
        """
        All that was asked for while a commit was under way goes into the next
        one, although it was not asked for at the same time.
        """
        thread = self.start()
        event = await self.block(thread)
        asked = []
        for number in range(3):
            await deferLater(reactor, 0.001)
            asked.append(thread.transact(add(number)))
        await deferLater(reactor, 0.001)
        event.set()
        await gatherResults(asked)
        self.assertEqual(self.statements.count("COMMIT"), 2)

    async def test_largest_group(self) -> None:
        """
        No commit is of more transactions than allowed.
        """
        thread = self.start(most_together=2)
        await gatherResults([thread.transact(add(n)) for n in range(5)])
        self.assertEqual(self.statements.count("COMMIT"), 3)
        self.assertEqual(self.numbers(), [0, 1, 2, 3, 4])

    async def test_alone(self) -> None:
        """
        What is to be done alone is in nobody's commit, and in its turn.
        """
        committed: list[int] = []
        thread = self.start(committed=lambda seconds, count: committed.append(count))

        def alone(database: sqlite3.Connection) -> tuple[bool, list[int]]:
            return database.in_transaction, self.numbers()

        asked: list[Deferred[Any]] = [
            thread.transact(add(1)),
            thread.transact(add(2)),
            thread.alone(alone),
            thread.transact(add(3)),
            thread.transact(add(4)),
        ]
        answers = await gatherResults(asked)
        self.assertEqual(answers, [1, 2, (False, [1, 2]), 3, 4])
        self.assertEqual(committed, [2, 1, 2])

    async def test_alone_fails(self) -> None:
        """
        What fails alone leaves nothing half done behind.
        """
        thread = self.start()

        def fails(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            add(1)(database)
            raise KeyError

        await self.assertFailure(thread.alone(fails), KeyError)
        self.assertEqual(await thread.transact(add(2)), 1)
        self.assertEqual(self.numbers(), [2])

    async def test_order(self) -> None:
        """
        Transactions happen, and are answered, in the order in which they were
        asked for, also across commits.
        """
        thread = self.start(most_together=3)
        told: list[int] = []
        await gatherResults(
            [thread.transact(add(n)).addCallback(told.append) for n in range(10)]
        )
        self.assertEqual(self.numbers(), list(range(10)))
        self.assertEqual(told, list(range(1, 11)))

    async def test_reactor_goes_on(self) -> None:
        """
        While a transaction is under way, the reactor does other things.
        """
        thread = self.start()
        event = threading.Event()
        self.addCleanup(event.set)
        waiting = thread.transact(lambda _: event.wait(10.0))
        await deferLater(reactor, 0.01)
        self.assertNoResult(waiting)
        event.set()
        self.assertTrue(await waiting)

    async def test_too_much(self) -> None:
        """
        More than may wait is refused at once, until what waits is done.
        """
        thread = self.start(most_waiting=2)
        asked = [thread.transact(add(1)), thread.transact(add(2))]
        refused = self.failureResultOf(thread.transact(add(3)), StoreUnavailable)
        self.assertEqual(refused.value.detail, "too much waits to be written")
        await gatherResults(asked)
        await thread.transact(add(4))
        self.assertEqual(self.numbers(), [1, 2, 4])

    async def test_too_slow(self) -> None:
        """
        While something has waited for more than three seconds, nothing new is
        taken, but what was begun can be finished; then all is taken again.
        """
        clock = Clock()
        thread = self.start(clock=clock.seconds)
        event = await self.block(thread)
        clock.advance(3.0)
        asked = [thread.admit(add(1))]
        clock.advance(0.1)
        refused = self.failureResultOf(thread.admit(add(2)), StoreUnavailable)
        self.assertEqual(refused.value.detail, "the disk is too slow")
        asked.append(thread.transact(add(3)))
        event.set()
        await gatherResults(asked)
        await thread.admit(add(4))
        self.assertEqual(self.numbers(), [1, 3, 4])

    async def test_cancel(self) -> None:
        """
        Who no longer wants to wait need not; what was asked for is done all
        the same, and those behind get their own results.
        """
        thread = self.start()
        given_up = thread.transact(add(1))
        failing = thread.transact(add_and_raise(KeyError("nobody minds")))
        behind = thread.transact(add(2))
        given_up.cancel()
        failing.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.failureResultOf(failing, CancelledError)
        self.assertEqual(await behind, 2)
        self.assertEqual(self.numbers(), [1, 2])

    async def test_cancel_makes_no_room(self) -> None:
        """
        What nobody waits for any more still counts as waiting until it is
        done, since it still has to be.
        """
        thread = self.start(most_waiting=1)
        given_up = thread.transact(add(1))
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.failureResultOf(thread.transact(add(2)), StoreUnavailable)

    async def test_stop_finishes(self) -> None:
        """
        Stopping does all that was asked for before, and then closes the file.
        """
        thread = self.start(most_together=2)
        event = await self.block(thread)
        await deferLater(reactor, 0.001)
        told: list[object] = []
        for number in range(5):
            thread.transact(add(number)).addCallback(told.append)
        stopping = thread.stop()
        self.assertNoResult(stopping)
        event.set()
        await stopping
        self.assertEqual(told, [1, 2, 3, 4, 5])
        self.assertEqual(self.numbers(), [0, 1, 2, 3, 4])

    async def test_stop_at_once(self) -> None:
        """
        Stopping does what was asked for just before, even if the thread is
        done before the reactor does anything else.
        """
        thread = self.start(lambda: self.open(Closing))
        asked = thread.transact(add(1))
        stopping = thread.stop()
        Closing.closed.wait(10.0)
        await stopping
        self.assertEqual(self.successResultOf(asked), 1)

    async def test_stop_leaves_no_journal(self) -> None:
        """
        Stopping leaves everything in the one file.
        """
        thread = self.start()
        await thread.transact(add(1))
        await thread.stop()
        with closing(sqlite3.connect(f"file:{self.path}?immutable=1", uri=True)) as d:
            self.assertEqual(count(d), 1)

    async def test_stop_refuses(self) -> None:
        """
        What is asked for once the thread is stopping is refused at once, and
        does not wait for ever.
        """
        thread = self.start()
        stopping = thread.stop()
        for _ in range(2):
            refused = self.failureResultOf(thread.transact(add(1)), StoreUnavailable)
            self.assertEqual(refused.value.detail, "the store is closed")
            await stopping

    def test_stop_what_never_started(self) -> None:
        """
        Stopping is over at once where the file could not be opened.
        """
        error = StoreUnavailable("can't")

        def open() -> sqlite3.Connection:
            raise error

        thread = DatabaseThread(reactor, open)  # type: ignore[arg-type]
        self.assertIs(self.assertRaises(StoreUnavailable, thread.start), error)
        self.successResultOf(thread.stop())

    async def test_undisturbed(self) -> None:
        """
        What a transaction has read nobody changes before it is done.
        """
        thread = self.start()

        def disturbed(database: sqlite3.Connection) -> bool:
            count(database)
            with closing(sqlite3.connect(self.path, timeout=0.0)) as other:
                try:
                    add(1)(other)
                except sqlite3.OperationalError:
                    return False
                return True

        self.assertFalse(await thread.transact(disturbed))

    async def test_reader(self) -> None:
        """
        A thread that reads sees what was committed when it was asked.
        """
        writer, reader = self.start(), self.start(writes=False)
        self.assertEqual(await reader.transact(count), 0)
        await writer.transact(add(1))
        self.assertEqual(await reader.transact(count), 1)

    async def test_reader_beside_writer(self) -> None:
        """
        A transaction that writes keeps none from reading what was there
        before.
        """
        writer, reader = self.start(), self.start(writes=False)
        event = threading.Event()
        self.addCleanup(event.set)

        def slowly(database: sqlite3.Connection) -> None:
            add(1)(database)
            event.wait(10.0)

        writing = writer.transact(slowly)
        await deferLater(reactor, 0.01)
        self.assertEqual(await reader.transact(count), 0)
        event.set()
        await writing
