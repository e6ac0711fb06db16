"""
Tests for what the dispatcher does about what arrives while others wait.
"""

from __future__ import annotations

from micamsgr.conversation.events import Psid
from micamsgr.conversation.outcomes import InDoubt
from micamsgr.conversation.policy import Manners
from micamsgr.testing import ALICE, BOB, CAROL

from .conversation_case import NEVER, ConversationTestCase

DAVE = Psid("dave")


class ArrivalCase(ConversationTestCase):
    """
    A bot that asks its assistant for one person at a time, which is Alice.
    """

    apology = NEVER

    def setUp(self) -> None:
        super().setUp()
        self.restart(slots=1, manners=Manners(apology_after=self.apology))
        self.say(ALICE, ALICE)
        self.reads = 0
        read = self.store._read

        def count(work: object) -> object:
            self.reads += 1
            return read(work)  # type: ignore[arg-type]

        self.store._read = count  # type: ignore[assignment]

    def asked(self) -> list[str]:
        """
        Tell about what the assistant is being asked.
        """
        return [question.texts[-1] for question in self.assistant.pending]

    def serve(self) -> None:
        """
        Let whoever is next have an answer.
        """
        self.assistant.answer()
        self.messenger.settle()


class ArrivalTests(ArrivalCase):
    """
    Tests for what is done about a message.
    """

    def test_no_look(self) -> None:
        """
        What the store told as it kept a message is not read again: neither to
        wait for a slot nor to take one.
        """
        for psid in (BOB, CAROL, BOB):
            self.say(psid, psid)
        self.assertEqual(self.reads, 0)
        self.slots.limit = 5
        self.say(DAVE, DAVE)
        self.assertEqual(self.asked(), [ALICE, DAVE])
        self.assertEqual(self.reads, 0)

    def test_order(self) -> None:
        """
        Who waits is asked for in the order in which they wrote first, with all
        that they have written since.
        """
        for psid in (BOB, CAROL, BOB):
            self.say(psid, psid)
        self.serve()
        self.assertEqual(self.assistant.pending[0].texts, [BOB, BOB])
        self.serve()
        self.assertEqual(self.asked(), [CAROL])

    def test_something_else(self) -> None:
        """
        Where there is more to be done in a conversation than to answer, that is
        done, though no slot is free.
        """
        self.say(BOB, BOB)
        self.speak(BOB)
        self.messenger.settle(InDoubt("timeout"))
        self.say(BOB, BOB)
        self.wait(60.0)
        self.assertEqual(self.messenger.looked_up[0], BOB)

    def test_old_news(self) -> None:
        """
        What has changed by the time at which there is room to work on it is read.
        """
        self.dispatcher._most_at_work = 1
        self.assistant.answer()
        for psid in (DAVE, BOB):
            self.say(psid, psid)
        self.speak(BOB)
        self.messenger.settle()
        self.assertEqual(self.asked(), [DAVE])
        self.assertEqual(self.sending(), ["Me."])


class LateTests(ArrivalCase):
    """
    Tests for those who wait for long.
    """

    apology = 20.0

    def test_apology(self) -> None:
        """
        They are told so, counted from when they wrote.
        """
        self.say(BOB, BOB)
        self.wait(19.0)
        self.assertEqual(self.sending(), [])
        self.wait(2.0)
        self.assertEqual(len(self.sending()), 2)


class OperatorTests(ArrivalCase):
    """
    Tests for an operator's words to people who wait for a slot.
    """

    def test_at_once(self) -> None:
        """
        They are sent at once, and the others go on as if nothing had been.
        """
        for psid in (BOB, CAROL, DAVE):
            self.say(psid, psid)
        self.speak(CAROL)
        self.assertEqual(self.sending(), ["Me."])
        self.messenger.settle()
        self.serve()
        self.assertEqual(self.asked(), [BOB])
        self.serve()
        self.assertEqual(self.asked(), [DAVE])

    def test_in_the_store(self) -> None:
        """
        Who waits is not looked at each time that the store is looked into.
        """
        self.say(BOB, BOB)
        self.wait(4.0)
        before = self.reads
        self.wait(5.0)
        self.assertEqual(self.reads, before + 1)
