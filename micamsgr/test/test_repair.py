"""
Tests for :mod:`micamsgr.messenger.repair` and
:mod:`micamsgr.messenger.catch_up`.
"""

from __future__ import annotations

from attrs import evolve

from micamsgr.conversation.events import Mid, PageId, Psid
from micamsgr.errors import Unavailable
from micamsgr.messenger.notifications import event_key
from micamsgr.store.gaps import tombstone
from micamsgr.testing import ALICE, BOB, BOT, CAROL, PAGE, said

from .repair_case import DENIED, NEEDED, RepairCase

MISSED = ("missed", "new", None)


class StartTests(RepairCase):
    """
    Tests for what is done at a start.
    """

    def outage(self, seconds: float = 4200.0) -> None:
        """
        Let something be delivered, and be down for a while.
        """
        self.deliver(said("before", at=self.clocks.now().wall))
        self.clock.advance(seconds)

    def test_subscription_first(self) -> None:
        """
        The subscription is looked at once at the start; threads are read only
        when Meta had time to deliver what it still does.
        """
        self.outage()
        self.start()
        self.assertEqual(self.meta.edges(), ["GET subscribed_apps"])
        self.wait(19.5)
        self.assertEqual(self.meta.edges(), [])
        self.wait(1)
        self.assertEqual(self.meta.edges(), ["GET conversations"])

    def test_missed(self) -> None:
        """
        What was written in an outage becomes an event, and its conversation
        has something to do; it is told in the log without its words.
        """
        self.outage()
        self.write(BOB, "missed", "m_1", ago=3000)
        self.start()
        self.wait(30)
        self.assertEqual(self.kept(), [("before", "new", None), MISSED])
        self.assertEqual(self.woken, [2])
        rows = self.store.database.connection.execute("SELECT source, key FROM event")
        self.assertEqual(rows.fetchall()[1], ("backfill", event_key("message", "m_1")))
        events = list(self.events)
        self.assertEqual(
            self.logged("warn"), ["not delivered to mica, from person 0: m_1; new"]
        )
        self.assertNotIn("missed", str([it for it in events if "text" in it]))

    def test_delivered_meanwhile(self) -> None:
        """
        What Meta delivers before or after it is read is known by its ID, and
        not answered twice.
        """
        self.outage()
        for mid in ("m_1", "m_2"):
            self.write(BOB, mid, mid, ago=3000)
        first, second = (
            evolve(
                said(mid, BOB, at=self.clocks.now().wall - 3_000_000),
                key=event_key("message", mid),
                mid=Mid(mid),
            )
            for mid in ("m_1", "m_2")
        )
        self.start()
        self.deliver(first)
        self.wait(30)
        self.deliver(first, second)
        self.assertEqual([text for text, *_ in self.kept()], ["before", "m_1", "m_2"])

    def test_other_ids(self) -> None:
        """
        Where IDs in threads are others than those of webhooks, words and time
        tell the same, whichever comes first; each stands for one.
        """
        self.meta.prefix = "t_"
        self.outage()
        for mid in ("m_1", "m_2"):
            self.write(BOB, mid, mid, ago=3000)
        wall = self.clocks.now().wall - 3_000_000
        repair = self.start()
        self.deliver(said("m_1", BOB, at=wall))
        self.wait(30)
        # That its own IDs come back proves nothing.
        repair.note(None)
        self.wait(30)
        late = said("m_2", BOB, at=wall + 900)
        again = said("m_2", BOB, at=wall + 1900)
        for event in (late, late, again, again):
            self.deliver(event)
        self.assertEqual(
            [text for text, *_ in self.kept()], ["before", "m_1", "m_2", "m_2"]
        )

    def test_ids_proved(self) -> None:
        """
        Where IDs are proved to be the same, the same words that are delivered
        under another ID are another message.
        """
        self.outage(600)
        known = said("known", BOB, at=self.clocks.now().wall)
        self.deliver(known)
        self.write(BOB, "known", known.mid or "")
        self.clock.advance(60)
        self.write(BOB, "missed", "m_1")
        self.start()
        self.wait(30)
        self.deliver(said("missed", BOB, at=self.clocks.now().wall - 30_000))
        self.assertEqual(
            [text for text, *_ in self.kept()], ["before", "known", "missed", "missed"]
        )

    def test_erased(self) -> None:
        """
        What somebody had written before their data were erased stays out; what
        they wrote after that does not.
        """
        self.outage()
        self.write(BOB, "erased", "m_1", ago=3000)
        self.write(BOB, "missed", "m_2", ago=2000)
        self.store.database.connection.execute(
            "INSERT INTO tombstone (person, at) VALUES (?, ?)",
            (tombstone(BOT, PAGE, BOB), self.clocks.now().wall - 2_500_000),
        )
        self.start()
        self.wait(30)
        self.assertEqual(self.kept(), [("before", "new", None), MISSED])

    def test_paced(self) -> None:
        """
        No second sees more than two questions; those who settle doubts go
        first.
        """
        self.outage()
        for n in range(8):
            self.write(Psid(f"70{n}"), "missed", f"m_{n}", ago=600)
        self.start()
        self.wait(22)
        for _ in range(20):
            self.look_ups.reserve(self.clock.seconds())
        self.wait(20)
        times = [at for at, _, what in self.meta.asked if "conversations" in what]
        self.assertEqual(len(times), 9)
        self.assertGreater(times[-1] - times[0], 10.0)
        for early, late in zip(times, times[2:], strict=False):
            self.assertGreaterEqual(late - early, 1.0)

    def test_pages(self) -> None:
        """
        The list is read page by page, as far as there is something new.
        """
        self.clock.advance(1e6)
        self.outage()
        for n in range(120):
            self.write(Psid(f"{7000 + n}"), "old", f"m_{n}", ago=90_000 + n)
        for n in range(60):
            self.write(Psid(f"{8000 + n}"), "missed", f"n_{n}", ago=600)
        self.start()
        self.wait(80)
        listings = [what for _, _, what in self.meta.asked if "participants" in what]
        self.assertEqual(len(listings), 3)
        self.assertEqual(self.kept().count(MISSED), 60)

    def test_bound(self) -> None:
        """
        Of very many threads the newest are read, and the log says that there
        are more.
        """
        self.options = {"most_read": 2}
        self.outage()
        for n in range(3):
            self.write(Psid(f"70{n}"), f"missed {n}", f"m_{n}", ago=100 * (n + 1))
        self.start()
        self.wait(30)
        self.assertEqual(
            [text for text, *_ in self.kept()], ["before", "missed 0", "missed 1"]
        )
        self.assertIn("more threads were updated than are read", str(self.events))

    def test_once(self) -> None:
        """
        When all was read nothing is read again, until there is an interruption.
        """
        self.outage()
        self.start()
        self.wait(30)
        self.meta.edges()
        self.clock.pump([30.0] * 240)
        self.assertEqual(self.meta.edges(), ["GET subscribed_apps"] * 2)

    def test_restart(self) -> None:
        """
        After all was read, the next start looks no further back than to the
        last event.
        """
        self.outage()
        self.write(BOB, "missed", "m_1", ago=3000)
        first = self.start()
        self.wait(30)
        self.deliver(said("after", CAROL, at=self.clocks.now().wall))
        first.stopService()
        self.clock.advance(60)
        self.meta.edges()
        self.start()
        self.wait(30)
        self.assertEqual(
            self.meta.edges(), ["GET subscribed_apps", "GET conversations"]
        )

    def test_crash(self) -> None:
        """
        A crash before all was read, after something was delivered, makes
        nobody forget since when something was missed.
        """
        self.outage()
        self.write(BOB, "missed", "m_1", ago=3000)
        first = self.start()
        self.deliver(said("after", CAROL, at=self.clocks.now().wall))
        first.stopService()
        self.clock.advance(1800)
        self.start()
        self.wait(30)
        self.assertIn(MISSED, self.kept())

    def test_first_start(self) -> None:
        """
        On a first start nothing is looked at that was written before; what is
        written after it, in an outage, is.
        """
        self.write(ALICE, "too early", "m_0", ago=5)
        first = self.start()
        self.wait(30)
        self.assertEqual(
            self.meta.edges(), ["GET subscribed_apps", "GET conversations"]
        )
        first.stopService()
        self.clock.advance(4200)
        self.write(BOB, "missed", "m_1", ago=3000)
        self.write(ALICE, "missed", "m_2", ago=3000)
        self.start()
        self.wait(30)
        self.assertEqual(self.kept(), [MISSED] * 2)

    def test_first_start_by_metas_clock(self) -> None:
        """
        When the first start was is told by Meta's clock, once that is known.
        """
        self.clocks.wall += 7_200_000
        self.start()
        self.clocks.wall -= 7_200_000
        self.wait(5)
        self.write(BOB, "missed", "m_1")
        self.wait(30)
        self.assertEqual(self.kept(), [MISSED])

    def test_another_page(self) -> None:
        """
        On a Page that is new to the bot nothing is looked at that is older
        than this start.
        """
        self.deliver(said("before", at=self.clocks.now().wall, page=PageId("7")))
        self.clock.advance(4200)
        self.write(BOB, "too early", "m_1", ago=3000)
        self.start()
        self.wait(30)
        self.assertEqual(self.kept(), [("before", "new", None)])

    def test_no_page(self) -> None:
        """
        While nobody knows the Page nothing is asked.
        """
        self.page = None
        self.start()
        self.wait(60)
        self.assertEqual(self.meta.edges(), [])


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
        self.start()
        self.wait(23)
        self.assertIn(MISSED, self.kept())
        self.assertNotIn("can't be read", str(self.events))
        self.wait(300)
        self.assertEqual(
            self.logged("error"),
            ["bot mica: the thread of person 5 can't be read; look at it yourself"],
        )
        read = [what for _, _, what in self.meta.asked if BOB in what]
        self.assertEqual(len(read), 1)

    def test_denied(self) -> None:
        """
        Where threads may not be read, the log says once what to do, and they
        are asked for again once an hour.
        """
        self.meta.trouble["conversations"] = DENIED
        self.start()
        self.wait(60)
        [told] = self.logged("error")
        self.assertIn("pages_read_engagement", told)
        self.clock.pump([30.0] * 360)
        self.assertEqual(self.logged("error"), [])
        self.assertEqual(self.meta.edges().count("GET conversations"), 4)
        self.deliver(said("before", at=self.clocks.now().wall))
        self.meta.trouble.clear()
        self.write(BOB, "missed", "m_1")
        self.clock.pump([30.0] * 130)
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
