"""
Tests for :mod:`micamsgr.conversation.lateness`, and for when else a person is
told that an answer is late.
"""

from __future__ import annotations

from sqlite3 import IntegrityError
from typing import Any

from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent
from micamsgr.conversation.policy import Manners
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused, Unavailable
from micamsgr.testing import ALICE, BOB, CAROL, echo

from .conversation_case import ConversationTestCase

MANNERS = Manners(apology_after=20.0, apology_text="One moment")
SORRY = MANNERS.apology_text


class LateTestCase(ConversationTestCase):
    """
    A bot that apologizes after 20 seconds.
    """

    def setUp(self) -> None:
        super().setUp()
        self.restart(manners=MANNERS)


class ApologyTests(LateTestCase):
    """
    Tests for an answer that takes long.
    """

    def test_late(self) -> None:
        """
        Who waits for 20 seconds reads that the answer is late, and then the
        answer.
        """
        self.say()
        self.wait(19.75)
        self.assertEqual(self.sending(), [])
        self.wait(0.25)
        self.assertEqual(self.sending(), [SORRY])
        self.messenger.settle()
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, "hello"])
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertEqual(self.states(), [(PartState.SENT, None)] * 2)

    def test_in_time(self) -> None:
        """
        Who has the answer in time reads nothing else, then or later.
        """
        self.say()
        self.wait(19.0)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.wait(60.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.sending(), [])

    def test_once(self) -> None:
        """
        However long it takes, and however often the assistant is asked, there
        is one apology for a turn.
        """
        self.say()
        for _ in range(10):
            self.wait(30.0)
            self.messenger.settle_all()
            self.assistant.fail(Unavailable("busy"))
            while not self.assistant.pending:
                self.wait(1.0)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, "hello"])

    def test_next_turn(self) -> None:
        """
        The next answer may be late too, and then that is told as well.
        """
        for number in (1, 2):
            self.say(str(number))
            self.wait(20.0)
            self.messenger.settle()
            self.assistant.answer(f"to {number}")
            self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, "to 1", SORRY, "to 2"])

    def test_parked(self) -> None:
        """
        It is told also while the assistant rests, having failed.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", retry_after=60.0))
        self.wait(20.0)
        self.assertEqual(self.sending(), [SORRY])
        self.messenger.settle()
        self.wait(40.0)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, "hello"])

    def test_answer_waits_for_it(self) -> None:
        """
        An answer that is there while the apology is on its way follows it.
        """
        self.say()
        self.wait(20.0)
        self.assistant.answer("hello")
        self.assertEqual(self.sending(), [SORRY])
        self.messenger.settle()
        self.assertEqual(self.sending(), ["hello"])

    def test_in_doubt(self) -> None:
        """
        An apology of which nobody knows whether it arrived holds the answer
        not back, and is not said again after it.
        """
        self.say()
        self.wait(20.0)
        self.messenger.settle(InDoubt("timeout"))
        self.assistant.answer("hello")
        self.messenger.settle()
        self.wait(120.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.sending(), [])
        self.assertIn((PartState.EXPIRED, "sibling"), self.states())

    def test_not_sent(self) -> None:
        """
        An apology that could not be sent is sent later, while there is no
        answer; and not once there is one.
        """
        self.say()
        self.wait(20.0)
        self.messenger.settle(NotSent(detail="refused", rest=5.0))
        self.assistant.fail(Unavailable("busy", retry_after=100.0))
        self.wait(5.0)
        self.assertEqual(self.sending(), [SORRY])
        self.messenger.settle(NotSent(detail="refused", rest=500.0))
        self.wait(95.0)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.wait(600.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertIn((PartState.EXPIRED, "sibling"), self.states())

    def test_refused(self) -> None:
        """
        That an apology is refused for good ends nothing else.
        """
        self.say()
        self.wait(20.0)
        self.messenger.settle(NeverSent("message", "no"))
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_failed_turn(self) -> None:
        """
        Where there is no answer in the end, the person reads the apology and
        the fallback, once each.
        """
        self.say()
        self.wait(20.0)
        self.messenger.settle()
        self.assistant.fail(Refused("no"))
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, MANNERS.fallback])

    def test_human(self) -> None:
        """
        Where a human has answered, nobody apologizes.
        """
        self.say()
        self.wait(10.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.wait(60.0)
        self.assertEqual(self.sending(), [])

    def test_human_meanwhile(self) -> None:
        """
        An apology that is being sent as a human answers is not cut off, which
        would leave it in doubt.
        """
        self.say()
        self.wait(20.0)
        self.assertEqual(self.sending(), [SORRY])
        self.receive(echo(at=self.clocks.now().wall))
        self.assertEqual(self.assistant.pending, [])
        self.messenger.settle()
        self.assertEqual(self.states(), [(PartState.SENT, None)])

    def test_paused(self) -> None:
        """
        While the Page may not send at all, it sends no apology; and the
        answer, when it may again, needs none.
        """
        self.say("one", BOB)
        self.assistant.answer("hi")
        self.say("two", ALICE)
        self.messenger.settle(NotSent(detail="code 190", rest=100.0, pause=True))
        self.wait(60.0)
        self.assertEqual(self.sending(), [])

    def test_store_fails(self) -> None:
        """
        An apology that can't be written down is not sent; it is when it can.
        """
        self.say()
        self.store.database.failing = True
        self.wait(30.0)
        self.assertEqual(self.sending(), [])
        self.store.database.failing = False
        self.wait(1.0)
        self.assertEqual(self.sending(), [SORRY])

    def test_defect(self) -> None:
        """
        A defect in apologizing costs the apology, and nothing else.
        """
        text: Any = None
        self.restart(manners=Manners(apology_text=text))
        self.say()
        self.wait(60.0)
        self.assertEqual(len(self.flushLoggedErrors(IntegrityError)), 1)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])


class BacklogTests(LateTestCase):
    """
    Tests for more people than the assistant can be asked for.
    """

    def test_hungry(self) -> None:
        """
        Who waits for one of the assistant's slots is told so in time, and
        keeps the place in the queue.
        """
        self.restart(manners=MANNERS, slots=1)
        for psid in (ALICE, BOB, CAROL):
            self.say(psid, psid)
            self.wait(1.0)
        self.wait(19.0)
        self.messenger.settle_all()
        self.assertEqual(
            [self.messenger.texts(it) for it in (ALICE, BOB, CAROL)], [[SORRY]] * 3
        )
        order = []
        while self.assistant.pending:
            order.append(self.assistant.pending[0].texts[-1])
            self.assistant.answer("hello")
            self.messenger.settle_all()
        self.assertEqual(order, [ALICE, BOB, CAROL])
        self.assertEqual(self.messenger.texts(BOB), [SORRY, "hello"])

    def test_newcomers(self) -> None:
        """
        Who was told so stays before those who come later.
        """
        self.restart(manners=MANNERS, slots=1)
        self.say("one", ALICE)
        self.say("two", BOB)
        self.wait(20.0)
        self.say("three", CAROL)
        self.messenger.settle_all()
        self.assistant.answer("hello")
        self.messenger.settle_all()
        self.assertEqual(self.assistant.pending[0].texts, ["two"])

    def test_not_sent_while_waiting(self) -> None:
        """
        An apology that could not be sent is sent a little later, also to who
        still waits for a slot.
        """
        self.restart(manners=MANNERS, slots=1)
        self.say("one", BOB)
        self.say("two", ALICE)
        self.wait(20.0)
        sorry = [it.conversation.psid for it in self.messenger.pending]
        self.messenger.settle(NotSent(detail="busy", rest=1.0), sorry.index(ALICE))
        self.messenger.settle()
        self.wait(1.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(ALICE), [SORRY])

    def test_patience_while_waiting(self) -> None:
        """
        Who was asked for in vain, and then waits for a slot, is told in the
        end that there is no answer.
        """
        self.restart(manners=MANNERS, slots=1)
        self.say("one", ALICE)
        self.say("two", BOB)
        self.assistant.fail(Unavailable("busy"))
        self.wait(MANNERS.patience + 1.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(ALICE), [SORRY, MANNERS.fallback])
        self.assertEqual(len(self.assistant.pending), 1)

    def test_slot_given_back(self) -> None:
        """
        An answer that waits for an apology to arrive holds no slot.
        """
        self.restart(manners=MANNERS, slots=1)
        self.say("one", ALICE)
        self.wait(20.0)
        self.say("two", BOB)
        self.assistant.answer("hello")
        self.assertEqual([it.texts for it in self.assistant.pending], [["two"]])
        self.assertEqual(self.sending(), [SORRY])

    def test_stopped(self) -> None:
        """
        A stop leaves no timer behind, whoever waits for what.
        """
        self.restart(manners=MANNERS, slots=1)
        self.say("one", ALICE)
        self.say("two", BOB)
        stopping = self.dispatcher.stopService()
        self.clock.advance(10.0)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_apologizing(self) -> None:
        """
        A stop lets an apology that is being sent finish, and loses nothing of
        what is known of it.
        """
        self.say()
        self.wait(20.0)
        stopping = self.dispatcher.stopService()
        self.clock.advance(10.0)
        self.successResultOf(stopping)
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RestartTests(LateTestCase):
    """
    Tests for a restart while an answer is late.
    """

    def test_known(self) -> None:
        """
        After a kill nobody is told a second time.
        """
        self.say()
        self.wait(20.0)
        self.messenger.settle()
        self.kill()
        self.wait(60.0)
        self.assertEqual(self.sending(), [])
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), [SORRY, "hello"])

    def test_grace(self) -> None:
        """
        After an outage an answer that comes at once needs no apology; one
        that doesn't is announced after two seconds.
        """
        self.say("one", ALICE)
        self.say("two", BOB)
        self.boot("second boot", 60.0)
        self.assistant.answer("hello")
        self.wait(1.75)
        self.assertEqual(self.sending(), ["hello"])
        self.wait(0.25)
        self.assertEqual(self.sending(), ["hello", SORRY])
