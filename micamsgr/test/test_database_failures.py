"""
Tests for what becomes of transactions that fail, and of those beside them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable
from micamsgr.store.database import Work
from micamsgr.test.test_database import DatabaseCase, add, add_and_raise, count


def add_orphan(database: sqlite3.Connection) -> None:
    """
    Do what only the commit refuses.
    """
    database.execute("INSERT INTO child VALUES (99)")


def fill_disk(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO blob VALUES (zeroblob(1000000))")


class ShortOfMemory(sqlite3.Connection):
    """
    A connection that once has no memory left to commit with.
    """

    commits = 0

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.commits += 1
            if self.commits == 1:
                raise MemoryError
        return super().execute(sql, *arguments)


class FailureTests(DatabaseCase):
    """
    Tests for failures in :class:`micamsgr.store.thread.DatabaseThread`.
    """

    def outcomes(self, *results: Deferred[Any]) -> Deferred[list[Any]]:
        """
        Gather results, and in the place of failures what was raised.
        """

        def told(failure: Failure) -> object:
            error = failure.value
            if isinstance(error, StoreUnavailable):
                return f"not kept: {error.detail}"
            return error

        return gatherResults([result.addErrback(told) for result in results])

    async def test_one_fails(self) -> None:
        """
        A transaction that fails is undone and told why, and harms none of
        those that are in the same commit.
        """
        thread = self.start()
        error = KeyError("why")
        outcomes = await self.outcomes(
            thread.transact(add(1)),
            thread.transact(add_and_raise(error)),
            thread.transact(add(2)),
        )
        self.assertEqual(outcomes, [1, error, 2])
        self.assertEqual(self.numbers(), [1, 2])

    async def test_constraint(self) -> None:
        """
        What the tables refuse is refused to the one transaction that asked
        for it.
        """
        thread = self.start()

        def twice(database: sqlite3.Connection) -> None:
            add(13)(database)
            database.execute("INSERT INTO parent VALUES (1), (1)")

        outcomes = await self.outcomes(
            thread.transact(add(1)), thread.transact(twice), thread.transact(add(2))
        )
        self.assertIsInstance(outcomes[1], sqlite3.IntegrityError)
        self.assertEqual(self.numbers(), [1, 2])

    async def test_bad_sql(self) -> None:
        """
        A transaction with a fault in its SQL harms no other, although SQLite
        calls that an operational error, as it does a full disk.
        """
        thread = self.start()
        outcomes = await self.outcomes(
            thread.transact(add(1)),
            thread.transact(lambda database: database.execute("SELECT missing")),
            thread.transact(add(2)),
        )
        self.assertEqual(
            outcomes, [1, "not kept: OperationalError: no such column: missing", 2]
        )
        self.assertEqual(self.numbers(), [1, 2])

    async def test_unstorable(self) -> None:
        """
        Text and numbers that SQLite can't hold fail only who brings them.
        """
        thread = self.start()

        def put(value: object) -> Work[None]:
            def work(database: sqlite3.Connection) -> None:
                add(13)(database)
                database.execute("INSERT INTO blob VALUES (?)", (value,))

            return work

        outcomes = await self.outcomes(
            thread.transact(put("\ud800")),
            thread.transact(put(1 << 63)),
            thread.transact(add(1)),
        )
        self.assertIsInstance(outcomes[0], UnicodeEncodeError)
        self.assertIsInstance(outcomes[1], OverflowError)
        self.assertEqual(self.numbers(), [1])

    async def test_exit_in_transaction(self) -> None:
        """
        Whatever a transaction raises, even what ends a program, is only told
        to who asked for it, and the thread goes on.
        """
        thread = self.start()
        error = SystemExit()
        (told,) = await self.outcomes(thread.transact(add_and_raise(error)))
        self.assertIs(told, error)
        await thread.transact(add(1))
        self.assertEqual(self.numbers(), [1])

    async def test_commit_fails(self) -> None:
        """
        If the commit fails, all that are in it are told that they are not
        kept, and none is; the next commit succeeds.
        """
        thread = self.start()
        outcomes = await self.outcomes(
            thread.transact(add(1)), thread.transact(add_orphan)
        )
        unavailable = "not kept: IntegrityError: FOREIGN KEY constraint failed"
        self.assertEqual(outcomes, [unavailable] * 2)
        self.assertEqual(self.numbers(), [])
        self.assertEqual(await thread.transact(add(2)), 1)
        self.assertEqual(self.numbers(), [2])

    async def test_failures_apart(self) -> None:
        """
        Those whose commit failed each get an exception of their own, which
        they may raise without harm to the others.
        """
        thread = self.start()
        asked: list[Deferred[Any]] = [
            self.assertFailure(thread.transact(work), StoreUnavailable)
            for work in (add_orphan, add(1))
        ]
        one, other = await gatherResults(asked)
        self.assertIsNot(one, other)

    async def test_out_of_memory(self) -> None:
        """
        If there is no memory left to commit with, all are told that nothing
        was kept, and the thread goes on.
        """
        thread = self.start(lambda: self.open(ShortOfMemory))
        outcomes = await self.outcomes(thread.transact(add(1)), thread.transact(add(2)))
        self.assertEqual(outcomes, ["not kept: MemoryError: "] * 2)
        self.assertEqual(await thread.transact(add(3)), 1)

    async def test_disk_full(self) -> None:
        """
        If the disk is full, all in the same commit are told that nothing was
        kept, as SQLite has undone it all by itself; once there is space, the
        next are kept.
        """

        def open() -> sqlite3.Connection:
            database = self.open()
            database.execute("PRAGMA max_page_count = 50")
            return database

        thread = self.start(open)
        outcomes = await self.outcomes(
            thread.transact(add(1)),
            thread.transact(fill_disk),
            thread.transact(add(2)),
        )
        full = "not kept: OperationalError: database or disk is full"
        self.assertEqual(outcomes, [full] * 3)
        self.assertEqual(self.numbers(), [])
        await thread.transact(
            lambda database: database.execute("PRAGMA max_page_count = 5000").fetchall()
        )
        await thread.transact(fill_disk)
        await thread.transact(add(3))
        self.assertEqual(self.numbers(), [3])

    async def test_locked_out(self) -> None:
        """
        While another program writes to the file, all are told that they are
        not kept; once it is done, the next are.
        """
        thread = self.start()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            (told,) = await self.outcomes(thread.transact(add(1)))
            other.execute("ROLLBACK")
        self.assertEqual(told, "not kept: OperationalError: database is locked")
        self.assertEqual(await thread.transact(add(2)), 1)

    async def test_damaged_file(self) -> None:
        """
        Who asks for what a damaged file has lost is told that it is damaged;
        who asks later for something else gets it.
        """
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (page,) = database.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'blob'"
            ).fetchone()
        with Path(self.path).open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"?" * 4096)
        thread = self.start()
        (told,) = await self.outcomes(
            thread.transact(lambda d: d.execute("SELECT * FROM blob").fetchall())
        )
        self.assertEqual(
            told, "not kept: DatabaseError: database disk image is malformed"
        )
        self.assertEqual(await thread.transact(count), 0)

    async def test_damage_is_unavailability(self) -> None:
        """
        To whom SQLite says that the file is damaged, that counts as not kept,
        and harms no other.
        """
        thread = self.start()
        outcomes = await self.outcomes(
            thread.transact(add_and_raise(sqlite3.DatabaseError("malformed"))),
            thread.transact(add(1)),
        )
        self.assertEqual(outcomes, ["not kept: DatabaseError: malformed", 1])

    async def test_failure_tells_where(self) -> None:
        """
        Who is told that a transaction failed is told where, for the log.
        """
        thread = self.start()
        failures: list[Failure] = []
        await thread.transact(add_and_raise(KeyError("x"))).addErrback(failures.append)
        self.assertIn("raise error", failures[0].getTraceback())
