"""
Tests for :mod:`micamsgr.store.deletions`.
"""

from __future__ import annotations

import sqlite3

from micamsgr.conversation.deletion import Deletion, Progress, code_of
from micamsgr.errors import StoreUnavailable
from micamsgr.store import deletions
from micamsgr.store.deletions import Deletions
from micamsgr.store.schema import MIGRATIONS, check_tables, migrate
from micamsgr.test.test_retention import RetentionCase
from micamsgr.test.test_store_record import moment
from micamsgr.testing import ALICE, BOB, BOT, NOW


class DeletionsTests(RetentionCase):
    """
    Tests for which requests are kept, and for how long.
    """

    def setUp(self) -> None:
        super().setUp()
        transact = self.store.database.transact
        self.deletions = Deletions(transact, transact)

    def ask(self, number: int, user: str = "7") -> Deletion:
        """
        Ask to be erased.
        """
        return self.now(
            self.deletions.ask(code_of(b"", user, str(number)), user, [BOT], moment())
        )

    def look(self, number: int, user: str = "7") -> Deletion | None:
        return self.now(self.deletions.look_up(code_of(b"", user, str(number))))

    def waits(self) -> tuple[str, ...] | None:
        """
        Tell as which bots' the next one is to be erased.
        """
        found = self.now(self.deletions.next())
        return None if found is None else found.bots

    def test_bound(self) -> None:
        """
        Where too many were made, the oldest goes that is done; who waits to be
        erased stays.
        """
        self.patch(deletions, "MOST", 3)
        self.write("hi")
        self.ask(0, ALICE)
        for number in range(1, 6):
            self.ask(number)
        self.assertEqual(self.count("deletion"), 4)
        there = [number for number in range(1, 6) if self.look(number) is not None]
        self.assertEqual(there, [3, 4, 5])
        self.assertEqual(self.waits(), (BOT,))

    def test_too_many_wait(self) -> None:
        """
        Where too many wait to be erased, no more are taken, and nothing of
        them is kept; what needs no erasing is.
        """
        self.patch(deletions, "MOST_WAITING", 2)
        self.write("hi")
        self.ask(1, ALICE)
        self.ask(2, ALICE)
        code = code_of(b"", ALICE, "3")
        asking = self.deletions.ask(code, ALICE, [BOT], moment())
        self.failureResultOf(asking, StoreUnavailable)
        self.assertIs(self.ask(1, ALICE).progress, Progress.UNDER_WAY)
        self.assertIs(self.ask(4, BOB).progress, Progress.UNKNOWN)
        claim = self.deletions.claim(code_of(b"", BOB, "4"), BOT, ALICE, NOW)
        self.failureResultOf(claim, StoreUnavailable)
        self.assertEqual(self.count("deletion"), 3)

    def test_aged(self) -> None:
        """
        A request goes with the ledger of its time, and not before.
        """
        self.ask(1)
        self.days = 399
        self.assertEqual(self.sweep(), {})
        self.assertIsNotNone(self.look(1))
        self.days = 401
        self.assertEqual(self.sweep(), {"ledger.deletion": 1})
        self.assertIsNone(self.look(1))

    def test_waiting_stays(self) -> None:
        """
        However old, a request that is not carried out stays.
        """
        self.write("hi")
        self.ask(1, ALICE)
        self.days = 5000
        self.sweep()
        self.assertIsNotNone(self.look(1, ALICE))

    def test_rest(self) -> None:
        """
        While nobody asks, nobody looks into the store for it.
        """
        self.assertIsNone(self.waits())
        self.store.database.failing = True
        self.assertIsNone(self.waits())
        self.store.database.failing = False
        self.ask(1)
        self.assertIsNone(self.waits())
        self.write("hi")
        self.ask(2, ALICE)
        self.assertEqual(self.waits(), (BOT,))

    def test_finished(self) -> None:
        """
        Once it is carried out, it isn't kept whose a request was.
        """
        self.write("hi")
        self.ask(1, ALICE)
        found = self.now(self.deletions.next())
        assert found is not None
        self.now(self.deletions.finish(found, moment(5000)))
        self.assertEqual(
            self.look(1, ALICE),
            Deletion(progress=Progress.ERASED, asked=NOW, done=NOW + 5000),
        )
        self.assertEqual(self.count("deletion", "psid IS NOT NULL"), 0)
        self.assertIsNone(self.waits())

    def test_from_before(self) -> None:
        """
        A store of before there were requests gets what it needs for them, and
        keeps what it holds.
        """
        database = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(database.close)
        migrate(database, MIGRATIONS[:4])
        database.execute("INSERT INTO page VALUES ('mica', 'token', '1')")
        migrate(database, MIGRATIONS)
        check_tables(database)
        (count,) = database.execute("SELECT count(*) FROM page").fetchone()
        self.assertEqual(count, 1)
        database.execute("INSERT INTO deletion (code, bots, at) VALUES ('x', '[]', 1)")
