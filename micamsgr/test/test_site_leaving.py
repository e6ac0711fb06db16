"""
Tests for what becomes of connections when the daemon stops.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from micamsgr.test.test_site import HEAD, Peer, SiteCase

GET = b"GET /a HTTP/1.1\r\nHost: bot.example\r\n\r\n"
BODY = HEAD + b"Content-Length: 4\r\n\r\n"


class LeaveTests(SiteCase):
    """
    Tests for :meth:`LimitedSite.leave`.
    """

    def leave(self) -> Deferred[Any]:
        """
        Let the daemon stop.
        """
        return Deferred.fromCoroutine(self.site.leave())

    def assert_answered_last(self, peer: Peer) -> None:
        """
        A client gets an answer that says that it is the last one.
        """
        self.resource.answer()
        received = peer.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 200 "), received)
        self.assertIn(b"\r\nconnection: close\r\n", received.lower())
        self.assertTrue(peer.closing)

    def test_nobody(self) -> None:
        """
        Where nobody is connected a stop waits for nothing.
        """
        peer = self.connect()
        peer.go()
        self.successResultOf(self.leave())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_on_its_way(self) -> None:
        """
        A request of which some has come, or none but the connection, is read
        and answered before the stop goes on.
        """
        whole = BODY + b"late"
        for sent in range(len(whole) + 1):
            peer = self.connect()
            peer.send(whole[:sent])
            leaving = self.leave()
            self.clock.advance(0.9)
            peer.send(whole[sent:])
            self.assertNoResult(leaving)
            self.assert_answered_last(peer)
            peer.go()
            self.successResultOf(leaving)
            self.assertEqual(self.resource.bodies.pop(), b"late")
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.site.leaving = False

    def test_kept(self) -> None:
        """
        A connection between two requests is closed, but not at the instant:
        the next request may be on its way, and is answered.
        """
        busy, idle = self.connect(), self.connect()
        for peer in (busy, idle):
            peer.send(GET)
            self.resource.answer()
            peer.received()
        leaving = self.leave()
        self.clock.advance(0.5)
        self.assertFalse(idle.closing)
        busy.send(GET)
        self.assert_answered_last(busy)
        self.clock.advance(0.5)
        self.assertTrue(idle.closing)
        self.assertEqual(idle.received(), b"")
        for peer in (busy, idle):
            self.assertNoResult(leaving)
            peer.go()
        self.successResultOf(leaving)

    def test_slow(self) -> None:
        """
        Nobody keeps a stop waiting for long, by sending slowly, by not reading
        or by saying nothing.
        """
        silent, slow, waiting, deaf = (self.connect() for _ in range(4))
        slow.send(BODY)
        waiting.send(GET)
        deaf.send(GET)
        deaf._protocol.pauseProducing()
        leaving = self.leave()
        self.clock.advance(1.0)
        self.assertTrue(silent.closing)
        for _ in range(3):
            self.clock.advance(1.0)
            slow.send(b"x")
            self.assertNoResult(leaving)
        self.clock.advance(1.0)
        self.assertEqual(slow.statuses(), [408])
        self.clock.advance(1.0)
        self.successResultOf(leaving)

    def test_not_hanging_up(self) -> None:
        """
        A client that keeps its end open after the last answer is cut off soon,
        so that the stop goes on.
        """
        peer = self.connect()
        peer.send(GET)
        leaving = self.leave()
        self.assert_answered_last(peer)
        self.clock.advance(0.9)
        self.assertFalse(peer.cut)
        self.clock.advance(0.1)
        self.assertTrue(peer.cut)
        peer.go()
        self.successResultOf(leaving)

    def test_second_life(self) -> None:
        """
        What is sent after the last answer is not looked at.
        """
        peer = self.connect()
        peer.send(GET)
        leaving = self.leave()
        peer.send(GET)
        self.assert_answered_last(peer)
        peer.send(GET)
        self.assertEqual(self.resource.requests, [])
        peer.go()
        self.successResultOf(leaving)
