"""
Tests for :mod:`micamsgr.conversation.dispatcher`: who is worked on when.
"""

from __future__ import annotations

from micamsgr.conversation.outcomes import InDoubt, NotSent
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.states import PartState
from micamsgr.errors import Unavailable
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.test.test_steps_pace import people
from micamsgr.testing import ALICE, BOB, CAROL, echo, said


class ConcurrencyTests(ConversationTestCase):
    """
    Tests for many conversations at a time.
    """

    def test_ten_people(self) -> None:
        """
        Ten people who write at once are answered at once.
        """
        everybody = people(10)
        self.receive(*(said("hi", psid) for psid in everybody))
        self.assertEqual(len(self.assistant.pending), 10)
        self.assistant.answer_all()
        self.assertEqual(len(self.messenger.pending), 10)
        self.messenger.settle_all()
        for psid in everybody:
            self.assertEqual(self.messenger.texts(psid), ["re: hi"])

    def test_one_each(self) -> None:
        """
        However often one person writes, the assistant is asked for one turn,
        and one message is in flight, at a time.
        """
        for text in ("one", "two", "three"):
            self.say(text)
        self.assertEqual(len(self.assistant.pending), 1)
        self.assistant.answer("a|b")
        for text in ("four", "five"):
            self.say(text)
        self.assertEqual(len(self.messenger.pending), 1)
        self.assertEqual(len(self.assistant.pending), 0)

    def test_slow_answer(self) -> None:
        """
        A person for whom the assistant needs a minute keeps nobody waiting.
        """
        self.say("hard", ALICE)
        self.wait(10.0)
        self.say("easy", BOB)
        self.assistant.answer("hello", 1)
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(BOB), ["hello"])

    def test_slow_sends(self) -> None:
        """
        A person to whom the Graph API is slow keeps nobody waiting.
        """
        self.say(psid=ALICE)
        self.assistant.answer()
        self.say(psid=BOB)
        self.assistant.answer()
        self.messenger.settle(which=1)
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_most_at_work(self) -> None:
        """
        While as many conversations as may be are being sent to, another one
        waits until one of them is done; who came first is first.
        """
        self.restart(most_at_work=3)
        for psid in people(3):
            self.say("hi", psid)
        self.assistant.answer_all()
        for psid in (BOB, ALICE):
            self.say(psid, psid)
        self.assertEqual(self.assistant.pending, [])
        self.messenger.settle()
        self.assertEqual([q.texts for q in self.assistant.pending], [[BOB], [ALICE]])

    def test_asking_is_not_work(self) -> None:
        """
        Those for whom the assistant is being asked do not count as being
        worked on.
        """
        self.restart(most_at_work=1)
        for psid in people(20):
            self.say("hi", psid)
        self.assertEqual(len(self.assistant.pending), 20)


class SlotTests(ConversationTestCase):
    """
    Tests for how many times at once the assistant is asked.
    """

    def setUp(self) -> None:
        super().setUp()
        self.restart(slots=2)

    def asked(self) -> list[str]:
        """
        Tell about what the assistant is being asked.
        """
        return [question.texts[-1] for question in self.assistant.pending]

    def test_limit(self) -> None:
        """
        The assistant is asked for no more turns at once than it has slots,
        and the others follow in the order in which they came.
        """
        for psid in people(6):
            self.say(psid, psid)
        self.assertEqual(self.asked(), people(6)[:2])
        for served in range(1, 5):
            self.assistant.answer()
            self.messenger.settle()
            self.assertEqual(self.asked(), people(6)[served : served + 2])

    def test_sending(self) -> None:
        """
        A conversation that has its answer and sends it holds no slot, however
        slow the Graph API is.
        """
        for psid in people(3):
            self.say(psid, psid)
        self.assistant.answer()
        self.assertEqual(len(self.messenger.pending), 1)
        self.assertEqual(self.asked(), people(3)[1:])

    def test_parked(self) -> None:
        """
        A turn that rests because the assistant failed holds no slot.
        """
        for psid in people(4):
            self.say(psid, psid)
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        self.assertEqual(self.asked(), people(4)[2:])

    def test_again(self) -> None:
        """
        A person who was answered and writes again waits behind those who have
        waited longer.
        """
        for psid in (ALICE, BOB, CAROL):
            self.say(psid, psid)
        self.assistant.answer()
        self.say("more", ALICE)
        self.messenger.settle()
        self.assertEqual(self.asked(), [BOB, CAROL])
        self.assistant.answer()
        self.assertEqual(self.asked(), [CAROL, "more"])

    def test_not_needed(self) -> None:
        """
        A slot that was kept for somebody who needs none any more, as when a
        human has answered, is free again.
        """
        self.restart(slots=1)
        for psid in (ALICE, BOB):
            self.say(psid, psid)
        self.wait(5.0)
        self.receive(echo(psid=BOB, at=self.clocks.now().wall))
        self.assistant.answer()
        self.assertEqual(self.asked(), [])
        self.say(CAROL, CAROL)
        self.assertEqual(self.asked(), [CAROL])

    def test_defect(self) -> None:
        """
        A slot is free again whatever became of the turn.
        """
        for psid in people(3):
            self.say(psid, psid)
        self.assistant.fail(RuntimeError("a defect"))
        self.assertEqual(self.asked(), people(3)[1:])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class StopTests(ConversationTestCase):
    """
    Tests for a stop in peace.
    """

    def test_idle(self) -> None:
        """
        Stopping when there is nothing to do is done at once, and leaves no
        timer.
        """
        self.successResultOf(self.dispatcher.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_send(self) -> None:
        """
        Stopping waits for the send in flight, and begins no other.
        """
        self.say()
        self.assistant.answer("one|two")
        stopping = self.dispatcher.stopService()
        self.assertNoResult(stopping)
        self.messenger.settle()
        self.successResultOf(stopping)
        self.assertEqual(self.sending(), [])
        self.assertEqual(
            self.states(), [(PartState.SENT, None), (PartState.COMPOSED, None)]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answer(self) -> None:
        """
        Stopping waits for an answer that is being made; it is kept, and sent
        after the next start.
        """
        self.say()
        stopping = self.dispatcher.stopService()
        self.assistant.answer()
        self.successResultOf(stopping)
        self.assertEqual(self.sending(), [])
        self.kill()
        self.assertEqual(self.sending(), ["hello"])
        self.assertEqual(self.assistant.asked, [])

    def test_begins_nothing(self) -> None:
        """
        What is said while it stops is kept, and answered after the next
        start.
        """
        self.say("one", BOB)
        stopping = self.dispatcher.stopService()
        self.say("two", ALICE)
        self.assertEqual(len(self.assistant.asked), 1)
        self.assistant.answer()
        self.successResultOf(stopping)
        self.kill()
        self.assertEqual([q.texts for q in self.assistant.asked], [["two"]])

    def test_resting(self) -> None:
        """
        Nothing that rests, waits for a slot or waits for its turn holds a
        stop up, or leaves a timer.
        """
        self.restart(slots=1, delivery=Delivery(rate=1.0))
        self.say("rests", ALICE)
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        for psid in people(3):
            self.say("hi", psid)
        stopping = self.dispatcher.stopService()
        self.assistant.answer()
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """
        After ten seconds what is still in flight is cut off: the answer is
        asked for again, and the send is in doubt.
        """
        self.say("one", ALICE)
        self.say("two", BOB)
        self.assistant.answer("hello")
        self.wait(1.0)
        stopping = self.dispatcher.stopService()
        self.wait(9.75)
        self.assertNoResult(stopping)
        self.wait(0.25)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.kill()
        self.assertEqual([q.texts for q in self.assistant.asked], [["two"]])

    def test_waiting_to_send(self) -> None:
        """
        A part that waits for its turn holds no stop up, and is not sent when
        its turn comes, also if that is while others finish.
        """
        for others in (False, True):
            self.setUp()
            self.restart(delivery=Delivery(rate=1.0))
            if others:
                self.say(psid=BOB)
            self.say()
            self.assistant.answer("one|two", which=others)
            self.messenger.settle()
            stopping = self.dispatcher.stopService()
            self.assertEqual(stopping.called, not others)
            self.wait(2.0)
            self.assertEqual(self.sending(), [])
            self.assertEqual(self.part().state, PartState.COMPOSED)
            if others:
                self.assistant.answer()
            self.successResultOf(stopping)
            self.assertEqual(self.clock.getDelayedCalls(), [])


class RestartTests(ConversationTestCase):
    """
    Tests for a process that was killed and is started again.
    """

    def test_new(self) -> None:
        """
        What was kept and not begun is answered.
        """
        self.dispatcher.stopService()
        self.say("hi")
        self.kill()
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_generating(self) -> None:
        """
        A turn for which the assistant was being asked is asked for again, at
        once, and what was said since waits for the next one.
        """
        self.say("one")
        self.say("two")
        self.kill()
        self.assertEqual([q.texts for q in self.assistant.pending], [["one"]])
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assistant.answer_all()
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["re: one", "re: two"])

    def test_parked(self) -> None:
        """
        A turn that rests goes on to rest.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        self.wait(50.0)
        self.kill()
        self.wait(9.75)
        self.assertEqual(self.assistant.pending, [])
        self.wait(0.25)
        self.assertEqual(len(self.assistant.pending), 1)

    def test_parked_reboot(self) -> None:
        """
        After a reboot nothing rests any more.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        self.boot("second boot", seconds=5.0)
        self.assertEqual(len(self.assistant.pending), 1)

    def test_between_parts(self) -> None:
        """
        Parts that were not sent yet are sent, in order, and the assistant is
        not asked again.
        """
        self.say()
        self.assistant.answer("one|two|three")
        self.messenger.settle()
        self.messenger.settle(NotSent(detail="later", rest=1.0))
        self.kill()
        self.wait(1.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["one", "two", "three"])
        self.assertEqual(self.assistant.asked, [])

    def test_many(self) -> None:
        """
        Of many conversations everybody's is taken up, whatever it waited for,
        and everybody is answered once.
        """
        everybody = people(1200)
        self.restart(delivery=Delivery(rate=0.0, lookup_rate=0.0), slots=5000)
        for psid in everybody[:600]:
            self.say("hi", psid)
        for _ in range(400):
            self.assistant.answer()
        for _ in range(200):
            self.messenger.settle(InDoubt("timeout"))
        self.dispatcher.stopService()
        for psid in everybody[600:]:
            self.say("hi", psid)
        self.kill()
        self.wait(0.5)
        self.assertEqual(len(self.assistant.pending), 800)
        for _ in range(4):
            self.wait(10.0)
            self.assistant.answer_all()
            self.messenger.settle_all()
        counts = {len(self.messenger.texts(psid)) for psid in everybody}
        self.assertEqual(counts, {1})
