"""
What Meta delivers, and what it is answered: real sockets, real processes.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, gatherResults

from micamsgr.sandbox.journal import Applied, Asked, Posted
from micamsgr.sandbox.meta import as_json, signature
from tests.daemon import VERIFY_TOKEN, DaemonCase, callback, eventually

ALICE, BOB = "6284913775102846", "6284913775102847"


class DeliveryTests(DaemonCase):
    """
    Tests for what Meta delivers.
    """

    def item(self, text: str, **more: Any) -> dict[str, Any]:
        """
        Spell a message of somebody who may be written to.
        """
        self.page.people[ALICE] = self.stand_ins.meta.now()
        return {
            "sender": {"id": ALICE},
            "recipient": {"id": self.page.id},
            "timestamp": int(self.stand_ins.meta.now() * 1000),
            "message": {"mid": f"m_{text}", "text": text},
            **more,
        }

    def envelope(self, *items: dict[str, Any]) -> dict[str, Any]:
        """
        Put items into a notification.
        """
        at = int(self.stand_ins.meta.now() * 1000)
        entry = {"id": self.page.id, "time": at, "messaging": list(items)}
        return {"object": "page", "entry": [entry]}

    async def notify(self, document: object) -> int:
        """
        Deliver a notification, and give the status of the answer.
        """
        return await self.stand_ins.client.notify(
            callback(self.port), self.page.app.secret, document
        )

    async def only_answer(self, answer: str) -> None:
        """
        Check that, once all is done, *answer* is all that was said, and that
        the language model was asked once.
        """
        self.write(BOB, "The last word")
        await self.said(BOB)
        await self.settled()
        self.assertEqual(self.stand_ins.said(ALICE), [answer])
        asked = [fact.messages[-1][1] for fact in self.stand_ins.journal.of(Asked)]
        self.assertEqual(len(asked), 2, asked)

    async def test_again(self) -> None:
        """
        A message that is delivered again, also after its answer, is answered
        once.
        """
        await self.serve()
        document = self.envelope(self.item("Only once, please"))
        for _ in range(3):
            self.assertEqual(await self.notify(document), 200)
            await self.said(ALICE)
        await self.only_answer("You said: Only once, please")

    async def test_at_once(self) -> None:
        """
        A message that is delivered five times at the same time is answered
        once.
        """
        await self.serve()
        document = self.envelope(self.item("Five times over"))
        deliveries = [Deferred.fromCoroutine(self.notify(document)) for _ in range(5)]
        statuses = await gatherResults(deliveries)
        self.assertEqual(statuses, [200] * 5)
        await self.said(ALICE)
        await self.only_answer("You said: Five times over")

    async def test_twice_in_one(self) -> None:
        """
        A message that is twice in one delivery is answered once.
        """
        await self.serve()
        item = self.item("Twice in one")
        self.assertEqual(await self.notify(self.envelope(item, item)), 200)
        await self.said(ALICE)
        await self.only_answer("You said: Twice in one")

    async def test_unanswered_kinds(self) -> None:
        """
        Echoes, deliveries, reads and what nobody knows are taken, and nothing
        is said to them.
        """
        await self.serve()
        meta = self.stand_ins.meta
        self.page.fields |= {"message_deliveries", "message_reads"}
        self.page.people[ALICE] = meta.now()
        echo = meta.say(self.page.id, ALICE, "From another app", app_id="42")
        meta.echo(echo)
        meta.delivery(self.page.id, ALICE, echo.mid)
        meta.read(self.page.id, ALICE)
        meta.event(self.page.id, {"sender": {"id": ALICE}, "telepathy": {"x": 1}})
        await self.stand_ins.until(lambda: len(self.stand_ins.journal.of(Posted)) >= 4)
        self.write(BOB, "The last word")
        await self.said(BOB)
        await self.settled()
        statuses = {posted.status for posted in self.stand_ins.journal.of(Posted)}
        self.assertEqual(statuses, {200})
        self.assertEqual(self.stand_ins.said(ALICE), ["From another app"])
        kinds = "SELECT kind FROM event WHERE state = 'ignored' AND page = ?"
        self.assertLessEqual(
            {"echo", "delivery", "read", "unknown"},
            {row["kind"] for row in self.kept(kinds, self.page.id)},
        )

    async def test_forged(self) -> None:
        """
        What Meta has not signed is refused, and nothing of it is kept.
        """
        await self.serve()
        body = as_json(self.envelope(self.item("I am not Meta")))
        good = signature(self.page.app.secret, body)
        other = "0" if good[-1] != "0" else "1"
        for header in (
            None,
            "",
            "sha256=",
            good[:-1] + other,
            good.upper(),
            good.removeprefix("sha256="),
            signature("another-secret", body),
            signature(self.page.app.secret, body + b" "),
        ):
            headers = {"Content-Type": "application/json"}
            if header is not None:
                headers["X-Hub-Signature-256"] = header
            status = await self.stand_ins.client.post(
                callback(self.port), body, headers
            )
            self.assertEqual(status, 403, header)
        self.assertEqual(self.kept("SELECT * FROM event"), [])
        self.assertEqual(self.kept("SELECT * FROM conversation"), [])
        headers = {"X-Hub-Signature-256": good}
        status = await self.stand_ins.client.post(callback(self.port), body, headers)
        self.assertEqual(status, 200)
        await self.said(ALICE)

    async def test_kept_first(self) -> None:
        """
        What is answered 200 is in the store by then.
        """
        await self.serve()
        for n in range(20):
            text = f"number {n}"
            status = await self.notify(self.envelope(self.item(text)))
            self.assertEqual(status, 200)
            found = self.kept("SELECT 1 FROM event WHERE mid = ?", f"m_{text}")
            self.assertEqual(len(found), 1)


class VerificationTests(DaemonCase):
    """
    Tests for Meta's question whether this is the webhook it means.
    """

    async def ask(self, **query: str) -> tuple[int, bytes]:
        """
        Ask, with parameters of the names that follow ``hub.``.
        """
        named = {f"hub.{name}": value for name, value in query.items()}
        url = f"{callback(self.port)}?{urlencode(named)}"
        return await self.stand_ins.client.get(url)

    async def test_verified(self) -> None:
        """
        Whoever knows the token gets the challenge back.
        """
        await self.serve()
        meta = self.stand_ins.meta
        for _ in range(5):
            self.assertTrue(await meta.verify(callback(self.port), VERIFY_TOKEN))

    async def test_refused(self) -> None:
        """
        Whoever doesn't know the token, or asks for something else, doesn't.
        """
        await self.serve()
        right = {"mode": "subscribe", "verify_token": VERIFY_TOKEN, "challenge": "42"}
        self.assertEqual(await self.ask(**right), (200, b"42"))
        for wrong, status in (
            ({"verify_token": "another"}, 403),
            ({"mode": "unsubscribe"}, 403),
            ({"verify_token": ""}, 400),
        ):
            answer = await self.ask(**{**right, **wrong})
            self.assertEqual(answer[0], status, wrong)
            self.assertNotIn(b"42", answer[1])


class LogTests(DaemonCase):
    """
    Tests for what the log tells of what people write.
    """

    texts = True

    async def test_texts(self) -> None:
        """
        Where the operator wants it, the log holds what is written and said.
        """
        daemon = await self.serve(log={"texts": True})
        self.stand_ins.model.reply = lambda messages: "Yes, quite sunny"
        self.write(ALICE, "Nice weather here")
        await self.said(ALICE)
        await self.settled()
        await eventually(lambda: "Yes, quite sunny" in daemon.output)
        self.assertIn("Nice weather here", daemon.output)


class SilentLogTests(DaemonCase):
    """
    Tests for a log that tells as much as it may.
    """

    async def test_debug(self) -> None:
        """
        At the level that tells the most, as JSON, the log still holds neither
        secrets nor what people write.
        """
        daemon = await self.serve(log={"level": "debug", "format": "json"})
        self.write(ALICE, "Between you and me")
        await self.said(ALICE)
        self.assertEqual(await self.stand_ins.meta.raw(self.page.id, b"no JSON"), 400)
        await self.settled()
        await eventually(lambda: "attempt" in daemon.output)
        self.assertEqual(len(self.stand_ins.journal.of(Applied)), 1)
