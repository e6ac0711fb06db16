"""
Tests for :mod:`micamsgr.conversation.dispatcher`: a store that fails or
is slow, defects, and more conversations than memory may know.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, capturedLogs, globalLogPublisher

from micamsgr.conversation.assistant import Reply, Utterance
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.states import PartState
from micamsgr.store.database import Transact, Work
from micamsgr.test.conversation_case import ConversationTestCase
from micamsgr.test.test_steps_pace import people
from micamsgr.testing import ALICE, BOB, MemoryAssistant, said


class StoreFailingTests(ConversationTestCase):
    """
    Tests for a store that fails for a while.
    """

    def test_before(self) -> None:
        """
        What was kept before is answered once the store works again.
        """
        self.say(psid=ALICE)
        self.assistant.answer("one|two")
        self.store.database.failing = True
        self.messenger.settle()
        self.wait(30.0)
        self.assertEqual(self.messenger.texts(), ["one"])
        self.store.database.failing = False
        self.wait(5.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["one", "two"])
        self.assertEqual(self.store.turns(), [("closed", None)])

    def test_answer(self) -> None:
        """
        An answer that was paid for is kept in memory until the store takes
        it; the assistant is not asked again.
        """
        self.say()
        self.store.database.failing = True
        self.assistant.answer()
        self.wait(60.0)
        self.store.database.failing = False
        self.wait(5.0)
        self.messenger.settle_all()
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(len(self.assistant.asked), 1)

    def test_begin(self) -> None:
        """
        A turn that can't be begun is begun later, and until then the
        assistant is not asked.
        """
        conversations = self.keep(said())
        self.store.database.stepped = True
        self.dispatcher.wake(conversations)
        self.store.database.step()
        self.store.database.failing = True
        while self.store.database.step():
            pass
        self.assertEqual(self.assistant.asked, [])
        self.store.database.stepped = self.store.database.failing = False
        self.wait(2.0)
        self.assertEqual(len(self.assistant.asked), 1)

    def test_look(self) -> None:
        """
        When the store can't be looked into at the start, it is looked into
        later.
        """
        self.dispatcher.stopService()
        self.say()
        self.store.database.failing = True
        self.kill()
        self.wait(60.0)
        self.store.database.failing = False
        self.wait(5.0)
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_look_told(self) -> None:
        """
        For as long as it can't be looked into, the log says so once; and again
        the next time.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for _ in range(2):
            self.store.database.failing = True
            self.wait(60.0)
            self.store.database.failing = False
            self.wait(60.0)
        told = [
            event["detail"]
            for event in events
            if "look into the store" in (event.get("log_format") or "")
        ]
        self.assertEqual(told, ["the test says so"] * 2)

    def test_stop(self) -> None:
        """
        A store that fails does not hold a stop up; what was in flight is in
        doubt after the next start.
        """
        self.say()
        self.assistant.answer()
        self.store.database.failing = True
        self.messenger.settle()
        stopping = self.dispatcher.stopService()
        self.wait(0.5)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.store.database.failing = False
        self.kill()
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.wait(60.0)
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_logged(self) -> None:
        """
        That the store fails is logged as an error, without a traceback.
        """
        self.store.database.failing = True
        with capturedLogs() as events:
            self.wait(5.0)
        [event] = events
        self.assertIs(event["log_level"], LogLevel.error)
        self.assertEqual(event["detail"], "the test says so")


class SlowStoreTests(ConversationTestCase):
    """
    Tests for a store that takes its time.
    """

    def setUp(self) -> None:
        super().setUp()
        self.restart(slots=1)

    def test_nobody_overtakes(self) -> None:
        """
        Who waited longest gets the slot that is free, also if others come
        while the store is busy.
        """
        for psid in people(4):
            self.say(psid, psid)
        newcomer = self.keep(said("newcomer", ALICE))
        self.store.database.stepped = True
        self.dispatcher.wake(newcomer)
        self.assistant.answer()
        while self.store.database.step():
            pass
        self.messenger.settle()
        while self.store.database.step():
            pass
        self.store.database.stepped = False
        for psid in people(4)[1:]:
            [question] = self.assistant.pending
            self.assertEqual(question.texts, [psid])
            self.assistant.answer()
            self.messenger.settle_all()
        self.assertEqual(self.assistant.pending[0].texts, ["newcomer"])

    def test_news_for_the_hungry(self) -> None:
        """
        Who waits for a slot and writes again is worked on once.
        """
        for psid in (ALICE, BOB):
            self.say("one", psid)
        news = self.keep(said("two", BOB))
        self.store.database.stepped = True
        self.dispatcher.wake(news)
        self.assistant.answer()
        while self.store.database.step():
            pass
        self.messenger.settle()
        self.store.database.stepped = False
        while self.store.database.step():
            pass
        [question] = self.assistant.pending
        self.assertEqual(question.texts, ["one", "two"])
        self.assistant.answer("to both")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(BOB), ["to both"])
        self.assertEqual(self.assistant.pending, [])

    def hold(self, transact: Transact) -> tuple[Transact, Callable[[], None]]:
        """
        Let what a transaction found be told only later.

        :return: the transactions of which that is so, and what tells.
        """
        held: list[Callable[[], None]] = []

        def holding(work: Work[Any]) -> Deferred[Any]:
            value, later = self.successResultOf(transact(work)), Deferred[Any]()
            held.append(lambda: later.callback(value))
            return later

        def tell() -> None:
            while held:
                held.pop()()

        return holding, tell

    def test_news_at_work(self) -> None:
        """
        News of a conversation that is being looked at is not missed, although
        what was read of it is older.
        """
        self.say("one")
        self.assistant.answer()
        self.messenger.settle()
        self.store._read, tell = self.hold(self.store._read)
        self.dispatcher.wake([1])
        self.say("two")
        tell()
        self.assertEqual(len(self.assistant.pending), 1)

    def test_news_at_the_end(self) -> None:
        """
        So it is with news that come during the last step, after what was
        written and read with it.
        """
        self.say("one")
        self.assistant.answer()
        write = self.store._write
        self.store._write, tell = self.hold(write)
        self.messenger.settle()
        self.store._write = write
        self.say("two")
        self.assertEqual(self.assistant.pending, [])
        tell()
        [question] = self.assistant.pending
        self.assertEqual(question.texts, ["one", "hello", "two"])


class DefectTests(ConversationTestCase):
    """
    Tests for what should not happen.
    """

    def defects(self) -> int:
        """
        Count the defects that were logged since.
        """
        return len(self.flushLoggedErrors(ZeroDivisionError))

    def test_rests(self) -> None:
        """
        A conversation in which a defect shows is left alone for a minute, and
        then tried again.
        """
        self.say()
        self.assistant.fail(ZeroDivisionError())
        self.wait(59.75)
        self.assertEqual(self.assistant.pending, [])
        self.wait(0.25)
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.defects(), 1)

    def test_others(self) -> None:
        """
        It harms no other conversation.
        """
        self.say(psid=ALICE)
        self.say(psid=BOB)
        self.assistant.fail(ZeroDivisionError())
        self.assistant.answer()
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(BOB), ["hello"])
        self.assertEqual(self.defects(), 1)

    def test_sending(self) -> None:
        """
        A defect while sending leaves the part in doubt: it may have been
        sent.
        """
        self.say()
        self.assistant.answer()
        self.messenger.pending.pop().outcome.errback(ZeroDivisionError())
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.assertEqual(self.defects(), 1)

    def test_looking(self) -> None:
        """
        A defect while looking into the store does not end the looking.
        """
        connection = self.store.database.connection
        connection.execute("ALTER TABLE event RENAME TO misplaced")
        self.wait(5.0)
        connection.execute("ALTER TABLE misplaced RENAME TO event")
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.keep(said())
        self.wait(5.0)
        self.assertEqual(len(self.assistant.pending), 1)


class MemoryTests(ConversationTestCase):
    """
    Tests for more conversations than memory may know.
    """

    def test_all_answered(self) -> None:
        """
        Everybody is answered, in the end, of whom memory could not know at
        first.
        """
        everybody = people(100)
        self.restart(most_known=10, delivery=Delivery(rate=0.0))
        for psid in everybody:
            self.say("hi", psid)
        self.assertEqual(len(self.assistant.pending), 10)
        for _ in range(20):
            while self.assistant.pending:
                self.assistant.answer()
            self.messenger.settle_all()
            self.wait(5.0)
        counts = {len(self.messenger.texts(psid)) for psid in everybody}
        self.assertEqual(counts, {1})

    def test_hungry(self) -> None:
        """
        So it is when they wait for the assistant's slots.
        """
        everybody = people(50)
        self.restart(most_known=10, slots=2)
        for psid in everybody:
            self.say("hi", psid)
        for _ in range(100):
            if self.assistant.pending:
                self.assistant.answer()
            self.messenger.settle_all()
            self.wait(2.5)
        counts = {len(self.messenger.texts(psid)) for psid in everybody}
        self.assertEqual(counts, {1})

    def test_missed_hint(self) -> None:
        """
        What nobody told the dispatcher of it finds itself, within five
        seconds.
        """
        self.keep(said())
        self.wait(5.0)
        self.assertEqual(len(self.assistant.pending), 1)


class InstantAssistant(MemoryAssistant):
    """
    Answer at once, but for the first question.
    """

    async def reply(self, utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        if not self.asked:
            return await super().reply(utterances, asker)
        return Reply(text="at once", tokens=1)


class InstantAssistantTests(ConversationTestCase):
    """
    Tests for an assistant that answers at once.
    """

    def test_many(self) -> None:
        """
        However many conversations wait for it, each is answered, and none is
        worked on inside another's work.
        """
        self.assistant = InstantAssistant()
        self.restart(slots=1, delivery=Delivery(rate=0.0))
        self.say("first", ALICE)
        for psid in people(500):
            self.say("hi", psid)
        self.assistant.answer("at last")
        self.messenger.settle_all()
        self.assertCountEqual(self.messenger.texts(), ["at last", *["at once"] * 500])
