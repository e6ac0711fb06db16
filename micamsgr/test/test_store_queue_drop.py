"""
Tests for :mod:`micamsgr.store.queue`: what an operator gives up.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import NotSent, Sent
from micamsgr.conversation.parts import Kind, Part
from micamsgr.store.rows import insert_part
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

    def test_unsent(self) -> None:
        """
        Of an answer of which nothing was sent, that is said of each part.
        """
        self.record(said())
        turn = self.begin().turn
        parts = [
            Part(id=id, turn=turn.id, kind=Kind.ANSWER, number=number, text=id)
            for number, id in enumerate(("p", "q", "r"), 1)
        ]
        self.now(self.store.compose(turn, "p q r", parts, 7, moment()))
        lines = self.drop("t1").said.split("\n")
        self.assertEqual(
            lines[:-1],
            [f"part {id} was not sent yet; dropped" for id in ("p", "q", "r")],
        )

    def test_answer(self) -> None:
        """
        An answer in doubt is given up, and with it what was to follow; then
        the next message is answered.
        """
        self.doubt("one", "two")
        self.drop("t1")
        self.assertEqual(self.states(), ["dead (operator)", "expired (operator)"])
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
        self.assertIn("already (operator)", self.not_dropped(second.id))

    def test_undelivered(self) -> None:
        """
        A part that was given up is listed no more, and nothing else of it
        changes; what was to be answered is not touched, either.
        """
        self.record(said())
        self.compose("one")
        for state, reason in (
            ("refused", "person"),
            ("expired", "window"),
            ("expired", "sibling"),
            ("dead", "unresolved"),
        ):
            id = self.part(state, reason)
            self.assertEqual(self.ids()["undelivered"], [id])
            before = self.row(id)
            self.assertIn(f"{state} ({reason})", self.drop(id).said)
            self.assertEqual(self.ids()["undelivered"], [])
            self.assertEqual(self.row(id), {**before, "reason": "operator"})
            self.assertIn("already (operator)", self.not_dropped(id))
        self.assertEqual(self.store.events(), [("done", None)])
        self.assertEqual(self.store.turns(), [("composed", None)])

    def test_not_undelivered(self) -> None:
        """
        What was sent, what a human's words took the place of and what is
        erased stays as it is.
        """
        self.record(said())
        (part,) = self.compose("one")
        self.settle(part, Sent(Mid("m_1")))
        self.assertIn("is sent already", self.not_dropped(part.id))
        for reason in ("human", "erased"):
            id = self.part("expired", reason)
            self.assertIn(f"already ({reason})", self.not_dropped(id))

    def part(self, state: str, reason: str) -> str:
        """
        Have a part of the first turn end, by way of each state that is legal.

        :return: its ID.
        """
        id = f"{state}-{reason}"
        number = 10 + len(self.store.parts())
        part = Part(id=id, turn=1, kind=Kind.ANSWER, number=number, text="no")
        self.ask(lambda d: insert_part(d, 1, part))
        paths = {"expired": (), "refused": ("sending",), "dead": ("sending", "unknown")}
        change = "UPDATE part SET state = ?, reason = ? WHERE id = ?"
        for step in (*paths[state], state):
            self.ask(lambda d, step=step: d.execute(change, (step, reason, id)))
        return id

    def row(self, id: str) -> dict[str, Any]:
        """
        Read all that is kept of a part.
        """
        cursor = self.store.database.connection.cursor()
        cursor.row_factory = sqlite3.Row
        row = cursor.execute("SELECT * FROM part WHERE id = ?", (id,)).fetchone()
        return dict(row)

    def test_what_follows(self) -> None:
        """
        Where the operator's first words were refused and given up, the next
        ones are sent all the same.
        """
        self.doubt("one")
        first, second = ("operator-1", "operator-2")
        for number, id in enumerate((first, second), 1):
            words = Part(id=id, turn=1, kind=Kind.OPERATOR, number=number, text="x")
            self.ask(lambda d, words=words: insert_part(d, 1, words))
            if id == first:
                self.change(words, lifecycle.expire(words, "window"))
        self.drop(first)
        self.assertEqual(self.states(), ["unknown", "expired (operator)", "composed"])

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
