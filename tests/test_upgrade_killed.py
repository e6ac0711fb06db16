"""
An upgrade that is cut off at any moment, by a kill or by a loss of power.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.store import copies
from micamsgr.store.database import open_database
from micamsgr.test.old_stores import (
    NEWEST,
    Content,
    content,
    enlarge,
    make_store,
    version,
)
from tests.disk import Disk
from tests.power import Replay, read

_ROOT = Path(__file__).resolve().parent.parent

EVENTS = 1500

_MAKE = (
    "import sys; from pathlib import Path;"
    "from micamsgr.test.old_stores import enlarge, make_store;"
    "path = Path(sys.argv[1]); make_store(path, 1); enlarge(path, int(sys.argv[2]))"
)
_MIGRATE = (
    "import sys; from micamsgr.store.copies import migrate_here;"
    "migrate_here(sys.argv[1], dry=False)"
)


def run(starter: list[str], *words: object) -> int:
    """
    Run Python with some words.

    :return: its exit status.
    """
    command = [*starter, sys.executable, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.run(command, env=environment, check=False).returncode


class CutOffCase(SynchronousTestCase):
    """
    A store of the first version, and what it must be afterwards.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.old = self.directory / "old.db"
        make_store(self.old, 1)
        enlarge(self.old, EVENTS)
        self.before = self.look(self.old)
        new = self.directory / "new.db"
        new.write_bytes(self.old.read_bytes())
        open_database(str(new)).close()
        self.after = self.look(new)
        self.assertEqual((self.before[0], self.after[0]), (1, NEWEST))

    def look(self, path: Path) -> tuple[int, Content]:
        """
        Read of which version a store is, and what is in it.
        """
        with closing(sqlite3.connect(path)) as database:
            return version(database), content(database)

    def judge(self, path: Path) -> int:
        """
        Check that what is left is all old or all new, and that the next start
        makes it new.

        :return: of which version it was.
        """
        # As the next start does, before anything may change it.
        before, _ = copies.migrate_here(str(path), dry=True)
        left = self.look(path)
        self.assertEqual(left, self.after if left[0] == NEWEST else self.before)
        self.assertEqual(before, left[0])
        with closing(open_database(str(path))) as database:
            whole = database.execute("PRAGMA integrity_check").fetchall()
            self.assertEqual(whole, [("ok",)])
        self.assertEqual(self.look(path), self.after)
        return before


class KilledTests(CutOffCase):
    """
    Tests for a start that is killed.
    """

    def judge_all(self, mode: str) -> None:
        """
        Let starts be killed, each later than the one before, and look what
        they leave.
        """
        left = self.directory / mode
        left.mkdir()
        self.assertEqual(run([], "-m", "tests.dying", self.old, left, mode), 0)
        deaths = sorted(left.glob("*.db"))
        # Some had written before they committed.
        begun = [path for end in ("wal", "journal") for path in left.glob(f"*-{end}")]
        self.assertTrue(any(path.stat().st_size > 4096 for path in begun))
        versions = [self.judge(path) for path in deaths]
        self.assertGreater(len(deaths), 20)
        # Between two statements there is one that has committed.
        ends = {1, NEWEST} if mode == "statements" else {1}
        self.assertEqual(set(versions), ends)
        self.assertEqual(versions, sorted(versions))

    def test_statements(self) -> None:
        """
        Killed before any of its statements, an upgrade has done nothing or all.
        """
        self.judge_all("statements")

    def test_steps(self) -> None:
        """
        So it has where it is killed in the middle of a statement.
        """
        self.judge_all("steps")

    def test_without_log(self) -> None:
        """
        So it has where the store has no log yet, as one that was restored.
        """
        with closing(sqlite3.connect(self.old)) as database:
            database.execute("PRAGMA journal_mode = DELETE").fetchone()
        self.judge_all("statements")
        self.judge_all("steps")


class PowerLossTests(CutOffCase):
    """
    Tests for an upgrade during which the power fails.
    """

    def judge_all(self, *prepare: str) -> None:
        """
        Let the power fail after every write and every sync of an upgrade.
        """
        store, record = self.directory / "mica.db", self.directory / "record"
        disk = Disk(self.directory, store, record)
        self.addCleanup(disk.close)
        starter = disk.starter
        self.assertEqual(run(starter, "-c", _MAKE, store, EVENTS), 0)
        for pragma in prepare:
            script = "import sys, sqlite3;sqlite3.connect(sys.argv[1]).execute("
            self.assertEqual(run(starter, "-c", f"{script}{pragma!r})", store), 0)
        made = disk.recorded
        self.assertEqual(run(starter, "-c", _MIGRATE, store), 0)
        replay, rebuilt = Replay(), self.directory / "rebuilt.db"
        random, versions = Random(0), []
        for op in read(record):
            replay.do(op)
            if op.end > made:
                replay.cut(rebuilt, random)
                versions.append(self.judge(rebuilt))
        self.assertGreater(len(versions), 20)
        self.assertEqual(set(versions), {1, NEWEST})

    def test_power_loss(self) -> None:
        """
        Whenever the power fails, an upgrade has done nothing or all.
        """
        self.judge_all()

    def test_without_log(self) -> None:
        """
        So it has where the store has no log yet, as one that was restored.
        """
        self.judge_all("PRAGMA journal_mode = DELETE")
