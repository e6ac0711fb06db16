"""
The daemon is down for so long that Meta gives up, while people write.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from attrs import evolve
from twisted.internet.task import deferLater

from micamsgr.sandbox.journal import Applied, LookedUp, Subscribed, Wrote
from micamsgr.sandbox.meta import Habits
from tests.daemon import DaemonCase, callback, eventually, reactor

ALICE, BOB, CAROL, DAVE, ERIN, FRANK = (str(6284913775102846 + n) for n in range(6))

NEEDED = {"messages", "messaging_postbacks", "message_echoes"}

# Seconds; longer ago than Meta's window is long.
DAYS = 26 * 3600.0


class OutageTests(DaemonCase):
    """
    Tests for an outage of which Meta doesn't deliver what was written.
    """

    timeout = 150

    def age(self) -> None:
        """
        Let all that happened so far have happened long ago.
        """
        for psid, thread in self.page.threads.items():
            thread[:] = [evolve(said, at=said.at - DAYS) for said in thread]
            self.page.people[psid] -= DAYS
        older = int(DAYS * 1000)
        with closing(sqlite3.connect(self.directory / "mica.db")) as store, store:
            for column in ("event.at", "event.received", "conversation.heard"):
                table, _, name = column.partition(".")
                store.execute(f"UPDATE {table} SET {name} = {name} - ?", (older,))
            store.execute("UPDATE progress SET value = value - ?", (older,))

    def wrote_long_ago(self, psid: str, text: str) -> None:
        """
        Let a person have written when Meta's window was open that is closed
        by now.
        """
        self.write(psid, text)
        [said] = self.page.threads[psid]
        at = said.at - 25 * 3600.0
        self.page.threads[psid] = [evolve(said, at=at)]
        self.page.people[psid] = at

    async def redeliver(self) -> None:
        """
        Deliver all that people wrote since, as if Meta had thought better.
        """
        for wrote in self.stand_ins.journal.of(Wrote):
            item = {
                "sender": {"id": wrote.psid},
                "recipient": {"id": self.page.id},
                "timestamp": int(wrote.at * 1000),
                "message": {"mid": wrote.mid, "text": wrote.text},
            }
            entry = {"id": self.page.id, "time": item["timestamp"], "messaging": [item]}
            status = await self.stand_ins.client.notify(
                callback(self.port),
                self.page.app.secret,
                {"object": "page", "entry": [entry]},
            )
            self.assertEqual(status, 200)

    async def test_missed(self) -> None:
        """
        After an outage of more than an hour the Page is subscribed again, and
        whoever wrote meanwhile is answered, once; but not where staff answered,
        or where it is too late or out of turn.  Of what Meta delivers after all
        only that is answered which was left for being out of turn.
        """
        self.stand_ins.meta.habits = Habits(retries=(0.0, 0.2), patience=0.5)
        self.page.fields.add("messaging_referrals")
        daemon = await self.serve()
        self.write(ALICE, "before")
        await self.said(ALICE)
        await self.settled()
        daemon.kill()
        await daemon.exited
        self.age()

        self.write(ALICE, "missed by Alice")
        await eventually(lambda: not self.page.fields)
        self.page.fields.clear()
        for text in ("one of Bob", "two of Bob", "two of Bob"):
            self.write(BOB, text)
        self.write(CAROL, "staff will see to this")
        self.stand_ins.meta.human(self.page.id, CAROL, "I see to it")
        self.write(DAVE, "just before")
        self.stand_ins.meta.human(self.page.id, ERIN, "Are you there?")
        self.write(ERIN, "I am, thank you")
        self.wrote_long_ago(FRANK, "yesterday")

        daemon = await self.serve()
        await eventually(lambda: self.page.fields >= NEEDED)
        await eventually(lambda: "is subscribed again" in daemon.output)
        self.write(DAVE, "just after")
        await self.said(ALICE, 2, 80.0)
        await self.said(BOB, 1, 80.0)
        await self.said(DAVE, 1, 80.0)
        await eventually(lambda: "had not been delivered" in daemon.output, 80.0)
        await self.settled()

        reasons = self.kept(
            "SELECT psid, state, reason FROM event JOIN conversation"
            " ON conversation.id = event.conversation"
            " WHERE source = 'backfill' AND kind = 'message' ORDER BY event.mid"
        )
        ends = {(it["psid"], it["state"], it["reason"]) for it in reasons}
        later = "backfill: the Page has written since"
        self.assertEqual(
            ends,
            {
                (ALICE, "done", None),
                (BOB, "done", None),
                (CAROL, "ignored", later),
                (DAVE, "dead", "backfill: a later message was delivered"),
                (ERIN, "ignored", "human"),
                (FRANK, "dead", "backfill: window"),
            },
        )
        await self.redeliver()
        await self.said(DAVE, 2)
        await deferLater(reactor, 1.0)
        await self.settled()
        answers = [said.psid for said in self.stand_ins.journal.of(Applied)]
        self.assertEqual(answers.count(ALICE), 2)
        self.assertEqual(answers.count(BOB), 1)
        self.assertEqual(answers.count(CAROL), 1)
        self.assertEqual(answers.count(ERIN), 1)
        self.assertEqual(answers.count(FRANK), 0)

    async def test_only_told(self) -> None:
        """
        With subscriptions.repair off, a Page that is not subscribed is told of
        in the log and left as it is.
        """
        self.page.fields.clear()
        daemon = await self.serve(subscriptions={"repair": False})
        await eventually(lambda: "is not told of all that it needs" in daemon.output)
        self.assertEqual(self.page.fields, set())
        self.assertEqual(self.stand_ins.journal.of(Subscribed), [])

    async def test_first_start(self) -> None:
        """
        A first start answers nothing that was written before it, and reads no
        thread.
        """
        self.page.fields.clear()
        self.write(ALICE, "long ago")
        await deferLater(reactor, 1.1)
        daemon = await self.serve()
        await eventually(lambda: "threads were read" in daemon.output, 80.0)
        self.assertEqual(self.kept("SELECT * FROM event"), [])
        self.assertEqual(len(self.stand_ins.journal.of(LookedUp)), 1)
        self.write(ALICE, "now")
        self.assertEqual(await self.said(ALICE), ["You said: now"])
