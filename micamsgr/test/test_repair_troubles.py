"""
Tests for :mod:`micamsgr.messenger.repair` and
:mod:`micamsgr.messenger.catch_up`: trouble.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred, fail

from micamsgr.conversation.events import BotName, Psid
from micamsgr.conversation.missed import Gap
from micamsgr.errors import StoreUnavailable, Unavailable
from micamsgr.messenger.repair import Repair
from micamsgr.store.group import Work
from micamsgr.testing import BOB, CAROL, MemoryStore, said

from .repair_case import DENIED, NEEDED, RepairCase

T = TypeVar("T")

MISSED = ("missed", "new", None)


class TroubleTests(RepairCase):
    """
    Tests for a Graph API, or a store, in trouble.
    """

    def test_down(self) -> None:
        """
        While the Graph API is down it is asked again more and more seldom, and
        when it is back nothing was lost.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        self.meta.trouble["subscribed_apps"] = Unavailable("down")
        self.start()
        self.wait(600)
        self.assertLess(len(self.meta.edges()), 15)
        self.meta.trouble.clear()
        self.wait(300)
        self.assertIn(MISSED, self.kept())

    def test_fails_half_way(self) -> None:
        """
        A thread that can't be read holds up no other, and in the end the log
        names it.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        self.write(CAROL, "unreadable", "m_2", ago=2000)
        self.meta.trouble[CAROL] = Unavailable("broken")
        repair = self.start()
        self.wait(23)
        self.assertIn(MISSED, self.kept())
        repair.note(self.clocks.now().wall)
        self.assertNotIn("can't be read", str(self.events))
        self.wait(300)
        self.assertEqual(
            self.logged("error"),
            ["bot mica: the thread of person 5 can't be read; look at it yourself"],
        )
        read = [what for _, _, what in self.meta.asked if BOB in what]
        self.assertEqual(len(read), 1)

    def test_refused(self) -> None:
        """
        Threads that Meta does not let us read hold up no other, and the log
        says how many they are.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        refusal = {"error": {"code": 100, "message": "No matching user found"}}
        for number in range(3):
            psid = Psid(f"90000{number}")
            self.write(psid, "unreadable", f"m_2{number}", ago=2000 - number)
            self.meta.trouble[psid] = (400, refusal)
        self.start()
        self.wait(60)
        self.assertIn(MISSED, self.kept())
        [told] = self.logged("error")
        self.assertIn("bot mica: 3 threads can't be read", told)

    def test_news_while_it_is_noted(self) -> None:
        """
        What is interrupted at the very moment in which a gap is noted as read
        is looked into as well.
        """
        self.meta.trouble["subscribed_apps"] = DENIED
        repair = self.start()
        noting = MemoryStore.repaired

        async def repaired(store: MemoryStore, bot: BotName, gap: Gap) -> None:
            await noting(store, bot, gap)
            self.patch(MemoryStore, "repaired", noting)
            self.write(BOB, "missed", "m_1")
            repair.note(self.clocks.now().wall - 1000)

        self.patch(MemoryStore, "repaired", repaired)
        self.wait(600)
        self.assertIn(MISSED, self.kept())

    def test_denied(self) -> None:
        """
        Where threads may not be read, the log says once what to do, and they
        are asked for again soon, and in the end once an hour.
        """
        self.meta.trouble["conversations"] = DENIED
        self.start()
        self.wait(60)
        [told] = self.logged("error")
        self.assertIn("pages_read_engagement", told)
        self.clock.pump([30.0] * 360)
        self.assertEqual(self.logged("error"), [])
        asked = self.meta.edges().count("GET conversations")
        self.assertIn(asked, range(12, 20))
        self.clock.pump([30.0] * 360)
        self.assertLess(self.meta.edges().count("GET conversations"), asked + 7)
        self.deliver(said("before", at=self.clocks.now().wall))
        self.meta.trouble.clear()
        self.write(BOB, "missed", "m_1")
        self.clock.pump([30.0] * 130)
        self.assertIn(MISSED, self.kept())

    def test_denied_once(self) -> None:
        """
        A single refusal, which may be of something in between, keeps what was
        missed from being read for seconds, and not for an hour.
        """
        self.meta.trouble["conversations"] = DENIED
        self.deliver(said("before", at=self.clocks.now().wall))
        self.write(BOB, "missed", "m_1")
        self.start()
        self.wait(5)
        self.meta.trouble.clear()
        self.wait(30)
        self.assertIn(MISSED, self.kept())

    def test_store_fails(self) -> None:
        """
        While the store fails it is tried again, and not all the time.
        """
        self.store.database.failing = True
        repair = self.start()
        self.wait(60)
        repair.note(1)
        self.wait(60)
        self.assertLess(len(self.logged("warn")), 20)
        self.store.database.failing = False
        self.wait(300)
        self.assertIn("GET subscribed_apps", self.meta.edges())

    def fail_at_first(self) -> Repair:
        """
        Start while the store fails; as soon as it doesn't, something is
        delivered.
        """
        self.store.database.failing = True
        repair = self.start()
        self.wait(0.5)
        self.store.database.failing = False
        self.deliver(said("after", CAROL, at=self.clocks.now().wall))
        return repair

    def test_store_fails_at_the_start(self) -> None:
        """
        What was missed before a start is read also where the store failed at
        first, and something was delivered before anything could be asked of it.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        repair = self.fail_at_first()
        self.wait(0.25)
        repair.note(None)
        self.wait(60)
        self.assertIn(MISSED, self.kept())

    def test_store_fails_and_clock_is_wrong(self) -> None:
        """
        The same holds where this machine's clock turns out to be hours off
        before the store is well again.
        """
        for hours in (2, -2):
            first = self.start()
            self.wait(60)
            first.stopService()
            self.deliver(said("before", at=self.clocks.now().wall))
            self.clock.advance(4200)
            self.write(BOB, "missed", f"m_{hours}", ago=3000)
            # What is delivered just after the start was written just before it.
            written = self.clocks.now().wall - 500
            self.clocks.sure = False
            self.clocks.wall += hours * 3_600_000
            self.store.database.failing = True
            repair = self.start()
            self.wait(0.5)
            self.store.database.failing = False
            self.deliver(said("early", CAROL, at=written))
            self.clocks.sure = True
            self.clocks.wall -= hours * 3_600_000
            self.deliver(said("after", CAROL, at=self.clocks.now().wall))
            self.wait(60)
            self.assertIn(MISSED, self.kept(), hours)
            repair.stopService()
            self.store.database.connection.execute("DELETE FROM event")

    def test_first_start_without_a_store(self) -> None:
        """
        A first start looks at nothing that is older than itself, also where
        the store failed at first.
        """
        self.write(BOB, "too early", "m_1", ago=60)
        self.fail_at_first()
        self.wait(60)
        self.assertEqual([text for text, *_ in self.kept()], ["after"])

    def test_no_room(self) -> None:
        """
        While the disk has no room for what is new, threads in which nothing was
        missed are read all the same, and what was missed is read when it has.
        """
        database, full = self.store.database, True

        def admit(work: Work[T]) -> Deferred[T]:
            if full:
                return fail(StoreUnavailable("no room"))
            return database.transact(work)

        self.start().stopService()
        known = said("known", CAROL, at=self.clocks.now().wall)
        self.deliver(known)
        self.write(CAROL, "known", known.mid or "")
        self.store = MemoryStore(
            database.transact, database.transact, database, admit=admit
        )
        self.start()
        self.wait(30)
        self.assertIn("threads were read", str(self.logged("info")))
        self.write(BOB, "missed", "m_1")
        self.clock.advance(600)
        self.wait(60)
        self.assertNotIn("threads were read", str(self.logged("info")))
        full = False
        self.wait(60)
        self.assertIn(MISSED, self.kept())

    def test_defect(self) -> None:
        """
        After a defect in one look the next one comes all the same, and nothing
        was lost.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        self.meta.trouble["subscribed_apps"] = ValueError("a defect")
        self.start()
        self.wait(60)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.meta.trouble = {BOB: KeyError("another one")}
        self.wait(300)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertNotIn(MISSED, self.kept())
        self.meta.trouble.clear()
        self.wait(300)
        self.assertIn(MISSED, self.kept())
        self.meta.fields = None
        self.clock.pump([30.0] * 130)
        self.assertEqual(self.meta.fields, NEEDED)
