"""
Tests for :mod:`micamsgr.conversation.dispatcher`: other ways to work, while it
works.
"""

from __future__ import annotations

from typing import Any

from micamsgr.conversation.outcomes import NotSent
from micamsgr.conversation.policy import Delivery, Manners
from micamsgr.test.conversation_case import NEVER, ConversationTestCase
from micamsgr.test.test_steps_pace import people
from micamsgr.testing import ALICE, BOB, MemoryAssistant, MemoryMessenger


class AdoptTests(ConversationTestCase):
    """
    Tests for a change of how a bot works.
    """

    def change(self, **options: Any) -> tuple[MemoryAssistant, MemoryMessenger]:
        """
        Change how the bot works.

        :return: the assistant and the messenger of before.
        """
        before = self.assistant, self.messenger
        self.options |= options
        self.assistant = MemoryAssistant()
        self.messenger = MemoryMessenger(lambda: self.clocks.now())
        self.dispatcher.adopt(self.steps())
        return before

    def test_under_way(self) -> None:
        """
        Who is being answered gets that answer, the way it was begun, and once;
        who writes then is answered the new way.
        """
        self.say("one", ALICE)
        assistant, messenger = self.change()
        self.say("two", BOB)
        self.assertEqual([q.texts for q in self.assistant.pending], [["two"]])
        assistant.answer("first|second")
        messenger.settle()
        messenger.settle()
        self.assertEqual(messenger.texts(ALICE), ["first", "second"])
        self.assertEqual(self.messenger.texts(ALICE), [])
        self.say("three", ALICE)
        self.assertEqual(
            [q.texts[-1] for q in self.assistant.pending], ["two", "three"]
        )

    def test_same_person(self) -> None:
        """
        What a person writes while an answer is under way is answered after it,
        the new way.
        """
        self.say("one")
        assistant, messenger = self.change()
        self.say("two")
        self.assertEqual(self.assistant.pending, [])
        assistant.answer("yes")
        messenger.settle()
        self.assertEqual(messenger.texts(), ["yes"])
        self.wait(0.25)
        self.assertEqual(assistant.pending, [])
        self.assertEqual([q.texts[-1] for q in self.assistant.pending], ["two"])

    def test_paused(self) -> None:
        """
        Where nothing could be sent, as with an expired token, the new way is
        tried at once.
        """
        self.say()
        self.assistant.answer("hello")
        self.messenger.settle(NotSent(detail="expired", rest=900.0, pause=True))
        self.assertEqual(self.sending(), [])
        self.change()
        self.assertEqual(self.sending(), ["hello"])

    def test_paused_meanwhile(self) -> None:
        """
        An answer that is made while a good token is loaded waits no longer for
        the end of the bad one's pause.
        """
        self.say("one", ALICE)
        self.say("two", BOB)
        self.assistant.answer("to Alice")
        expired = NotSent(detail="expired", rest=900.0, pause=True)
        self.messenger.settle(expired)
        assistant, messenger = self.change()
        self.assertEqual(self.sending(), ["to Alice"])
        assistant.answer("to Bob")
        self.assertEqual(self.sending(), ["to Alice", "to Bob"])
        self.assertEqual(messenger.pending, [])

    def test_slots(self) -> None:
        """
        Those who wait for one of the assistant's slots get those that there are
        more of now.
        """
        self.restart(slots=1)
        for psid in people(4):
            self.say(psid, psid)
        self.assertEqual(len(self.assistant.pending), 1)
        self.change(slots=2)
        self.assertEqual(len(self.assistant.pending), 1)
        self.change(slots=200)
        self.assertEqual(len(self.assistant.pending), 2)

    def test_no_more_at_once(self) -> None:
        """
        However often the bot is changed while the assistant is being asked,
        it is never asked more often at once than it may be; and every place is
        free again in the end.
        """
        self.restart(slots=2, most_at_work=1)
        for psid in people(8):
            self.say(psid, psid)
        ways = [(self.assistant, self.messenger)]
        for _ in range(3):
            self.change()
            ways.append((self.assistant, self.messenger))
            self.wait(1.0)
            self.assertEqual(sum(len(it.pending) for it, _ in ways), 2)
        while any(it.pending for it, _ in ways):
            for assistant, messenger in ways:
                assistant.answer_all()
                messenger.settle_all()
            self.wait(1.0)
        self.assertEqual(self.slots.taken, 0)

    def test_stop(self) -> None:
        """
        A stop waits for what was begun the old way, and sends nothing more.
        """
        self.restart(manners=Manners(apology_after=NEVER), delivery=Delivery())
        self.say()
        assistant, messenger = self.change()
        stopping = self.dispatcher.stopService()
        self.assertNoResult(stopping)
        assistant.answer("late")
        self.successResultOf(stopping)
        self.assertEqual(messenger.pending, [])

    def test_hush(self) -> None:
        """
        When a human answers, what was begun the old way falls silent.
        """
        self.say()
        _, messenger = self.change()
        self.wait(5.0)
        (conversation,) = self.dispatcher._at_work
        shown = len(messenger.shown)
        self.dispatcher.hush(conversation)
        self.wait(60.0)
        self.assertEqual(len(messenger.shown), shown)


class RetireTests(ConversationTestCase):
    """
    Tests for a bot that is taken away while it works.
    """

    def test_finishes(self) -> None:
        """
        Who is being answered gets the answer; who writes then is not answered,
        and waits in the store.
        """
        self.say("one", ALICE)
        retiring = self.dispatcher.retire()
        self.say("two", BOB)
        self.wait(20.0)
        self.assertNoResult(retiring)
        self.assistant.answer("yes")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["yes"])
        self.successResultOf(retiring)
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_taken_back(self) -> None:
        """
        Where it is wanted again meanwhile, who wrote is answered, and nobody
        twice.
        """
        self.say("one", ALICE)
        retiring = self.dispatcher.retire()
        self.say("two", BOB)
        self.dispatcher.adopt(self.steps())
        self.wait(6.0)
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(ALICE), ["re: one"])
        self.assertEqual(self.messenger.texts(BOB), ["re: two"])
        self.assertNoResult(retiring)

    def test_slots_given_back(self) -> None:
        """
        Who was about to be answered as the bot was taken away keeps none of the
        places at the assistant.
        """
        self.restart(slots=3, most_at_work=1)
        for psid in people(6):
            self.say(psid, psid)
        self.assistant.answer_all()
        self.dispatcher.retire()
        steps = self.steps()
        self.dispatcher.adopt(steps)
        for _ in range(80):
            self.wait(1.0)
            self.assistant.answer_all()
            self.messenger.settle_all()
        self.assertEqual({len(self.messenger.texts(it)) for it in people(6)}, {1})
        self.assertEqual(steps.slots.taken, 0)

    def test_stop(self) -> None:
        """
        A stop meanwhile ends it as any other.
        """
        self.say()
        retiring = self.dispatcher.retire()
        stopping = self.dispatcher.stopService()
        self.clock.advance(10.0)
        self.successResultOf(stopping)
        self.successResultOf(retiring)
