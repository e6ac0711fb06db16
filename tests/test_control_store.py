"""
The store's copies, and what is kept of a person, beside a real daemon.
"""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from micamsgr.testing.store import BACK_TO_VERSION_3
from tests.commands import ALICE, BOB, ControlCase


class StoreTests(ControlCase):
    """
    Tests for the store's copies, and what is kept of a person.
    """

    async def test_export(self) -> None:
        """
        All that is kept of a person is written, and nothing of others; whether
        the daemon runs or not.
        """
        daemon = await self.serve()
        for psid in (ALICE, BOB):
            self.write(psid, f"Hello from {psid}")
            await self.said(psid)
        await self.settled()
        running = await self.done("export", ALICE)
        (found,) = json.loads(running)["conversations"]
        self.assertEqual(
            [it["text"] for it in found["utterances"]],
            [f"Hello from {ALICE}", f"You said: Hello from {ALICE}"],
        )
        self.assertNotIn(BOB, running)
        self.assertEqual(len(found["parts"]), 1)
        daemon.terminate()
        await daemon.exited
        file = self.directory / "alice.json"
        await self.done("export", ALICE, "--output", str(file))
        self.assertEqual(json.loads(file.read_text()), json.loads(running))
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertIn(
            "there already", await self.declined("export", ALICE, "--output", str(file))
        )
        self.assertIn("nothing is kept", await self.declined("export", "1"))

    async def test_copies(self) -> None:
        """
        A copy that is made while people write is whole, and only its owner can
        read it; it is put back only while the daemon is stopped, and what was
        there is kept.
        """
        daemon = await self.serve()
        self.write(ALICE, "Before the copy")
        await self.said(ALICE)
        await self.settled()
        copy = str(self.directory / "copy.db")
        self.assertIn("whole", await self.done("backup", copy))
        self.assertEqual(stat.S_IMODE(Path(copy).stat().st_mode), 0o600)
        self.assertIn("there already", await self.declined("backup", copy))
        self.write(BOB, "After the copy")
        await self.said(BOB)
        await self.settled()
        self.assertIn("another daemon", await self.declined("restore", copy))
        daemon.terminate()
        await daemon.exited
        document = await self.document("restore", copy)
        with closing(sqlite3.connect(document["aside"])) as aside:
            people = aside.execute("SELECT psid FROM conversation").fetchall()
        self.assertEqual(people, [(ALICE,), (BOB,)])
        self.assertEqual(self.kept("SELECT psid FROM conversation"), [{"psid": ALICE}])
        self.assertEqual(stat.S_IMODE(daemon.database.stat().st_mode), 0o600)
        self.judged = False
        # What is shown as sent since is of the store that is aside.
        await self.serve()
        self.write(ALICE, "After the restore")
        await self.said(ALICE, 2)
        await self.settled()

    async def test_migrate(self) -> None:
        """
        A store is brought up to date without a start, or it is said what would
        be done; while the daemon runs it is refused.
        """
        daemon = await self.serve()
        self.assertIn("another daemon", await self.declined("migrate"))
        daemon.terminate()
        await daemon.exited
        with closing(sqlite3.connect(daemon.database)) as database:
            database.executescript(BACK_TO_VERSION_3)
        said = await self.document("migrate", "--dry-run")
        self.assertEqual((said["before"], said["done"]), (3, False))
        self.assertIn(
            "would go from version 3", await self.done("migrate", "--dry-run")
        )
        self.assertIn("has gone from version 3", await self.done("migrate"))
        self.assertIn("up to date", await self.done("migrate"))
