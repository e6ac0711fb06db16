"""
Tests for when, and how gently, it is swept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.moment import Moment, Tick
from micamsgr.store.database import Work, open_database
from micamsgr.store.retention import DAY, SLICE, Ages
from micamsgr.store.sweeping import Sweeping, empty_log
from micamsgr.testing import NOW, memory_store

AGES = Ages(texts=30 * 86400.0, raw=7 * 86400.0, ledger=400 * 86400.0)


class SweepingCase(SynchronousTestCase):
    """
    :class:`Sweeping` over the real store.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sure = True
        self.database = memory_store().database
        self.connection = self.database.connection
        self.emptied = 0
        self.busy = 0
        self.slices = 0

    def now(self) -> Moment:
        wall = NOW + int(self.clock.seconds() * 1000)
        tick = Tick(self.clock.seconds(), "boot")
        return Moment(wall=wall, tick=tick, started=0.0, sure=self.sure)

    def write(self, work: Work[Any]) -> Deferred[Any]:
        """
        Count what is asked of the store.
        """
        self.slices += 1
        return self.database.transact(work)

    def alone(self, work: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        """
        Do what is to be done alone; a log can only be told to be emptied.
        """
        if work is empty_log:
            self.emptied += 1
            self.busy -= 1
            work = lambda database: self.busy < 0  # noqa: E731
        else:
            self.slices += 1
        return self.database.alone(work)

    def start(self, **arguments: Any) -> Sweeping:
        sweeping = Sweeping(
            self.clock, self.now, self.write, self.alone, lambda: AGES, **arguments
        )
        sweeping.startService()
        self.addCleanup(sweeping.stopService)
        return sweeping

    def fill(self, count: int, days: float = -31) -> None:
        """
        Put ended events into the store, so many days from now.
        """
        at = NOW + int(days * DAY)
        self.connection.executemany(
            "INSERT INTO event (key, bot, page, kind, at, received, text, state)"
            " VALUES (randomblob(16), 'mica', '1', 'message', ?, ?, 'words',"
            " 'ignored')",
            [(at, at)] * count,
        )

    def left(self) -> int:
        """
        Count the texts that are left.
        """
        (count,) = self.connection.execute(
            "SELECT count(*) FROM event WHERE text IS NOT NULL"
        ).fetchone()
        return int(count)

    def pump(self, seconds: float, step: float = 0.02) -> None:
        self.clock.pump([step] * int(seconds / step))


class SweepingTests(SweepingCase):
    """
    Tests for :class:`Sweeping`.
    """

    def test_clocks_differ(self) -> None:
        """
        What is too old only by one of the two clocks, Meta's and this machine's,
        stays: a wrong one erases nothing.
        """
        self.fill(3)
        for ahead, left in ((-2 * 86_400.0, 3), (2 * 86_400.0, 0)):
            sweeping = self.start(ahead=lambda ahead=ahead: ahead)
            self.clock.advance(60)
            self.pump(5)
            self.assertEqual(self.left(), left, ahead)
            sweeping.stopService()

    def test_soon(self) -> None:
        """
        A minute after the start what is too old goes, and the log with it.
        """
        self.fill(3)
        self.start()
        self.clock.advance(59)
        self.assertEqual(self.left(), 3)
        self.pump(5)
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.emptied, 1)

    def test_told(self) -> None:
        """
        The log tells in words how much of what was erased, and by which key.
        """
        self.fill(3)
        self.start()
        self.clock.advance(60)
        with capturedLogs() as events:
            self.pump(5)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["erased, as it was too old: 3 events by retention.texts"],
        )

    def test_hourly(self) -> None:
        """
        It goes on once in an hour.
        """
        self.start()
        self.clock.advance(60)
        self.pump(2)
        self.fill(3)
        self.clock.advance(3500)
        self.assertEqual(self.left(), 3)
        self.clock.advance(100)
        self.pump(2)
        self.assertEqual(self.left(), 0)

    def test_gentle(self) -> None:
        """
        Few rows are changed at once, with pauses between, in which others have
        the store.
        """
        self.fill(10 * SLICE)
        self.start()
        self.clock.advance(60)
        seen = [self.left()]
        while self.left():
            self.clock.advance(0.02)
            seen.append(self.left())
        steps = {before - after for before, after in pairwise(seen)}
        self.assertEqual(max(steps), SLICE)

    def test_pause_grows(self) -> None:
        """
        Where the store is slow, the pauses are longer.
        """
        self.fill(2 * SLICE)
        self.database.stepped = True
        self.start()
        self.clock.advance(60)
        self.clock.advance(0.5)
        self.assertTrue(self.database.step())
        self.clock.advance(1.9)
        self.assertFalse(self.database.step())
        self.clock.advance(0.2)
        self.assertTrue(self.database.step())

    def test_bounded(self) -> None:
        """
        One sweep does only so much; the next one comes soon, and goes on.
        """
        self.fill(5 * SLICE)
        self.start(most=3)
        self.clock.advance(60)
        self.pump(10)
        self.assertEqual(self.slices, 3)
        for _ in range(6):
            self.clock.advance(60)
            self.pump(1)
        self.assertEqual(self.left(), 0)

    def test_unsure(self) -> None:
        """
        While nobody knows for sure what time it is, nothing is erased.
        """
        self.fill(3)
        self.sure = False
        self.start()
        self.clock.advance(60)
        self.pump(2)
        self.assertEqual(self.left(), 3)
        self.sure = True
        self.clock.advance(300)
        self.pump(2)
        self.assertEqual(self.left(), 0)

    def test_store_fails(self) -> None:
        """
        A store that fails is tried again after some minutes.
        """
        self.fill(3)
        self.database.failing = True
        self.start()
        self.clock.advance(60)
        self.pump(2)
        self.database.failing = False
        self.clock.advance(300)
        self.pump(2)
        self.assertEqual(self.left(), 0)

    def test_log_in_use(self) -> None:
        """
        A log that somebody reads is emptied when they are done.
        """
        self.fill(3)
        self.busy = 3
        self.start()
        self.clock.advance(60)
        self.pump(5)
        self.assertEqual(self.emptied, 4)

    def test_stop(self) -> None:
        """
        A stop leaves no timer behind, before, in and after a sweep.
        """
        for seconds in (10.0, 60.0, 60.03, 100.0):
            self.clock = Clock()
            self.fill(3)
            sweeping = self.start()
            self.clock.advance(60.0 if seconds >= 60.0 else seconds)
            self.pump(seconds - 60.0)
            sweeping.stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])


class EmptyLogTests(SynchronousTestCase):
    """
    Tests for :func:`empty_log`, on a file.
    """

    def test_empty(self) -> None:
        """
        The log has no byte left; while somebody reads that can't be, which is
        said at once.
        """
        path = self.mktemp()
        database = open_database(path)
        self.addCleanup(database.close)
        database.execute("INSERT INTO page VALUES ('mica', 'token', 'secret')")
        reader = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM page").fetchall()
        database.execute("DELETE FROM page")
        self.assertFalse(empty_log(database))
        reader.execute("COMMIT")
        self.assertTrue(empty_log(database))
        self.assertEqual(Path(f"{path}-wal").read_bytes(), b"")
        self.assertNotIn(b"secret", Path(path).read_bytes())
        self.assertEqual(database.execute("PRAGMA busy_timeout").fetchone(), (5000,))
