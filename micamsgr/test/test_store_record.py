"""
Tests for what becomes of what Meta delivers, once and again.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import (
    BotName,
    Event,
    Other,
    PageId,
    Unreadable,
)
from micamsgr.conversation.interfaces import Begun, Recorded
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import Outcome
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.policy import Handover, Limits
from micamsgr.conversation.reception import Arrival, arrival
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE, memory_store, said

T = TypeVar("T")

SECOND = 1000
MINUTE = 60 * SECOND


def moment(after: int = 0) -> Moment:
    """
    Tell the time, so many milliseconds after the tests' beginning.
    """
    return Moment(
        wall=NOW + after, tick=Tick(100.0 + after / 1000.0, "boot"), started=0.0
    )


def arriving(event: Event, after: int = 0, **arguments: Any) -> Arrival:
    """
    Let an event arrive, by default for the bot, from its own Page.
    """
    arguments = {
        "bot": BOT,
        "ours": True,
        "handover": Handover(wake="bot, go on"),
        **arguments,
    }
    return arrival(event, now=moment(after), **arguments)


class RecordCase(SynchronousTestCase):
    """
    A store in memory, and how it comes to hold something.
    """

    def setUp(self) -> None:
        self.store = memory_store()

    def now(self, result: Coroutine[Any, Any, T]) -> T:
        """
        Have what the store has at once.
        """
        had: T = self.successResultOf(result)
        return had

    def record(self, *events: Event, after: int = 0, **arguments: Any) -> Recorded:
        """
        Record events that one POST brings.
        """
        arrivals = [arriving(event, after, **arguments) for event in events]
        return self.now(self.store.record(arrivals, moment(after)))

    def situation(self, conversation: int = 1) -> Situation:
        return self.now(self.store.situation(conversation))

    def waiting(self) -> Sequence[int]:
        return self.now(self.store.waiting(BOT, 0, 100))

    def begin(self, conversation: int = 1) -> Begun:
        begun = self.now(self.store.begin(conversation, 100, Limits(), len, moment()))
        assert begun is not None
        return begun

    def asked(self, conversation: int = 1) -> list[tuple[str, str]]:
        """
        Begin a turn, and tell what the assistant is given to read.
        """
        return [(u.role.value, u.text) for u in self.begin(conversation).utterances]

    def compose(self, *texts: str) -> Sequence[Part]:
        """
        Answer everything that waits in the first conversation; the answer's
        first part is being sent.
        """
        turn = self.begin().turn
        parts = [
            Part(
                id=f"part-{turn.id}-{number}",
                turn=turn.id,
                kind=Kind.ANSWER,
                number=number,
                text=text,
            )
            for number, text in enumerate(texts, 1)
        ]
        parts[0] = lifecycle.intend(parts[0], moment())
        return self.now(
            self.store.compose(turn, " ".join(texts), parts, 7, moment())
        ).parts

    def change(self, before: Part, after: Part) -> Situation:
        return self.now(self.store.change(before, after))

    def settle(self, part: Part, outcome: Outcome) -> Part:
        """
        Write down what came of an attempt.

        :return: the part, as it is then.
        """
        self.change(part, lifecycle.after_outcome(part, outcome, moment(), 0.0))
        return next(now for now in self.store.parts() if now.id == part.id)

    def states(self) -> list[str]:
        """
        Tell what became of each part.
        """
        return [
            part.state.value + (f" ({part.reason})" if part.reason else "")
            for part in self.store.parts()
        ]


class MessageTests(RecordCase):
    """
    Tests for what people say, and for what needs no answer.
    """

    def test_message(self) -> None:
        """
        A message waits for an answer, and its conversation is woken.
        """
        recorded = self.record(said())
        self.assertEqual(recorded, Recorded(wake=((BOT, 1),)))
        self.assertEqual(self.waiting(), [1])
        self.assertIsNotNone(self.situation().waiting)

    def test_redelivered(self) -> None:
        """
        A message that is delivered again changes nothing, whatever has become
        of it meanwhile, and wakes nobody.
        """
        message = said()
        self.record(message)
        self.compose("hello")
        again = self.record(message, after=MINUTE)
        self.assertEqual(again, Recorded(known=frozenset({message.key})))
        self.assertEqual(self.store.events(), [("done", None)])
        self.assertIsNone(self.situation().waiting)

    def test_twice_in_one(self) -> None:
        """
        A message that one POST brings twice is answered once.
        """
        message = said("hi")
        recorded = self.record(message, message)
        self.assertEqual(recorded.wake, ((BOT, 1),))
        self.assertEqual(self.asked(), [("person", "hi")])

    def test_known_among_new(self) -> None:
        """
        What is new in a POST is kept, beside what is known.
        """
        old, new = said("old"), said("new")
        self.record(old)
        recorded = self.record(old, new)
        self.assertEqual(recorded.known, {old.key})
        self.assertEqual(self.asked(), [("person", "old"), ("person", "new")])

    def test_other_bots(self) -> None:
        """
        A message that came to a bot whose Page it isn't of is still answered
        by the bot whose Page it is of.
        """
        message = said("hi")
        self.record(message, bot=BotName("other"), ours=False)
        recorded = self.record(message)
        self.assertEqual(recorded.known, frozenset())
        self.assertEqual(self.asked(), [("person", "hi")])

    def test_conversations(self) -> None:
        """
        Each person's conversation with each Page of each bot is one of its
        own.
        """
        recorded = self.record(
            said(), said(psid=BOB), said(page=PageId("1")), said(psid=BOB)
        )
        other = self.record(said(), bot=BotName("other"))
        self.assertEqual(recorded.wake, ((BOT, 1), (BOT, 2), (BOT, 3)))
        self.assertEqual(other.wake, ((BotName("other"), 4),))

    def test_order(self) -> None:
        """
        Messages are read in the order in which they were written, not in that
        of their delivery; those of one moment in that of their delivery.
        """
        self.record(said("3", at=NOW + 2), said("1", at=NOW), said("2", at=NOW))
        self.record(said("0", at=NOW - 1))
        self.assertEqual([text for _, text in self.asked()], ["0", "1", "2", "3"])

    def test_odd_text(self) -> None:
        """
        Text of every script, direction and length is kept as it is.
        """
        odd = ["👩‍👩‍👧", "שלום", "\u202e\u0301", "'); --", "{0} %s ?", "x" * 10**6]
        self.record(*(said(text, at=NOW + n) for n, text in enumerate(odd)))
        self.assertEqual([text for _, text in self.asked()], odd)

    def test_unreadable(self) -> None:
        """
        What can't be read is kept as it came, and answered by nobody.
        """
        event = Unreadable(key=b"k" * 16, page=PageId(""), at=NOW, raw=b"[1]", why="?")
        self.assertEqual(self.record(event), Recorded())
        self.assertEqual(self.store.events(), [("dead", "unreadable")])
        rows = self.store.database.connection.execute("SELECT raw FROM event")
        self.assertEqual(rows.fetchall(), [(b"[1]",)])

    def test_needs_no_answer(self) -> None:
        """
        What is no message is kept, with its kind, and wakes nobody.
        """
        for n, kind in enumerate(("read", "reaction")):
            event = Other(key=bytes([n]) * 16, page=PAGE, at=NOW, kind=kind, psid=ALICE)
            self.assertEqual(self.record(event), Recorded())
        changes = Other(key=b"c" * 16, page=PAGE, at=NOW, kind="changes.feed")
        self.record(changes)
        self.assertEqual(
            self.store.events(),
            [
                ("ignored", "read"),
                ("ignored", "reaction"),
                ("ignored", "changes.feed"),
            ],
        )
        self.assertEqual(self.waiting(), [])

    def test_other_page(self) -> None:
        """
        A message to a Page that isn't the bot's is kept, and no conversation
        comes of it.
        """
        self.assertEqual(self.record(said(), ours=False), Recorded())
        self.assertEqual(self.store.events(), [("ignored", "other page")])
        self.failureResultOf(self.store.situation(1), KeyError)

    def test_not_allowed(self) -> None:
        """
        A message of somebody who isn't to be answered is kept, and stays
        unanswered.
        """
        self.assertEqual(self.record(said(), allow=[BOB]).wake, ())
        self.assertEqual(self.store.events(), [("ignored", "not allowed")])
        self.assertEqual(self.waiting(), [])

    def test_standby(self) -> None:
        """
        What was said while another app had the thread stays unanswered, and
        is known to the assistant later.
        """
        self.assertEqual(self.record(said("psst", standby=True)).wake, ())
        self.record(said("hi"))
        self.assertEqual(self.asked(), [("person", "psst"), ("person", "hi")])

    def test_heard(self) -> None:
        """
        A conversation knows when the person was last heard, whatever else
        happens and in whatever order it is delivered.
        """
        self.record(said(at=NOW), after=MINUTE)
        self.record(said(at=NOW - MINUTE), after=MINUTE)
        self.record(
            Other(key=b"r" * 16, page=PAGE, at=NOW + 9, kind="read", psid=ALICE),
            after=MINUTE,
        )
        self.assertEqual(self.situation().heard, NOW)
        self.record(
            Other(key=b"o" * 16, page=PAGE, at=NOW + 7, kind="reaction", psid=ALICE),
            after=MINUTE,
        )
        self.assertEqual(self.situation().heard, NOW + 7)

    def test_heard_in_the_future(self) -> None:
        """
        A message from the future doesn't hold Meta's window open for longer
        than one from now.
        """
        self.record(said(at=NOW + 365 * 24 * 60 * MINUTE))
        self.assertEqual(self.situation().heard, NOW)

    def test_heard_unsure(self) -> None:
        """
        What seems to be the future doesn't count as such as long as nobody
        knows what time it is for Meta.
        """
        later = NOW + 24 * 60 * MINUTE
        now = evolve(moment(), sure=False)
        self.now(self.store.record([arriving(said(at=later))], now))
        self.assertEqual(self.situation().heard, later)

    def test_received_unsure(self) -> None:
        """
        A message that arrives while this machine's clock is days behind, and
        nobody knows yet, has not waited for an answer for days.
        """
        days = 3 * 24 * 60 * MINUTE
        now = evolve(moment(-days), sure=False)
        self.now(self.store.record([arriving(said(at=NOW))], now))
        self.assertEqual(self.begin().turn.began, NOW)

    def test_too_large_a_number(self) -> None:
        """
        A POST of which something can't be stored is not kept in part.
        """
        self.failureResultOf(
            self.store.record([arriving(said()), arriving(said(at=1 << 63))], moment()),
            OverflowError,
        )
        self.assertEqual(self.store.events(), [])
