"""
Tests for the file that the store is in, and for how it is opened.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.store.database import open_database, open_for_reading
from micamsgr.store.integrity import damaged
from micamsgr.store.lock import lock
from micamsgr.store.schema import ANOTHERS, APPLICATION_ID, MIGRATIONS


class OpenTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.store.database.open_database`.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.db"

    def open(self, path: Path | None = None) -> sqlite3.Connection:
        database = open_database(str(path or self.path))
        self.addCleanup(database.close)
        return database

    def refusal(self, path: Path | None = None) -> str:
        """
        Tell why a file can't be the store, less its name.
        """
        path = path or self.path
        error = self.assertRaises(StoreUnavailable, open_database, str(path))
        assert isinstance(error, StoreUnavailable)
        beginning = f"can't use the store {path}: "
        self.assertEqual(error.detail[: len(beginning)], beginning)
        return error.detail[len(beginning) :]

    def pragma(self, database: sqlite3.Connection, name: str) -> object:
        (value,) = database.execute(f"PRAGMA {name}").fetchone()
        return value

    def test_durable(self) -> None:
        """
        A commit survives a loss of power: it is in the journal, and the
        journal on the disk, before it is told of.
        """
        database = self.open()
        self.assertEqual(self.pragma(database, "journal_mode"), "wal")
        self.assertEqual(self.pragma(database, "synchronous"), 2)

    def test_references_checked(self) -> None:
        """
        Nothing can refer to what is not there.
        """
        with self.assertRaises(sqlite3.IntegrityError):
            self.open().execute(
                "INSERT INTO turn (conversation, state, began) VALUES (99, 'ready', 1)"
            )

    def test_erased_is_gone(self) -> None:
        """
        What is deleted can't be found in the file.
        """
        database = self.open()
        self.assertEqual(self.pragma(database, "secure_delete"), 1)

    def test_private(self) -> None:
        """
        Only the daemon's user may read the file, its journal and the lock,
        whatever is usual for new files.
        """
        self.addCleanup(os.umask, os.umask(0))
        lock(str(self.path)).release()
        database = self.open()
        database.execute("INSERT INTO page VALUES ('mica', 't', 'p')")
        modes = {
            file.name: oct(file.stat().st_mode & 0o777)
            for file in self.directory.iterdir()
        }
        self.assertEqual(
            modes,
            dict.fromkeys(
                ("mica.db", "mica.db-wal", "mica.db-shm", "mica.db.lock"), "0o600"
            ),
        )

    def test_private_before(self) -> None:
        """
        So it is with a file that everybody might read before.
        """
        self.path.touch()
        self.path.chmod(0o644)
        self.open()
        modes = {file.stat().st_mode & 0o777 for file in self.directory.iterdir()}
        self.assertEqual(modes, {0o600})

    def test_again(self) -> None:
        """
        What was kept is there when the file is opened again.
        """
        with closing(open_database(str(self.path))) as database:
            database.execute("INSERT INTO page VALUES ('mica', 't', 'p')")
        rows = self.open().execute("SELECT * FROM page").fetchall()
        self.assertEqual(rows, [("mica", "t", "p")])

    def test_odd_name(self) -> None:
        """
        A file's name may hold whatever a file's name may hold.
        """
        for name in ("ü ?mode=ro#%20&x=1.db", "file:x", "\udce9.db", "-", "a\nb"):
            path = self.directory / name
            self.open(path).execute("INSERT INTO page VALUES ('mica', 't', 'p')")
            self.assertTrue(path.stat().st_size)
            with closing(open_for_reading(str(path))) as reader:
                rows = reader.execute("SELECT * FROM page").fetchall()
            self.assertEqual(rows, [("mica", "t", "p")])

    def test_directory(self) -> None:
        """
        A folder can't be the store.
        """
        self.assertEqual(self.refusal(self.directory), "Is a directory")

    def test_no_folder(self) -> None:
        """
        A file in a folder that does not exist can't be the store, and the
        folder is not made.
        """
        path = self.directory / "missing" / "mica.db"
        self.assertEqual(self.refusal(path), "No such file or directory")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_unwritable(self) -> None:
        """
        A file that may only be read can't be the store.
        """
        self.open().close()
        self.path.chmod(0o400)
        self.assertEqual(self.refusal(), "Permission denied")

    if os.geteuid() == 0:
        test_unwritable.skip = "root may write everywhere"  # type: ignore[attr-defined]

    def unchanged(self, why: str) -> None:
        """
        Check that the file is refused, and not a byte of it is changed, nor a
        file left beside it.
        """
        before = self.path.read_bytes()
        beside = sorted(self.directory.iterdir())
        self.assertEqual(self.refusal(), why)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(sorted(self.directory.iterdir()), beside)

    def test_no_database(self) -> None:
        """
        A file that is no database is refused and left as it is.
        """
        self.path.write_text("listen: tcp:8080\n" * 100)
        self.unchanged(
            "it is not a database: name another file in `store:`; or, if it was the"
            " store, restore a backup"
        )

    def test_foreign(self) -> None:
        """
        Another program's database is refused and left as it is.
        """
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("CREATE TABLE theirs (x)")
        self.unchanged(ANOTHERS)

    def test_foreign_and_empty(self) -> None:
        """
        So is one in which there is nothing yet but another program's mark.
        """
        for pragma in ("application_id = 7", "user_version = 1"):
            self.path.unlink(missing_ok=True)
            with closing(sqlite3.connect(self.path)) as database:
                database.execute(f"PRAGMA {pragma}")
            self.unchanged(ANOTHERS)

    def test_newer(self) -> None:
        """
        A file that a newer version of this program has used is refused and
        left as it is.
        """
        with closing(open_database(str(self.path))) as database:
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        self.unchanged(
            f"its schema version is {len(MIGRATIONS) + 1}, and this program knows"
            f" only {len(MIGRATIONS)}: a newer one has used it; install that one, or"
            " restore a copy that was made before the upgrade"
        )

    def test_damaged(self) -> None:
        """
        A file whose first page is damaged is refused and left as it is.
        """
        self.open().close()
        whole = self.path.read_bytes()
        self.path.write_bytes(whole[:100] + b"?" * 400 + whole[500:])
        self.unchanged(damaged("database disk image is malformed").args[0])

    def test_empty(self) -> None:
        """
        A file of no bytes becomes the store, as after a start that was cut
        short.
        """
        self.path.touch()
        self.assertEqual(self.pragma(self.open(), "application_id"), APPLICATION_ID)

    def test_read_only(self) -> None:
        """
        The connection that reads can't write.
        """
        self.open()
        with closing(open_for_reading(str(self.path))) as reader:
            self.assertRaises(
                sqlite3.OperationalError, reader.execute, "DELETE FROM page"
            )

    def test_opened_as_a_whole(self) -> None:
        """
        The connection that reads has its files open from the start, so that
        it does not depend on descriptors that are to be had later.
        """
        self.open()
        with closing(open_for_reading(str(self.path))):
            files = []
            for descriptor in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(OSError):
                    files.append(str(descriptor.readlink()))
        for end in ("", "-wal"):
            self.assertEqual(files.count(f"{self.path}{end}"), 2)

    def test_nothing_to_read(self) -> None:
        """
        The connection that reads makes no file where there is none.
        """
        error = self.assertRaises(StoreUnavailable, open_for_reading, str(self.path))
        assert isinstance(error, StoreUnavailable)
        self.assertEqual(
            error.detail,
            f"can't read the store {self.path}: unable to open database file",
        )
        self.assertFalse(self.path.exists())
