"""
Tests for :mod:`micamsgr.conversation.steps`: parts that are refused, the 24
hours in which a Page may answer, and humans who answer instead.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent

from micamsgr.conversation.interfaces import Presence
from micamsgr.conversation.outcomes import InDoubt, LookedUp, NeverSent, NotSent
from micamsgr.conversation.policy import Manners
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused, RemoteError, Unavailable
from micamsgr.test.conversation_case import NEVER, ConversationTestCase
from micamsgr.testing import ALICE, BOB, CAROL, echo

HOUR = 3600.0


class RefusedTests(ConversationTestCase):
    """
    Tests for sends that surely failed.
    """

    def test_never(self) -> None:
        """
        When a part is refused for good, those behind it are withdrawn, and
        the next turn goes on.
        """
        self.say("one")
        self.assistant.answer("one|two|three")
        self.say("next")
        self.messenger.settle(NeverSent("person", "code 551"))
        self.assertEqual(
            self.states(),
            [
                (PartState.REFUSED, "person"),
                (PartState.EXPIRED, "sibling"),
                (PartState.EXPIRED, "sibling"),
            ],
        )
        self.assistant.answer("to the next")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["to the next"])

    def test_again(self) -> None:
        """
        A part that was surely not sent is sent again, with another attempt's
        number, after a rest.
        """
        self.say()
        self.assistant.answer()
        self.messenger.settle(NotSent(detail="connection refused"))
        self.assertEqual(self.sending(), [])
        self.wait(2.0)
        [sending] = self.messenger.pending
        self.assertEqual(sending.metadata, f"mica:1:{self.part().id}:2")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(len(self.assistant.asked), 1)

    def test_named(self) -> None:
        """
        Such a part waits for as long as the Graph API says.
        """
        self.say()
        self.assistant.answer()
        self.messenger.settle(NotSent(detail="later", rest=60.0))
        self.wait(59.75)
        self.assertEqual(self.sending(), [])
        self.wait(0.25)
        self.assertEqual(self.sending(), ["hello"])

    def test_keeps_order(self) -> None:
        """
        While a part waits to be sent again, nothing behind it overtakes it.
        """
        self.say("one")
        self.assistant.answer("one|two")
        self.say("next")
        self.messenger.settle(NotSent(detail="later", rest=60.0))
        self.wait(59.0)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.wait(1.0)
        self.messenger.settle_all()
        self.assistant.answer("three")
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["one", "two", "three"])

    def test_others(self) -> None:
        """
        A person who can't be reached keeps nobody else waiting.
        """
        self.say(psid=ALICE)
        self.say(psid=BOB)
        self.assistant.answer()
        self.assistant.answer()
        self.messenger.settle(NotSent(detail="later", rest=60.0))
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.messenger.texts(BOB), ["hello"])

    def test_logged(self) -> None:
        """
        What was sent is logged as information, what was refused as an error,
        and the rest as a warning; in words.
        """
        for outcome, level, words in (
            (None, LogLevel.info, "sent as m_1"),
            (
                NeverSent("person", "code 551"),
                LogLevel.error,
                "refused for good (person): code 551",
            ),
            (NotSent(detail="later"), LogLevel.warn, "surely not sent: later"),
            (
                InDoubt("timeout"),
                LogLevel.warn,
                "it may have been sent: timeout",
            ),
        ):
            self.setUp()
            self.say()
            self.assistant.answer()
            with capturedLogs() as events:
                self.messenger.settle(outcome)
            [event] = [event for event in events if "attempt" in event]
            self.assertEqual(event["log_level"], level)
            self.assertIn(f", attempt 1: {words}, in 0.000 s", formatEvent(event))

    def test_logged_look_up(self) -> None:
        """
        What a look-up tells is logged in words, also where it fails.
        """
        looks: tuple[tuple[LookedUp | RemoteError, str], ...] = (
            (LookedUp(()), "this look-up does not show it; now unknown"),
            (Unavailable("busy"), "no evidence yet: busy; now unknown"),
            (Refused("denied"), "no evidence yet: denied; now unknown"),
        )
        for looked, words in looks:
            self.setUp()
            self.messenger.look_ups = [looked]
            self.say()
            self.assistant.answer()
            self.messenger.settle(InDoubt("timeout"))
            with capturedLogs() as events:
                self.clock.advance(30)
            [event] = [event for event in events if "evidence" in event]
            self.assertIn(f"attempt 1 was in doubt: {words}", formatEvent(event))


class WindowTests(ConversationTestCase):
    """
    Tests for the 24 hours in which a Page may answer.
    """

    def test_parts(self) -> None:
        """
        What could not be sent in time is not sent any more.
        """
        self.say()
        self.assistant.answer("one|two")
        self.messenger.settle(NotSent(detail="later", rest=23.9 * HOUR))
        self.clock.advance(24 * HOUR)
        self.assertEqual(self.sending(), [])
        self.assertEqual(
            self.states(),
            [(PartState.EXPIRED, "window"), (PartState.EXPIRED, "sibling")],
        )
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_events(self) -> None:
        """
        What could not be answered in time is given up, and nothing is said.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", retry_after=24 * HOUR))
        self.restart(manners=Manners(patience=48 * HOUR, apology_after=NEVER))
        self.clock.advance(24 * HOUR)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.assertEqual(self.store.events(), [("dead", "window")])
        self.assertEqual(self.store.turns(), [("expired", "window")])

    def test_answer(self) -> None:
        """
        An answer that the assistant gives when it is too late is not sent.
        """
        self.say()
        self.clock.advance(23.9 * HOUR)
        self.assistant.answer("one|two")
        self.assertEqual(self.sending(), [])
        self.assertEqual(
            self.states(),
            [(PartState.EXPIRED, "window"), (PartState.EXPIRED, "sibling")],
        )

    def test_opened_again(self) -> None:
        """
        When the person writes again, the answer that waited may be sent.
        """
        self.say()
        self.assistant.answer("one")
        self.messenger.settle(NotSent(detail="later", rest=23.9 * HOUR))
        self.clock.advance(23 * HOUR)
        self.say("still there?")
        self.clock.advance(HOUR)
        self.assertEqual(self.sending(), ["one"])


class HumanTests(ConversationTestCase):
    """
    Tests for when a human of the Page answers.
    """

    def test_withdrawn(self) -> None:
        """
        Parts that were not sent yet are withdrawn; the one in flight is not
        sent again.
        """
        self.say()
        self.assistant.answer("one|two")
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.messenger.settle()
        self.wait(60.0)
        self.assertEqual(self.messenger.texts(), ["one"])
        self.assertEqual(
            self.states(), [(PartState.SENT, None), (PartState.EXPIRED, "human")]
        )
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_late_answer(self) -> None:
        """
        An answer that the assistant gives after that is not sent, though
        nobody could tell it so.
        """
        self.say()
        self.wait(5.0)
        self.patch(self.dispatcher, "hush", lambda conversation: None)
        self.receive(echo(at=self.clocks.now().wall))
        self.assistant.answer("too late")
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.store.events()[0], ("ignored", "human"))
        self.assertEqual(self.store.turns(), [("expired", "human")])

    def test_doubt(self) -> None:
        """
        A part in doubt is settled, and not sent again if it never arrived.
        """
        self.say()
        self.assistant.answer()
        self.wait(5.0)
        self.messenger.settle(InDoubt("timeout"))
        self.receive(echo(at=self.clocks.now().wall))
        self.wait(60.0)
        self.assertEqual(len(self.messenger.looked_up), 2)
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.states(), [(PartState.EXPIRED, "human")])
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_doubt_later(self) -> None:
        """
        That holds also if its absence is proved only when the bot is awake
        again, because it was woken or the quiet has ended.
        """
        for woken in (True, False):
            self.setUp()
            self.say()
            self.assistant.answer()
            self.wait(5.0)
            self.messenger.settle(InDoubt("timeout"))
            self.receive(echo(at=self.clocks.now().wall))
            if woken:
                self.receive(echo("bot, go on", at=self.clocks.now().wall))
            else:
                self.messenger.look_ups = [Unavailable("busy")] * 40
                self.wait(2000.0)
                self.assertTrue(self.messenger.look_ups)
                self.messenger.look_ups.clear()
            self.say("are you there?")
            self.wait(600.0)
            self.assertEqual(self.sending(), [])
            self.assertEqual(self.states(), [(PartState.EXPIRED, "human")])
            self.assertEqual(len(self.assistant.pending), 1)

    def test_not_sent(self) -> None:
        """
        A part in flight that turns out to be surely not sent is not sent
        again.
        """
        self.say()
        self.assistant.answer()
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.messenger.settle(NotSent(detail="later", rest=5.0))
        self.wait(60.0)
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.states(), [(PartState.EXPIRED, "human")])

    def test_dots(self) -> None:
        """
        The dots are not shown any more, and the assistant's place is another's.
        """
        self.restart(slots=2)
        self.say(psid=ALICE)
        self.say(psid=BOB)
        self.say("and I?", psid=CAROL)
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.assertEqual(
            [it.texts[-1] for it in self.assistant.pending], ["hi", "and I?"]
        )
        self.messenger.shown.clear()
        self.wait(15.0)
        self.assertNotIn(ALICE, [psid for psid, _ in self.messenger.shown])
        self.assertIn((BOB, Presence.TYPING), self.messenger.shown)
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assertEqual(self.slots.taken, 0)

    def test_operator(self) -> None:
        """
        What an operator says while the assistant is being asked is not kept
        back until that has answered.
        """
        self.say()
        self.speak()
        self.assertEqual(self.sending(), ["Me."])

    def test_woken_meanwhile(self) -> None:
        """
        Where the bot is woken at once, what is said then is answered, and no
        place of the assistant's is lost.
        """
        self.restart(slots=1)
        self.say("one")
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.receive(echo("bot, go on", at=self.clocks.now().wall))
        self.say("two")
        (question,) = self.assistant.pending
        self.assertEqual(question.texts[-1], "two")
        self.assistant.answer("yes")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["yes"])
        self.assertEqual(self.slots.taken, 0)
        # Of who has an answer nothing is left in memory.
        self.assertEqual(self.dispatcher._steps._answerer._asking, {})

    def test_no_dots(self) -> None:
        """
        A human may also answer when there are none.
        """
        self.say()
        self.assistant.answer()
        self.messenger.settle()
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_quiet(self) -> None:
        """
        For half an hour the bot says nothing, and shows nothing, to that
        person; after that it answers again, knowing what the human said.
        """
        self.say("one")
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.wait(5.0)
        self.receive(echo("Hello from me", at=self.clocks.now().wall))
        shown = len(self.messenger.shown)
        self.wait(1795.0)
        self.say("two")
        self.wait(10.0)
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual(len(self.messenger.shown), shown)
        self.say("three")
        [question] = self.assistant.pending
        self.assertEqual(
            question.texts, ["one", "re: one", "Hello from me", "two", "three"]
        )
