"""
Tests for what becomes of the bot's plans when a human answers.
"""

from __future__ import annotations

from attrs import evolve

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Echo, Event, Mid
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.outcomes import Absent, InDoubt, Sent
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Change, next_step
from micamsgr.conversation.policy import Delivery, Handover, Manners
from micamsgr.test.test_store_record import (
    MINUTE,
    SECOND,
    RecordCase,
    arriving,
    moment,
)
from micamsgr.testing import BOB, BOT, NOW, echo, said


class TakeoverTests(RecordCase):
    """
    Tests for a human who answers from the Page's inbox.
    """

    def human(self, text: str = "Let me help.", after: int = MINUTE) -> Echo:
        """
        Make the echo of a human's words.
        """
        return echo(text, at=NOW + after)

    def take_over(self, after: int = MINUTE) -> Recorded:
        return self.record(self.human(after=after), after=after)

    def test_told(self) -> None:
        """
        It is told in which conversation a human has taken over.
        """
        self.record(said())
        self.assertEqual(self.take_over().takeovers, ((BOT, 1),))

    def test_waiting_message(self) -> None:
        """
        The human answers what waited for the bot, and the bot does not.
        """
        self.record(said())
        self.take_over()
        self.assertEqual(
            self.store.events(), [("ignored", "human"), ("ignored", "echo")]
        )
        self.assertEqual(self.waiting(), [])

    def test_while_asking(self) -> None:
        """
        An answer that the assistant was still thinking about is not given.
        """
        self.record(said())
        turn = self.begin().turn
        self.take_over()
        part = Part(id="p", turn=turn.id, kind=Kind.ANSWER, number=1, text="late")
        situation = self.now(
            self.store.compose(turn, "late", [part], 7, moment(MINUTE))
        )
        self.assertEqual(situation.parts, ())
        self.assertEqual(self.store.parts(), [])
        self.assertEqual(self.store.turns(), [("expired", "human")])

    def test_not_yet_sent(self) -> None:
        """
        What was not sent yet is withdrawn; what is being sent is not.
        """
        self.record(said())
        first, _ = self.compose("one", "two")
        self.take_over()
        self.assertEqual(self.states(), ["sending", "expired (human)"])
        self.settle(first, Sent(Mid("m_1")))
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_delivered_late(self) -> None:
        """
        A human's words that Meta delivers hours later keep the bot from
        nothing that was asked since.
        """
        self.record(said(at=NOW + 180 * MINUTE), after=180 * MINUTE)
        late = self.record(self.human(), after=180 * MINUTE)
        self.assertEqual(late.takeovers, ())
        self.assertEqual(self.waiting(), [1])

    def unsure(self, event: Event, wall: int = 0) -> Recorded:
        """
        Record an event before Meta's clock has been heard of.

        :param wall: by how many milliseconds this machine's is wrong.
        """
        now = evolve(moment(wall), sure=False)
        return self.now(self.store.record([arriving(event)], now))

    def test_quiet_after_start(self) -> None:
        """
        Restarted while a human answers, the bot is quiet from the first
        message on, and not only once it knows what time it is for Meta.
        """
        self.record(said())
        self.take_over()
        self.assertEqual(self.unsure(said(at=NOW + 2 * MINUTE)).wake, ())
        self.assertEqual(self.unsure(said(at=NOW + 120 * MINUTE)).wake, ((BOT, 1),))

    def test_clock_wrong(self) -> None:
        """
        A human takes over also where this machine's clock is hours off, and
        nobody knows yet.
        """
        for hours in (-50, 50):
            self.record(said())
            wall = hours * 60 * MINUTE
            self.assertEqual(
                self.unsure(self.human(), wall).takeovers, ((BOT, 1),), hours
            )
            self.assertEqual(self.record(said(), after=2 * MINUTE).wake, (), hours)

    def test_all_withdrawn(self) -> None:
        """
        With the last of its parts withdrawn a turn is over.
        """
        self.record(said())
        first, _ = self.compose("one", "two")
        self.settle(first, Sent(Mid("m_1")))
        self.take_over()
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertEqual(self.waiting(), [])

    def prove_absent(self) -> None:
        """
        Find twice that the part in doubt was not sent, and do what follows.
        """
        for after in (MINUTE, 2 * MINUTE):
            (doubtful,) = self.situation().parts
            now = moment(after)
            self.change(
                doubtful,
                lifecycle.after_look_up(doubtful, Absent(), now, Delivery()),
            )
        step = next_step(self.situation(), now, Delivery(), Manners())
        assert isinstance(step, Change)
        self.change(step.part, step.after)

    def test_in_doubt(self) -> None:
        """
        What is in doubt, and turns out not to have been sent, is not sent
        again, whether or not the bot was woken meanwhile.
        """
        for woken in (False, True):
            self.setUp()
            self.record(said())
            (part,) = self.compose("one")
            self.settle(part, InDoubt("timeout"))
            self.take_over()
            if woken:
                self.record(self.human("bot, go on"), after=MINUTE)
            self.prove_absent()
            self.assertEqual(self.states(), ["expired (human)"])
            self.assertEqual(self.store.turns(), [("closed", None)])

    def test_in_flight(self) -> None:
        """
        So it is with what was being sent when the human answered, of which
        the sender knew nothing.
        """
        self.record(said())
        (part,) = self.compose("one")
        self.take_over()
        self.settle(part, InDoubt("timeout"))
        self.prove_absent()
        self.assertEqual(self.states(), ["expired (human)"])

    def test_quiet(self) -> None:
        """
        What is said while the human is at it stays unanswered.
        """
        self.record(said())
        self.take_over()
        recorded = self.record(said(at=NOW + 2 * MINUTE), after=2 * MINUTE)
        self.assertEqual(recorded.wake, ())
        self.assertEqual(self.store.events()[-1], ("ignored", "human"))

    def test_earlier_words_come_later(self) -> None:
        """
        What a human said earlier, and is delivered later, doesn't end the quiet
        any sooner.
        """
        self.take_over(10 * MINUTE)
        self.record(self.human("Hello", after=MINUTE), after=11 * MINUTE)
        self.record(said(at=NOW + 35 * MINUTE), after=35 * MINUTE)
        self.assertEqual(self.store.events()[-1], ("ignored", "human"))

    def test_quiet_is_over(self) -> None:
        """
        After half an hour without a human's word the bot answers again.
        """
        self.record(said())
        self.take_over(after=MINUTE)
        self.take_over(after=5 * MINUTE)
        for after, wake in ((34 * MINUTE, ()), (35 * MINUTE, ((BOT, 1),))):
            recorded = self.record(said(at=NOW + after), after=after)
            self.assertEqual(recorded.wake, wake)

    def test_only_there(self) -> None:
        """
        In other conversations the bot goes on.
        """
        self.record(said(), said(psid=BOB))
        self.take_over()
        self.assertEqual(self.waiting(), [2])

    def test_history(self) -> None:
        """
        The assistant knows later what the person and the human said, in the
        order in which they said it.
        """
        self.record(said("hi"))
        (part,) = self.compose("hello")
        self.settle(part, Sent(Mid("m_1")))
        self.record(said("please", at=NOW + 2), said("a human", at=NOW + 1))
        self.take_over()
        after = 2 * MINUTE
        self.record(said("thanks", at=NOW + after), after=after)
        after = 60 * MINUTE
        self.record(said("hi again", at=NOW + after), after=after)
        self.assertEqual(
            self.asked(),
            [
                ("person", "hi"),
                ("bot", "hello"),
                ("person", "a human"),
                ("person", "please"),
                ("human", "Let me help."),
                ("person", "thanks"),
                ("person", "hi again"),
            ],
        )

    def test_picture(self) -> None:
        """
        A human who sends a picture without words has taken over too, and adds
        nothing to what the assistant reads.
        """
        self.record(said("hi"))
        recorded = self.record(self.human(""), after=MINUTE)
        self.assertEqual(recorded.takeovers, ((BOT, 1),))
        after = 60 * MINUTE
        self.record(said("hi again", at=NOW + after), after=after)
        self.assertEqual(self.asked(), [("person", "hi"), ("person", "hi again")])

    def test_wake(self) -> None:
        """
        The agreed word of the human wakes the bot at once, and is not part of
        what was said.
        """
        self.record(said("hi"))
        self.take_over()
        after = 2 * MINUTE
        woken = self.record(self.human(" Bot, go on", after), after=after)
        self.assertEqual(woken.takeovers, ())
        recorded = self.record(said("well?", at=NOW + after), after=after)
        self.assertEqual(recorded.wake, ((BOT, 1),))
        self.assertEqual(
            self.asked(),
            [("person", "hi"), ("human", "Let me help."), ("person", "well?")],
        )

    def test_wake_withdraws_nothing(self) -> None:
        """
        The word that wakes a bot which is awake changes nothing.
        """
        self.record(said("hi"))
        self.record(self.human("bot, go on"), after=MINUTE)
        self.assertEqual(self.asked(), [("person", "hi")])

    def test_instant_reply(self) -> None:
        """
        What the Page says within 3 seconds of the message that opens a
        conversation is Meta's own instant reply, and no human's.
        """
        self.record(said())
        self.assertEqual(self.take_over(after=3 * SECOND).takeovers, ())
        self.assertEqual(self.take_over(after=3 * SECOND + 1).takeovers, ((BOT, 1),))

    def test_instant_reply_only_at_the_opening(self) -> None:
        """
        What the Page says within 3 seconds of a later message is a human's.
        """
        self.record(said())
        self.record(said(at=NOW + MINUTE), after=MINUTE)
        self.assertEqual(self.take_over(after=MINUTE + SECOND).takeovers, ((BOT, 1),))

    def test_reopened(self) -> None:
        """
        A message after a day of silence opens the conversation anew.
        """
        self.record(said())
        day = 24 * 60 * MINUTE
        for after, takeovers in ((day, ((BOT, 1),)), (2 * day + 1, ())):
            self.record(said(at=NOW + after), after=after)
            self.assertEqual(self.take_over(after=after + 1).takeovers, takeovers)

    def test_human_first(self) -> None:
        """
        A human who writes first has taken over, and is not answered.
        """
        self.assertEqual(self.take_over().takeovers, ((BOT, 1),))
        recorded = self.record(said(at=NOW + 2 * MINUTE), after=2 * MINUTE)
        self.assertEqual(recorded.wake, ())

    def test_not_counted(self) -> None:
        """
        Where takeovers are switched off, the bot answers on.
        """
        self.record(said())
        recorded = self.record(self.human(), after=MINUTE, handover=Handover(quiet=0.0))
        self.assertEqual(recorded.takeovers, ())
        self.assertEqual(self.waiting(), [1])

    def test_message_with_takeover(self) -> None:
        """
        A message that comes in one POST with a human's answer to it stays
        unanswered.
        """
        self.record(said(), self.human(), after=MINUTE)
        self.assertEqual(self.waiting(), [])
