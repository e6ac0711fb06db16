"""
Tests for :mod:`micamsgr.conversation.steps`: how fast a Page sends and is
looked up, and when it does not send at all.
"""

from __future__ import annotations

from micamsgr.conversation.events import Psid
from micamsgr.conversation.outcomes import InDoubt, NotSent
from micamsgr.conversation.pacing import Pressure
from micamsgr.conversation.policy import Delivery
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.testing import ALICE, BOB, CAROL

TOKEN = NotSent(detail="code 190", rest=60.0, pause=True, alarm=True)
DOUBT = InDoubt("timeout")

# For how long those that failed let others try before them.
TRIAL = Delivery().deadline


def people(count: int) -> list[Psid]:
    """
    Name so many people.
    """
    return [Psid(f"7{number:015}") for number in range(count)]


class RateTests(ConversationTestCase):
    """
    Tests for the rates that Meta asks for.
    """

    def test_sends(self) -> None:
        """
        Of many answers that are there at once thirty go out in a second, in
        the order in which they were made.
        """
        everybody = people(100)
        for psid in everybody:
            self.say(psid, psid)
        self.assistant.answer_all()
        sent = [len(self.messenger.pending)]
        for _ in range(3):
            self.wait(1.0)
            sent.append(len(self.messenger.pending))
        self.assertEqual(sent, [30, 60, 90, 100])
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), [f"re: {psid}" for psid in everybody])

    def test_near_a_limit(self) -> None:
        """
        While a limit of the Graph API is near, answers go out at a share of
        the rate, in the order in which they were made; who waits for that
        keeps nobody from being thought about; and once it is far, all go.
        """
        self.restart(most_at_work=5)
        self.messenger.pressed(Pressure(source="messenger", share=0.1))
        everybody = people(100)
        for psid in everybody:
            self.say(psid, psid)
        self.assertEqual(len(self.assistant.pending), 100)
        self.assistant.answer_all()
        sent = []
        for _ in range(3):
            self.messenger.settle_all()
            sent.append(len(self.messenger.texts()))
            self.wait(10.0)
        self.assertEqual(sent, [3, 33, 63])
        self.messenger.pressed(Pressure(source="messenger"))
        for _ in range(12):
            self.messenger.settle_all()
            self.wait(0.25)
        self.assertEqual(self.messenger.texts(), [f"re: {psid}" for psid in everybody])

    def test_limit_reached(self) -> None:
        """
        While it is reached nothing is sent, nothing is asked of the assistant,
        and then one message at a time shows how it is.
        """
        reached = Pressure(source="messenger", share=0.01, rest=600.0)
        for psid in people(10):
            self.say(psid, psid)
        self.messenger.pressed(reached)
        self.assistant.answer_all()
        self.say("late", ALICE)
        self.wait(599.0)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.wait(2.0)
        self.assertEqual(len(self.sending()), 1)
        self.messenger.pressed(reached)
        self.messenger.settle()
        self.wait(599.0)
        self.assertEqual(self.sending(), [])
        self.messenger.pressed(Pressure(source="messenger"))
        self.assistant.answer_all()
        self.wait(1.0)
        self.messenger.settle_all()
        self.assertEqual(len(self.messenger.texts()), 11)

    def test_no_limit(self) -> None:
        """
        A rate of 0 lets everything out at once.
        """
        self.restart(delivery=Delivery(rate=0.0))
        for psid in people(100):
            self.say(psid=psid)
        self.assistant.answer_all()
        self.assertEqual(len(self.messenger.pending), 100)

    def test_withdrawn(self) -> None:
        """
        A part that meets its end while it waits for its turn is not sent.
        """
        self.restart(delivery=Delivery(rate=1.0))
        self.say("one")
        self.assistant.answer("one|two")
        self.messenger.settle()
        self.assertEqual(self.sending(), [])
        part = self.part()
        expired = self.store.database.connection.execute(
            "UPDATE part SET state = 'expired' WHERE id = ?", (part.id,)
        )
        self.assertEqual(expired.rowcount, 1)
        self.wait(60.0)
        self.assertEqual(self.messenger.texts(), ["one"])
        self.assertEqual(self.sending(), [])

    def doubt(self, count: int) -> None:
        """
        Let so many people's answers be in doubt.
        """
        self.restart(delivery=Delivery(rate=0.0), most_at_work=5)
        for psid in people(count):
            self.say("one", psid)
            self.assistant.answer("one")
            self.messenger.settle(DOUBT)

    def test_look_ups(self) -> None:
        """
        There are two look-ups in a second, and everybody gets theirs.
        """
        self.doubt(20)
        self.wait(30.0)
        counts = [len(self.messenger.looked_up)]
        for _ in range(9):
            self.wait(1.0)
            counts.append(len(self.messenger.looked_up))
        self.assertEqual(counts, [2, *range(4, 22, 2)])
        self.assertEqual(self.messenger.looked_up, people(20))

    def test_look_ups_wait(self) -> None:
        """
        However many wait to be looked up, a person without doubt is answered
        at once.
        """
        self.doubt(20)
        self.wait(31.0)
        self.say("hi", ALICE)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(ALICE), ["hello"])

    def test_look_ups_echo(self) -> None:
        """
        Nobody is looked up whose doubt an echo has ended meanwhile.
        """
        self.restart(delivery=Delivery(lookup_rate=0.5))
        for psid in (ALICE, BOB):
            self.say("hi", psid)
            self.assistant.answer("hello")
        _, bobs = self.messenger.arrive(0), self.messenger.arrive(1)
        self.messenger.settle(DOUBT)
        self.messenger.settle(DOUBT)
        self.wait(31.0)
        self.receive(bobs.echo())
        self.wait(5.0)
        self.assertEqual(self.messenger.looked_up, [ALICE])

    def test_look_ups_later(self) -> None:
        """
        Who was not looked up after all waits like everybody the next time.
        """
        self.test_look_ups_echo()
        self.wait(60.0)
        self.messenger.looked_up.clear()
        for psid in (BOB, CAROL):
            self.say("hi", psid)
            self.assistant.answer("hello")
        self.messenger.settle(DOUBT)
        self.messenger.settle(DOUBT)
        self.wait(31.0)
        self.assertEqual(self.messenger.looked_up, [BOB])
        self.wait(1.0)
        self.assertEqual(self.messenger.looked_up, [BOB, CAROL])


class PauseTests(ConversationTestCase):
    """
    Tests for trouble that is the Page's, as with an expired token.
    """

    def setUp(self) -> None:
        super().setUp()
        self.say("one", ALICE)
        self.assistant.answer("to Alice")
        self.messenger.settle(TOKEN)

    def end_pause(self) -> None:
        """
        Let the trouble be over: since nobody else has anything to send, the
        one who failed tries again.
        """
        self.wait(60.0 + TRIAL)
        self.messenger.settle()

    def test_nobody(self) -> None:
        """
        While the Page can't send, nothing is sent to anybody and the
        assistant is not asked in vain; what people say is kept.
        """
        self.say("two", BOB)
        self.wait(59.0)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.assertEqual(self.store.events(), [("done", None), ("new", None)])

    def test_under_way(self) -> None:
        """
        Answers that were being made when the trouble began wait with the
        others.
        """
        self.end_pause()
        self.say("two", BOB)
        self.say("three", CAROL)
        self.assistant.answer("to Bob")
        self.messenger.settle(TOKEN)
        self.assistant.answer("to Carol")
        self.assertEqual(self.sending(), [])
        self.wait(60.0)
        self.assertEqual(self.sending(), ["to Carol"])

    def test_one_tries(self) -> None:
        """
        After the pause one message tries, of another person than the one with
        whom the trouble began; when it got through all go on.
        """
        everybody = people(5)
        for psid in everybody:
            self.say("hi", psid)
        self.wait(60.0)
        self.assistant.answer_all()
        self.assertEqual(self.sending(), ["re: hi"])
        self.messenger.settle()
        self.assertEqual(self.sending(), ["re: hi"] * 4)
        self.messenger.settle_all()
        self.wait(60.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), [*["re: hi"] * 5, "to Alice"])

    def test_still(self) -> None:
        """
        When the one that tries fails, all wait twice as long, and those that
        have failed for another to try.
        """
        self.say("hi", BOB)
        self.wait(60.0)
        self.assistant.answer_all()
        self.messenger.settle(TOKEN)
        self.wait(119.0 + TRIAL)
        self.assertEqual(self.sending(), [])
        self.wait(1.0)
        self.assertEqual(len(self.sending()), 1)

    def test_in_flight(self) -> None:
        """
        Messages that were in flight together and fail together make one pause
        of the usual length.
        """
        self.end_pause()
        for psid in people(20):
            self.say("hi", psid)
        self.assistant.answer_all()
        while self.messenger.pending:
            self.messenger.settle(TOKEN)
        self.wait(60.0)
        self.assertEqual(len(self.sending()), 1)

    def test_since_before(self) -> None:
        """
        A message that got through, but was sent before the trouble began, is
        no sign that it is over.
        """
        self.end_pause()
        for psid in people(4):
            self.say("hi", psid)
        self.assistant.answer_all()
        self.messenger.settle(NotSent(detail="code 4", rest=5.0, pause=True), 1)
        self.messenger.settle(NotSent(detail="code 4", rest=5.0, pause=True), 1)
        self.wait(6.0)
        self.assertEqual(len(self.sending()), 3)
        self.messenger.settle()
        self.messenger.settle()
        self.assertEqual(len(self.sending()), 1)

    def test_in_line(self) -> None:
        """
        Messages that waited for their turn when the trouble began wait on.
        """
        self.end_pause()
        for psid in people(40):
            self.say("hi", psid)
        self.assistant.answer_all()
        self.assertLess(len(self.sending()), 40)
        while self.messenger.pending:
            self.messenger.settle(TOKEN)
        self.wait(59.0)
        self.assertEqual(self.sending(), [])

    def test_nothing_lost(self) -> None:
        """
        However long the trouble lasts, in the end everybody is answered once.
        """
        everybody = people(40)
        for psid in everybody:
            self.say("hi", psid)
        for _ in range(40):
            self.wait(60.0)
            self.assistant.answer_all()
            while self.messenger.pending:
                self.messenger.settle(TOKEN)
        while len(self.messenger.texts()) < 41:
            self.wait(60.0)
            self.assistant.answer_all()
            self.messenger.settle_all()
        self.wait(3600.0)
        self.assertEqual({len(self.messenger.texts(psid)) for psid in everybody}, {1})
        self.assertEqual(self.messenger.texts(ALICE), ["to Alice"])
