"""
Tests for :mod:`micamsgr.store.queue`: what an operator gives up.
"""

from __future__ import annotations

from micamsgr.conversation.outcomes import NotSent
from micamsgr.conversation.parts import Kind, Part
from micamsgr.test.test_store_queue import QueueCase
from micamsgr.test.test_store_record import moment
from micamsgr.testing import said


class DropTests(QueueCase):
    """
    Tests for what is given up.
    """

    def test_new(self) -> None:
        """
        A message that waits is given up, and joins the history.
        """
        self.record(said("never mind"))
        self.drop("e1")
        self.assertEqual(self.store.events(), [("dead", "operator")])
        self.assertEqual(self.history(), [("person", "never mind")])
        self.assertEqual(self.ids()["dead"], [])
        self.assertIn("already (operator)", self.not_dropped("e1"))
        self.retry("e1")
        self.assertEqual((self.store.events(), self.history()), ([("new", None)], []))

    def test_in_turn(self) -> None:
        """
        Of the messages of a turn one is given up; with the last one the turn
        ends, and what the assistant says then comes to nothing.
        """
        self.record(said("one"), said("two"))
        turn = self.begin().turn
        self.drop("e1")
        self.assertEqual(self.store.turns(), [("generating", None)])
        self.assertIn("t1", self.drop("e2").said)
        self.assertEqual(self.store.turns(), [("expired", "operator")])
        part = Part(id="p", turn=turn.id, kind=Kind.ANSWER, number=1, text="late")
        self.now(self.store.compose(turn, "late", [part], 7, moment()))
        self.assertEqual(self.store.parts(), [])
        self.assertEqual(self.waiting(), [])

    def test_turn(self) -> None:
        """
        A turn is given up with all its messages.
        """
        self.record(said("one"), said("two"))
        self.begin()
        self.drop("t1")
        self.assertEqual(self.store.events(), [("dead", "operator")] * 2)
        self.assertEqual(self.store.turns(), [("expired", "operator")])
        self.assertIn("expired already", self.not_dropped("t1"))

    def test_answer(self) -> None:
        """
        An answer in doubt is given up, and with it what was to follow; then
        the next message is answered.
        """
        self.doubt("one", "two")
        self.drop("t1")
        self.assertEqual(self.states(), ["dead (operator)", "expired (sibling)"])
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.record(said("next"))
        self.assertEqual(self.situation().parts, ())

    def test_part(self) -> None:
        """
        A part that is not sent yet is given up, and those before it are not;
        one that is being sent is left alone.
        """
        self.record(said())
        first, second = self.compose("one", "two")
        self.assertIn("being sent now", self.not_dropped(first.id))
        self.assertIn("being sent now", self.not_dropped("t1"))
        self.drop(second.id)
        self.assertEqual(self.states(), ["sending", "expired (operator)"])
        self.assertIn("expired already", self.not_dropped(second.id))

    def test_dead(self) -> None:
        """
        What was given up before is listed no more.
        """
        self.record(said())
        self.fail_turn()
        self.assertIn("patience", self.drop("e1").said)
        self.assertEqual(self.store.events(), [("dead", "operator")])
        self.assertEqual(self.ids()["dead"], [])
        self.assertEqual(self.history(), [("person", "hi")])

    def test_ended(self) -> None:
        """
        What is done stays done.
        """
        self.record(said())
        (part,) = self.compose("hello")
        self.assertIn("done already", self.not_dropped("e1"))
        self.settle(part, NotSent(detail="busy", rest=1.0))
        self.drop(part.id)
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertIn("closed already", self.not_dropped("t1"))
