"""
Tests for :mod:`micamsgr.messenger.repair` and
:mod:`micamsgr.messenger.catch_up`: what is done at a start.
"""

from __future__ import annotations

import math
from hashlib import sha256

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

from micamsgr.conversation.events import Mid, PageId, Psid
from micamsgr.conversation.missed import NO_TEXT, NO_TIME, TWICE
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import arrival
from micamsgr.messenger.notifications import event_key
from micamsgr.testing import ALICE, BOB, BOT, CAROL, PAGE, said

from .repair_case import RepairCase

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
        has something to do; it is told in the log without its words, with the
        time at which it was written, and nobody has to do anything.
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
        told = self.logged("info")
        self.assertIn(
            "not delivered to mica, from person 0, written 2026-11-22T16:10:17Z: m_1;"
            " to be answered",
            told,
        )
        self.assertIn(
            "bot mica: 1 threads were read, from 2026-11-22T15:40:17Z on; 1 messages"
            " had not been delivered: 1 to be answered, 0 that need no answer, 0 to be"
            " seen to",
            told,
        )
        self.assertNotIn("missed", str([it for it in events if "text" in it]))
        self.assertEqual([it for it in events if it["log_level"] >= LogLevel.warn], [])

    def test_listed(self) -> None:
        """
        What is left to the operator is a warning each, with the time at which
        it was written, if that is known, and counted in a last one.
        """
        self.outage()
        self.write(BOB, "", "m_1", ago=3000)
        self.write(CAROL, "", "m_2", ago=math.nan)
        self.start()
        self.wait(30)
        told = self.logged("warn")
        self.assertEqual(
            sorted(told)[1:],
            [
                "not delivered to mica, from person 0, written 2026-11-22T16:10:17Z:"
                f" m_1; {NO_TEXT}",
                "not delivered to mica, from person 5, written nobody knows when: m_2;"
                f" {NO_TIME}",
            ],
        )
        self.assertIn("0 that need no answer, 2 to be seen to", told[-1])

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

    def test_delivered_after_all(self) -> None:
        """
        What was left to the operator, since it showed no text, is answered if
        Meta delivers it after all.
        """
        self.outage()
        self.write(BOB, "", "m_1", ago=3000)
        wall = self.clocks.now().wall
        self.start()
        self.wait(30)
        self.assertEqual([reason for *_, reason in self.kept()], [None, NO_TEXT])
        picture = evolve(
            said("[a picture]", BOB, at=wall - 3_000_000),
            key=event_key("message", "m_1"),
            mid=Mid("m_1"),
        )
        self.deliver(picture, picture)
        self.deliver(picture)
        self.assertEqual(self.kept()[1:], [("[a picture]", "new", None)])

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

    def test_delivered_while_read(self) -> None:
        """
        What Meta delivers just when it was read, and before that is kept, is
        one event, also where IDs in threads are others; of the same words
        twice, of which one was delivered so, the other is listed.
        """
        self.meta.prefix = "t_"
        self.outage()
        wall = self.clocks.now().wall - 3_000_000
        for person, count in ((BOB, 1), (CAROL, 2)):
            for n in range(count):
                self.write(person, "missed", f"m_{person}{n}", ago=3000 - n)
        self.start()
        self.wait(20.25)
        self.store.database.stepped = True
        for person in (CAROL, BOB):
            # It was read, and is compared with what is known.
            self.wait(1)
            event = said("missed", person, at=wall + 900)
            arriving = arrival(
                event, bot=BOT, ours=True, now=self.clocks.now(), handover=Handover()
            )
            recording = Deferred.fromCoroutine(
                self.store.record([arriving], self.clocks.now())
            )
            while self.store.database.step():
                pass
            self.successResultOf(recording)
        listed = ("missed", "dead", TWICE)
        self.assertEqual(self.kept()[1:], [MISSED, listed, MISSED])

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

    def test_bare_ids(self) -> None:
        """
        IDs are the same where threads show them without their ``m_``: what is
        delivered after it was read is not answered twice.
        """
        self.outage(600)
        wall = self.clocks.now().wall
        known = evolve(said("known", BOB, at=wall), mid=Mid("m_0"))
        self.deliver(known)
        self.write(BOB, "known", "0")
        self.clock.advance(60)
        self.write(BOB, "missed", "1")
        self.start()
        self.wait(30)
        missed = said("missed", BOB, at=wall + 60_000)
        self.deliver(evolve(missed, mid=Mid("m_1"), key=event_key("message", "m_1")))
        self.assertEqual(
            [text for text, *_ in self.kept()], ["before", "known", "missed"]
        )

    def test_erased(self) -> None:
        """
        What somebody had written before their data were erased stays out; what
        they wrote after that does not.
        """
        self.outage()
        self.write(BOB, "erased", "m_1", ago=3000)
        self.write(BOB, "missed", "m_2", ago=2000)
        erased = sha256(f"{BOT}\0{PAGE}\0{BOB}".encode()).digest()
        self.store.database.connection.execute(
            "INSERT INTO tombstone (person, at) VALUES (?, ?)",
            (erased, self.clocks.now().wall - 2_500_000),
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

    def test_interrupted_first_start(self) -> None:
        """
        The same holds where something else may have been missed before it is
        known.
        """
        self.write(ALICE, "too early", "m_0", ago=5)
        self.clocks.wall += 7_200_000
        self.page = None
        self.start().note(1)
        self.clocks.wall -= 7_200_000
        self.wait(5)
        self.page = PAGE
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
