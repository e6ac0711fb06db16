"""
Stores of earlier and of later programs, and the daemon of today.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from micamsgr.sandbox.meta import Habits
from micamsgr.test.old_stores import (
    NEWEST,
    Content,
    content,
    enlarge,
    make_store,
    move_to,
    version,
)
from tests.commands import ControlCase
from tests.daemon import DELIVERY, eventually
from tests.disk import fill, mount, unmount

# Who wrote what and had no answer, when the earlier daemons were killed.
WAITING = BOB, DAVE, HEIDI, IVAN = [f"628491377510284{n}" for n in (1, 3, 7, 8)]

# Bytes, too few for what is to be done.
LITTLE = 200_000


class UpgradeCase(ControlCase):
    """
    A directory with a store in it that is not today's.
    """

    # It tells of messages that the stand-ins know nothing of; theirs are to have
    # other IDs than those in it.
    judged = False
    seed = 1

    def setUp(self) -> None:
        super().setUp()
        # They wrote before these stand-ins were there.
        for psid in WAITING:
            self.page.people[psid] = self.stand_ins.meta.now()

    @property
    def store(self) -> Path:
        """The store."""
        return self.directory / "mica.db"

    def look(self) -> tuple[int, Content]:
        """
        Read of which version the store is, and what is in it.
        """
        with closing(sqlite3.connect(self.store)) as database:
            return version(database), content(database)


class UpgradeTests(UpgradeCase):
    """
    Tests for a daemon that finds an earlier one's store.
    """

    async def test_oldest(self) -> None:
        """
        What the first version had not answered is answered, what it was saying
        is said, once, and what Meta delivers again is known.
        """
        make_store(self.store, 1)
        move_to(self.store, int(time.time() * 1000))
        (before,) = self.kept("SELECT max(id) AS id FROM event")
        (pending,) = self.kept("SELECT mid, text FROM event WHERE state = 'new'")
        await self.serve(delivery=DELIVERY)
        await self.settled()
        bob = "\n".join(await self.said(BOB, 2))
        self.assertEqual(bob.count("Is it raining?"), 1)
        self.assertEqual(bob.count("And tomorrow?"), 1)
        self.assertEqual(await self.said(DAVE), ["You said: Was that heard?"])
        self.assertEqual(await self.said(IVAN), ["You said: I wait"])
        heidi = await self.said(HEIDI, 2)
        self.assertEqual(len(heidi), 2)
        item = {
            "sender": {"id": BOB},
            "recipient": {"id": self.page.id},
            "timestamp": int(time.time() * 1000),
            "message": {"mid": pending["mid"], "text": pending["text"]},
        }
        entry = {"id": self.page.id, "time": 1, "messaging": [item]}
        body = json.dumps({"object": "page", "entry": [entry]}).encode()
        self.assertEqual(await self.stand_ins.meta.raw(self.page.id, body), 200)
        self.write(BOB, "And now?")
        await eventually(lambda: "And now?" in self.stand_ins.said(BOB)[-1])
        await self.settled()
        self.assertEqual("\n".join(await self.said(BOB)).count("And tomorrow?"), 1)
        asked = self.kept(
            "SELECT 1 FROM event WHERE kind = 'message' AND id > ?", before["id"]
        )
        self.assertEqual(len(asked), 1)
        self.assertEqual(
            self.kept("PRAGMA integrity_check"), [{"integrity_check": "ok"}]
        )
        self.assertEqual(self.kept("PRAGMA foreign_key_check"), [])


class DowngradeTests(UpgradeCase):
    """
    Tests for a daemon that finds the store of a later one.
    """

    async def test_refused(self) -> None:
        """
        Neither a start nor a command touches a later program's store; each
        ends with status 1, and says in a line what to do.
        """
        make_store(self.store, NEWEST)
        with closing(sqlite3.connect(self.store, isolation_level=None)) as database:
            database.execute(f"PRAGMA user_version = {NEWEST + 1}")
        before = self.store.read_bytes()
        daemon = self.daemon()
        daemon.start()
        self.assertEqual(await daemon.exited, 1)
        said = [daemon.errors]
        for words in (
            ("migrate",),
            ("migrate", "--dry-run"),
            ("backup", str(self.directory / "copy.db")),
        ):
            said.append(await self.declined(*words))
        for line in said:
            self.assertEqual(line.count("\n"), 1, line)
            self.assertIn("a newer one has used it; install that one, or", line)
        self.assertEqual(self.store.read_bytes(), before)
        self.assertEqual(
            {path.name for path in self.directory.iterdir()},
            {"mica.db", "mica.db.lock", "mica.yaml"},
        )

    async def test_restore(self) -> None:
        """
        A later program's copy is refused, and the store stays; an earlier one's
        takes the place of a later program's store.
        """
        self.daemon().start()
        await self.daemons[0].ready()
        await self.daemons[0].stop()
        later, earlier = self.directory / "later.db", self.directory / "earlier.db"
        make_store(later, NEWEST)
        with closing(sqlite3.connect(later, isolation_level=None)) as database:
            database.execute(f"PRAGMA user_version = {NEWEST + 1}")
        before = self.store.read_bytes()
        line = await self.declined("restore", str(later))
        self.assertIn("a newer one has used it; install that one, or", line)
        self.assertEqual(self.store.read_bytes(), before)
        make_store(earlier, 1)
        self.store.write_bytes(later.read_bytes())
        for end in ("-wal", "-shm"):
            Path(f"{self.store}{end}").unlink(missing_ok=True)
        await self.done("restore", str(earlier))
        self.assertEqual(self.look()[0], 1)
        self.assertIn("has gone from version 1", await self.done("migrate"))


class FullTests(UpgradeCase):
    """
    Tests for an earlier store on a disk without room.
    """

    def setUp(self) -> None:
        # Taken away last of all.
        self.addCleanup(lambda: unmount(self.directory / "disk"))
        super().setUp()
        disk = self.directory / "disk"
        disk.mkdir()
        mount(disk, "24m")
        self.store.symlink_to("disk/mica.db")
        make_store(self.directory / "disk" / "mica.db", 1)
        enlarge(self.store, 30_000)
        move_to(self.store, int(time.time() * 1000))
        self.before = self.look()
        self.assertEqual(self.before[0], 1)
        self.filler = fill(disk)

    async def test_command(self) -> None:
        """
        The command says that there is no room, and leaves the store as it is;
        with room it does what it is to do.
        """
        (self.directory / "mica.yaml").write_text("store: sqlite:mica.db\n")
        for room in (0, LITTLE):
            os.truncate(self.filler, self.filler.stat().st_size - room)
            line = await self.declined("migrate")
            self.assertIn("its disk is full; it stays as it was: make room", line)
            self.assertEqual(line.count("\n"), 1)
        self.filler.unlink()
        self.assertEqual(self.look(), self.before)
        self.assertIn("has gone from version 1", await self.done("migrate"))

    async def test_start(self) -> None:
        """
        The daemon says so too, and takes nothing; once there is room it goes
        on by itself, and answers.
        """
        self.stand_ins.meta.habits = Habits(retries=(0.5,))
        os.truncate(self.filler, self.filler.stat().st_size - LITTLE)
        daemon = self.daemon(delivery=DELIVERY)
        daemon.start()
        await eventually(lambda: "is full" in daemon.output)
        await daemon.ready()
        self.assertEqual(self.look(), self.before)
        self.write(BOB, "Is there room?")
        self.filler.unlink()
        await eventually(lambda: self.look()[0] == NEWEST)
        await eventually(lambda: "Is there room?" in "".join(self.stand_ins.said(BOB)))
        self.assertIn("And tomorrow?", "".join(await self.said(BOB)))
