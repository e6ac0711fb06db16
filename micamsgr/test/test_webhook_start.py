"""
Tests for what Meta delivers before it is known which Page a bot's is.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from micamsgr.errors import StoreUnavailable
from micamsgr.messenger.pages import PageFinder
from micamsgr.testing import BOT, PAGE

from .test_webhook import WebhookCase, entry, message, notification, post


class ReadingTests(WebhookCase):
    """
    Tests for deliveries that come while the store is asked.
    """

    reading = True

    def test_waits(self) -> None:
        """
        What comes for somebody else's Page is not taken for the bot's, only as
        nobody knows yet which one that is.
        """
        self.pages["mica"] = None
        self.peer.send(post(notification(entry(message(), page="999463527190842"))))
        self.clock.advance(0.1)
        self.assertEqual(self.peer.statuses(), [])
        self.pages["mica"], self.reading = PAGE, False
        self.clock.advance(0.1)
        self.step()
        self.assertEqual(self.peer.statuses(), [200])
        self.assertEqual(self.store.events(), [("ignored", "other page")])

    def test_too_long(self) -> None:
        """
        Where the store does not say in time, Meta is to deliver again.
        """
        self.peer.send(post(notification(entry(message()))))
        self.clock.pump([0.02] * 160)
        self.assertEqual(self.peer.statuses(), [503])
        self.assertEqual(self.store.events(), [])

    def test_strangers(self) -> None:
        """
        What is not authentic is refused at once.
        """
        self.peer.send(post(b"{}", b"sha256=" + b"0" * 64))
        self.assertEqual(self.peer.statuses(), [403])

    def test_finder(self) -> None:
        """
        It is asked until the store has said, whatever that is.
        """
        for answer in (PAGE, None, StoreUnavailable("no")):
            asked: Deferred[Any] = Deferred()
            store: Any = type(
                "Store", (), {"remembered_page": lambda *_, it=asked: it}
            )()
            graph: Any = type("Graph", (), {"page": lambda _: Deferred()})()
            finder = PageFinder(BOT, Clock(), store, graph, "token", lambda: 1.0, None)
            finder.startService()
            self.assertTrue(finder.reading)
            if isinstance(answer, Exception):
                asked.errback(answer)
            else:
                asked.callback(answer)
            self.assertFalse(finder.reading)
            finder.stopService()
