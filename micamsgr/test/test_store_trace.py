"""
Tests for the one name under which the log tells all that becomes of a message.
"""

from __future__ import annotations

from micamsgr.conversation.events import Echo, Said
from micamsgr.test.test_store_record import RecordCase
from micamsgr.testing import BOB, BOT, echo, said


class TraceTests(RecordCase):
    """
    Tests for the names that the store gives out.
    """

    def trace(self, *messages: Said | Echo) -> list[str]:
        """
        Record messages, each by itself.

        :return: by what the log names what becomes of them.
        """
        return [self.record(it).traces[BOT, it.key] for it in messages]

    def test_answered_together(self) -> None:
        """
        Messages that are answered together have one name, from when they come
        until the answer is sent; another person's have their own.
        """
        names = self.trace(said("one"), said("two"), said("else", psid=BOB))
        self.assertEqual(names, ["e1", "e1", "e3"])
        self.assertEqual(self.situation().trace, "e1")
        self.assertEqual(self.begin().turn.trace, "e1")
        first, second = self.compose("Right.", "Indeed.")
        self.assertEqual((first.trace, second.trace), ("e1", "e1"))
        self.assertEqual(self.situation(2).trace, "e3")

    def test_meanwhile(self) -> None:
        """
        What comes while an answer is made has the name of the next one.
        """
        self.trace(said("one"))
        self.begin()
        self.assertEqual(self.trace(said("two"), said("three")), ["e2", "e2"])
        self.assertEqual(self.situation().trace, "e1")

    def test_echo(self) -> None:
        """
        An echo has the name of what it is the echo of.
        """
        self.trace(said("one"), said("else", psid=BOB))
        (part,) = self.compose("Right.")
        self.assertEqual(self.trace(echo("Right.", metadata=part.metadata)), ["e1"])

    def test_known(self) -> None:
        """
        What is delivered again has no new name.
        """
        message = said("one")
        self.record(message)
        self.assertEqual(self.record(message).traces, {})
