"""
Tests for :mod:`micamsgr.conversation.steps`: what becomes of what people say.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent

from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.conversation.interfaces import Presence
from micamsgr.conversation.policy import Manners
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused, Unavailable
from micamsgr.testing import (
    ALICE,
    BOB,
    said,
)

from .conversation_case import NEVER, ConversationTestCase


class AnswerTests(ConversationTestCase):
    """
    Tests for what goes well.
    """

    def test_answer(self) -> None:
        """
        A message is answered with what the assistant says to it.
        """
        self.say("hi")
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(ALICE), ["hello"])
        self.assertEqual(self.store.events(), [("done", None)])
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertEqual(self.states(), [(PartState.SENT, None)])

    def test_metadata(self) -> None:
        """
        What is sent carries the part's ID and the attempt, for its echo to
        bring back.
        """
        self.say()
        self.assistant.answer()
        [sending] = self.messenger.pending
        self.assertEqual(sending.metadata, f"mica:1:{self.part().id}:1")

    def test_ten_at_once(self) -> None:
        """
        Ten messages of one person that wait together get one answer, and the
        assistant reads them in the order of their time.
        """
        now = self.clocks.now().wall
        texts = [f"line {number}" for number in range(10)]
        events = [said(text, at=now + number) for number, text in enumerate(texts)]
        self.receive(*reversed(events))
        [question] = self.assistant.pending
        self.assertEqual(question.texts, texts)
        self.assistant.answer("one answer")
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["one answer"])

    def test_meanwhile(self) -> None:
        """
        What a person says while an answer is being made is answered after
        that, knowing of it.
        """
        self.say("first")
        self.say("second")
        self.assertEqual(len(self.assistant.pending), 1)
        self.assistant.answer("to the first")
        self.assertEqual(self.assistant.pending, [])
        self.messenger.settle()
        [question] = self.assistant.pending
        self.assertEqual(question.texts, ["first", "to the first", "second"])
        self.assistant.answer("to the second")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["to the first", "to the second"])

    def test_history(self) -> None:
        """
        The assistant is told who said what, and of the past no more than the
        operator wants.
        """
        self.restart(manners=Manners(history_messages=3, apology_after=NEVER))
        for text in ("one", "two", "three"):
            self.say(text)
            self.assistant.answer_all()
            self.messenger.settle_all()
        self.assertEqual(
            self.assistant.asked[-1].utterances,
            (
                Utterance(Role.BOT, "re: one"),
                Utterance(Role.PERSON, "two"),
                Utterance(Role.BOT, "re: two"),
                Utterance(Role.PERSON, "three"),
            ),
        )

    def test_in_order(self) -> None:
        """
        The parts of an answer leave one after another, each once the one
        before is known to be sent.
        """
        self.say()
        self.assistant.answer("one|two|three")
        for text in ("one", "two", "three"):
            self.assertEqual(self.sending(), [text])
            self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["one", "two", "three"])
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_presence(self) -> None:
        """
        A person who waits sees that the bot has read and writes, and no dots
        once the answer is there.
        """
        self.say()
        self.clock.advance(0.5)
        shown = [(ALICE, Presence.SEEN), (ALICE, Presence.TYPING)]
        self.assertEqual(self.messenger.shown, shown)
        self.assistant.answer()
        self.messenger.settle()
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.messenger.shown, shown)

    def test_redelivery(self) -> None:
        """
        A message that Meta delivers again, whenever, is answered once.
        """
        event = said()
        self.receive(event, event)
        self.receive(event)
        self.assistant.answer()
        self.receive(event)
        self.messenger.settle()
        self.receive(event)
        self.assertEqual(len(self.assistant.asked), 1)
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_logged(self) -> None:
        """
        What came of an attempt is logged with IDs, and without a word of what
        was said or the person's own ID.
        """
        self.say("my secret")
        with capturedLogs() as events:
            self.assistant.answer("your secret")
            self.messenger.settle()
        [event] = [event for event in events if "attempt" in event]
        self.assertEqual(event["part"], self.part().id)
        self.assertEqual(event["person"], "alias of 6")
        for event in events:
            self.assertNotIn("secret", formatEvent(event))
            self.assertNotIn(ALICE, formatEvent(event))

    def test_logged_texts(self) -> None:
        """
        The operator can have the answers logged.
        """
        self.restart(texts=True)
        self.say()
        with capturedLogs() as events:
            self.assistant.answer("your secret")
        self.assertIn("your secret", [event.get("text") for event in events])


class AskerTests(ConversationTestCase):
    """
    Tests for what the assistant is told of who asks.
    """

    def test_asker(self) -> None:
        """
        Each conversation is another asker, the same one each time.
        """
        self.say("one")
        self.say("one", BOB)
        self.assistant.answer()
        self.messenger.settle_all()
        self.say("two")
        alice, bob, again = (question.asker for question in self.assistant.asked)
        self.assertEqual(alice, again)
        self.assertNotEqual(alice, bob)
        self.assertIsNotNone(alice)


class NoAnswerTests(ConversationTestCase):
    """
    Tests for when the assistant has no answer.
    """

    def test_again(self) -> None:
        """
        An assistant that can't answer now is asked again after a rest that
        grows, up to a minute.
        """
        self.say()
        rests = []
        for asked in range(1, 9):
            before = self.clock.seconds()
            self.assistant.fail(Unavailable("busy"))
            while len(self.assistant.asked) == asked:
                self.clock.advance(0.5)
            rests.append(self.clock.seconds() - before)
        self.assertEqual(rests, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_retry_after(self) -> None:
        """
        It is not asked sooner than it wants to be.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", retry_after=20.0))
        self.wait(19.75)
        self.assertEqual(self.assistant.pending, [])
        self.wait(0.25)
        self.assertEqual(len(self.assistant.pending), 1)

    def test_told(self) -> None:
        """
        The operator is warned of each turn that has to wait, but for those
        that wait only since the assistant is left alone.
        """
        self.say()
        levels = []
        for tried in (True, False):
            with capturedLogs() as events:
                self.assistant.fail(Unavailable("busy", tried=tried))
            levels += [event["log_level"] for event in events if "delay" in event]
            self.wait(60.0)
        self.assertEqual(levels, [LogLevel.warn, LogLevel.debug])

    def test_while_parked(self) -> None:
        """
        What a person says while the assistant rests is answered afterwards,
        in a turn of its own.
        """
        self.say("one")
        self.assistant.fail(Unavailable("busy", retry_after=20.0))
        self.say("two")
        self.assertEqual(self.assistant.pending, [])
        self.wait(20.0)
        self.assertEqual(self.assistant.pending[0].texts, ["one"])
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["re: one", "re: two"])

    def fail_for(self, seconds: float) -> None:
        """
        Let the assistant fail whenever it is asked, for so long.
        """
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            while self.assistant.pending:
                self.assistant.fail(Unavailable("busy"))
            self.clock.advance(1.0)

    def test_patience(self) -> None:
        """
        After fifteen minutes without an answer the turn has failed, and the
        person is told so, once.
        """
        self.say()
        self.fail_for(899.0)
        self.assertEqual(self.sending(), [])
        self.fail_for(1.0)
        self.assertEqual(self.sending(), [Manners().fallback])
        self.messenger.settle()
        self.fail_for(1800.0)
        self.assertEqual(self.messenger.texts(), [Manners().fallback])
        self.assertEqual(self.store.events(), [("dead", "patience")])
        self.assertEqual(self.store.turns(), [("failed", "patience")])

    def test_refused(self) -> None:
        """
        Where there is no sense in asking again, the person is told so at
        once.
        """
        self.say()
        self.assistant.fail(Refused("no such model"))
        self.assertEqual(self.sending(), [Manners().fallback])
        self.messenger.settle()
        self.assertEqual(self.store.events(), [("dead", "no such model")])
        self.assertEqual(self.store.turns(), [("failed", "no such model")])

    def test_next_turn(self) -> None:
        """
        After a turn that failed the next message is answered, and the
        assistant knows what was said before.
        """
        self.say("one")
        self.assistant.fail(Refused("no"))
        self.messenger.settle()
        self.say("two")
        self.assertEqual(self.assistant.pending[0].texts, ["one", "two"])
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [Manners().fallback, "hello"])

    def test_long_call(self) -> None:
        """
        An answer that comes after all patience, at the first time of asking,
        is still given.
        """
        self.say()
        self.wait(1000.0)
        self.assistant.answer("late")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["late"])
