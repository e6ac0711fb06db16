"""
The disk that the store is on is full, slow, locked, read-only or failing: what
can't be kept is not acknowledged, and what was is not lost.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import Applied, Asked, Posted, in_turn
from micamsgr.sandbox.meta import Habits
from tests.daemon import DELIVERY, Daemon, DaemonCase, callback, eventually, reactor
from tests.disk import Disk, fill, mount, unmount

ALICE, BOB, CAROL = (f"628491377510284{n}" for n in range(3))

# How soon the daemon must be well after the disk is, in seconds; and how long
# the delivery of a message may last that was refused until then.
WELL_WITHIN, RETRIES = 5.0, (0.5,)


class DiskCase(DaemonCase):
    """
    A daemon, and Meta, which delivers again and again what was refused.
    """

    def setUp(self) -> None:
        super().setUp()
        self.stand_ins.meta.habits = Habits(retries=RETRIES)

    def statuses(self) -> list[int | None]:
        """
        Tell what deliveries were answered so far.
        """
        return [posted.status for posted in self.stand_ins.journal.of(Posted)]

    async def refused(self, count: int = 2) -> None:
        """
        Wait until so many deliveries were refused.
        """
        await eventually(lambda: self.statuses().count(503) >= count)

    async def well(self, since: float) -> None:
        """
        Check that a message is taken soon after *since*.
        """
        count = self.statuses().count(200)
        self.write(CAROL, "Are you well again?")
        await eventually(lambda: self.statuses().count(200) > count)
        self.assertLess(reactor.seconds() - since, WELL_WITHIN)


class FullCase(DiskCase):
    """
    A disk that can be filled: a small one, made for the purpose.
    """

    def setUp(self) -> None:
        # Taken away last of all.
        self.addCleanup(lambda: unmount(self.disk))
        super().setUp()
        self.disk.mkdir()
        mount(self.disk, "24m")
        (self.directory / "mica.db").symlink_to("disk/mica.db")

    @property
    def disk(self) -> Path:
        """Where the store is."""
        return self.directory / "disk"

    @property
    def ballast(self) -> Path:
        """What is kept in reserve."""
        return self.disk / "mica.db.ballast"


class FullTests(FullCase):
    """
    Tests for a disk that is full.
    """

    async def test_full_and_freed(self) -> None:
        """
        While the disk is full nothing new is acknowledged, and what was
        accepted before is answered, and known to be; as soon as there is room
        all is well, without a restart.
        """
        daemon = await self.serve(delivery=DELIVERY)
        await eventually(self.ballast.exists)
        self.stand_ins.model.faults = in_turn("completion", llm.Fault(delay=3.0))
        self.write(ALICE, "Just before the disk is full")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        filler = fill(self.disk)
        # So large that no page that is there already can take it; and each of
        # somebody else, since what comes again comes out of order.
        mids = [self.write(f"{BOB}{n}", "x" * 1900) for n in range(30)]
        await self.refused(40)
        self.assertFalse(self.ballast.exists())
        self.assertEqual(
            await self.said(ALICE), ["You said: Just before the disk is full"]
        )
        await eventually(
            lambda: (
                [row["state"] for row in self.kept("SELECT state FROM part")][:1]
                == ["sent"]
            )
        )
        refused = self.statuses().count(503)
        await eventually(lambda: self.statuses().count(503) > refused)
        filler.unlink()
        since = reactor.seconds()
        await self.well(since)
        await eventually(self.ballast.exists)
        await eventually(
            lambda: len(self.kept("SELECT 1 FROM event WHERE kind = 'message'")) == 32
        )
        await self.settled()
        self.assertEqual(
            {row["mid"] for row in self.kept("SELECT mid FROM event")} & set(mids),
            set(mids),
        )
        self.assertEqual(daemon.output.count("ballast are given up"), 1)

    async def test_ballast(self) -> None:
        """
        Beside the store there is a file of at most 5 % of the free space, which
        takes up that space, and only the daemon's user may read.
        """
        free = os.statvfs(self.disk)
        await self.serve()
        await eventually(self.ballast.exists)
        status = self.ballast.stat()
        self.assertLessEqual(status.st_size, free.f_bavail * free.f_frsize // 20)
        self.assertGreater(status.st_size, 1 << 20)
        self.assertGreaterEqual(status.st_blocks * 512, status.st_size)
        self.assertEqual(status.st_mode & 0o777, 0o600)

    async def test_start(self) -> None:
        """
        The daemon starts on a full disk, takes nothing until there is room,
        and then all; the log says why, in a few lines.
        """
        filler = fill(self.disk)
        daemon = await self.serve(delivery=DELIVERY)
        self.write(ALICE, "Is there room?")
        await self.refused(4)
        # What is the case, and not what follows from it.
        for other in ("no such table", "the store is closed"):
            self.assertNotIn(other, daemon.output)
        self.assertEqual(daemon.output.count("is full: "), 1, daemon.output)
        self.assertEqual(
            daemon.output.count("a delivery is answered 503"), 1, daemon.output
        )
        filler.unlink()
        await self.well(reactor.seconds())
        await self.said(ALICE)
        await self.settled()

    async def test_start_after_kill(self) -> None:
        """
        Killed on a full disk, the daemon starts again there, and knows all
        that it has acknowledged.
        """
        daemon = await self.serve(delivery=DELIVERY)
        await eventually(self.ballast.exists)
        self.write(ALICE, "Before")
        await self.said(ALICE)
        await self.settled()
        filler = fill(self.disk)
        for number in range(20):
            self.write(f"{BOB}{number}", "x" * 1900)
        await self.refused()
        await daemon.stop()
        # What the ballast had left, and the log's index, which is made anew.
        fill(self.disk)
        await self.serve(delivery=DELIVERY)
        filler.unlink()
        await self.well(reactor.seconds())
        await self.settled(40)


class ObservedCase(DiskCase):
    """
    A daemon on a disk that does what the test says.
    """

    def setUp(self) -> None:
        super().setUp()
        self.disk = Disk(self.directory, self.directory / "mica.db")
        self.addCleanup(self.disk.close)

    async def begin(self) -> Daemon:
        """
        Start the daemon, and let it answer somebody.
        """
        daemon = await self.serve(self.disk.starter, delivery=DELIVERY)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        return daemon


class SlowTests(ObservedCase):
    """
    Tests for a disk on which each fsync takes long.
    """

    async def test_seconds(self) -> None:
        """
        What takes more than three seconds to commit is answered 503 before
        Meta gives up, other requests are answered at once meanwhile, and in
        the end all is answered once.
        """
        await self.begin()
        self.disk.slow(6.0)
        begun = reactor.seconds()
        self.write(ALICE, "Slow")
        status, _ = await self.stand_ins.client.get(
            f"{callback(self.port)}?hub.mode=subscribe"
            "&hub.verify_token=verify-token&hub.challenge=7"
        )
        self.assertEqual(status, 200)
        self.assertNotIn(503, self.statuses())
        await self.refused(1)
        self.assertGreaterEqual(reactor.seconds() - begun, 2.9)
        refused = self.statuses().count(503)
        self.write(BOB, "Behind it")
        await self.refused(refused + 1)
        self.disk.slow(0.0)
        await self.said(BOB)
        self.assertEqual((await self.said(ALICE, 2))[1:], ["You said: Slow"])
        await self.settled()
        self.assertNotIn(None, self.statuses())

    async def test_well_again(self) -> None:
        """
        Once the disk is quick again, so is the daemon.
        """
        await self.begin()
        self.disk.slow(4.0)
        self.write(ALICE, "Slow")
        await self.refused(1)
        self.disk.slow(0.0)
        await self.well(reactor.seconds())
        await self.settled()


class FailingTests(ObservedCase):
    """
    Tests for a disk on which fsync or writing fails.
    """

    async def test_at_times(self) -> None:
        """
        Where fsync fails at times, nothing that was acknowledged is lost, and
        nothing is said twice, whether the daemon goes on or is started anew.
        """
        daemon = await self.begin()
        self.disk.seed(7)
        self.disk.fail(0.15)
        for number in range(20):
            # Each by somebody else, since what comes again comes out of order.
            self.write(f"{ALICE}{number}", f"Message {number}")
            await deferLater(reactor, 0.2)
            if not _runs(daemon):
                self.assertEqual(await daemon.exited, 1)
                daemon = await self.persist()
        self.disk.fail(0.0)
        await eventually(lambda: not _runs(daemon) or self.all_taken(21), 30)
        if not _runs(daemon):
            daemon = await self.persist()
        await eventually(lambda: self.all_taken(21), 30)
        self.assertGreater(self.disk.failed, 0)
        await self.settled(60)
        said = [said.text for said in self.stand_ins.journal.of(Applied)]
        self.assertEqual(
            sorted(said[1:]), sorted(f"You said: Message {n}" for n in range(20))
        )

    async def persist(self) -> Daemon:
        """
        Start the daemon until it runs, as systemd does.
        """
        while True:
            daemon = self.daemon(self.disk.starter, delivery=DELIVERY)
            daemon.start()
            try:
                await daemon.ready()
            except AssertionError:
                self.assertEqual(await daemon.exited, 1)
            else:
                return daemon

    def all_taken(self, count: int) -> bool:
        """
        Say whether so many messages are in the store.
        """
        rows = self.kept("SELECT count(*) AS n FROM event WHERE kind = 'message'")
        return bool(rows[0]["n"] == count)

    async def test_for_good(self) -> None:
        """
        Where fsync fails again and again, nothing is acknowledged, and the
        process ends with status 1 and one plain line; started on a disk that
        is well, it knows all that it has acknowledged.
        """
        daemon = await self.begin()
        self.disk.fail(1.0)
        self.write(ALICE, "Is this kept?")
        self.assertEqual(await daemon.exited, 1)
        (line,) = daemon.errors.splitlines()
        for word in ("mica.db", "disk I/O error", "3 times", "started anew"):
            self.assertIn(word, line)
        self.assertEqual(self.statuses().count(200), 2)  # "Hello" and its echo
        self.disk.fail(0.0)
        await self.serve(self.disk.starter, delivery=DELIVERY)
        await self.said(ALICE, 2)
        await self.settled()

    async def test_once(self) -> None:
        """
        After a single failure the daemon goes on, on a connection made anew,
        and whom it refused is answered when Meta delivers again.
        """
        daemon = await self.begin()
        failed = self.disk.failed
        self.disk.fail(1.0)
        self.write(ALICE, "Once more")
        await eventually(lambda: self.disk.failed > failed)
        self.disk.fail(0.0)
        await self.said(ALICE, 2)
        await self.settled()
        self.assertIn("opened again", daemon.output)

    async def test_read_only(self) -> None:
        """
        While the disk may only be read nothing is acknowledged; when it may be
        written to again all is well, without a restart.
        """
        await self.begin()
        self.disk.break_down(errno.EROFS)
        self.write(ALICE, "Is this kept?")
        await self.refused(8)
        self.disk.break_down(0)
        await self.well(reactor.seconds())
        await self.said(ALICE, 2)
        await self.settled()


def _runs(daemon: Daemon) -> bool:
    return not daemon.exited.called


class LockedTests(DiskCase):
    """
    Tests for a store that another program writes to.
    """

    async def test_locked(self) -> None:
        """
        While another program writes to the store, deliveries are answered 503
        in time; when it is done, they are taken.
        """
        daemon = await self.serve(delivery=DELIVERY)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        with closing(sqlite3.connect(daemon.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.write(BOB, "Is anybody there?")
            await self.refused(1)
            self.assertNotIn(None, self.statuses())
            other.execute("ROLLBACK")
            await self.well(reactor.seconds())
        await self.said(BOB)
        await self.settled()
