"""
Tests for :mod:`micamsgr.conversation.presence`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Conversation
from micamsgr.conversation.interfaces import Presence
from micamsgr.conversation.presence import Typing
from micamsgr.testing import ALICE, BOT, PAGE, FixedClocks, MemoryMessenger

SEEN, TYPING = Presence.SEEN, Presence.TYPING


class TypingTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.conversation.presence.Typing`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.messenger = MemoryMessenger(FixedClocks(self.clock).now)
        conversation = Conversation(BOT, PAGE, ALICE)
        self.typing = Typing(self.clock, self.messenger, conversation)

    def shown(self) -> list[Presence]:
        """
        Tell what was shown so far.
        """
        return [presence for _, presence in self.messenger.shown]

    def test_soon(self) -> None:
        """
        A person who waits sees soon that the bot has read, and writes.
        """
        self.typing.start()
        self.clock.advance(0.3)
        self.assertEqual(self.messenger.shown, [(ALICE, SEEN), (ALICE, TYPING)])

    def test_fast(self) -> None:
        """
        An answer that is there at once needs no announcement.
        """
        self.typing.start()
        self.clock.advance(0.2)
        self.typing.stop()
        self.clock.advance(60.0)
        self.assertEqual(self.shown(), [])

    def test_lasting(self) -> None:
        """
        The dots are shown again before they vanish, which takes 20 seconds,
        for as long as the answer takes.
        """
        self.typing.start()
        self.clock.pump([0.1] * 600)
        self.assertEqual(self.shown(), [SEEN, *[TYPING] * 4])

    def test_stop(self) -> None:
        """
        Once the answer is there nothing more is shown, and no timer is left.
        """
        self.typing.start()
        self.clock.advance(0.3)
        self.typing.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """
        A call that is still under way when the answer is there is cut off,
        and the next is not made, lest the dots come after the answer.
        """
        cut_off: list[object] = []
        self.messenger.holding = Deferred(cut_off.append)
        self.typing.start()
        self.clock.advance(0.3)
        self.typing.stop()
        self.assertEqual(len(cut_off), 1)
        self.assertEqual(self.shown(), [SEEN])

    def test_slow(self) -> None:
        """
        While one call is under way no second one is made.
        """
        self.messenger.holding = Deferred()
        self.typing.start()
        self.clock.pump([0.3, 15.0, 15.0])
        self.assertEqual(self.shown(), [SEEN])
        holding, self.messenger.holding = self.messenger.holding, None
        holding.callback(None)
        self.clock.advance(15.0)
        self.assertEqual(self.shown(), [SEEN, TYPING, TYPING])
