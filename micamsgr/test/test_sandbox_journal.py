"""
Tests for :mod:`micamsgr.sandbox.journal`.
"""

from __future__ import annotations

import json
from io import StringIO
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.sandbox.journal import (
    Acted,
    Call,
    Chances,
    Journal,
    Posted,
    Wrote,
    always,
    in_turn,
)

ACTED = Acted(at=1.5, page="1", psid="2", action="typing_on")
POSTED = Posted(at=2.5, url="https://bot.test/", body=b"{}", attempt=1, status=200)
WROTE = Wrote(at=3.5, page="1", psid="2", mid="m_1", text="Hi")


class JournalTests(SynchronousTestCase):
    """
    Tests for the journal.
    """

    def test_order(self) -> None:
        """
        Facts are kept in the order in which they were added, and can be
        found by type.
        """
        journal = Journal()
        for fact in (ACTED, POSTED, WROTE):
            journal.add(fact)
        self.assertEqual(journal.facts, [ACTED, POSTED, WROTE])
        self.assertEqual(journal.of(Posted), [POSTED])

    def test_file(self) -> None:
        """
        Each fact is also written as a line of JSON.
        """
        lines = StringIO()
        journal = Journal(lines)
        journal.add(ACTED)
        journal.add(POSTED)
        acted, posted = map(json.loads, lines.getvalue().splitlines())
        self.assertEqual(acted["fact"], "Acted")
        self.assertEqual(acted["action"], "typing_on")
        self.assertEqual((posted["fact"], posted["body"]), ("Posted", "{}"))

    def test_until(self) -> None:
        """
        Who waits for facts is called back by the fact that was missing.
        """
        journal = Journal()
        waiting = journal.until(lambda: len(journal.of(Wrote)) == 2)
        journal.add(WROTE)
        self.assertNoResult(waiting)
        journal.add(WROTE)
        self.successResultOf(waiting)
        self.successResultOf(journal.until(lambda: True))

    def test_until_given_up(self) -> None:
        """
        Who doesn't wait any more is not called back.
        """
        journal = Journal()
        asked: list[int] = []

        def condition() -> bool:
            asked.append(len(journal.facts))
            return False

        waiting = journal.until(condition)
        waiting.cancel()
        self.failureResultOf(waiting)
        journal.add(WROTE)
        self.assertEqual(asked, [0])


class PlanTests(SynchronousTestCase):
    """
    Tests for plans of what goes wrong.
    """

    def setUp(self) -> None:
        self.random = Random(1)
        self.message = Call(kind="message")
        self.lookup = Call(kind="conversations")

    def test_always(self) -> None:
        """
        A fault can befall every call of its kind, and no other.
        """
        plan = always("message", "fault")
        self.assertEqual(plan(self.message, self.random), "fault")
        self.assertEqual(plan(self.message, self.random), "fault")
        self.assertIsNone(plan(self.lookup, self.random))

    def test_in_turn(self) -> None:
        """
        Faults can befall the next calls of their kind, one after another.
        """
        plan = in_turn("message", "first", None, "third")
        self.assertIsNone(plan(self.lookup, self.random))
        found = [plan(self.message, self.random) for _ in range(4)]
        self.assertEqual(found, ["first", None, "third", None])

    def test_chances(self) -> None:
        """
        Faults can befall calls by chance, each with its own.
        """
        plan = Chances({"message": ((0.5, "often"), (0.25, "sometimes"))})
        found = [plan(self.message, self.random) for _ in range(1000)]
        self.assertTrue(450 <= found.count("often") <= 550, found.count("often"))
        self.assertTrue(200 <= found.count("sometimes") <= 300)
        self.assertIsNone(plan(self.lookup, self.random))
