"""
Tests for :mod:`micamsgr.conversation.steps`: messages of which nobody knows
whether they were sent.
"""

from __future__ import annotations

from micamsgr.conversation.outcomes import InDoubt, LookedUp, NotSent, Seen
from micamsgr.conversation.policy import Manners
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.testing import ALICE, BOB, Arrived, stepped_store

DOUBT = InDoubt("timeout")

# From the intent until absence is proved.
PROOF = 40.0


class DoubtTestCase(ConversationTestCase):
    """
    An answer of one part, on its way to a person.
    """

    def setUp(self) -> None:
        super().setUp()
        self.say("hi")
        self.assistant.answer("hello")

    def metadata(self) -> list[str]:
        """
        Tell what the sends under way carry, less the part's ID.
        """
        return [s.metadata.rpartition(":")[2] for s in self.messenger.pending]


class EvidenceTests(DoubtTestCase):
    """
    Tests for how doubt ends.
    """

    def test_quarantine(self) -> None:
        """
        Until half a minute after the attempt began nothing is looked up,
        since the message might still be on its way.
        """
        self.wait(15.0)
        self.messenger.settle(DOUBT)
        self.wait(14.75)
        self.assertEqual(self.messenger.looked_up, [])
        self.wait(0.25)
        self.assertEqual(self.messenger.looked_up, [ALICE])

    def test_found(self) -> None:
        """
        A message that a look-up finds was sent, and is not sent again.
        """
        arrived = self.messenger.arrive()
        self.messenger.settle(DOUBT)
        self.wait(120.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.part().mid, arrived.mid)
        self.assertEqual(self.messenger.looked_up, [ALICE])
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_absent(self) -> None:
        """
        A message that two look-ups, ten seconds apart, don't find is sent
        again, with the next attempt's number.
        """
        self.messenger.settle(DOUBT)
        self.wait(39.75)
        self.assertEqual(self.messenger.looked_up, [ALICE])
        self.assertEqual(self.sending(), [])
        self.wait(0.25)
        self.assertEqual(self.messenger.looked_up, [ALICE, ALICE])
        self.assertEqual(self.sending(), ["hello"])
        self.assertEqual(self.metadata(), ["2"])

    def test_lagging(self) -> None:
        """
        A message that only the second look-up finds was sent.
        """
        self.messenger.arrive()
        self.messenger.look_ups.append(LookedUp(()))
        self.messenger.settle(DOUBT)
        self.wait(120.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.states(), [(PartState.SENT, None)])

    def test_earlier_words(self) -> None:
        """
        The same words that were sent before, for another turn, are no
        evidence.
        """
        self.messenger.settle()
        self.say("again")
        self.assistant.answer("hello")
        self.messenger.settle(DOUBT)
        self.wait(PROOF)
        self.assertEqual(self.sending(), ["hello"])
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello", "hello"])

    def test_clock_corrected(self) -> None:
        """
        A message is found also if only the look-up's answer tells that this
        machine's clock is fast, by an hour.
        """
        arrived = self.messenger.arrive()
        hour = 3_600_000
        seen = Seen(arrived.mid, arrived.at - hour, arrived.text)
        self.messenger.look_ups.append(LookedUp((seen,)))
        self.messenger.settle(DOUBT)
        self.wait(29.75)
        self.clocks.wall -= hour
        self.wait(0.25)
        self.assertEqual(self.part().mid, arrived.mid)

    def test_clock_not_sure(self) -> None:
        """
        While nobody knows what time it is for Meta, as just after a start with
        a wrong clock, a look-up proves nothing; then it does.
        """
        self.messenger.arrive()
        self.messenger.settle(DOUBT)
        self.clocks.sure = False
        self.clocks.wall += 90_000
        self.wait(60.0)
        self.assertGreater(len(self.messenger.looked_up), 1)
        self.assertEqual(self.sending(), [])
        self.clocks.sure = True
        self.clocks.wall -= 90_000
        self.wait(60.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.part().state, PartState.SENT)

    def test_same_words_twice(self) -> None:
        """
        Of two messages with the same words, both in doubt, each is found by
        its own: none is said again.
        """
        self.messenger.settle()
        self.restart(manners=Manners(apology_after=1.0, apology_text="soon"))
        for _ in range(2):
            self.say("and?")
            self.wait(2.0)
            self.messenger.arrive()
            self.messenger.settle(DOUBT)
            self.assistant.answer("yes")
            self.messenger.settle()
        self.wait(120.0)
        self.assertEqual(self.messenger.texts().count("soon"), 2)
        mids = {part.mid for part in self.store.parts()}
        self.assertEqual(len(mids), len(self.store.parts()))

    def test_unreachable(self) -> None:
        """
        After three attempts of which none arrived the part is given up, and
        the next turn goes on.
        """
        for attempt in ("1", "2", "3"):
            self.assertEqual(self.metadata(), [attempt])
            self.messenger.settle(DOUBT)
            self.wait(PROOF)
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.states(), [(PartState.DEAD, "unresolved")])
        self.say("still there?")
        self.assistant.answer("yes")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["yes"])

    def test_order(self) -> None:
        """
        What is behind a part in doubt waits until the doubt has ended.
        """
        self.messenger.settle()
        self.say("more")
        self.assistant.answer("one|two")
        self.say("next")
        self.messenger.settle(DOUBT)
        self.wait(PROOF - 0.25)
        self.assertEqual((self.sending(), self.assistant.pending), ([], []))
        self.wait(0.25)
        self.messenger.settle_all()
        self.assistant.answer("three")
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["hello", "one", "two", "three"])

    def test_others(self) -> None:
        """
        One person's doubt delays nobody else.
        """
        self.messenger.settle(DOUBT)
        self.say(psid=BOB)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_notice(self) -> None:
        """
        Doubt about a notice does not hold the next answer up, not even while
        it waits to be looked up.
        """
        self.messenger.settle()
        self.say("one")
        self.assistant.fail(Refused("no"))
        self.messenger.settle(DOUBT)
        self.wait(35.0)
        self.say("two")
        self.assistant.answer("two")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello", "two"])
        self.wait(PROOF)
        self.messenger.settle()
        self.assertEqual(self.messenger.texts()[2:], [Manners().fallback])


class EchoTests(DoubtTestCase):
    """
    Tests for what echoes settle.
    """

    def echo(self, arrived: Arrived, *, metadata: bool = True) -> None:
        """
        Let Meta tell of a message that arrived.
        """
        self.receive(arrived.echo(metadata=metadata))

    def test_settles(self) -> None:
        """
        An echo ends the doubt at once, and what is behind goes on.
        """
        arrived = self.messenger.arrive()
        self.say("next")
        self.messenger.settle(DOUBT)
        self.assertEqual(self.assistant.pending, [])
        self.echo(arrived)
        self.assertEqual(self.part().mid, arrived.mid)
        self.assertEqual(len(self.assistant.pending), 1)

    def test_bare(self) -> None:
        """
        An echo that says neither who sent it nor what we gave it is known by
        its words.
        """
        arrived = self.messenger.arrive()
        self.messenger.settle(DOUBT)
        self.echo(arrived, metadata=False)
        self.assertEqual(self.states(), [(PartState.SENT, None)])

    def test_before_the_answer(self) -> None:
        """
        An echo that comes before the Graph API's answer settles the part, and
        the answer changes nothing, whatever it is.
        """
        for outcome in (None, DOUBT):
            self.setUp()
            arrived = self.messenger.arrive()
            self.echo(arrived)
            self.assertEqual(self.part().state, PartState.SENT)
            self.messenger.settle(outcome)
            self.assertEqual(self.part().state, PartState.SENT)
            self.assertEqual(self.part().mid, arrived.mid)
            self.wait(120.0)
            self.assertEqual(self.messenger.texts(), ["hello"])

    def test_one_in_flight(self) -> None:
        """
        Although the echo is there, the next part waits for the answer: one
        send at a time.
        """
        self.messenger.settle()
        self.say("more")
        self.assistant.answer("one|two")
        self.echo(self.messenger.arrive())
        self.assertEqual(self.sending(), ["one"])
        self.messenger.settle()
        self.assertEqual(self.sending(), ["two"])

    def test_after_proof(self) -> None:
        """
        An echo that comes when absence was already proved, and before the
        message is sent again, still counts.
        """
        arrived = self.messenger.arrive()
        self.messenger.settle(DOUBT)
        self.messenger.look_ups += [LookedUp(())] * 2
        self.wait(39.0)
        self.say(psid=BOB)
        self.assistant.answer("to Bob")
        self.messenger.settle(NotSent(detail="code 613", rest=60.0, pause=True))
        self.wait(1.0)
        self.assertEqual(self.states()[0], (PartState.COMPOSED, None))
        self.echo(arrived)
        self.assertEqual(self.states()[0], (PartState.SENT, None))
        self.wait(75.0)
        self.assertEqual(self.sending(), ["to Bob"])


class GuardTests(ConversationTestCase):
    """
    Tests for the time between writing an intent down and sending.
    """

    def setUp(self) -> None:
        super().setUp()
        self.store, self.step = stepped_store()
        self.store.database.stepped = False
        self.restart()

    def test_slow_commit(self) -> None:
        """
        When the commit took longer than two seconds nothing is sent on the
        strength of it; the part is tried again.
        """
        self.say()
        self.store.database.stepped = True
        self.assistant.answer()
        self.wait(2.25)
        self.step()
        self.store.database.stepped = False
        self.assertEqual(self.sending(), [])
        self.step()
        [sending] = self.messenger.pending
        self.assertEqual(sending.metadata, f"mica:1:{self.part().id}:2")

    def test_fast_commit(self) -> None:
        """
        Within two seconds it is sent as soon as the commit is there, and not
        before.
        """
        self.say()
        self.store.database.stepped = True
        self.assistant.answer()
        self.wait(2.0)
        self.assertEqual(self.sending(), [])
        self.step()
        self.assertEqual(self.sending(), ["hello"])
