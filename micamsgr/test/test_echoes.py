"""
Tests for echoes that don't name the part that they are of.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.echoes import whose
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.outcomes import InDoubt, NeverSent, Outcome
from micamsgr.conversation.parts import Kind, Part
from micamsgr.test.test_store_record import RecordCase, moment
from micamsgr.testing import NOW, echo, said

SECOND = 1000
GIVEN_UP = NeverSent("refused", "given up")


def attempted(name: str, at: int, outcome: Outcome, text: str = "One moment") -> Part:
    """
    Make a part that was attempted so many milliseconds after the beginning.
    """
    part = Part(id=name, turn=1, kind=Kind.APOLOGY, number=1, text=text)
    part = lifecycle.intend(part, moment(at))
    return lifecycle.after_outcome(part, outcome, moment(at), 0.0)


class WhoseTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.echoes.whose`.
    """

    def whose(self, at: int, *parts: Part, text: str = "One moment") -> str | None:
        """
        Name the part of which an echo is that comes after a minute.
        """
        found = whose(parts, text, NOW + at, moment(60 * SECOND))
        return None if found is None else found.id

    def test_latest(self) -> None:
        """
        Of two parts in the same words the echo is of the one that was attempted
        last before it, in whatever order they stand.
        """
        one = attempted("one", 0, InDoubt("hung"))
        two = attempted("two", 20 * SECOND, InDoubt("hung"))
        for parts in ((one, two), (two, one)):
            self.assertEqual(self.whose(21 * SECOND, *parts), "two")
            self.assertEqual(self.whose(2 * SECOND, *parts), "one")
        self.assertEqual(self.whose(21 * SECOND, one), "one")

    def test_other_words(self) -> None:
        """
        An echo is of no part that has other words, but for white space.
        """
        part = attempted("one", 0, InDoubt("hung"))
        self.assertIsNone(self.whose(SECOND, part, text="One more moment"))
        self.assertEqual(self.whose(SECOND, part, text=" One  moment\n"), "one")

    def test_given_up(self) -> None:
        """
        What was given up may have arrived all the same; but who says the same
        before it was tried, or long after, is a human.
        """
        part = attempted("one", 0, GIVEN_UP)
        for at, found in ((-6, None), (-4, "one"), (59, "one"), (61, None)):
            self.assertEqual(self.whose(at * SECOND, part), found, at)
        later = evolve(part, intended=moment(30 * SECOND).tick)
        self.assertEqual(self.whose(61 * SECOND, later), "one")

    def test_restarted(self) -> None:
        """
        What was tried before the machine was restarted is the last choice; and
        not even that, if it was given up.
        """
        before = Tick(9e9, "earlier")
        old = evolve(
            attempted("old", 0, InDoubt("hung")), intended=before, first_intended=None
        )
        new = attempted("new", 0, InDoubt("hung"))
        self.assertEqual(self.whose(SECOND, old, new), "new")
        self.assertEqual(self.whose(SECOND, old), "old")
        dead = evolve(
            attempted("dead", 0, GIVEN_UP), intended=before, first_intended=None
        )
        self.assertIsNone(self.whose(SECOND, dead))


class BareTests(RecordCase):
    """
    Tests for what such echoes do.
    """

    def give_up(self) -> Part:
        """
        Let an answer be given up that was attempted.
        """
        self.record(said("hi"))
        (part,) = self.compose("Hello!")
        return self.settle(part, GIVEN_UP)

    def test_given_up(self) -> None:
        """
        An answer that arrived although it was given up is not taken for a
        human's, so the bot goes on answering.
        """
        self.give_up()
        at = NOW + 10 * SECOND
        recorded = self.record(echo("Hello!", app_id=None, at=at))
        self.assertEqual(recorded.takeovers, ())
        self.assertEqual(self.states(), ["refused (refused)"])
        again = self.record(echo("Hello!", app_id=None, at=at))
        self.assertEqual(again.takeovers, (("mica", 1),))

    def test_inbox(self) -> None:
        """
        Who says from the inbox what the bot could not say is a human.
        """
        self.give_up()
        recorded = self.record(echo("Hello!", at=NOW + 10 * SECOND))
        self.assertEqual(recorded.takeovers, (("mica", 1),))
