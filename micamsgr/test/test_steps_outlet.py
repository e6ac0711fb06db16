"""
Tests for :mod:`micamsgr.conversation.steps`: one conversation's trouble that
looks like the Page's.
"""

from __future__ import annotations

from micamsgr.conversation.outcomes import NotSent
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.testing import ALICE, BOB, CAROL

TOKEN = NotSent(detail="code 200", rest=60.0, pause=True, alarm=True)
DAY = NotSent(detail="code 613", rest=86400.0, pause=True)


class CulpritTests(ConversationTestCase):
    """
    Tests for one person's lasting error: here Alice's, whose answer is the
    first to fail.
    """

    def setUp(self) -> None:
        super().setUp()
        self.say("one", ALICE)
        self.assistant.answer("to Alice")

    def blame(self) -> None:
        """
        Let Alice's answer fail, and Bob's get through after it.
        """
        self.messenger.settle(TOKEN)
        self.say("two", BOB)
        self.wait(60.0)
        self.assistant.answer("to Bob")
        self.messenger.settle()

    def test_another_first(self) -> None:
        """
        After the pause another person's message is the one that tries.
        """
        self.say("two", BOB)
        self.messenger.settle(TOKEN)
        self.assistant.answer("to Bob")
        self.wait(60.0)
        self.assertEqual(self.sending(), ["to Bob"])

    def test_alone(self) -> None:
        """
        Where nobody else waits, her message tries fifteen seconds later; when
        it gets through, she is answered at once as ever.
        """
        self.messenger.settle(TOKEN)
        self.wait(74.0)
        self.assertEqual(self.sending(), [])
        self.wait(1.0)
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["to Alice"])
        self.say("two", ALICE)
        self.assistant.answer("again")
        self.assertEqual(self.sending(), ["again"])

    def test_others_go_on(self) -> None:
        """
        When another message got through, everybody but her is answered at
        once, and she when the named time is over.
        """
        self.blame()
        self.say("three", CAROL)
        self.assistant.answer("to Carol")
        self.assertEqual(self.sending(), ["to Carol"])
        self.messenger.settle()
        self.wait(59.0)
        self.assertEqual(self.sending(), [])
        self.wait(1.0)
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(ALICE), ["to Alice"])

    def test_fails_on(self) -> None:
        """
        However often sending to her fails, the others are answered at once.
        """
        self.blame()
        for _ in range(120):
            self.wait(60.0)
            if self.sending() == ["to Alice"]:
                self.messenger.settle(TOKEN)
            self.say("two", BOB)
            self.assistant.answer("to Bob")
            self.assertEqual(self.sending(), ["to Bob"])
            self.messenger.settle()
        self.assertEqual(self.messenger.texts(ALICE), [])

    def test_seldom(self) -> None:
        """
        The more often sending to her fails, the more seldom it is tried: in
        the end every quarter of an hour.
        """
        self.blame()
        attempts = []
        for minute in range(1, 62):
            self.wait(60.0)
            if self.sending():
                attempts.append(minute)
                self.messenger.settle(TOKEN)
        self.assertEqual(attempts, [1, 3, 7, 15, 30, 45, 60])

    def test_slow_answer(self) -> None:
        """
        Where the other's answer takes so long that hers tries once more, the
        other's is the next to try.
        """
        self.messenger.settle(TOKEN)
        self.say("two", BOB)
        self.wait(75.0)
        self.messenger.settle(TOKEN)
        self.assistant.answer("to Bob")
        self.wait(120.0)
        self.assertEqual(self.sending(), ["to Bob"])

    def test_page(self) -> None:
        """
        When the other message fails in the same way, all wait twice as long,
        and a third person's tries.
        """
        self.messenger.settle(TOKEN)
        self.say("two", BOB)
        self.wait(60.0)
        self.assistant.answer("to Bob")
        self.say("three", CAROL)
        self.messenger.settle(TOKEN)
        self.wait(119.0)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.wait(1.0)
        self.assistant.answer("to Carol")
        self.assertEqual(self.sending(), ["to Carol"])

    def test_day(self) -> None:
        """
        Where the Graph API names a day, another message tries after a quarter
        of an hour.
        """
        self.messenger.settle(DAY)
        self.say("two", BOB)
        self.wait(899.0)
        self.assertEqual(self.assistant.pending, [])
        self.wait(1.0)
        self.assistant.answer("to Bob")
        self.assertEqual(self.sending(), ["to Bob"])
