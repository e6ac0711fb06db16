"""
Tests for who has a thread: the bot, a human, or another app.
"""

from __future__ import annotations

import os

from micamsgr.conversation.events import Control, Psid
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import arrival
from micamsgr.conversation.states import EventState, PartState
from micamsgr.errors import Refused
from micamsgr.testing import ALICE, BOB, BOT, INBOX, PAGE, echo, said

from .conversation_case import ConversationTestCase

OURS, OTHER = "731904582216637", "446677889900112"


def control(
    kind: str, owner: str | None = INBOX, *, at: int, psid: Psid = ALICE
) -> Control:
    """
    Make the event that a thread gets another owner, or is to have one.
    """
    return Control(
        key=os.urandom(16), page=PAGE, psid=psid, at=at, kind=kind, owner=owner
    )


class ControlTestCase(ConversationTestCase):
    """
    A bot whose app is known.
    """

    app: str | None = OURS

    def happen(self, kind: str, owner: str | None = INBOX) -> None:
        """
        Let the thread get another owner, a second from now.
        """
        self.wait(1.0)
        self.receive(control(kind, owner, at=self.clocks.now().wall))


class TakeoverTests(ControlTestCase):
    """
    Tests for a thread that somebody else takes.
    """

    def quiet_after(self, kind: str, owner: str | None) -> bool:
        """
        Say whether the bot is quiet after that.
        """
        self.happen(kind, owner)
        self.say()
        if self.assistant.pending:
            self.assistant.answer_all()
            self.messenger.settle_all()
            return False
        return True

    def test_taken(self) -> None:
        """
        Where another app takes the thread, or asks for it, or gets it, the
        bot is quiet.
        """
        for kind in (
            "take_thread_control",
            "request_thread_control",
            "pass_thread_control",
        ):
            for owner in (INBOX, OTHER):
                self.assertTrue(self.quiet_after(kind, owner), (kind, owner))
                self.happen("pass_thread_control", OURS)

    def test_given_back(self) -> None:
        """
        Where the thread is passed back, the bot answers at once what is said
        then.
        """
        self.assertTrue(self.quiet_after("take_thread_control", INBOX))
        self.assertFalse(self.quiet_after("pass_thread_control", OURS))

    def test_owner_unknown(self) -> None:
        """
        Who is told that a thread is passed, and not to whom, has got it;
        and who is told that it is taken has lost it.
        """
        self.assertTrue(self.quiet_after("take_thread_control", None))
        self.assertFalse(self.quiet_after("pass_thread_control", None))

    def test_our_app_unknown(self) -> None:
        """
        Where the operator does not say which app is ours, a pass is to us
        unless it is to one of Meta's inboxes.
        """
        self.app = None
        self.assertTrue(self.quiet_after("pass_thread_control", INBOX))
        self.assertFalse(self.quiet_after("pass_thread_control", OTHER))
        self.assertTrue(self.quiet_after("take_thread_control", OTHER))

    def test_while_composed(self) -> None:
        """
        What is composed and not sent is withdrawn, and never sent.
        """
        self.say()
        self.assistant.answer("one|two|three")
        self.happen("take_thread_control")
        self.messenger.settle()
        self.wait(7200.0)
        self.assertEqual(self.messenger.texts(), ["one"])
        self.assertEqual(
            self.states(),
            [
                (PartState.SENT, None),
                (PartState.EXPIRED, "human"),
                (PartState.EXPIRED, "human"),
            ],
        )

    def test_while_asking(self) -> None:
        """
        The assistant is not asked any longer; what was asked is history.
        """
        self.say("hi")
        self.happen("take_thread_control")
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.store.events()[0], ("ignored", "human"))
        self.happen("pass_thread_control", OURS)
        self.say("again")
        self.assertEqual(self.assistant.pending[0].texts, ["hi", "again"])

    def test_over(self) -> None:
        """
        After its time of quiet the bot answers again, though nobody passed
        anything back.
        """
        self.assertTrue(self.quiet_after("take_thread_control", INBOX))
        self.wait(1800.0)
        self.say()
        self.assertEqual(len(self.assistant.pending), 1)

    def test_restart(self) -> None:
        """
        The quiet survives a kill.
        """
        self.happen("take_thread_control")
        self.kill()
        self.say()
        self.assertEqual(self.assistant.pending, [])

    def test_never(self) -> None:
        """
        With no time to be quiet for, the bot takes no notice.
        """
        self.handover = Handover(quiet=0.0)
        self.assertFalse(self.quiet_after("take_thread_control", INBOX))

    def test_old(self) -> None:
        """
        What happened so long ago that the bot would be awake again changes
        nothing.
        """
        self.wait(1.0)
        self.receive(
            control("take_thread_control", at=self.clocks.now().wall - 1_800_000)
        )
        self.say()
        self.assertEqual(len(self.assistant.pending), 1)


class RefusedTests(ControlTestCase):
    """
    Tests for an answer that is refused since another app has the thread.
    """

    def test_quiet(self) -> None:
        """
        The bot is quiet in that conversation, and in no other; the rest of
        the answer is withdrawn.
        """
        self.say()
        self.assistant.answer("one|two")
        self.messenger.settle(NeverSent("thread", "code 2018300", human=True))
        self.say("still there?")
        self.say("and me?", BOB)
        self.assertEqual([it.texts for it in self.assistant.pending], [["and me?"]])
        self.assertEqual(
            self.states(),
            [(PartState.REFUSED, "thread"), (PartState.EXPIRED, "sibling")],
        )
        self.wait(1800.0)
        self.say("now?")
        self.assertEqual(len(self.assistant.pending), 2)


class PassOnTests(ControlTestCase):
    """
    Tests for a thread that is passed on, since there is no answer.
    """

    def setUp(self) -> None:
        super().setUp()
        self.handover = Handover(pass_to=INBOX)
        self.restart(handover=self.handover)

    def test_passed(self) -> None:
        """
        Once the person has read that there is no answer, the thread is the
        inbox's.
        """
        self.say()
        self.assistant.fail(Refused("no"))
        self.assertEqual(self.messenger.passed_on, [])
        self.messenger.settle()
        self.assertEqual(self.messenger.passed_on, [(ALICE, INBOX)])

    def test_in_time(self) -> None:
        """
        It is passed after the notice has arrived, and not while that is in
        doubt.
        """
        self.say()
        self.assistant.fail(Refused("no"))
        self.messenger.settle(NotSent(detail="busy", rest=1.0))
        self.wait(1.0)
        told = self.messenger.arrive()
        self.messenger.settle(InDoubt("timeout"))
        self.assertEqual(self.messenger.passed_on, [])
        self.receive(told.echo())
        self.assertEqual(self.messenger.passed_on, [(ALICE, INBOX)])

    def test_killed(self) -> None:
        """
        Where the daemon is killed meanwhile, the next one passes it on; once
        it was, nobody does again.
        """
        self.say()
        self.assistant.fail(Refused("no"))
        told = self.messenger.arrive()
        self.kill()
        self.receive(told.echo())
        self.assertEqual(self.messenger.passed_on, [(ALICE, INBOX)])
        self.kill()
        self.wait(60.0)
        self.assertEqual(self.messenger.passed_on, [])

    def test_killed_after_the_notice(self) -> None:
        """
        So it does where only that was left to do.
        """
        self.say()
        self.assistant.fail(Refused("no"))
        (notice,) = self.store.parts()
        told = self.messenger.arrive()
        self.kill()
        self.dispatcher.stopService()
        self.keep(told.echo())
        self.kill()
        self.assertEqual(self.messenger.passed_on, [(ALICE, INBOX)])
        self.assertEqual(self.store.parts()[0].id, notice.id)

    def test_answered(self) -> None:
        """
        Where there is an answer, the thread is kept.
        """
        self.say()
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.passed_on, [])

    def test_not_wanted(self) -> None:
        """
        Nor is it passed on unless the operator wants it.
        """
        self.restart(handover=Handover())
        self.say()
        self.assistant.fail(Refused("no"))
        self.messenger.settle()
        self.assertEqual(self.messenger.passed_on, [])


class ArrivalTests(ControlTestCase):
    """
    Tests for what else becomes of such an event.
    """

    def test_ended(self) -> None:
        """
        It is kept, and needs no answer.
        """
        self.happen("take_thread_control")
        self.assertEqual(self.store.events(), [("ignored", "take_thread_control")])

    def test_window(self) -> None:
        """
        It doesn't open Meta's 24-hour window, which only the person does.
        """
        event = control("pass_thread_control", OURS, at=0)
        taken = arrival(
            event, bot=BOT, ours=True, now=self.clocks.now(), handover=Handover()
        )
        self.assertEqual((taken.state, taken.opens), (EventState.IGNORED, False))

    def test_beside_echoes(self) -> None:
        """
        A human's words are history also after the thread was taken.
        """
        self.happen("take_thread_control")
        self.wait(1.0)
        self.receive(echo("I am here", at=self.clocks.now().wall))
        self.happen("pass_thread_control", OURS)
        self.receive(said("hi", at=self.clocks.now().wall))
        self.assertEqual(self.assistant.pending[0].texts, ["I am here", "hi"])
