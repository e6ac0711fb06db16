"""
Tests for :mod:`micamsgr.web.deadlines`, and for how a site keeps them, over
connections in memory.
"""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import micamsgr
from micamsgr.messenger.bounded_json import MAX_DEPTH, MAX_DIGITS, MAX_VALUES
from micamsgr.messenger.notifications import MAX_ITEMS
from micamsgr.web.channel import MOST_HEADERS, MOST_REQUESTS
from micamsgr.web.deadlines import Deadline, Deadlines

from .test_site import HEAD, LARGEST, Peer, SiteCase

GET = b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n"


class DeadlineTests(SynchronousTestCase):
    """
    Tests for :class:`Deadline`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(self.clock)
        self.late: list[str] = []

    def set(self, seconds: float | None, name: str) -> None:
        """
        Set it, so that it notes a name.
        """
        self.deadline.set(seconds, lambda: self.late.append(name))

    def test_late(self) -> None:
        """
        What is not done in time has its consequence, once.
        """
        self.set(2.0, "a")
        self.assertTrue(self.deadline.running)
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.late, ["a"])
        self.assertFalse(self.deadline.running)

    def test_replaced(self) -> None:
        """
        Of two, the later set counts.
        """
        self.set(2.0, "a")
        self.set(3.0, "b")
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.late, ["b"])

    def test_lifted(self) -> None:
        """
        One that is lifted, or replaced by none, has no consequence.
        """
        self.set(2.0, "a")
        self.deadline.lift()
        self.set(2.0, "b")
        self.set(None, "c")
        self.deadline.lift()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SiteDeadlineTests(SiteCase):
    """
    Tests for how long a client may take.
    """

    def send_slowly(self, peer: Peer, data: bytes, seconds: float) -> None:
        """
        Send bytes one by one, a second between each two.
        """
        for at in range(round(seconds)):
            peer.send(data[at : at + 1])
            self.clock.advance(1.0)

    def assert_let_go(self, peer: Peer) -> None:
        """
        A client that doesn't take the hint is cut off soon.
        """
        self.clock.advance(10.0)
        self.assertTrue(peer.cut)
        self.assert_forgotten(peer)

    def test_silent(self) -> None:
        """
        A client that connects and says nothing is let go.
        """
        peer = self.connect()
        self.clock.advance(9.0)
        self.assertFalse(peer.closing)
        self.clock.advance(1.0)
        self.assertTrue(peer.closing)
        self.assertEqual(peer.received(), b"")
        self.assert_let_go(peer)

    def test_slow_headers(self) -> None:
        """
        A client that sends its headers byte by byte, so that it is never idle,
        is answered 408, however late its first byte came.
        """
        for silence in (0.0, 8.0):
            peer = self.connect()
            self.clock.advance(silence)
            self.send_slowly(peer, HEAD, 9.0 - silence)
            self.assertEqual(peer.statuses(), [])
            self.send_slowly(peer, HEAD, 1.0)
            self.assertEqual(peer.statuses(), [408])
            self.assertTrue(peer.closing)
            self.assert_let_go(peer)

    def test_slow_body(self) -> None:
        """
        A client that sends its body byte by byte, so that it is never idle,
        is answered 408 and holds nothing any more.
        """
        for header, piece in (
            (b"Content-Length: 100", b"x"),
            (b"Transfer-Encoding: chunked", b"1\r\nx\r\n"),
        ):
            peer = self.connect()
            peer.send(HEAD + header + b"\r\n\r\n")
            for _ in range(11):
                self.clock.advance(1.0)
                peer.send(piece)
            self.assertEqual(peer.statuses(), [408], header)
            self.assertEqual(self.budget.held, 0)
            self.assert_let_go(peer)

    def test_body_after_headers(self) -> None:
        """
        The body has its own ten seconds, from the end of the headers on.
        """
        peer = self.connect()
        self.clock.advance(9.0)
        peer.send(HEAD + b"Content-Length: 1\r\n\r\n")
        self.clock.advance(9.0)
        peer.send(b"x")
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        peer.go()

    def test_refused_late(self) -> None:
        """
        A client that was refused just in time is answered once.
        """
        peer = self.connect()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        self.clock.advance(9.0)
        peer.send(b"65\r\n" + b"x" * 101)
        self.clock.advance(3.0)
        self.assertEqual(peer.statuses(), [413])

    def test_slow_answer(self) -> None:
        """
        Once its request is there, a client waits for the answer for half a
        minute; one that never comes doesn't hold the connection.
        """
        peer, other = self.post(b"x" * LARGEST), self.post(b"y" * LARGEST)
        self.clock.advance(29.0)
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        self.assertFalse(other.cut)
        self.clock.advance(1.0)
        self.assertTrue(other.cut)
        gone: list[object] = []
        self.resource.requests[0].notifyFinish().addErrback(gone.append)
        self.assertEqual(gone, [])
        other.go()
        self.assertEqual(len(gone), 1)
        self.assert_forgotten(peer)

    def test_endless_answer(self) -> None:
        """
        Where answers take as long as they take, none is cut off.
        """
        self.site.deadlines = Deadlines(answer=None)
        peer = self.post(b"x" * LARGEST)
        self.clock.pump([100.0] * 10)
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        self.assert_forgotten(peer)

    def test_idle(self) -> None:
        """
        A connection on which nothing more is asked for is closed after half a
        minute.
        """
        peer = self.connect()
        peer.send(GET)
        self.resource.answer()
        self.clock.advance(29.0)
        self.assertFalse(peer.closing)
        self.clock.advance(1.0)
        self.assertTrue(peer.closing)
        self.assertEqual(peer.statuses(), [200])
        self.assert_let_go(peer)

    def test_next_request(self) -> None:
        """
        Each further request has ten seconds for its headers, from its first
        byte on.
        """
        peer = self.connect()
        for _ in range(3):
            self.clock.advance(25.0 if self.resource.bodies else 0.0)
            peer.send(GET[:5])
            self.clock.advance(9.0)
            peer.send(GET[5:])
            self.resource.answer()
            self.assertEqual(peer.statuses(), [200])
        self.clock.advance(25.0)
        self.send_slowly(peer, GET, 10.0)
        self.assertEqual(peer.statuses(), [408])
        self.assert_let_go(peer)

    def test_read_ahead(self) -> None:
        """
        A request that was begun while the one before was answered is to go on
        in time, too.
        """
        peer = self.connect()
        peer.send(GET + GET[:20])
        self.clock.advance(20.0)
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        self.clock.advance(10.0)
        self.assertEqual(peer.statuses(), [408])
        peer.go()

    def test_slow_reader(self) -> None:
        """
        A client that leaves so much unread that no more is written has ten
        seconds to read it; one that reads in time is answered on.
        """
        slow, good = self.connect(), self.connect()
        for peer in (slow, good):
            peer.transport.producer.pauseProducing()
        self.clock.advance(5.0)
        for peer in (slow, good):
            # It is asked again, while nothing changes.
            peer.transport.producer.pauseProducing()
        self.clock.advance(4.0)
        self.assertFalse(slow.cut)
        good.transport.producer.resumeProducing()
        good.send(GET)
        self.clock.advance(1.0)
        self.assertTrue(slow.cut)
        self.resource.answer()
        self.assertEqual(good.statuses(), [200])
        slow.go()
        self.assert_forgotten(good)

    def test_unread_end(self) -> None:
        """
        A client that leaves its last answer unread can't keep the connection.
        """
        peer = self.connect()
        peer.send(b"GET / HTTP/1.0\r\n\r\n")
        self.resource.answer()
        self.assertTrue(peer.closing)
        self.clock.advance(9.0)
        self.assertFalse(peer.cut)
        self.clock.advance(1.0)
        self.assertTrue(peer.cut)
        self.assert_forgotten(peer)


class DocumentedTests(SynchronousTestCase):
    """
    Tests for what the operator reads.
    """

    def test_limits(self) -> None:
        """
        The limits that can't be configured are those that the documentation
        tells.
        """
        path = Path(micamsgr.__file__).parent.parent / "docs" / "configuration.md"
        if not path.is_file():
            raise SkipTest("needs a checkout")
        rows = [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in path.read_text("utf-8").splitlines()
            if line.startswith("|")
        ]
        limits = {row[0]: row[1] for row in rows}
        deadlines = Deadlines()
        for what, limit in (
            ("TLS handshake", f"{deadlines.handshake:g} s"),
            ("headers of a request", f"{deadlines.headers:g} s"),
            ("its body", f"{deadlines.body:g} s"),
            ("our answer", f"{deadlines.answer:g} s"),
            ("reading it", f"{deadlines.reading:g} s"),
            ("time between two requests", f"{deadlines.idle:g} s"),
            ("a request, once the daemon stops", f"{deadlines.parting:g} s for its"),
            ("a request, once the daemon stops", f"{deadlines.leaving:g} s for the"),
            ("requests of one connection", f"{MOST_REQUESTS}"),
            ("headers", f"{MOST_HEADERS}, "),
            ("JSON", f"{MAX_DEPTH} levels, {MAX_VALUES:,} values"),
            ("JSON", f"numbers of {MAX_DIGITS} digits"),
            ("items of a notification", f"{MAX_ITEMS}, "),
        ):
            self.assertIn(limit, limits[what], what)
