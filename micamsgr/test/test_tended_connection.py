"""
Tests for a connection that is looked after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.store.ballast import Ballast
from micamsgr.store.connection import News, TendedConnection
from micamsgr.store.group import Job
from micamsgr.store.trouble import Damaged

MIB = 1 << 20

FULL = "database or disk is full"
FAILING = "disk I/O error"


class Faulty(sqlite3.Connection):
    """
    A connection that fails as the test says.

    :ivar fault: what each commit fails with, if with something.
    :ivar checkpoint_fault: what each checkpoint does.
    """

    fault: str | None = None
    checkpoint_fault: str | None = None
    closed = False

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and Faulty.fault is not None:
            raise sqlite3.OperationalError(Faulty.fault)
        if "wal_checkpoint" in sql and Faulty.checkpoint_fault is not None:
            raise sqlite3.OperationalError(Faulty.checkpoint_fault)
        return super().execute(sql, *arguments)

    def close(self) -> None:
        self.closed = True
        super().close()


class TendedConnectionTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.store.connection.TendedConnection`.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path = directory / "mica.db"
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.news: list[News] = []
        self.details: list[str] = []
        self.opened: list[Faulty] = []
        self.unopenable: Exception | None = None
        self.free = 100 * MIB
        self.ballast = Ballast(self.path, lambda _: self.free)
        self.fail_with(None)
        self.addCleanup(self.fail_with, None)
        self.connection = self.make(ballast=self.ballast)

    def make(self, **more: Any) -> TendedConnection:
        return TendedConnection(
            self.path, self.open, self.told, clock=self.clock.seconds, **more
        )

    def open(self) -> sqlite3.Connection:
        if self.unopenable is not None:
            raise self.unopenable
        database = sqlite3.connect(self.path, factory=Faulty, isolation_level=None)
        database.execute("CREATE TABLE IF NOT EXISTS number (n INTEGER)")
        assert isinstance(database, Faulty)
        self.opened.append(database)
        return database

    def told(self, news: News, detail: str) -> None:
        self.news.append(news)
        self.details.append(detail)

    def fail_with(self, fault: str | None) -> None:
        """
        Let commits fail from now on.
        """
        Faulty.fault = fault

    def unavailable(self, why: str) -> StoreUnavailable:
        """
        Make the exception of a file that can't be opened.
        """
        error = StoreUnavailable(f"can't use it: {why}")
        error.__cause__ = sqlite3.OperationalError(why)
        return error

    def perform(self, new: bool = False) -> str:
        """
        Write something, and tell what became of it.
        """
        job = self.job(lambda d: d.execute("INSERT INTO number VALUES (1)"), new)
        self.connection.perform([job])
        if job.failure is None:
            return "kept"
        error = job.failure.value
        assert isinstance(error, StoreUnavailable)
        return error.detail

    def job(self, work: Callable[[sqlite3.Connection], object], new: bool) -> Job:
        result: Deferred[Any] = Deferred()
        return Job(work, result, self.clock.seconds(), new)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass, and let the connection be looked after meanwhile.
        """
        for _ in range(int(seconds / 0.25)):
            self.clock.advance(0.25)
            self.connection.tend()

    def test_ballast_from_the_start(self) -> None:
        """
        From the start there is a ballast.
        """
        self.connection.open()
        self.assertEqual(self.ballast.file.stat().st_size, 5 * MIB)
        self.assertEqual(self.news, [])

    def test_too_full_for_ballast(self) -> None:
        """
        A disk too full for a ballast is told of, and is no hindrance.
        """
        self.free = 0
        self.connection.open()
        self.assertEqual(self.news, [News.NO_BALLAST])
        self.assertEqual(self.perform(new=True), "kept")

    def test_no_ballast_possible(self) -> None:
        """
        So is whatever else is in the way of it.
        """
        self.ballast.file.mkdir()
        self.connection.open()
        self.assertEqual(self.news, [News.NO_BALLAST])
        self.assertEqual(self.perform(new=True), "kept")

    def test_full(self) -> None:
        """
        When the disk is full the ballast is given up, what is new is refused,
        and what was begun can be finished.
        """
        self.connection.open()
        self.fail_with(FULL)
        self.assertIn("is full", self.perform(new=True))
        self.assertFalse(self.ballast.file.exists())
        self.fail_with(None)
        self.assertEqual(self.perform(new=True), "the disk is full")
        self.assertEqual(self.perform(), "kept")
        self.assertEqual(self.news, [News.FULL])
        self.assertEqual(len(self.opened), 1)

    def test_room_again(self) -> None:
        """
        As soon as twice the reserve is free there is ballast again, and what
        is new is taken.
        """
        self.connection.open()
        self.fail_with(FULL)
        self.perform()
        self.fail_with(None)
        self.free = 10 * MIB - 1
        self.pass_time(5.0)
        self.assertEqual(self.perform(new=True), "the disk is full")
        self.assertFalse(self.ballast.file.exists())
        self.free = 200 * MIB
        self.pass_time(1.0)
        self.assertEqual(self.perform(new=True), "kept")
        self.assertEqual(self.ballast.file.stat().st_size, 10 * MIB)
        self.assertEqual(self.news, [News.FULL, News.ROOM])

    def test_full_together(self) -> None:
        """
        While the disk is full, what was begun is finished although something
        new is asked for at the same time.
        """
        self.connection.open()
        self.fail_with(FULL)
        self.perform()
        self.fail_with(None)
        jobs = [
            self.job(lambda d: d.execute("INSERT INTO number VALUES (1)"), new)
            for new in (True, False)
        ]
        self.connection.perform(jobs)
        self.assertEqual([job.failure is None for job in jobs], [False, True])
        (rows,) = self.opened[0].execute("SELECT count(*) FROM number").fetchone()
        self.assertEqual(rows, 1)

    def test_full_at_the_start(self) -> None:
        """
        On a full disk the connection stays closed until it can be opened.
        """
        self.unopenable = self.unavailable(FULL)
        self.connection.open()
        self.assertIn("the disk is full", self.perform())
        self.unopenable = None
        self.pass_time(1.0)
        self.assertEqual(self.perform(new=True), "kept")

    def test_full_at_the_start_with_ballast(self) -> None:
        """
        What an earlier process has kept in reserve opens it at once.
        """
        self.ballast.make()
        self.unopenable = self.unavailable(FULL)

        class Opening(Ballast):
            def give_up(ballast) -> int:
                self.unopenable = None
                return super().give_up()

        self.connection = self.make(ballast=Opening(self.path))
        self.connection.open()
        self.assertEqual(self.perform(), "kept")
        self.assertEqual(self.perform(new=True), "the disk is full")

    def test_cannot_open(self) -> None:
        """
        Where it can't be opened for another reason, that is told at the start.
        """
        self.unopenable = self.unavailable("locked")
        self.assertRaises(StoreUnavailable, self.connection.open)

    def test_opened_again(self) -> None:
        """
        After an I/O error nothing is written by the same connection.
        """
        self.connection.open()
        self.fail_with(FAILING)
        self.assertIn(FAILING, self.perform())
        self.fail_with(None)
        self.assertEqual(self.perform(new=True), "kept")
        self.assertEqual([d.closed for d in self.opened], [True, False])
        self.assertEqual(self.news, [News.FAILING, News.REOPENED])

    def test_in_a_transaction(self) -> None:
        """
        So it is where the error comes before the commit.
        """
        self.connection.open()

        def fail(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError(FAILING)

        jobs = [
            self.job(lambda d: d.execute("INSERT INTO number VALUES (1)"), True),
            self.job(fail, True),
        ]
        self.connection.perform(jobs)
        self.assertNotIn(None, [job.failure for job in jobs])
        self.assertEqual([d.closed for d in self.opened], [True, False])

    def test_three_failures(self) -> None:
        """
        The third failure within ten seconds is one too many, told once.
        """
        self.connection.open()
        self.fail_with(FAILING)
        for _ in range(5):
            self.perform()
        self.assertEqual(self.news.count(News.HOPELESS), 1)
        self.assertEqual(len(self.opened), 3)
        self.assertIn("3 times", self.details[-1])
        self.assertIn("closed", self.perform())

    def test_failures_apart(self) -> None:
        """
        Failures that are far enough apart are not too many.
        """
        self.connection.open()
        for _ in range(10):
            self.fail_with(FAILING)
            self.perform()
            self.fail_with(None)
            self.assertEqual(self.perform(), "kept")
            self.pass_time(5.5)
        self.assertNotIn(News.HOPELESS, self.news)

    def test_cannot_be_opened_again(self) -> None:
        """
        A failure to open it again counts as well.
        """
        self.connection.open()
        self.fail_with(FAILING)
        self.unopenable = self.unavailable(FAILING)
        self.perform()
        self.assertNotIn(News.HOPELESS, self.news)
        self.pass_time(1.0)
        self.assertEqual(self.news.count(News.HOPELESS), 1)

    def test_damaged_when_opened_again(self) -> None:
        """
        What is found to be damaged then can't be used.
        """
        self.connection.open()
        self.fail_with(FAILING)
        self.unopenable = self.unavailable("")
        self.unopenable.__cause__ = Damaged("page 7")
        self.perform()
        self.assertEqual(self.news, [News.FAILING, News.HOPELESS])

    def test_closed_for_a_while(self) -> None:
        """
        Where the file can't be opened for want of descriptors, or the like,
        it is tried again until it can.
        """
        self.connection.open()
        self.fail_with("unable to open database file")
        self.unopenable = self.unavailable("unable to open database file")
        self.perform()
        self.pass_time(60.0)
        self.assertIn("closed", self.perform())
        self.fail_with(None)
        self.unopenable = None
        self.pass_time(1.0)
        self.assertEqual(self.perform(new=True), "kept")
        self.assertEqual(self.news, [News.FAILING, News.REOPENED])

    def test_reader(self) -> None:
        """
        Failures to read are no reason to end.
        """
        self.connection = self.make(writes=False)
        self.connection.open()
        self.fail_with(FAILING)
        for _ in range(10):
            self.perform()
        self.assertNotIn(News.HOPELESS, self.news)

    def test_damage(self) -> None:
        """
        Once damage is found nothing new is taken, and that is told once.
        """
        self.connection.open()

        def read(_: sqlite3.Connection) -> None:
            raise sqlite3.DatabaseError("database disk image is malformed")

        for _ in range(2):
            self.connection.perform([self.job(read, False)])
        self.assertEqual(self.news, [News.DAMAGED])
        self.assertEqual(self.perform(new=True), "the store is damaged")
        self.assertEqual(self.perform(), "kept")
        self.free = 200 * MIB
        self.pass_time(5.0)
        self.assertEqual(self.perform(new=True), "the store is damaged")

    def test_checkpoint(self) -> None:
        """
        That the log can't be brought into the file is noticed, although each
        commit succeeds.
        """
        self.connection.open()
        self.perform()
        Faulty.checkpoint_fault = FAILING
        self.addCleanup(setattr, Faulty, "checkpoint_fault", None)
        self.pass_time(61.0)
        self.assertEqual(self.news, [News.FAILING, News.REOPENED])
