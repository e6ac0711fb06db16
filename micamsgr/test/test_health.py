"""
Tests for :mod:`micamsgr.web.health`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.test.test_site import Peer
from micamsgr.web.health import PLAIN, Pulse, View, pages
from micamsgr.web.site import Budget, LimitedSite


class PulseTests(SynchronousTestCase):
    """
    Tests for whether a thread is alive.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[None]] = []
        self.pulse = Pulse(self.clock, self.ping)

    def ping(self) -> Deferred[None]:
        """
        Be asked.
        """
        self.asked.append(Deferred())
        return self.asked[-1]

    def test_alive(self) -> None:
        """
        Who answers is alive, and nothing is left behind.
        """
        felt = self.pulse.feel()
        self.assertNoResult(felt)
        self.asked.pop().callback(None)
        self.assertIsNone(self.successResultOf(felt))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.pulse.stuck)

    def test_shared(self) -> None:
        """
        However many want to know, one question is open; all have its answer.
        """
        felt = [self.pulse.feel() for _ in range(1000)]
        self.assertEqual(len(self.asked), 1)
        self.asked.pop().callback(None)
        self.assertEqual({self.successResultOf(each) for each in felt}, {None})
        self.pulse.feel()
        self.assertEqual(len(self.asked), 1)

    def test_late(self) -> None:
        """
        Who does not answer in time is taken for dead: by who asked first, by
        who asked while it was waited for, and by who asks from then on, who is
        told at once and asks nobody.
        """
        felt = [self.pulse.feel()]
        self.clock.advance(3.0)
        felt.append(self.pulse.feel())
        self.clock.advance(1.9)
        for each in felt:
            self.assertNoResult(each)
        self.assertIsNone(self.pulse.stuck)
        self.clock.advance(0.1)
        for each in felt:
            why = self.successResultOf(each)
            self.assertEqual(why, "it has not answered for 5 s")
        self.clock.advance(55.0)
        why = self.successResultOf(self.pulse.feel())
        self.assertEqual(why, "it has not answered for 60 s")
        self.assertEqual(self.pulse.stuck, why)
        self.assertEqual(len(self.asked), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        Who answers after all is alive again, and is asked again.
        """
        self.pulse.feel()
        self.clock.advance(60.0)
        self.asked.pop().callback(None)
        self.assertIsNone(self.pulse.stuck)
        felt = self.pulse.feel()
        self.assertNoResult(felt)
        self.assertIsNone(self.pulse.stuck)
        self.clock.advance(4.0)
        self.asked.pop().callback(None)
        self.assertIsNone(self.successResultOf(felt))

    def test_rounding(self) -> None:
        """
        Who asked at an odd time is told of the delay all the same.
        """
        self.clock.advance(0.1 + 0.7)
        felt = self.pulse.feel()
        self.clock.advance(5.0)
        self.assertIsNotNone(self.successResultOf(felt))

    def test_refused(self) -> None:
        """
        Where nobody can be asked, that is the answer, and the next one asks
        again.
        """
        for error, why in (
            (StoreUnavailable("the store is closed"), "the store is closed"),
            (ValueError("of a secret"), "it can't be asked"),
        ):
            felt = self.pulse.feel()
            self.asked.pop().errback(error)
            self.assertEqual(self.successResultOf(felt), why)
            self.assertEqual(self.clock.getDelayedCalls(), [])


class PageTests(SynchronousTestCase):
    """
    Tests for how pages are answered.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.looks: list[Deferred[View]] = []
        resource = pages({"late": self.look, "now": self.now, "broken": self.broken})
        self.site = LimitedSite(
            resource, self.clock, largest_body=10, unverified=Budget(100)
        )
        self.peer = Peer(self.site)

    def look(self) -> Deferred[View]:
        """
        Answer when the test says so.
        """
        self.looks.append(Deferred())
        return self.looks[-1]

    async def now(self) -> View:
        """
        Answer at once.
        """
        return View(503, PLAIN, b"not well\n")

    def broken(self) -> Coroutine[Any, Any, View]:
        """
        Have a defect.
        """
        raise ValueError("of a secret")

    def get(self, path: bytes, method: bytes = b"GET") -> bytes:
        """
        Ask for a page, and take the answer.
        """
        self.peer.send(method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        return self.peer.received()

    def test_answer(self) -> None:
        """
        A page is answered with its status, type and length, and is not kept by
        whoever passes it on.
        """
        head, _, body = self.get(b"/now?verbose").partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nContent-Length: 9\r\n", head)
        self.assertIn(b"\r\nContent-Type: text/plain; charset=utf-8\r\n", head)
        self.assertIn(b"\r\nCache-Control: no-store\r\n", head)
        self.assertEqual(body, b"not well\n")

    def test_head(self) -> None:
        """
        HEAD is answered as GET is, without the page.
        """
        whole = self.get(b"/now")
        self.assertEqual(self.get(b"/now", b"HEAD"), whole.removesuffix(b"not well\n"))

    def test_late(self) -> None:
        """
        A page that takes a while is answered when it is there; who has hung up
        meanwhile is no trouble.
        """
        self.assertEqual(self.get(b"/late"), b"")
        self.looks.pop().callback(View(200, PLAIN, b"ok\n"))
        self.assertTrue(self.peer.received().endswith(b"\r\n\r\nok\n"))
        self.assertEqual(self.get(b"/late"), b"")
        self.peer.go()
        self.looks.pop().callback(View(200, PLAIN, b"ok\n"))
        self.assertEqual(self.peer.received(), b"")

    def test_defect(self) -> None:
        """
        A defect is answered 500, and told to nobody but the log.
        """
        answered = self.get(b"/broken")
        self.assertTrue(answered.startswith(b"HTTP/1.1 500 "))
        self.assertNotIn(b"secret", answered)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_otherwise(self) -> None:
        """
        Beside the pages there is nothing, and they can only be read.
        """
        for path in (b"/", b"/no", b"/now/", b"/now/x", b"/" + b"a/" * 2000):
            self.assertTrue(self.get(path).startswith(b"HTTP/1.1 404 "), path)
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"ODD"):
            refused = self.get(b"/now", method)
            self.assertTrue(refused.startswith(b"HTTP/1.1 405 "), method)
            self.assertIn(b"\r\nAllow: GET, HEAD\r\n", refused)
        self.assertEqual(self.looks, [])
