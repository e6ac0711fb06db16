"""
Tests for how echoes settle what the bot said.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Echo, Mid
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.outcomes import Absent, InDoubt, NotSent, Sent
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.states import PartState
from micamsgr.test.test_store_record import MINUTE, SECOND, RecordCase, moment
from micamsgr.testing import BOB, BOT, NOW, echo, said


class OwnEchoTests(RecordCase):
    """
    Tests for echoes of what the bot said.
    """

    def setUp(self) -> None:
        super().setUp()
        self.record(said("hi"))
        self.part, self.second = self.compose("hello  there", "how are you?")

    def echo(self, **arguments: Any) -> Echo:
        """
        Make the echo of the first part, from which Meta may leave out who
        sent it.
        """
        arguments = {
            "text": self.part.text,
            "mid": Mid("m_1"),
            "metadata": self.part.metadata,
            "app_id": None,
            "at": NOW + MINUTE,
            **arguments,
        }
        return echo(**arguments)

    def test_while_sending(self) -> None:
        """
        An echo tells that a part was sent, before the Send API does; its
        conversation is woken.
        """
        recorded = self.record(self.echo())
        self.assertEqual(recorded, Recorded(wake=((BOT, 1),)))
        (sent, _) = self.store.parts()
        self.assertEqual((sent.state, sent.mid), (PartState.SENT, Mid("m_1")))

    def test_outcome_after_echo(self) -> None:
        """
        What the Send API says after the echo changes nothing, whatever it
        says.
        """
        self.record(self.echo())
        for outcome in (
            Sent(Mid("m_1")),
            Sent(Mid("other")),
            InDoubt("timeout"),
            NotSent(detail="refused"),
        ):
            part = self.settle(self.part, outcome)
            self.assertEqual((part.state, part.mid), (PartState.SENT, Mid("m_1")))

    def test_echo_after_outcome(self) -> None:
        """
        An echo of what is known to be sent changes nothing but that there was
        one.
        """
        before = self.settle(self.part, Sent(Mid("m_1")))
        recorded = self.record(self.echo())
        self.assertEqual(recorded.doubled, ())
        self.assertEqual(recorded.takeovers, ())
        self.assertEqual(self.store.parts()[0], evolve(before, echo=Mid("m_1")))

    def test_in_doubt(self) -> None:
        """
        An echo ends the doubt at once; a look-up that comes later changes
        nothing.
        """
        doubtful = self.settle(self.part, InDoubt("timeout"))
        self.record(self.echo())
        for at in (30, 40):
            now = moment(at * SECOND)
            after = lifecycle.after_look_up(doubtful, Absent(), now, Delivery())
            situation = self.change(doubtful, after)
            self.assertEqual(situation.parts, (self.second,))
            doubtful = after

    def test_taken_for_not_sent(self) -> None:
        """
        A part that was to be sent again, and was sent after all, is not.
        """
        rested = self.settle(self.part, NotSent(detail="refused"))
        self.assertEqual(rested.state, PartState.COMPOSED)
        self.record(self.echo())
        situation = self.change(rested, lifecycle.intend(rested, moment()))
        self.assertEqual(situation.parts, (self.second,))

    def test_last_part(self) -> None:
        """
        With the echo of its last part a turn is over.
        """
        self.settle(self.part, Sent(Mid("m_1")))
        sending = lifecycle.intend(self.second, moment())
        self.change(self.second, sending)
        self.record(self.echo(metadata=sending.metadata, mid=Mid("m_2")))
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertEqual(self.waiting(), [])

    def test_without_metadata(self) -> None:
        """
        An echo that doesn't say what it is of is known by the ID of what was
        sent, and is no human's.
        """
        self.settle(self.part, Sent(Mid("m_1")))
        recorded = self.record(self.echo(metadata=None, text="changed"))
        self.assertEqual(recorded.takeovers, ())

    def test_by_words(self) -> None:
        """
        An echo that doesn't say what it is of, and whose ID is not known yet,
        is known by the words that are being sent; white space may differ.
        """
        recorded = self.record(self.echo(metadata=None, text="hello there\n"))
        self.assertEqual(recorded.takeovers, ())
        self.assertEqual(self.states(), ["sent", "composed"])

    def test_words_in_doubt(self) -> None:
        """
        So is one whose part is in doubt.
        """
        self.settle(self.part, InDoubt("timeout"))
        self.record(self.echo(metadata=None))
        self.assertEqual(self.states(), ["sent", "composed"])

    def test_words_of_two(self) -> None:
        """
        Of two parts with the same words, one in doubt for long and one just
        being sent, it is known as the latter's.
        """
        self.settle(self.part, InDoubt("timeout"))
        words = "UPDATE part SET text = (SELECT text FROM part WHERE number = 1)"
        self.store.database.transact(lambda database: database.execute(words))
        second = evolve(self.second, text=self.part.text)
        self.now(self.store.change(second, lifecycle.intend(second, moment(MINUTE))))
        self.record(self.echo(metadata=None))
        self.assertEqual(self.states(), ["unknown", "sent"])

    def test_others_words(self) -> None:
        """
        Words that are being sent to one person are not known by when they go
        to another, nor by those that are not being sent.
        """
        other = self.record(self.echo(metadata=None, psid=BOB))
        later = self.record(
            self.echo(metadata=None, text=self.second.text, mid=Mid("m_2"))
        )
        self.assertEqual(other.takeovers + later.takeovers, ((BOT, 2), (BOT, 1)))

    def test_other_conversation(self) -> None:
        """
        An echo concerns only the conversation that it is of, even if it names
        a part, or a message, of another one.
        """
        named = self.record(self.echo(psid=BOB))
        self.assertEqual(named.wake, ())
        self.assertEqual(self.states(), ["sending", "composed"])
        self.settle(self.part, Sent(Mid("m_1")))
        same = self.record(self.echo(metadata=None, psid=BOB, text="?"))
        self.assertEqual(named.takeovers + same.takeovers, ((BOT, 2), (BOT, 2)))
        self.assertIsNone(self.store.parts()[0].echo)

    def test_others_metadata(self) -> None:
        """
        What another program gave the Send API is not taken for ours.
        """
        for n, metadata in enumerate(("", "mica", "mica:1:", "mica:1:x:1", "a:b:c:d")):
            self.record(self.echo(metadata=metadata, text="?", mid=Mid(f"x{n}")))
        self.assertEqual(self.store.parts()[0].state, PartState.SENDING)

    def test_redelivered(self) -> None:
        """
        An echo that is delivered again changes nothing, and tells of no
        doubling.
        """
        first = self.echo()
        self.record(first)
        again = self.record(first)
        self.assertEqual(again, Recorded(known=frozenset({first.key})))

    def test_doubled(self) -> None:
        """
        When echoes of two attempts tell that a part was said twice, that is
        told, once.
        """
        self.settle(self.part, InDoubt("timeout"))
        (rested, _) = self.situation().parts
        again = evolve(rested, state=PartState.COMPOSED)
        self.change(rested, again)
        sending = lifecycle.intend(again, moment(MINUTE))
        self.change(again, sending)
        self.settle(sending, Sent(Mid("m_2")))
        of_the_second = self.record(
            self.echo(mid=Mid("m_2"), metadata=sending.metadata)
        )
        of_the_first = self.record(self.echo())
        self.assertEqual(of_the_second.doubled, ())
        self.assertEqual(of_the_first.doubled, ((BOT, self.part.id, "e1"),))
        self.assertEqual(of_the_first.takeovers, ())

    def test_doubled_while_sending(self) -> None:
        """
        That is told as well where the first attempt's echo comes while the
        second one is under way.
        """
        self.settle(self.part, InDoubt("timeout"))
        (rested, _) = self.situation().parts
        again = evolve(rested, state=PartState.COMPOSED)
        self.change(rested, again)
        sending = lifecycle.intend(again, moment(MINUTE))
        self.change(again, sending)
        of_the_first = self.record(self.echo())
        of_the_second = self.record(
            self.echo(mid=Mid("m_2"), metadata=sending.metadata)
        )
        self.assertEqual(of_the_first.doubled, ())
        self.assertEqual(of_the_second.doubled, ((BOT, self.part.id, "e1"),))

    def test_doubled_attempt(self) -> None:
        """
        That is told also where both echoes are of one attempt, which Meta then
        made two messages of, and though it was known to be sent.
        """
        self.settle(self.part, Sent(Mid("m_1")))
        first = self.record(self.echo())
        second = self.record(self.echo(mid=Mid("m_2")))
        self.assertEqual(first.doubled, ())
        self.assertEqual(second.doubled, ((BOT, self.part.id, "e1"),))

    def test_doubled_after_the_end(self) -> None:
        """
        So it is where the part was given up before.
        """
        doubtful = self.settle(self.part, InDoubt("timeout"))
        self.change(doubtful, lifecycle.abandon(doubtful))
        first = self.record(self.echo())
        second = self.record(self.echo(mid=Mid("m_2")))
        self.assertEqual(first.doubled + second.doubled, ((BOT, self.part.id, "e1"),))

    def test_another_id(self) -> None:
        """
        One attempt under two IDs is no doubling: the Send API may name a
        message otherwise than its echo.
        """
        self.settle(self.part, Sent(Mid("m_1")))
        recorded = self.record(self.echo(mid=Mid("m_one")))
        self.assertEqual(recorded.doubled, ())

    def test_after_the_end(self) -> None:
        """
        An echo of a part that was given up leaves it as it is, and is no
        human's.
        """
        doubtful = self.settle(self.part, InDoubt("timeout"))
        self.change(doubtful, lifecycle.abandon(doubtful))
        recorded = self.record(self.echo())
        self.assertEqual(recorded.takeovers, ())
        self.assertEqual(self.states(), ["dead (unresolved)", "expired (sibling)"])
