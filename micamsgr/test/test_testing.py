"""
Tests for :mod:`micamsgr.testing`: what tests rely on.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.conversation.events import Conversation, Mid
from micamsgr.conversation.interfaces import IStore
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.outcomes import InDoubt, LookedUp, Outcome, Seen, Sent
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import arrival
from micamsgr.errors import StoreUnavailable
from micamsgr.testing import (
    ALICE,
    BOB,
    BOT,
    NOW,
    PAGE,
    FixedClocks,
    MemoryAssistant,
    MemoryMessenger,
    echo,
    memory_store,
    said,
    stepped_store,
)

CONVERSATION = Conversation(BOT, PAGE, ALICE)


class StoreTests(SynchronousTestCase):
    """
    Tests for the stores in memory.
    """

    def record(self, store: IStore) -> Deferred[object]:
        """
        Begin to keep one message.
        """
        now = FixedClocks(Clock()).now()
        taken = arrival(said(), bot=BOT, ours=True, now=now, handover=Handover())
        return Deferred.fromCoroutine(store.record([taken], now))

    def test_at_once(self) -> None:
        """
        A store in memory has done what it was asked for at once.
        """
        store = memory_store()
        self.successResultOf(self.record(store))
        self.assertEqual(store.events(), [("new", None)])

    def test_apart(self) -> None:
        """
        Two stores have nothing in common.
        """
        self.successResultOf(self.record(memory_store()))
        self.assertEqual(memory_store().events(), [])

    def test_stepped(self) -> None:
        """
        A stepped store does one thing at each step, the oldest first, and
        nothing before.
        """
        store, step = stepped_store()
        first, second = self.record(store), self.record(store)
        self.assertNoResult(first)
        self.assertEqual(store.events(), [])
        self.assertTrue(step())
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertTrue(step())
        self.successResultOf(second)
        self.assertFalse(step())

    def test_failing(self) -> None:
        """
        A store that is to fail does nothing, and says so.
        """
        store = memory_store()
        store.database.failing = True
        self.failureResultOf(self.record(store), StoreUnavailable)
        self.assertEqual(store.events(), [])


class FixedClocksTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.testing.FixedClocks`.
    """

    def test_now(self) -> None:
        """
        Both clocks go with the test's, and the process began when they were
        made.
        """
        clock = Clock()
        clock.advance(5.0)
        clocks = FixedClocks(clock)
        clock.advance(2.5)
        now = clocks.now()
        self.assertEqual(now.wall, NOW + 7500)
        self.assertEqual(now.tick, Tick(7.5, "first boot"))
        self.assertEqual(now.started, 5.0)

    def test_apart(self) -> None:
        """
        The wall clock can jump, and the machine can boot, by themselves.
        """
        clocks = FixedClocks(Clock())
        clocks.wall -= 3_600_000
        clocks.boot = "second boot"
        now = clocks.now()
        self.assertEqual(now.wall, NOW - 3_600_000)
        self.assertEqual(now.tick, Tick(0.0, "second boot"))


class MemoryMessengerTests(SynchronousTestCase):
    """
    Tests for the controls of :class:`micamsgr.testing.MemoryMessenger`.
    """

    def setUp(self) -> None:
        self.messenger = MemoryMessenger(FixedClocks(Clock()).now)

    def send(self, text: str = "hello") -> Deferred[Outcome]:
        """
        Begin to send.
        """
        sending = self.messenger.send(CONVERSATION, text, "mica:1:p:1")
        return Deferred.fromCoroutine(sending)

    def look_up(self) -> LookedUp:
        """
        Look up what the person got.
        """
        looking = Deferred.fromCoroutine(self.messenger.look_up(CONVERSATION))
        return self.successResultOf(looking)

    def test_settle(self) -> None:
        """
        A send ends when the test says so, and by default it arrives.
        """
        sending = self.send()
        self.assertNoResult(sending)
        self.assertEqual(self.messenger.texts(), [])
        self.messenger.settle()
        self.assertEqual(self.successResultOf(sending), Sent(Mid("m_1")))
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_settle_otherwise(self) -> None:
        """
        With another outcome nothing arrives, unless the test lets it.
        """
        for arriving in (False, True):
            self.setUp()
            sending = self.send()
            if arriving:
                self.messenger.arrive()
            self.messenger.settle(InDoubt("timeout"))
            self.assertEqual(self.successResultOf(sending), InDoubt("timeout"))
            self.assertEqual(len(self.messenger.texts()), arriving)

    def test_arrive(self) -> None:
        """
        What arrived first and is settled then arrived once.
        """
        sending = self.send()
        arrived = self.messenger.arrive()
        self.assertNoResult(sending)
        self.messenger.settle()
        self.assertEqual(self.successResultOf(sending), Sent(arrived.mid))
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_which(self) -> None:
        """
        Any of the pending sends can be settled.
        """
        first, second = self.send("one"), self.send("two")
        self.messenger.settle(which=1)
        self.assertNoResult(first)
        self.successResultOf(second)
        self.assertEqual(self.messenger.texts(), ["two"])

    def test_look_up(self) -> None:
        """
        A look-up shows what arrived, unless the test has written what it
        shows.
        """
        scripted = LookedUp((), back_to=NOW)
        self.messenger.look_ups.append(scripted)
        self.send()
        self.messenger.settle()
        self.assertEqual(self.look_up(), scripted)
        shown = (Seen(Mid("m_1"), NOW, "hello"),)
        self.assertEqual(self.look_up(), LookedUp(shown))
        self.assertEqual(self.messenger.looked_up, [ALICE, ALICE])

    def test_texts(self) -> None:
        """
        What one person has read is told from what others have.
        """
        self.send()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(ALICE), ["hello"])
        self.assertEqual(self.messenger.texts(BOB), [])

    def test_echo(self) -> None:
        """
        The echo of what arrived brings back what was sent, or less.
        """
        self.send()
        arrived = self.messenger.arrive()
        event = arrived.echo()
        self.assertEqual((event.mid, event.text), (arrived.mid, "hello"))
        self.assertEqual((event.psid, event.metadata), (ALICE, "mica:1:p:1"))
        self.assertIsNone(arrived.echo(metadata=False).metadata)


class MemoryAssistantTests(SynchronousTestCase):
    """
    Tests for the controls of :class:`micamsgr.testing.MemoryAssistant`.
    """

    def test_answer(self) -> None:
        """
        Questions are kept, and answered when the test says so, in any order.
        """
        assistant = MemoryAssistant()
        first, second = (
            Deferred.fromCoroutine(assistant.reply([Utterance(Role.PERSON, text)], 1))
            for text in ("one", "two")
        )
        self.assertEqual([q.texts for q in assistant.pending], [["one"], ["two"]])
        assistant.answer("to two", 1, tokens=7)
        self.assertNoResult(first)
        reply = self.successResultOf(second)
        self.assertEqual((reply.text, reply.tokens), ("to two", 7))
        assistant.answer_all()
        self.assertEqual(self.successResultOf(first).text, "re: one")
        self.assertEqual(len(assistant.asked), 2)

    def test_canceled(self) -> None:
        """
        A question that nobody waits for any more is not pending.
        """
        assistant = MemoryAssistant()
        asking = Deferred.fromCoroutine(assistant.reply([], 1))
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(assistant.pending, [])


class EventTests(SynchronousTestCase):
    """
    Tests for the makers of events.
    """

    def test_new(self) -> None:
        """
        Each event is another one, though it says the same.
        """
        for make in (said, echo):
            first, second = make("hi"), make("hi")
            self.assertNotEqual(first.key, second.key)
            self.assertNotEqual(first.mid, second.mid)
            self.assertEqual(len(first.key), 16)
