"""
Tests for :mod:`micamsgr.store.copies` and :mod:`micamsgr.store.export`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import SkipTest

from micamsgr.conversation.events import Mid, Unreadable
from micamsgr.conversation.outcomes import Sent
from micamsgr.errors import Declined, StoreUnavailable
from micamsgr.store import copies
from micamsgr.store.export import export
from micamsgr.store.schema import MIGRATIONS
from micamsgr.test.test_forgetting import WORDS, ForgetCase
from micamsgr.test.test_store_record import arriving, moment
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE
from micamsgr.testing.store import BACK_TO_VERSION_3


class CopyCase(ForgetCase):
    """
    A store in a file, and a place for a copy.
    """

    def setUp(self) -> None:
        super().setUp()
        self.copy = Path(f"{self.path}.copy")
        self.say(WORDS)
        self.answer("to Alice", Sent(Mid("m_1")))
        self.say("Bob's words", BOB)

    def beside(self) -> list[str]:
        """
        List the files beside the store.
        """
        path = Path(self.path)
        names = [it.name.removeprefix(path.name) for it in path.parent.iterdir()]
        return sorted(it for it in names if it not in ("", "-wal", "-shm", ".lock"))

    def people(self, path: str | Path) -> list[str]:
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute("SELECT psid FROM conversation ORDER BY id")
            return [psid for (psid,) in rows]


class BackupTests(CopyCase):
    """
    Tests for a copy that is made.
    """

    def test_whole(self) -> None:
        """
        A copy that is made while the store is in use has all that was
        committed, in one file that only its owner can read.
        """
        counts = copies.backup(self.path, self.copy)
        self.assertEqual((counts["event"], counts["part"]), (2, 1))
        self.assertEqual(self.people(self.copy), [ALICE, BOB])
        self.assertEqual(stat.S_IMODE(self.copy.stat().st_mode), 0o600)
        self.assertEqual(self.beside(), [".copy"])

    def test_there(self) -> None:
        """
        No file is overwritten, and none is left where none can be made.
        """
        self.copy.write_text("mine")
        error = self.assertRaises(Declined, copies.backup, self.path, self.copy)
        self.assertIn("is there already", error.detail)
        self.assertEqual(self.copy.read_text(), "mine")
        nowhere = self.copy / "copy"
        self.assertRaises(Declined, copies.backup, self.path, nowhere)

    def broken(self, spoil: Callable[[sqlite3.Connection], Any]) -> str:
        """
        Make a copy that comes out otherwise than it should.
        """
        verify = copies.verify

        def spoiled(database: sqlite3.Connection, counts: dict[str, int]) -> None:
            spoil(database)
            verify(database, counts)

        self.patch(copies, "verify", spoiled)
        error = self.assertRaises(StoreUnavailable, copies.backup, self.path, self.copy)
        self.assertEqual(self.beside(), [])
        return str(error.detail)

    def test_rows(self) -> None:
        """
        A copy that lacks a row is none.
        """
        why = self.broken(lambda database: database.execute("DELETE FROM utterance"))
        self.assertIn("other rows", why)

    def test_damaged(self) -> None:
        """
        A copy that is damaged is none.
        """

        def damage(database: sqlite3.Connection) -> None:
            # An index that lacks what is in its table.
            database.execute("PRAGMA writable_schema = ON")
            database.execute(
                "UPDATE sqlite_master SET sql ="
                " replace(sql, 'event (conversation, at)', 'event (at, conversation)')"
                " WHERE name = 'event_spoken'"
            )
            database.execute("PRAGMA writable_schema = RESET")

        self.assertIn("the copy is damaged", self.broken(damage))

    def test_strange(self) -> None:
        """
        What is no store of ours is not copied.
        """
        with closing(sqlite3.connect(self.copy)) as database:
            database.execute("CREATE TABLE x (y)")
        target = Path(f"{self.path}.target")
        error = self.assertRaises(
            StoreUnavailable, copies.backup, str(self.copy), target
        )
        self.assertIn("another program's", error.detail)
        self.assertFalse(target.exists())


class RestoreTests(CopyCase):
    """
    Tests for a copy that is put back.
    """

    def setUp(self) -> None:
        super().setUp()
        copies.backup(self.path, self.copy)
        self.say("later", BOB, 1000)

    def test_restored(self) -> None:
        """
        What was there is kept, with its log, and the copy takes its place.
        """
        # As a kill leaves it: what was committed last is only in the log.
        log = Path(f"{self.path}-wal").read_bytes()
        self.close()
        Path(f"{self.path}-wal").write_bytes(log)
        counts, aside = copies.restore(self.path, self.copy)
        assert aside is not None
        self.assertEqual(counts["event"], 2)
        self.assertEqual(stat.S_IMODE(Path(self.path).stat().st_mode), 0o600)
        self.assertFalse(Path(f"{self.path}-wal").exists())
        self.assertEqual(Path(f"{aside}-wal").read_bytes(), log)
        self.open()
        self.assertEqual(len(self.store.events()), 2)
        self.assertEqual(self.people(self.copy), [ALICE, BOB])

    def test_running(self) -> None:
        """
        While a daemon has the store nothing is touched.
        """
        before = self.beside()
        error = self.assertRaises(
            StoreUnavailable, copies.restore, self.path, self.copy
        )
        self.assertIn("another daemon", error.detail)
        self.assertEqual(self.beside(), before)
        self.assertEqual(len(self.store.events()), 3)

    def test_unusable(self) -> None:
        """
        What is no whole store of ours doesn't take its place.
        """
        self.close()
        content = self.copy.read_bytes()
        middle = len(content) // 2
        for spoiled in (
            b"",
            b"x" * 5000,
            content[:middle],
            content[:4096] + b"\xff" * 4096 + content[8192:],
        ):
            self.copy.write_bytes(spoiled)
            self.assertRaises(Declined, copies.restore, self.path, self.copy)
        with closing(sqlite3.connect(self.copy)) as other:
            self.copy.write_bytes(b"")
            other.execute("CREATE TABLE x (y)")
        for path in (self.copy, Path(self.path), Path("/nowhere")):
            self.assertRaises(Declined, copies.restore, self.path, path)
        self.open()
        self.assertEqual(len(self.store.events()), 3)
        self.assertEqual(self.beside(), [".copy"])

    def test_links(self) -> None:
        """
        Whatever the service's user put there, root gives nothing away, and
        overwrites nothing that is not that user's.
        """
        if os.geteuid():
            raise SkipTest("needs root")
        self.close()
        place, nobody = Path(self.path).parent, 65534
        theirs = Path(self.mktemp())
        theirs.mkdir(0o700)
        secret = theirs / "shadow"
        for name in ("", ".lock"):
            secret.write_text("root's own")
            for path in (place, *place.iterdir()):
                os.chown(path, nobody, nobody, follow_symlinks=False)
            place.chmod(0o700)
            link = Path(f"{self.path}{name}")
            before = link.with_name("before")
            link.rename(before)
            link.symlink_to(secret.absolute())
            self.assertRaises(StoreUnavailable, copies.restore, self.path, self.copy)
            self.assertEqual(secret.read_text(), "root's own")
            self.assertEqual(secret.stat().st_uid, 0)
            link.unlink()
            before.rename(link)

    def test_nothing_there(self) -> None:
        """
        Where the store is gone, the copy comes in its place all the same; and
        what is left of the old one's log doesn't come into it.
        """
        log = Path(f"{self.path}-wal").read_bytes()
        self.close()
        Path(self.path).unlink()
        Path(f"{self.path}-wal").write_bytes(log)
        _, aside = copies.restore(self.path, self.copy)
        self.assertIsNone(aside)
        self.open()
        self.assertEqual(len(self.store.events()), 2)


class MigrateTests(CopyCase):
    """
    Tests for a store that is brought up to date without a start.
    """

    def test_old(self) -> None:
        """
        An older one is brought up to date, and only if that is wanted.
        """
        self.close()
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript(BACK_TO_VERSION_3)
        newest = len(MIGRATIONS)
        for dry, before in ((True, 3), (True, 3), (False, 3), (False, newest)):
            found = copies.migrate_here(self.path, dry=dry)
            self.assertEqual(found, (before, newest))
        self.open()
        self.assertEqual(len(self.store.events()), 2)

    def test_newer(self) -> None:
        """
        One of a newer program is refused, and left as it is.
        """
        self.close()
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA user_version = 99")
        for dry in (True, False):
            error = self.assertRaises(
                StoreUnavailable, copies.migrate_here, self.path, dry=dry
            )
            self.assertIn("newer", error.detail)


class ExportTests(CopyCase):
    """
    Tests for all that is kept of a person.
    """

    def test_all(self) -> None:
        """
        Words, answers and marks are there, of this person and of nobody else.
        """
        found = export(self.path, ALICE)
        (conversation,) = found["conversations"]
        self.assertEqual([it["text"] for it in conversation["events"]], [WORDS])
        self.assertEqual([it["text"] for it in conversation["parts"]], ["to Alice"])
        self.assertEqual(
            [it["role"] for it in conversation["utterances"]], ["person", "bot"]
        )
        self.assertEqual(len(conversation["turns"]), 1)
        self.assertEqual(len(conversation["spending"]), 1)
        for other in (BOB, "Bob's words"):
            self.assertNotIn(other, str(found))

    def test_unreadable(self) -> None:
        """
        What could not be read and names the person is there; what names one
        whose ID only holds theirs is not.
        """
        for key, raw in ((b"1" * 16, f'"{ALICE}"'), (b"2" * 16, f'"{ALICE}1"')):
            event = Unreadable(key=key, page=PAGE, at=NOW, why="odd", raw=raw.encode())
            self.now(self.store.record([arriving(event)], moment()))
        found = export(self.path, ALICE)
        self.assertEqual([it["raw"] for it in found["unreadable"]], [f'"{ALICE}"'])

    def test_narrow(self) -> None:
        """
        Only of one bot or Page, where that is wanted.
        """
        found = export(self.path, ALICE, bot=BOT, page=PAGE)
        self.assertEqual(len(found["conversations"]), 1)
        for narrow in ({"bot": "other"}, {"page": "1"}):
            self.assertRaises(Declined, export, self.path, ALICE, **narrow)

    def test_forgotten(self) -> None:
        """
        Of somebody who was forgotten there is the mark that keeps their words
        away.
        """
        self.now(self.store.remember_page(BOT, "token", PAGE))
        self.close()
        self.forget()
        found = export(self.path, ALICE)
        self.assertEqual(found["conversations"], [])
        (mark,) = found["erased_until"]
        self.assertEqual((mark["bot"], mark["page"]), (BOT, PAGE))
