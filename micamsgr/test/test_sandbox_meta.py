"""
Tests for :mod:`micamsgr.sandbox.meta`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.sandbox.journal import Applied, Journal, Posted, Subscribed, Wrote
from micamsgr.sandbox.meta import (
    PAGE_INBOX,
    App,
    Habits,
    Meta,
    Page,
    as_json,
    signature,
)

NOW = 1795362617.25
PAGE = "108463527190842"
ALICE = "6284913775102846"
CALLBACK = "https://bot.test/mica"


class MetaTests(SynchronousTestCase):
    """
    Tests for how an app is told of what happens to its Pages.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = Journal()
        self.posts: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.answer: Deferred[int] | int | None = 200
        self.meta = Meta(self.clock, Random(1), self.journal, self.post, self.get)
        self.app = App("731904582216637", "app secret", callback=CALLBACK)
        self.page = Page(PAGE, "page token", self.app)
        self.meta.pages[PAGE] = self.page

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[int]:
        """
        Take a notification, and answer as the test wants: ``None`` refuses
        the connection.
        """
        self.posts.append((url, body, headers))
        if self.answer is None:
            return fail(ConnectionRefusedError())
        return succeed(self.answer) if isinstance(self.answer, int) else self.answer

    def get(self, url: str) -> Deferred[tuple[int, bytes]]:
        """
        Agree to a verification that has the right token.
        """
        query = parse_qs(urlsplit(url).query)
        if query["hub.mode"] + query["hub.verify_token"] != ["subscribe", "verify me"]:
            return succeed((403, b""))
        return succeed((200, query["hub.challenge"][0].encode()))

    def envelopes(self) -> list[dict[str, Any]]:
        """
        Read what was posted.
        """
        return [json.loads(body) for _, body, _ in self.posts]

    def event(self) -> dict[str, Any]:
        """
        Read the one event that was posted.
        """
        [envelope] = self.envelopes()
        [entry] = envelope["entry"]
        self.assertEqual((envelope["object"], entry["id"]), ("page", PAGE))
        self.assertEqual(entry["time"], int(NOW * 1000))
        [event] = entry["messaging"]
        return dict(event)

    def test_message(self) -> None:
        """
        A person's message is posted to the app's callback.
        """
        mid = self.meta.message(PAGE, ALICE, "Hi", quick_reply={"payload": "GREEN"})
        self.assertEqual(self.posts[0][0], CALLBACK)
        self.assertEqual(
            self.event(),
            {
                "sender": {"id": ALICE},
                "recipient": {"id": PAGE},
                "timestamp": int(NOW * 1000),
                "message": {
                    "mid": mid,
                    "text": "Hi",
                    "quick_reply": {"payload": "GREEN"},
                },
            },
        )
        [wrote] = self.journal.of(Wrote)
        self.assertEqual((wrote.mid, wrote.text), (mid, "Hi"))

    def test_without_text(self) -> None:
        """
        A message may have attachments and no text.
        """
        self.meta.message(PAGE, ALICE, None, attachments=[{"type": "image"}])
        self.assertNotIn("text", self.event()["message"])

    def test_opens_window(self) -> None:
        """
        What a person does makes them known to the Page, and opens the window.
        """
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(self.page.people, {ALICE: NOW})
        self.clock.advance(60)
        self.meta.postback(PAGE, ALICE, "START")
        self.assertEqual(self.page.people, {ALICE: NOW + 60})

    def test_postback(self) -> None:
        """
        A tap on a button is posted with its payload.
        """
        mid = self.meta.postback(PAGE, ALICE, "START", "Get started")
        expected = {"mid": mid, "title": "Get started", "payload": "START"}
        self.assertEqual(self.event()["postback"], expected)

    def test_human(self) -> None:
        """
        What the Page's staff write is posted as an echo from the inbox.
        """
        mid = self.meta.human(PAGE, ALICE, "May I help?")
        event = self.event()
        self.assertEqual(event["sender"], {"id": PAGE})
        self.assertEqual(event["message"]["mid"], mid)
        self.assertIs(event["message"]["is_echo"], True)
        self.assertEqual(event["message"]["app_id"], int(PAGE_INBOX))
        self.assertNotIn("metadata", event["message"])
        [said] = self.journal.of(Applied)
        self.assertEqual(said.mid, mid)

    def test_read_and_delivery(self) -> None:
        """
        Reads and deliveries are posted where the Page is subscribed to them.
        """
        self.page.fields |= {"message_reads", "message_deliveries"}
        self.meta.read(PAGE, ALICE)
        self.assertEqual(self.event()["read"], {"watermark": int(NOW * 1000)})
        self.posts.clear()
        self.meta.delivery(PAGE, ALICE, "m_1")
        self.assertEqual(self.event()["delivery"]["mids"], ["m_1"])

    def test_not_subscribed(self) -> None:
        """
        Nothing is posted of what the Page is not subscribed to, or where the
        app has no callback.
        """
        self.meta.read(PAGE, ALICE)
        self.app.callback = ""
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(self.posts, [])

    def test_any_event(self) -> None:
        """
        An event of any shape can be posted, on standby too.
        """
        item = {"sender": {"id": ALICE}, "surprise": {}}
        self.meta.event(PAGE, item, channel="standby")
        [envelope] = self.envelopes()
        self.assertEqual(envelope["entry"][0]["standby"], [item])

    def test_signature(self) -> None:
        """
        The bytes that are posted are signed with the app secret.
        """
        self.meta.message(PAGE, ALICE, "Hi")
        [(_, body, headers)] = self.posts
        digest = hmac.new(b"app secret", body, hashlib.sha256).hexdigest()
        self.assertEqual(headers["X-Hub-Signature-256"], f"sha256={digest}")

    def test_known_signature(self) -> None:
        """
        A body that is known to be signed rightly is signed so.
        """
        body = (
            b'{"object":"page","entry":[{"time":1795012345678,"id":"108463527190842",'
            b'"messaging":[{"sender":{"id":"6284913775102846"},"recipient":{"id":'
            b'"108463527190842"},"timestamp":1795012345123,"message":{"mid":"m_Q0",'
            b'"text":"\\u00e4\\u00f6\\u00e5 \\ud83d\\ude00 https:\\/\\/ex.test\\/a?b=1"'
            b"}}]}]}"
        )
        expected = "542887985253a90aa111ca7c5e0e29ce32cac2eea12b187af45c3dfb4a2f6684"
        secret = "3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
        self.assertEqual(signature(secret, body), f"sha256={expected}")
        self.assertEqual(as_json(json.loads(body)), body)

    def test_raw(self) -> None:
        """
        Any bytes can be posted, with a signature or without.
        """
        self.answer = 403
        status = self.successResultOf(self.meta.raw(PAGE, b"{", signed=False))
        self.assertEqual(status, 403)
        [(url, body, headers)] = self.posts
        self.assertEqual((url, body), (CALLBACK, b"{"))
        self.assertNotIn("X-Hub-Signature-256", headers)
        self.meta.raw(PAGE, b"{")
        self.assertIn("X-Hub-Signature-256", self.posts[1][2])

    def test_batch(self) -> None:
        """
        Events of several people and Pages can be posted in one batch.
        """
        self.meta.pages["999"] = Page("999", "other token", self.app)
        with self.meta.batch():
            self.meta.message(PAGE, ALICE, "1")
            self.meta.message("999", "carol", "2")
            self.meta.message(PAGE, "bob", "3")
        [envelope] = self.envelopes()
        texts = {
            entry["id"]: [event["message"]["text"] for event in entry["messaging"]]
            for entry in envelope["entry"]
        }
        self.assertEqual(texts, {PAGE: ["1", "3"], "999": ["2"]})

    def test_apps_apart(self) -> None:
        """
        Events of different apps are never in one batch.
        """
        other = App("999", "other secret", callback="https://other.test/")
        self.meta.pages["999"] = Page("999", "other token", other)
        with self.meta.batch():
            self.meta.message(PAGE, ALICE, "1")
            self.meta.message("999", "carol", "2")
        told = [
            (url, [entry["id"] for entry in json.loads(body)["entry"]])
            for url, body, _ in self.posts
        ]
        self.assertEqual(told, [(CALLBACK, [PAGE]), ("https://other.test/", ["999"])])

    def test_window(self) -> None:
        """
        Events can be gathered for a while.
        """
        self.meta.habits = evolve(self.meta.habits, window=0.5)
        for text in ("1", "2"):
            self.meta.message(PAGE, ALICE, text)
        self.assertEqual(self.posts, [])
        self.clock.advance(0.5)
        [envelope] = self.envelopes()
        self.assertEqual(len(envelope["entry"][0]["messaging"]), 2)

    def test_doubles(self) -> None:
        """
        A notification can be posted twice although it was taken.
        """
        self.meta.habits = evolve(self.meta.habits, doubles=1.0)
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(len(self.posts), 1)
        self.clock.advance(self.meta.habits.spread)
        once, twice = self.posts
        self.assertEqual(once, twice)

    def test_reorders(self) -> None:
        """
        Events can arrive in another order, each with its own time.
        """
        self.meta.habits = evolve(self.meta.habits, reorders=0.5)
        sent = [self.meta.message(PAGE, ALICE, str(n)) for n in range(20)]
        self.clock.pump([0.1] * 21)
        events = [it["entry"][0]["messaging"][0] for it in self.envelopes()]
        arrived = [event["message"]["mid"] for event in events]
        self.assertEqual(sorted(arrived), sorted(sent))
        self.assertNotEqual(arrived, sent)

    def test_retries(self) -> None:
        """
        What is not answered 200 is posted again, the same bytes, at once and
        then at intervals, until it is.
        """
        self.answer = 503
        self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual(len(self.posts), 3)
        self.clock.advance(2)
        self.assertEqual(len(self.posts), 4)
        self.answer = 200
        self.clock.advance(5)
        self.clock.advance(60)
        self.assertEqual(len(self.posts), 5)
        self.assertEqual(len({body for _, body, _ in self.posts}), 1)
        attempts = [(it.attempt, it.status) for it in self.journal.of(Posted)]
        self.assertEqual(attempts, [(1, 503), (2, 503), (3, 503), (4, 503), (5, 200)])

    def test_deadline(self) -> None:
        """
        An answer that takes more than five seconds is none.
        """
        self.answer = Deferred()
        self.meta.message(PAGE, ALICE, "Hi")
        self.clock.advance(4.9)
        self.assertEqual(len(self.posts), 1)
        self.answer = 200
        self.clock.advance(0.1)
        statuses = [it.status for it in self.journal.of(Posted)]
        self.assertEqual(statuses, [None, 200])

    def test_unsubscribed(self) -> None:
        """
        After an hour without a success, Meta unsubscribes the app from the
        Page, and says nothing more.
        """
        self.answer = None
        self.meta.message(PAGE, ALICE, "Hi")
        self.clock.pump([1.0] * 3500)
        self.assertEqual(self.journal.of(Subscribed), [])
        self.clock.pump([1.0] * 200)
        [subscribed] = self.journal.of(Subscribed)
        self.assertEqual((subscribed.page, subscribed.fields), (PAGE, ()))
        count = len(self.posts)
        self.meta.message(PAGE, ALICE, "Hi?")
        self.clock.pump([1.0] * 200)
        self.assertEqual(len(self.posts), count)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gives_up(self) -> None:
        """
        A notification is given up after as many attempts as Meta makes, and
        the Page stays subscribed.
        """
        self.meta.habits = Habits(retries=(0.0, 1.0), attempts=4)
        self.answer = 503
        self.meta.message(PAGE, ALICE, "Hi")
        self.clock.pump([1.0] * 60)
        self.assertEqual(len(self.posts), 4)
        self.assertEqual(self.journal.of(Subscribed), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_success_forgives(self) -> None:
        """
        One success begins the hour anew.
        """
        self.answer = 503
        self.meta.message(PAGE, ALICE, "Hi")
        self.clock.pump([1.0] * 3500)
        self.answer = 200
        self.clock.pump([1.0] * 60)
        self.answer = 503
        self.meta.message(PAGE, ALICE, "Hi")
        self.clock.pump([1.0] * 3500)
        self.assertEqual(self.journal.of(Subscribed), [])

    def test_verify(self) -> None:
        """
        A callback is verified by whether it knows the token and gives the
        challenge back.
        """
        right = self.meta.verify(CALLBACK, "verify me")
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(right)), True)
        wrong = self.meta.verify(CALLBACK, "other")
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(wrong)), False)
        self.meta._get = lambda url: succeed((200, b"challenge"))
        odd = self.meta.verify(CALLBACK, "verify me")
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(odd)), False)

    def test_skew(self) -> None:
        """
        Meta's clock may differ from ours.
        """
        self.meta.skew = -100.0
        self.meta.message(PAGE, ALICE, "Hi")
        [envelope] = self.envelopes()
        [event] = envelope["entry"][0]["messaging"]
        self.assertEqual(event["timestamp"], int((NOW - 100.0) * 1000))
