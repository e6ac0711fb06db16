"""
Tests for looking at what becomes of messages, in
:mod:`micamsgr.store.following`.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.store.database import open_database
from micamsgr.store.following import Sight, follow
from micamsgr.store.lock import lock

ALICE, WORDS = "6284913775102846", "my words"


class FollowTests(SynchronousTestCase):
    """
    Tests for one look after the other.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path = directory / "mica.db"

    def make(self) -> sqlite3.Connection:
        """
        Make a store, in which Alice has written before.
        """
        database = open_database(str(self.path))
        self.addCleanup(database.close)
        database.execute(
            "INSERT INTO conversation (id, bot, page, psid, opened, heard)"
            " VALUES (1, 'mica', '9', ?, 0, 0)",
            (ALICE,),
        )
        self.database = database
        self.event("message", 1000)
        return database

    def event(
        self,
        kind: str,
        received: int,
        state: str = "new",
        *,
        source: str = "webhook",
        reason: str | None = None,
    ) -> int:
        """
        Let something be delivered, a quarter of a second after it happened.
        """
        cursor = self.database.execute(
            "INSERT INTO event (key, conversation, bot, page, kind, at, received,"
            " text, state, reason, source) VALUES (randomblob(16), 1, 'mica', '9',"
            " ?, ?, ?, ?, ?, ?, ?)",
            (kind, received - 250, received, WORDS, state, reason, source),
        )
        return int(cursor.lastrowid or 0)

    def change(self, table: str, state: str, **values: object) -> None:
        """
        Change all rows of a table.
        """
        columns = "".join(f", {name} = ?" for name in values)
        self.database.execute(
            f"UPDATE {table} SET state = ?{columns}", (state, *values.values())
        )

    def look(self, after: int | None = 1) -> Sight:
        """
        Look, and see that nothing is read that is nobody's business.
        """
        seen = follow(self.path, after)
        self.assertEqual(seen.problem, "")
        for secret in (ALICE, WORDS, "answered words"):
            self.assertNotIn(secret, repr(seen))
        return seen

    def test_none(self) -> None:
        """
        Where there is no store yet, everything in it will be new; none is made.
        """
        self.assertEqual(self.look(), Sight(runs=False, last=0))
        self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_last(self) -> None:
        """
        What was there before is not told of.
        """
        self.make()
        self.assertEqual(self.look(None), Sight(runs=False, last=1))
        self.assertEqual(self.look(), Sight(runs=False, last=1))

    def test_runs(self) -> None:
        """
        Whether a daemon has the store is seen.
        """
        self.make()
        held = lock(str(self.path))
        self.addCleanup(held.release)
        self.assertTrue(self.look().runs)

    def test_way(self) -> None:
        """
        A message is seen on all of its way, and the other things that come
        beside it.
        """
        self.make()
        self.database.execute("DELETE FROM event")
        self.database.execute(
            "INSERT INTO turn (id, conversation, state, began)"
            " VALUES (5, 1, 'ready', 0)"
        )
        self.event("echo", 2000, "ignored")
        first = self.event("message", 2000)
        (seen,) = self.look(0).messages
        self.assertEqual((seen.state, seen.late, seen.turn), ("new", 0.25, None))
        self.database.execute(
            "UPDATE event SET state = 'in_turn', turn = 5 WHERE id = ?", (first,)
        )
        self.change("turn", "generating", tries=2)
        (seen,) = self.look(0).messages
        self.assertEqual((seen.turn, seen.turn_state, seen.tries), (5, "generating", 2))
        for id, kind in (("a", "answer"), ("n", "notice")):
            self.database.execute(
                "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
                " VALUES (?, 5, 1, ?, 1, 'answered words', 'composed')",
                (id, kind),
            )
        self.event("delivery", 2900, "ignored")
        self.change("part", "sending", attempt=1, first_wall=3000)
        sight = self.look(0)
        (message,) = sight.messages
        self.assertEqual([part.kind for part in message.parts], ["answer", "notice"])
        self.assertEqual({part.state for part in message.parts}, {"sending"})
        # It was told before the answer was sent.
        self.assertFalse(message.delivered)
        self.change("part", "sent", mid="m1", echo="m1")
        self.event("delivery", 3100, "ignored")
        sight = self.look(0)
        (message,) = sight.messages
        self.assertTrue(message.parts[0].echoed)
        self.assertEqual((message.delivered, message.read), (True, False))
        self.assertEqual((sight.others, sight.read_back), (3, 0))
        self.event("read", 3200, "ignored")
        self.assertTrue(self.look(0).messages[0].read)

    def test_read_back(self) -> None:
        """
        What was read from the thread after an outage was not delivered.
        """
        self.make()
        self.event("message", 2000, source="backfill")
        seen = self.look()
        self.assertEqual((seen.messages, seen.read_back), ((), 1))

    def test_most(self) -> None:
        """
        However much comes, only the first fifty messages are looked at.
        """
        self.make()
        for _ in range(60):
            self.event("postback", 2000, "ignored", reason="human")
        seen = self.look()
        self.assertEqual([it.id for it in seen.messages], [*range(2, 52)])
        self.assertEqual(seen.last, 61)

    def test_problems(self) -> None:
        """
        A file that is no store, and one of another version, are no surprise.
        """
        self.path.write_bytes(b"something else, and long enough for a header" * 9)
        self.assertIn("mica.db", follow(self.path, 1).problem)
        self.path.unlink()
        self.make().execute("PRAGMA user_version = 1")
        self.assertEqual(self.look(), Sight(runs=False))
        self.database.execute("PRAGMA user_version = 999")
        self.assertIn("newer", follow(self.path, 1).problem)

    def test_nowhere(self) -> None:
        """
        A place that can't be looked at is a problem, and no defect.
        """
        self.assertIn("too long", follow(self.path.parent / ("x" * 300), 1).problem)

    @skipIf(os.geteuid() == 0, "root may read everything")
    def test_forbidden(self) -> None:
        """
        That whoever asks may not read it is said.
        """
        self.make()
        self.path.chmod(0)
        self.assertIn("may not read", follow(self.path, 1).problem)
