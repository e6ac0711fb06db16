"""
Tests for :mod:`micamsgr.web.site`, over connections in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import alsoProvides

from micamsgr.web.channel import refusal
from micamsgr.web.site import Budget, LimitedSite

LARGEST = 100
HEAD = b"POST / HTTP/1.1\r\nHost: bot.example\r\n"


class Wire(StringTransport):
    """
    A connection in memory, as over TCP: each half of it can be closed.

    :ivar half_closed: whether ours is.
    """

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class Peer:
    """
    The far end of a connection to a site.
    """

    def __init__(self, site: Any, host: str = "192.0.2.1") -> None:
        address = IPv4Address("TCP", host, 4711)
        self._protocol: Any = site.buildProtocol(address)
        self.transport: Any = Wire(peerAddress=address)
        # Of the rest of the interface, nothing is called.
        alsoProvides(self.transport, ITCPTransport)
        self._protocol.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> None:
        """
        Send bytes, piece by piece.
        """
        for piece in pieces:
            self._protocol.dataReceived(piece)

    def received(self) -> bytes:
        """
        Take what came since the last time.
        """
        received: bytes = self.transport.value()
        self.transport.clear()
        return received

    def statuses(self) -> list[int]:
        """
        Take the statuses of the answers that came since the last time.
        """
        lines = self.received().split(b"\r\n")
        return [int(line[9:12]) for line in lines if line.startswith(b"HTTP/1.")]

    def go(self) -> None:
        """
        Hang up.
        """
        self._protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def closing(self) -> bool:
        """Whether the site says that there will be no more."""
        return bool(self.transport.disconnecting or self.transport.half_closed)

    @property
    def cut(self) -> bool:
        """Whether the site has cut the connection off."""
        return bool(self.transport.disconnected)


class Slow(Resource):
    """
    Answers when the test says so.

    :ivar bodies: of the requests that got through the limits.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.requests: list[Request] = []

    def render(self, request: Request) -> int:
        assert request.content is not None
        self.bodies.append(request.content.read())
        self.requests.append(request)
        return NOT_DONE_YET

    def answer(self) -> None:
        """
        Answer the oldest request with 200 and its path.
        """
        request = self.requests.pop(0)
        request.write(request.path)
        request.finish()


class SiteCase(SynchronousTestCase):
    """
    A site with small limits.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.budget = Budget(150)
        self.resource = Slow()
        self.site = LimitedSite(
            self.resource,
            self.clock,
            largest_body=LARGEST,
            unverified=self.budget,
        )

    def connect(self, host: str = "192.0.2.1") -> Peer:
        """
        Connect to the site.
        """
        return Peer(self.site, host)

    def post(self, body: bytes) -> Peer:
        """
        Begin to send a body of the largest size.
        """
        peer = self.connect()
        peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST, body)
        return peer

    def assert_forgotten(self, peer: Peer) -> None:
        """
        Once the peer is gone, nothing of it is held and nothing waits.
        """
        peer.go()
        self.assertEqual(self.budget.held, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.site.admission.open, 0)


class BodyTests(SiteCase):
    """
    Tests for the limit of one body.
    """

    def test_declared_fits(self) -> None:
        """
        A body of the largest size gets through, in however many pieces.
        """
        peer = self.post(b"")
        peer.send(*[b"x"] * LARGEST)
        self.assertEqual(self.resource.bodies, [b"x" * LARGEST])
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        self.assertFalse(peer.closing)
        self.assert_forgotten(peer)

    def test_declared_too_large(self) -> None:
        """
        A body that is declared one byte too large is answered 413 before any
        of it comes.
        """
        peer = self.connect()
        peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST + 1))
        self.assertEqual(peer.statuses(), [413])
        self.assert_forgotten(peer)

    def test_declared_absurd(self) -> None:
        """
        A length of four thousand digits is answered 413 as well.
        """
        peer = self.connect()
        peer.send(HEAD + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n")
        self.assertEqual(peer.statuses(), [413])

    def test_chunked_fits(self) -> None:
        """
        A body in chunks gets through, put together.
        """
        peer = self.connect()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        peer.send(b"32\r\n" + b"x" * 50 + b"\r\n", b"32\r\n" + b"y" * 50 + b"\r\n")
        peer.send(b"0\r\n\r\n")
        self.assertEqual(self.resource.bodies, [b"x" * 50 + b"y" * 50])

    def test_chunked_too_large(self) -> None:
        """
        A body in chunks is answered 413 with the first byte too many.
        """
        peer = self.connect()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        peer.send(b"64\r\n" + b"x" * LARGEST + b"\r\n")
        self.assertEqual(peer.statuses(), [])
        peer.send(b"1\r\nx")
        self.assertEqual(peer.statuses(), [413])

    def test_refused_expectation(self) -> None:
        """
        A client that asks before it sends too large a body is told 413, and
        not to continue.
        """
        peer = self.connect()
        peer.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n")
        self.assertEqual(peer.statuses(), [413])

    def test_expectation(self) -> None:
        """
        A client that asks before it sends its body is told to continue.
        """
        peer = self.connect()
        peer.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        self.assertEqual(peer.statuses(), [100])
        peer.send(b"x")
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])

    def test_after_refusal(self) -> None:
        """
        Whatever a refused client sends is neither kept nor answered: the rest
        of its body, another request, or nonsense.
        """
        follows = (b"x" * 101 + HEAD + b"\r\n", b"x" * 10_000, b"\0\r\n" * 999)
        for length in (b"Content-Length: 101", b"Transfer-Encoding: chunked"):
            for rest in follows:
                for gathered in (False, True):
                    pieces = [HEAD + length + b"\r\n\r\n", b"65\r\n" + b"x" * 101]
                    pieces += [b"\r\n0\r\n\r\n", rest, rest]
                    peer = self.connect()
                    peer.send(*([b"".join(pieces)] if gathered else pieces))
                    self.assertEqual(peer.statuses(), [413], (length, rest[:9]))
                    self.assert_forgotten(peer)
        self.assertEqual(self.resource.bodies, [])

    def test_endless(self) -> None:
        """
        A refused client that never stops sending is cut off after five
        seconds, and can read its answer until then.
        """
        peer = self.connect()
        peer.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
        self.assertTrue(peer.transport.half_closed)
        for _ in range(4):
            self.clock.advance(1.0)
            peer.send(b"x" * 100)
        self.assertFalse(peer.transport.disconnecting)
        self.clock.advance(1.0)
        self.assertTrue(peer.cut)
        self.assert_forgotten(peer)

    def test_explained(self) -> None:
        """
        A refusal says what it is in a few plain words, and that it ends the
        connection.
        """
        for status, words in (
            (400, "bad request"),
            (404, "not found"),
            (405, "method not allowed"),
            (408, "request timeout"),
            (413, "content too large"),
            (417, "expectation failed"),
            (503, "service unavailable"),
        ):
            head, _, body = refusal(status).decode("ascii").partition("\r\n\r\n")
            line, *headers = head.split("\r\n")
            self.assertEqual(line.lower(), f"http/1.1 {status} {words}")
            self.assertEqual(body, f"{words}\n")
            self.assertIn(f"Content-Length: {len(body)}", headers)
            self.assertIn("Connection: close", headers)
            self.assertIn("Content-Type: text/plain; charset=utf-8", headers)

    def test_chopped(self) -> None:
        """
        A body in chunks of a byte each gets through if it is short; one that is
        mostly about where its chunks end doesn't.
        """
        self.site.largest_body = self.budget.limit = 1 << 20
        for count, wanted in ((10_000, []), (20_000, [413])):
            peer = self.connect()
            peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(count // 1000):
                peer.send(b"1\r\nx\r\n" * 1000)
            self.assertEqual(peer.statuses(), wanted)
            peer.go()

    def test_trailers(self) -> None:
        """
        Headers that follow a body are passed over, if they are few.
        """
        for count, status in ((10, []), (1000, [400])):
            peer = self.connect()
            peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
            peer.send(b"X: y\r\n" * count, b"\r\n")
            self.assertEqual(peer.statuses(), status)
            peer.go()
        self.assertEqual(self.resource.bodies, [b"x"])


class BudgetTests(SiteCase):
    """
    Tests for what all bodies that were not looked at yet share.
    """

    def test_exhausted(self) -> None:
        """
        What is over the limit of all bodies together is answered 503, and
        nobody else suffers.
        """
        first, second = self.post(b"x" * 99), self.post(b"y" * 50)
        third = self.post(b"zz")
        self.assertEqual(third.statuses(), [503])
        self.assertEqual(first.statuses() + second.statuses(), [])
        first.send(b"x")
        self.assertEqual(len(self.resource.bodies), 1)

    def test_not_leaked(self) -> None:
        """
        However a request ends, its bytes are free for others.
        """
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        ends: dict[str, tuple[bytes, ...]] = {
            "whole": (HEAD + b"Content-Length: 3\r\n\r\n", b"abc"),
            "by halves": (HEAD + b"Content-Length: 3\r\n\r\n", b"ab"),
            "chunked": (chunked, b"3\r\nabc\r\n0\r\n\r\n"),
            "too large": (chunked, b"64\r\n" + b"x" * 100 + b"\r\n", b"1\r\nx"),
            "malformed": (chunked, b"3\r\nabc\r\n", b"zzz\r\n"),
            "cut off": (chunked, b"3\r\nabc\r\n"),
        }
        for name, pieces in ends.items():
            peer = self.connect()
            peer.send(*pieces)
            self.assert_forgotten(peer)
            self.assertEqual(self.budget.held, 0, name)

    def test_free_while_answering(self) -> None:
        """
        A body counts until it was looked at, not until it is answered.
        """
        self.post(b"x" * LARGEST)
        self.assertEqual(self.budget.held, 0)

    def test_refused(self) -> None:
        """
        A refused client holds nothing while it lingers.
        """
        self.post(b"x" * 60)
        other = self.post(b"y" * 80)
        other.send(b"y" * 20)
        self.assertEqual(other.statuses(), [503])
        self.assertEqual(self.budget.held, 60)
