"""
Tests for what becomes of stores that earlier programs have left.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.states import EventState, PartState, TurnState
from micamsgr.errors import Declined, StoreUnavailable
from micamsgr.store import copies
from micamsgr.store.database import open_database
from micamsgr.store.retention import DAY, TASKS
from micamsgr.store.schema import MIGRATIONS, migrate
from micamsgr.test.old_stores import (
    NEWEST,
    Content,
    content,
    file_of,
    make_store,
    shape,
    version,
)

VERSIONS = range(1, NEWEST + 1)

# The beginning of each step's SHA-256, less comments and spaces.
DIGESTS = (
    "aa73757f2b0e9d44",
    "618151cf5b2b5a1a",
    "67fdae62edbbe8ce",
    "2c57701f7c554194",
    "2eb80eb968db0437",
    "747486904542d749",
    "e9e6ab945fe958d8",
    "97f2bf5a3cbb3d88",
    "90d7aafef7342529",
)

# What a column that a step has added holds in rows that were there before;
# of those that aren't here, NULL.
ADDED: dict[str, Any] = {"source": "webhook"}

# By version, the tables that were not there before.
TABLES = {2: {"spending", "tombstone", "progress"}, 5: {"deletion"}}

STATES: dict[str, type[Enum]] = {
    "event": EventState,
    "turn": TurnState,
    "part": PartState,
}


def last_seen(there: Content) -> dict[int, int]:
    """
    Find when the last event of each conversation was received.
    """
    return {
        row["id"]: max(
            it["received"] for it in there["event"] if it["conversation"] == row["id"]
        )
        for row in there["conversation"]
    }


def upgraded(there: Content, before: int) -> Content:
    """
    Say what must be in a store of the newest version.

    :param there: what was in it.
    :param before: of which version that was.
    """
    wanted = {table: [dict(row) for row in rows] for table, rows in there.items()}
    for since, tables in TABLES.items():
        if before < since:
            wanted.update({table: [] for table in tables})
    for table, since, column in (
        ("event", 2, "source"),
        ("turn", 2, "reserved"),
        ("turn", 2, "reserved_on"),
        ("conversation", 6, "farewell"),
        ("turn", 8, "first"),
    ):
        if before < since:
            for row in wanted[table]:
                row[column] = ADDED.get(column)
    if before < 3:
        seen = last_seen(there)
        for row in wanted["conversation"]:
            row["seen"] = seen[row["id"]]
    return wanted


class HistoryTests(SynchronousTestCase):
    """
    Tests for the steps that were taken on somebody's machine.
    """

    def test_never_edited(self) -> None:
        """
        A step is what it was when the first store took it.
        """
        found = tuple(
            hashlib.sha256(re.sub(r"--[^\n]*|\s", "", step).encode()).hexdigest()[:16]
            for step in MIGRATIONS
        )
        self.assertEqual(
            found,
            DIGESTS,
            "a step was edited: put it back, and add one; or one was added: add its"
            " digest, and its store (docs/contributing.md)",
        )

    def test_as_then(self) -> None:
        """
        The first steps make the tables that the programs of their time made.
        """
        for number in VERSIONS:
            with (
                closing(sqlite3.connect(":memory:")) as then,
                closing(sqlite3.connect(":memory:")) as now,
            ):
                then.executescript(file_of(number).read_text(encoding="utf-8"))
                migrate(now, MIGRATIONS[:number])
                self.assertEqual(shape(now), shape(then), number)
                self.assertEqual((version(then), version(now)), (number, number))

    def test_all_kinds(self) -> None:
        """
        The stores that are tried have rows in each table and of each state.
        """
        for number in VERSIONS:
            with closing(sqlite3.connect(":memory:")) as database:
                database.executescript(file_of(number).read_text(encoding="utf-8"))
                there = content(database)
            for table, rows in there.items():
                self.assertNotEqual(rows, [], (number, table))
            for table, states in STATES.items():
                found = {row["state"] for row in there[table]}
                self.assertEqual(found, {state.value for state in states}, number)


class UpgradeTests(SynchronousTestCase):
    """
    Tests for earlier stores that today's program opens.
    """

    def make(self, number: int) -> Path:
        path = Path(self.mktemp()).absolute()
        make_store(path, number)
        return path

    def content(self, path: Path) -> Content:
        with closing(sqlite3.connect(path)) as database:
            return content(database)

    def sound(self, path: Path) -> None:
        """
        Check that a store is whole, and in nothing but what it holds different
        from one that was made today.
        """
        with (
            closing(sqlite3.connect(path)) as database,
            closing(open_database(":memory:")) as fresh,
        ):
            self.assertEqual(version(database), NEWEST)
            self.assertEqual(shape(database), shape(fresh))
            whole = database.execute("PRAGMA integrity_check").fetchall()
            self.assertEqual(whole, [("ok",)])
            dangling = database.execute("PRAGMA foreign_key_check").fetchall()
            self.assertEqual(dangling, [])

    def test_all_there(self) -> None:
        """
        Whichever version a store is of, all that was in it is there after a
        start, and what is new beside it is right.
        """
        for number in VERSIONS:
            path = self.make(number)
            before = self.content(path)
            open_database(str(path)).close()
            self.assertEqual(self.content(path), upgraded(before, number), number)
            self.sound(path)

    def test_by_command(self) -> None:
        """
        So it is where it was brought up to date without a start.
        """
        for number in VERSIONS:
            path = self.make(number)
            before = self.content(path)
            self.assertEqual(
                copies.migrate_here(str(path), dry=False), (number, NEWEST)
            )
            self.assertEqual(self.content(path), upgraded(before, number), number)
            self.sound(path)

    def test_version_by_version(self) -> None:
        """
        Who took every upgrade has what one has who took them all at once.
        """
        path = self.make(1)
        before = self.content(path)
        for number in VERSIONS:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                migrate(database, MIGRATIONS[:number])
                self.assertEqual(version(database), number)
        self.assertEqual(self.content(path), upgraded(before, 1))
        self.sound(path)

    def test_copy(self) -> None:
        """
        A copy of an earlier store can be made, checked and put back, and is of
        the version that it was.
        """
        for number in VERSIONS:
            path, copy = self.make(number), Path(self.mktemp()).absolute()
            before = self.content(path)
            copies.backup(str(path), copy)
            open_database(str(path)).close()
            copies.restore(str(path), copy)
            self.assertEqual(self.content(path), before)
            open_database(str(path)).close()
            self.assertEqual(self.content(path), upgraded(before, number))
            self.sound(path)

    def test_kept_as_long(self) -> None:
        """
        A conversation that was heard of before an upgrade is kept as long as
        one that was heard of after it: as long as its events.
        """
        path = self.make(1)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # All that the person wrote is long ago; what a human told them isn't.
            database.execute("UPDATE conversation SET heard = 1, quiet_until = 0")
            database.execute("DELETE FROM utterance")
            (last,) = database.execute("SELECT max(received) FROM event").fetchone()
        (task,) = (it for it in TASKS if it.name == "ledger.conversation")
        with closing(open_database(str(path))) as database:
            database.execute("PRAGMA foreign_keys = OFF")
            task.work(database, last - DAY, last, 1000)
        self.sound(path)


class DowngradeTests(SynchronousTestCase):
    """
    Tests for stores that a newer program has used.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.db"
        make_store(self.path, NEWEST)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("CREATE TABLE tomorrow (x)")
            database.execute(f"PRAGMA user_version = {NEWEST + 1}")
        self.before = self.files()

    def files(self) -> dict[str, bytes]:
        """
        Read all files, less the lock, which is empty.
        """
        return {
            path.name: path.read_bytes()
            for path in self.directory.iterdir()
            if path.suffix != ".lock"
        }

    def refused(self, error: Any) -> None:
        """
        Check that it is said what to do, and that nothing was done.
        """
        self.assertIn(f"its schema version is {NEWEST + 1}", error.detail)
        self.assertIn(f"knows only {NEWEST}", error.detail)
        self.assertIn("install that one, or restore a copy", error.detail)
        self.assertEqual(self.files(), self.before)

    def test_start(self) -> None:
        """
        A start refuses it.
        """
        self.refused(self.assertRaises(StoreUnavailable, open_database, str(self.path)))

    def test_migrate(self) -> None:
        """
        So does ``migrate``, whether anything is to be done or not.
        """
        for dry in (True, False):
            self.refused(
                self.assertRaises(
                    StoreUnavailable, copies.migrate_here, str(self.path), dry=dry
                )
            )

    def test_backup(self) -> None:
        """
        So does ``backup``, which could not check the copy.
        """
        target = self.directory / "copy.db"
        self.refused(
            self.assertRaises(StoreUnavailable, copies.backup, str(self.path), target)
        )

    def test_restore(self) -> None:
        """
        A copy that a newer program has made doesn't take the store's place.
        """
        store = self.directory / "store.db"
        make_store(store, 1)
        self.before = self.files()
        self.refused(self.assertRaises(Declined, copies.restore, str(store), self.path))

    def test_way_back(self) -> None:
        """
        An older copy takes the place of a newer store, which is kept.
        """
        copy = self.directory / "copy.db"
        make_store(copy, 1)
        _, aside = copies.restore(str(self.path), copy)
        assert aside is not None
        self.assertEqual(aside.read_bytes(), self.before["mica.db"])
        with closing(open_database(str(self.path))) as database:
            self.assertEqual(version(database), NEWEST)
