"""
Tests for the check of a file before it is used, which changes nothing of it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from micamsgr.store.database import open_database
from micamsgr.store.inspection import Inspection
from micamsgr.store.integrity import check, examine
from micamsgr.store.schema import ANOTHERS, APPLICATION_ID, MIGRATIONS
from micamsgr.store.trouble import Damaged

PAGE = 4096
FRAME = PAGE + 24


class FileCase(SynchronousTestCase):
    """
    A store with something in it.

    :ivar rows: of how many pages the table of what was said is, about.
    """

    rows = 40

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.db"
        self.log = self.directory / "mica.db-wal"

    def fill(self, commits: int = 10) -> None:
        """
        Make a store, whose last commits are in its log, as after a kill.
        """
        source = self.directory / "source.db"
        with closing(open_database(str(source))) as database:
            database.execute("PRAGMA wal_autocheckpoint = 0")
            database.execute(
                "INSERT INTO conversation (bot, page, psid, opened, heard)"
                " VALUES ('mica', 'p', '7', 1, 1)"
            )
            database.execute("BEGIN")
            for _ in range(self.rows):
                self.utter(database)
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for _ in range(commits):
                self.utter(database)
            for end in ("", "-wal"):
                shutil.copyfile(f"{source}{end}", f"{self.path}{end}")
        for path in self.directory.glob("source.db*"):
            path.unlink()

    def utter(self, database: sqlite3.Connection) -> None:
        database.execute(
            "INSERT INTO utterance (conversation, role, at, text)"
            " VALUES (1, 'person', 1, ?)",
            ("x" * 3000,),
        )

    def root(self, table: str) -> int:
        """
        Tell on which page a table begins.
        """
        url = f"{self.path.as_uri()}?immutable=1"
        with closing(sqlite3.connect(url, uri=True)) as database:
            (page,) = database.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
            ).fetchone()
        return int(page)

    def spoil(self, path: Path, offset: int, data: bytes) -> None:
        """
        Write over a part of a file.
        """
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}

    def refused(self, *words: str, kind: type[Exception] = Damaged) -> None:
        """
        Check that the file is refused, and nothing is changed.
        """
        before = self.contents()
        error = self.assertRaises(kind, examine, self.path, 10.0)
        for word in words:
            self.assertIn(word, str(error))
        self.assertEqual(self.contents(), before)


class ExamineTests(FileCase):
    """
    Tests for :func:`micamsgr.store.integrity.examine`.
    """

    def test_sound(self) -> None:
        """
        A store that is whole is not refused, and neither file nor log change.
        """
        self.fill()
        before = self.contents()
        examine(self.path)
        after = self.contents()
        self.assertEqual({name: after[name] for name in before}, before)

    def test_link(self) -> None:
        """
        Whoever comes by a link finds the same faults.
        """
        self.fill()
        self.spoil(self.log, 32 + FRAME + 100, b"\xff" * 50)
        self.path = self.directory / "link.db"
        self.path.symlink_to("mica.db")
        self.refused("its log breaks off")

    def test_nothing(self) -> None:
        """
        What isn't there yet, or is empty, is not refused.
        """
        examine(self.path)
        self.path.touch()
        examine(self.path)

    def test_page(self) -> None:
        """
        A damaged page, wherever it is, is found where there is time.
        """
        self.fill()
        whole = self.path.read_bytes()
        page = self.root("utterance")
        for number in (page, page + 20):
            self.path.write_bytes(whole)
            self.log.unlink(missing_ok=True)
            self.spoil(self.path, (number - 1) * PAGE, os.urandom(8))
            self.refused("damaged", "restore a backup")

    def test_page_with_log(self) -> None:
        """
        So it is beside a log, which is not brought into the file.
        """
        self.fill()
        self.spoil(self.path, (self.root("utterance") + 3) * PAGE, b"\xff" * 8)
        self.refused("damaged")

    def test_truncated(self) -> None:
        """
        A file of which the end is missing is refused.
        """
        self.fill(commits=0)
        for size in (self.path.stat().st_size - PAGE, 5 * PAGE, 300):
            os.truncate(self.path, size)
            self.refused("damaged")

    def test_truncated_to_nothing(self) -> None:
        """
        An empty file beside a log is not taken for a new one, for which SQLite
        would remove the log.
        """
        self.fill()
        os.truncate(self.path, 0)
        self.refused("is empty", "mica.db-wal")

    def test_log(self) -> None:
        """
        A log is refused in which several commits can't be read, wherever it is
        damaged.
        """
        self.fill()
        whole = self.log.read_bytes()
        frames = (len(whole) - 32) // FRAME
        for number in range(frames // 2):
            for offset in (0, 9, 17, 24, FRAME - 1):
                at = 32 + number * FRAME + offset
                self.log.write_bytes(whole)
                self.spoil(self.log, at, bytes([whole[at] ^ 1]))
                self.refused("its log breaks off")

    def test_log_head(self) -> None:
        """
        So it is where its head is damaged.
        """
        self.fill()
        whole = self.log.read_bytes()
        for offset in (0, 9, 17, 25):
            self.log.write_bytes(whole)
            self.spoil(self.log, offset, bytes([whole[offset] ^ 1]))
            self.refused("log")

    def test_last_commit(self) -> None:
        """
        A log is not refused in which the last commit is torn, as by a loss of
        power.
        """
        self.fill()
        size = self.log.stat().st_size
        for cut in (size - 1, size - FRAME, 32, 10, 0):
            os.truncate(self.log, cut)
            examine(self.path)

    def test_how_many_commits(self) -> None:
        """
        A log is refused where two commits can't be read, and not where it is
        one, of which any part may be there after a loss of power.
        """
        self.fill()
        whole = self.log.read_bytes()
        ends = [
            number
            for number in range((len(whole) - 32) // FRAME)
            if any(whole[32 + number * FRAME + 4 : 32 + number * FRAME + 8])
        ]
        last, before = ends[-2] + 1, ends[-3] + 1
        self.assertLess(last, ends[-1])
        self.spoil(self.log, 32 + last * FRAME + 100, b"\xff")
        examine(self.path)
        # SQLite's index of the log, made by looking; not part of the store.
        (self.directory / "mica.db-shm").unlink()
        self.log.write_bytes(whole)
        self.spoil(self.log, 32 + before * FRAME + 100, b"\xff")
        self.refused("before 2 commits")

    def test_older_log(self) -> None:
        """
        What an earlier round has left behind the end of a log means nothing.
        """
        self.fill()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            other = sqlite3.connect(self.path)
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self.utter(database)
            copies = {p: p.read_bytes() for p in (self.path, self.log)}
            other.close()
        for path, content in copies.items():
            path.write_bytes(content)
        examine(self.path)

    def test_newer(self) -> None:
        """
        A file of a newer version is refused, and its log not touched.
        """
        self.fill()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
            copies = {p: p.read_bytes() for p in (self.path, self.log)}
        for path, content in copies.items():
            path.write_bytes(content)
        self.refused("a newer one has used it; install that one", kind=ValueError)

    def test_another_programs(self) -> None:
        """
        So is another program's, also in the middle of what it was doing.
        """
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("CREATE TABLE recipe (name TEXT)")
            database.commit()
            database.execute("PRAGMA cache_size = 1")
            database.executemany(
                "INSERT INTO recipe VALUES (?)", [("x" * 3000,) for _ in range(50)]
            )
            journal = self.directory / "mica.db-journal"
            copies = {p: p.read_bytes() for p in (self.path, journal)}
        for path, content in copies.items():
            path.write_bytes(content)
        self.refused(ANOTHERS, kind=ValueError)

    def test_first_start_cut_short(self) -> None:
        """
        What a first start has left that was cut short is made good.
        """
        self.path.write_bytes(bytes(3 * PAGE))
        journal = self.directory / "mica.db-journal"
        head = bytes.fromhex("d9d505f920a163d7") + bytes(12)
        journal.write_bytes(
            head + (512).to_bytes(4, "big") + PAGE.to_bytes(4, "big") + bytes(484)
        )
        with closing(open_database(str(self.path))) as database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
        self.assertEqual(application, APPLICATION_ID)

    def test_locked_file_says_so(self) -> None:
        """
        That another program has the file for itself is not called damage.
        """
        self.fill(commits=0)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            examine(self.path)


class LargeTests(FileCase):
    """
    Tests for what can't all be checked in the time that there is.
    """

    rows = 3000

    def test_no_time(self) -> None:
        """
        A store that is whole is not refused because there was no time to go
        through it, and the check says so.
        """
        self.fill()
        with closing(sqlite3.connect(self.path)) as database:
            self.assertFalse(check(database, 0.0))
            self.assertTrue(check(database, 60.0))
        examine(self.path, 0.0)


class InspectionTests(FileCase, TestCase):
    """
    Tests for :class:`micamsgr.store.inspection.Inspection`.
    """

    timeout = 30.0

    def inspection(self, found: Callable[[str], None]) -> Inspection:
        inspection = Inspection(reactor, self.path, found)  # type: ignore[arg-type]
        self.addCleanup(inspection.stop)
        return inspection

    async def test_damaged(self) -> None:
        """
        What the start had no time to find is found and told later.
        """
        self.fill(commits=0)
        self.spoil(self.path, (self.root("utterance") + 20) * PAGE, b"\xff" * 8)
        found: Deferred[str] = Deferred()
        self.inspection(found.callback).start()
        self.assertIn("damaged", await found)

    def test_stopped(self) -> None:
        """
        Stopping it leaves nothing open, and tells nothing.
        """
        self.fill(commits=0)
        found: list[str] = []
        inspection = self.inspection(found.append)
        inspection.start()
        inspection.stop()
        inspection.stop()
        self.assertEqual(found, [])
        left = {path.name for path in self.directory.iterdir()}
        self.assertEqual(left, {"mica.db"})
