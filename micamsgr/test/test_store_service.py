"""
Tests for the store's threads, as a service.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState
from micamsgr.errors import StoreUnavailable
from micamsgr.store import service as service_module
from micamsgr.store.database import open_database
from micamsgr.store.lock import lock
from micamsgr.store.service import StoreService
from micamsgr.testing import BOT, PAGE, FixedClocks, echo, said


class StoreServiceTests(TestCase):
    """
    Tests for :class:`micamsgr.store.service.StoreService`.
    """

    timeout = 30.0

    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()).absolute())

    def service(self) -> StoreService:
        return StoreService(reactor, self.path)  # type: ignore[arg-type]

    def test_nothing_before_start(self) -> None:
        """
        Nothing is opened before the service starts.
        """
        self.service()
        self.assertEqual(list(Path(self.path).parent.glob("*")), [])

    async def test_one_at_a_time(self) -> None:
        """
        A second service can't start on the same file until the first one has
        stopped.
        """
        first, second = self.service(), self.service()
        first.startService()
        error = self.assertRaises(StoreUnavailable, second.startService)
        assert isinstance(error, StoreUnavailable)
        self.assertIn("another daemon is using", error.detail)
        await second.stopService()
        await first.stopService()
        third = self.service()
        third.startService()
        await third.stopService()

    async def test_ends(self) -> None:
        """
        A disk that fails again and again ends the process, with a line that
        names the store.
        """
        ended: list[str] = []
        service = StoreService(reactor, self.path, end=ended.append)  # type: ignore[arg-type]
        service.startService()

        def fail(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        for _ in range(3):
            with contextlib.suppress(StoreUnavailable):
                await service._writer.transact(fail)
        await service.stopService()
        (line,) = ended
        self.assertIn(self.path, line)
        self.assertIn("disk I/O error", line)

    async def test_full(self) -> None:
        """
        On a full disk what people write is refused, while echoes are taken and
        what was begun goes on; and the operator is told what to do.
        """
        told = self.logged()
        service = self.service()
        service.startService()
        self.addCleanup(service.stopService)

        def fail(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with contextlib.suppress(StoreUnavailable):
            await service._writer.transact(fail)
        now = FixedClocks(Clock()).now()
        written = Arrival(event=said(), bot=BOT, state=EventState.NEW)
        echoed = Arrival(
            event=echo(), bot=BOT, state=EventState.IGNORED, reason="other"
        )
        for arrivals in ([written], [echoed, written]):
            with self.assertRaises(StoreUnavailable):
                await service.store.record(arrivals, now)
        await service.store.record([echoed], now)
        await service.store.remember_page(BOT, "t", PAGE)
        self.assertEqual([event["log_level"].name for event in told], ["error"])

    async def test_full_from_the_start(self) -> None:
        """
        Where the disk was full as the store was to be made, who reads is told
        so, and nothing of tables; and can read once there is room.
        """
        made: list[str] = []

        def connect(path: str) -> sqlite3.Connection:
            if not made:
                raise StoreUnavailable("full") from sqlite3.OperationalError(
                    "database or disk is full"
                )
            return open_database(path)

        self.patch(service_module, "connect", connect)
        self.patch(service_module, "reopen_database", connect)
        service = self.service()
        service.startService()
        self.addCleanup(service.stopService)
        for _ in range(2):
            with self.assertRaises(StoreUnavailable) as caught:
                await service.store.remembered_page(BOT, "t")
            self.assertEqual(caught.exception.detail, "the disk is full")
            with self.assertRaises(StoreUnavailable) as caught:
                await service.write(lambda database: None)
            self.assertEqual(caught.exception.detail, "the disk is full")
        self.assertEqual(service.refusal, "the disk is full")
        await service.ping()
        made.append(self.path)
        found: object = "nothing yet"
        while found is not None:
            await deferLater(reactor, 0.05)
            with contextlib.suppress(StoreUnavailable):
                found = await service.store.remembered_page(BOT, "t")
        self.assertIsNone(service.refusal)

    def logged(self) -> list[LogEvent]:
        """
        Gather what the service logs from now on.
        """
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "store" in event.get("log_namespace", ""):
                events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return events

    async def test_cannot_open(self) -> None:
        """
        A service that can't open its file can be stopped, and gives the file
        back.
        """
        Path(self.path).write_text("not a database" * 100)
        service = self.service()
        self.assertRaises(StoreUnavailable, service.startService)
        await service.stopService()
        lock(self.path).release()

    async def test_stopped(self) -> None:
        """
        Stopping leaves one file, which holds everything, beside the lock and
        the ballast.
        """
        service = self.service()
        service.startService()
        await service.store.remember_page(BotName("mica"), "t", PageId("p"))
        await service.stopService()
        left = {file.name for file in Path(self.path).parent.iterdir()}
        name = Path(self.path).name
        self.assertEqual(left, {name, f"{name}.lock", f"{name}.ballast"})
