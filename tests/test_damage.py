"""
Starts with a store that is not whole: refused, and left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from tests.daemon import DELIVERY, Daemon, DaemonCase

ALICE = "6284913775102840"


class DamagedTests(DaemonCase):
    """
    Tests for starts with a store that is not whole.
    """

    judged = False

    async def damage(self) -> Daemon:
        """
        Let a daemon fill a store, and kill it, so that there is a log.
        """
        daemon = await self.serve(delivery=DELIVERY)
        for number in range(5):
            self.write(ALICE, f"Message {number}")
            await self.said(ALICE, number + 1)
        await self.settled()
        await daemon.stop()
        return daemon

    async def fails(self, *words: str) -> None:
        """
        Check that a daemon refuses to start, in one line, and changes nothing.
        """
        before = self.files()
        daemon = self.daemon()
        daemon.start()
        self.assertEqual(await daemon.exited, 1, daemon.output)
        (line,) = daemon.errors.splitlines()
        for word in ("mica.db", *words):
            self.assertIn(word, line)
        self.assertEqual(self.files(), before)

    def files(self) -> dict[str, bytes]:
        """
        Read the store, and what is beside it.
        """
        return {
            path.name: path.read_bytes()
            for path in self.directory.glob("mica.db*")
            if path.suffix not in (".lock", ".ballast", ".db-shm", ".control")
        }

    async def test_damaged_log(self) -> None:
        """
        A log in which an acknowledged commit can't be read is not used, and
        nothing behind it is thrown away.
        """
        daemon = await self.damage()
        log = daemon.database.with_name("mica.db-wal")
        self.assertGreater(log.stat().st_size, 20 * 4120)
        with log.open("r+b") as file:
            file.seek(32 + 4 * 4120 + 500)
            file.write(b"\xff" * 64)
        await self.fails("its log breaks off", "restore a backup")

    async def test_damaged_page(self) -> None:
        """
        So it is with a page of the store itself.
        """
        daemon = await self.damage()
        with closing(sqlite3.connect(daemon.database)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (page,) = database.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'utterance'"
            ).fetchone()
        with daemon.database.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(os.urandom(4096))
        await self.fails("damaged", "restore a backup")

    async def test_truncated(self) -> None:
        """
        And with a store of which the end is missing.
        """
        daemon = await self.damage()
        with closing(sqlite3.connect(daemon.database)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(daemon.database, daemon.database.stat().st_size // 2)
        await self.fails("damaged", "restore a backup")
