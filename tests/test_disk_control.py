"""
The control of ``tests/test_disk.py``: a build that acknowledges what it has not
kept, on a disk that is full, slow, locked, read-only or failing.
"""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing

from tests import oracle
from tests.daemon import DELIVERY, Daemon, eventually
from tests.disk import fill
from tests.launch import starter
from tests.test_disk import ALICE, BOB, DiskCase, FullCase, ObservedCase


class LazyCase(DiskCase):
    """
    A daemon that acknowledges what it has not kept: no disk may hide it.
    """

    judged = False

    async def serve_lazily(self, starter_: Sequence[str] = ()) -> Daemon:
        """
        Start it, and let it answer somebody.
        """
        lazy = starter(sys.executable, broken=["early_200"])
        daemon = await self.serve([*starter_, *lazy], delivery=DELIVERY)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        return daemon

    async def assert_noticed(self, daemon: Daemon) -> None:
        """
        Check that the oracle finds lost what is acknowledged from now on.
        """
        count = self.statuses().count(200)
        mids = [self.write(f"{BOB}{n}", "x" * 1900) for n in range(30)]
        await eventually(lambda: self.statuses().count(200) >= count + len(mids))
        self.assertNotIn(503, self.statuses())
        await daemon.stop()
        found = self.complaints()
        self.assertTrue(any("accepted and lost" in why for why in found), found)

    def complaints(self) -> list[str]:
        """
        Ask the oracle.
        """
        return oracle.complaints(self.stand_ins.journal, self.directory / "mica.db")


class LazyTests(LazyCase, ObservedCase):
    """
    Tests for what proves that the others prove something.
    """

    async def test_slow(self) -> None:
        """
        A build that acknowledges before a slow disk has taken it is found out.
        """
        daemon = await self.serve_lazily(self.disk.starter)
        self.disk.slow(6.0)
        await self.assert_noticed(daemon)

    async def test_failing(self) -> None:
        """
        Likewise where fsync fails.
        """
        daemon = await self.serve_lazily(self.disk.starter)
        self.disk.fail(1.0)
        await self.assert_noticed(daemon)

    async def test_read_only(self) -> None:
        """
        Likewise where the disk may only be read.
        """
        daemon = await self.serve_lazily(self.disk.starter)
        self.disk.break_down(errno.EROFS)
        await self.assert_noticed(daemon)

    async def test_locked(self) -> None:
        """
        Likewise where another program writes to the store.
        """
        daemon = await self.serve_lazily()
        with closing(sqlite3.connect(daemon.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await self.assert_noticed(daemon)


class LazyFullTests(LazyCase, FullCase):
    """
    And on a disk that is full.
    """

    async def test_full(self) -> None:
        """
        A build that acknowledges what a full disk has no room for is found out.
        """
        daemon = await self.serve_lazily()
        await eventually(self.ballast.exists)
        filler = fill(self.disk)
        await self.assert_noticed(daemon)
        filler.unlink()
