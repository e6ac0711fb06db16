"""
Tests for :mod:`micamsgr.messenger.repair` and
:mod:`micamsgr.messenger.catch_up`: interruptions of a process that lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from micamsgr.conversation.events import PageId
from micamsgr.errors import Unavailable
from micamsgr.testing import BOB, CAROL, said

from .repair_case import DENIED, NEEDED, PageAtMeta, RepairCase

MISSED = ("missed", "new", None)


class InterruptionTests(RepairCase):
    """
    Tests for interruptions of a process that lives on.
    """

    def setUp(self) -> None:
        super().setUp()
        self.repair = self.start()
        self.wait(40)
        self.meta.edges()

    def test_refusing(self) -> None:
        """
        After more than a minute in which deliveries could not be kept, what
        was written then is read.
        """
        self.repair.kept(False)
        self.wait(30)
        self.write(BOB, "missed", "m_1")
        self.repair.kept(False)
        self.wait(31)
        self.deliver(said("kept", at=self.clocks.now().wall))
        self.repair.kept(True)
        self.wait(30)
        self.assertEqual(self.kept(), [("kept", "new", None), MISSED])

    def test_refusing_briefly(self) -> None:
        """
        What is over within a minute is left to Meta, which delivers again.
        """
        self.repair.kept(False)
        self.wait(59)
        self.repair.kept(True)
        self.repair.kept(True)
        self.wait(60)
        self.assertEqual(self.meta.edges(), [])

    def test_stood_still(self) -> None:
        """
        What was written while the process, or the machine, stood still is read
        when it goes on.
        """
        self.write(BOB, "missed", "m_1")
        self.clock.advance(600)
        self.wait(30)
        self.assertEqual(self.kept(), [MISSED])

    def test_longer(self) -> None:
        """
        Where more turns out to have been missed while threads are read, those
        that were read are read again.
        """
        self.clock.pump([30.0] * 200)
        self.write(BOB, "missed", "m_1", ago=3000)
        self.write(BOB, "recent", "m_2", ago=5)
        self.write(CAROL, "unreadable", "m_3", ago=10)
        self.meta.trouble[CAROL] = Unavailable("broken")
        now = self.clocks.now().wall
        self.repair.note(now - 60_000)
        while not self.kept():
            self.wait(0.25)
        self.assertEqual([text for text, _, _ in self.kept()], ["recent"])
        self.repair.note(now - 4_000_000)
        self.meta.trouble.clear()
        self.wait(300)
        self.assertIn("missed", [text for text, _, _ in self.kept()])

    def test_unsubscribed(self) -> None:
        """
        When Meta is found to have dropped the subscription, the Page is
        subscribed again and what was missed since is read.
        """
        self.meta.fields = None
        self.wait(60)
        self.write(BOB, "missed", "m_1")
        self.clock.pump([30.0] * 120)
        self.assertEqual(self.meta.fields, NEEDED)
        self.wait(30)
        self.assertEqual(self.kept(), [MISSED])

    def test_written_last(self) -> None:
        """
        What was written just before the Page was subscribed again is not
        missed, though threads show it only after a while, and though the
        daemon had been waiting for the Graph API since long before.
        """
        self.repair.stopService()
        self.meta.fields = None
        self.meta.trouble["subscribed_apps"] = Unavailable("down")
        self.meta.lag = 15.0
        self.start()
        self.wait(60)
        del self.meta.trouble["subscribed_apps"]
        self.write(BOB, "missed", "m_1")
        self.clock.pump([0.5] * 240)
        self.assertEqual(self.meta.fields, NEEDED)
        self.assertEqual(self.kept(), [MISSED])

    def test_partly_unsubscribed(self) -> None:
        """
        Where only messages were no longer delivered, what was missed is read
        however much else was delivered meanwhile, and also if this process
        dies as soon as the Page is subscribed again.
        """
        self.repair.stopService()
        for dies in (False, True):
            self.deliver(said("before", at=self.clocks.now().wall))
            repair = self.start()
            self.clock.pump([30.0] * 120)
            self.wait(60)
            self.meta.fields = NEEDED[1:]
            self.write(BOB, "missed", f"m_{dies}")
            self.clock.pump([30.0] * 100)
            self.deliver(said("a button", CAROL, at=self.clocks.now().wall))
            if dies:
                self.meta.trouble["conversations"] = Unavailable("down")
            self.meta.edges()
            self.clock.pump([5.0] * 180)
            self.assertIn("messages", self.meta.fields)
            if dies:
                self.assertEqual(self.kept().count(MISSED), 1)
                self.meta.trouble.clear()
                repair.stopService()
                repair = self.start()
                self.wait(60)
            self.assertEqual(self.kept().count(MISSED), 1 + dies)
            repair.stopService()

    def lose_messages(self) -> None:
        """
        Let messages no longer be delivered, so that one is missed, while other
        events still are.
        """
        self.wait(1200)
        self.meta.fields = NEEDED[1:]
        self.write(BOB, "missed", "m_1")
        self.clock.pump([30.0] * 30)
        self.deliver(said("a button", CAROL, at=self.clocks.now().wall))

    def test_mended_unawares(self) -> None:
        """
        What was missed is read also where the Page was subscribed again, and
        this process died before it knew so.
        """
        self.lose_messages()
        self.meta.cuts = True
        self.clock.pump([5.0] * 360)
        self.assertIn("messages", self.meta.fields or ())
        self.repair.stopService()
        self.clock.pump([30.0] * 20)
        self.deliver(said("a button", CAROL, at=self.clocks.now().wall))
        self.start()
        self.wait(60)
        self.assertIn(MISSED, self.kept())

    def test_earliest(self) -> None:
        """
        Of several times since when something may have been missed the earliest
        counts, also where it comes up while another one is being kept.
        """
        self.write(BOB, "missed", "m_1")
        early = self.clocks.now().wall
        self.clock.pump([30.0] * 60)
        late = self.clocks.now().wall
        self.store.database.stepped = True
        for time in (late, early, late):
            self.repair.note(time)
        while self.store.database.step():
            pass
        self.store.database.stepped = False
        self.wait(60)
        self.assertIn(MISSED, self.kept())

    def test_wrong_clock(self) -> None:
        """
        When the subscription was last found whole is not taken from a clock of
        which nobody knows whether it is right.
        """
        self.clocks.sure = False
        self.clocks.wall += 36_000_000
        self.clock.pump([30.0] * 130)
        self.clocks.sure = True
        self.clocks.wall -= 36_000_000
        self.lose_messages()
        self.clock.pump([5.0] * 720)
        self.assertIn(MISSED, self.kept())

    def test_mended_by_hand(self) -> None:
        """
        With subscriptions.repair off, what was missed is read when the operator
        has subscribed the Page again, and only once.
        """
        self.repair.stopService()
        self.repairs = False
        self.start()
        self.wait(60)
        self.lose_messages()
        self.clock.pump([30.0] * 240)
        self.deliver(said("a button", CAROL, at=self.clocks.now().wall))
        self.assertNotIn(MISSED, self.kept())
        self.meta.fields = list(NEEDED)
        self.clock.pump([30.0] * 240)
        self.assertIn(MISSED, self.kept())
        self.meta.edges()
        self.clock.pump([30.0] * 240)
        self.assertEqual(set(self.meta.edges()), {"GET subscribed_apps"})

    def test_partly_unsubscribed_on_another_page(self) -> None:
        """
        On a Page that is new to the bot nothing is looked at that is older
        than this start, also where it is not subscribed to messages.
        """
        self.repair.stopService()
        self.deliver(
            said("before", at=self.clocks.now().wall, page=PageId("7")),
        )
        self.clock.advance(4200)
        self.write(BOB, "too early", "m_1", ago=4000)
        self.meta.fields = NEEDED[1:]
        self.start()
        self.wait(60)
        self.assertIn("messages", self.meta.fields or ())
        self.assertEqual([text for text, *_ in self.kept()], ["before"])

    def test_while_reading(self) -> None:
        """
        An interruption that comes while threads are read has them read again.
        """
        self.write(CAROL, "missed", "m_0")
        self.repair.note(self.clocks.now().wall)
        self.look_ups.reserve(self.clock.seconds() + 19)
        self.look_ups.reserve(self.clock.seconds() + 19)
        self.wait(20)
        self.assertEqual(self.kept(), [])
        self.repair.note(self.clocks.now().wall)
        self.wait(1)
        self.write(BOB, "missed", "m_1")
        self.wait(30)
        self.assertEqual(self.kept(), [MISSED] * 2)

    def test_ends_while_reading(self) -> None:
        """
        An interruption that comes while threads are read is remembered, also
        where the process ends as soon as they are.
        """
        self.as_thread_is_read(lambda: self.repair.note(self.clocks.now().wall))
        self.write(CAROL, "missed", "m_0")
        self.repair.note(self.clocks.now().wall)
        self.wait(60)
        steps = 0
        while self.store.database.step():
            steps += 1
            self.assertEqual(self.gaps(), 1, f"after step {steps}")
        self.assertEqual(self.kept(), [MISSED])
        self.assertGreater(steps, 1)
        self.store.database.stepped = False
        self.wait(60)
        self.assertEqual(self.gaps(), 0)

    def test_as_reading_ends(self) -> None:
        """
        An interruption that comes as the last thread has been read has them
        read again soon, also if Meta lets nobody see the subscription.
        """
        self.as_thread_is_read(lambda: None)
        self.write(CAROL, "missed", "m_0")
        self.repair.note(self.clocks.now().wall)
        self.wait(60)
        while not self.kept():
            self.assertTrue(self.store.database.step())
        self.assertEqual(self.gaps(), 1)
        self.write(BOB, "missed", "m_1")
        self.meta.trouble["subscribed_apps"] = DENIED
        self.repair.note(self.clocks.now().wall)
        self.store.database.step()
        self.assertEqual(self.gaps(), 0)
        self.store.database.stepped = False
        while self.store.database.step():
            pass
        self.wait(60)
        self.assertEqual(self.kept(), [MISSED] * 2)

    def as_thread_is_read(self, happens: Callable[[], None]) -> None:
        """
        Let something happen as a thread is read for the first time; from then
        on the store waits for the test.
        """
        answer, read = PageAtMeta._answer, list[str]()

        def answering(meta: PageAtMeta, method: str, edge: str, query: Any) -> Any:
            if "user_id" in query and not read:
                read.append(edge)
                self.store.database.stepped = True
                happens()
            return answer(meta, method, edge, query)

        self.patch(PageAtMeta, "_answer", answering)

    def gaps(self) -> int:
        """
        Count what the store knows may have been missed.
        """
        (count,) = self.store.database.connection.execute(
            "SELECT count(*) FROM progress WHERE task = 'gap:mica'"
        ).fetchone()
        return int(count)

    def test_human(self) -> None:
        """
        A human's answer that nobody delivered silences the bot.
        """
        self.wait(60)
        self.deliver(said("known", BOB, at=self.clocks.now().wall))
        self.write(BOB, "known", "m_1")
        self.wait(10)
        self.write(BOB, "I see to it", "m_2", by_page=True)
        self.repair.note(self.clocks.now().wall)
        self.wait(30)
        self.assertEqual(self.hushed, [1])
        self.assertEqual(self.kept(), [("known", "ignored", "human")])
