"""
Tests for what a site makes of HTTP, proper and otherwise, over connections in
memory.
"""

from __future__ import annotations

from twisted.web.resource import Resource
from twisted.web.server import Request

from micamsgr.web.channel import MOST_REQUESTS

from .test_site import HEAD, LARGEST, SiteCase

GET = b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n"


class Static(Resource):
    """
    Answers GET at once.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"hello"


class Half(Resource):
    """
    Begins an answer, and fails.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.write(b"hel")
        raise ZeroDivisionError


class ProtocolTests(SiteCase):
    """
    Tests for what else a client may do.
    """

    def test_old_client(self) -> None:
        """
        A client of HTTP/1.0 is answered, and its connection closed.
        """
        peer = self.connect()
        peer.send(b"GET / HTTP/1.0\r\n\r\n")
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        self.assertTrue(peer.closing)

    def test_gone_before_answer(self) -> None:
        """
        A client that hangs up before its answer is there leaves nothing
        behind.
        """
        peer = self.post(b"x" * LARGEST)
        gone: list[object] = []
        self.resource.requests[0].notifyFinish().addErrback(gone.append)
        self.assert_forgotten(peer)
        self.assertEqual(len(gone), 1)

    def test_anonymous(self) -> None:
        """
        No answer tells what program gives it, or which version.
        """
        for line in (b"GET /", b"OPTIONS *", b"GET *", b"HEAD /", b"BREW /"):
            peer = self.connect()
            peer.send(line + b" HTTP/1.1\r\n\r\n")
            if self.resource.requests:
                self.resource.answer()
            answer = peer.received()
            self.assertTrue(answer.startswith(b"HTTP/1.1 "), line)
            self.assertNotIn(b"server:", answer.lower(), line)
            self.assertNotIn(b"twisted", answer.lower(), line)

    def test_defect(self) -> None:
        """
        A defect of ours is answered 500, and tells nothing about itself.
        """
        self.resource.requests = None  # type: ignore[assignment]
        peer = self.connect()
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        answer = peer.received()
        self.assertTrue(answer.startswith(b"HTTP/1.1 500 "))
        for word in (b"Traceback", b"AttributeError", b"Server:", b".py"):
            self.assertNotIn(word, answer)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_defect_late(self) -> None:
        """
        A defect of ours in the middle of an answer ends the connection, rather
        than pass something else off as the rest.
        """
        self.site.resource = Half()
        peer = self.connect()
        peer.send(GET)
        self.assertTrue(peer.cut)
        self.assertNotIn(b"500", peer.received())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_other_method(self) -> None:
        """
        A method that is not known there is answered 405 in a few plain words,
        and says which are.
        """
        self.site.resource = Static()
        for method in (b"POST", b"BREW"):
            peer = self.connect()
            peer.send(method + b" / HTTP/1.1\r\n\r\n")
            head, _, body = peer.received().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 405 "))
            self.assertIn(b"Allow: ", head)
            self.assertIn(b"GET", head)
            self.assertEqual(body, b"method not allowed\n")

    def test_head(self) -> None:
        """
        HEAD is answered as GET is, without the body.
        """
        self.site.resource = Static()
        peer = self.connect()
        peer.send(b"HEAD / HTTP/1.1\r\n\r\n")
        answer = peer.received()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"Content-Length: 5\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    def test_expectation(self) -> None:
        """
        A client that expects what we don't know is told so.
        """
        peer = self.connect()
        peer.send(HEAD + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx")
        self.assertEqual(peer.statuses(), [417])
        self.assertTrue(peer.closing)
        self.assertEqual(self.resource.bodies, [])


class PipelineTests(SiteCase):
    """
    Tests for clients that don't wait for an answer before they ask again.
    """

    def test_order(self) -> None:
        """
        Requests that come before the answer to the first one are answered
        in their order, one by one.
        """
        peer = self.connect()
        peer.send(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(3)))
        for n in range(3):
            self.assertEqual(len(self.resource.requests), 1)
            self.resource.answer()
            self.assertIn(b"\r\n/%d\r\n" % n, peer.received())
        self.assertFalse(peer.closing)

    def test_bodies(self) -> None:
        """
        Requests with bodies of both kinds keep to their order, too.
        """
        peer = self.connect()
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
        peer.send(HEAD + b"Content-Length: 1\r\n\r\na" + chunked + GET)
        for _ in range(3):
            self.resource.answer()
        self.assertEqual(self.resource.bodies, [b"a", b"b", b""])
        self.assertEqual(peer.statuses(), [200] * 3)

    def test_read_ahead(self) -> None:
        """
        While one is answered, no more is read than a little; then reading goes
        on.
        """
        peer = self.connect()
        peer.send(GET)
        sent = 0
        while peer.transport.producerState == "producing":
            peer.send(GET * 10)
            sent += 10
        self.assertLess(sent * len(GET), 20_000)
        for _ in range(20):
            self.resource.answer()
        self.assertEqual(peer.transport.producerState, "producing")
        self.assertEqual(peer.statuses(), [200] * 20)
        self.assertFalse(peer.cut)

    def test_flood(self) -> None:
        """
        A client that asks on and on and reads nothing is cut off before what
        it asked for fills the memory.
        """
        peer = self.connect()
        peer.send(GET)
        # The system takes no more, and an answer is still to be given.
        peer.transport.producer.pauseProducing()
        sent = 0
        while not peer.cut:
            peer.send(GET * 100)
            sent += 100 * len(GET)
            self.assertLess(sent, 1 << 20)
        peer.go()

    def test_refused(self) -> None:
        """
        Behind a request that is refused, none is looked at.
        """
        peer = self.connect()
        peer.send(GET + b"nonsense\r\n\r\n" + GET)
        self.assertEqual(peer.statuses(), [])
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200, 400])
        self.assertTrue(peer.closing)
        self.assertEqual(len(self.resource.bodies), 1)

    def test_most(self) -> None:
        """
        After so many requests the connection ends, which the last answer says;
        what follows is not looked at.
        """
        for together in (False, True):
            self.site.resource = Static()
            peer = self.connect()
            requests = [GET] * (MOST_REQUESTS + 10)
            peer.send(*([b"".join(requests)] if together else requests))
            answers = peer.received()
            self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), MOST_REQUESTS)
            last = answers[answers.rindex(b"HTTP/1.1 200 OK") :].lower()
            self.assertIn(b"connection: close\r\n", last)
            self.assertEqual(answers.lower().count(b"connection: close"), 1)
            self.assertTrue(peer.closing)
            self.assert_forgotten(peer)


class FramingTests(SiteCase):
    """
    Tests for requests of which two programs could read different ends.
    """

    # What follows the first line and the host. Behind it comes a request that
    # nobody may see.
    AMBIGUOUS = (
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: \r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding\t: chunked\r\n",
        b" Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\x0b\r\n",
        b"Transfer-Encoding: \x00chunked\r\n",
        b"Transfer-Encoding:\nchunked\r\n",
        b"Transfer-Encoding: x\nContent-Length: 3\r\n",
        b"Transfer-Encoding: x\rContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\ncontent-length: 0\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: -3\r\n",
        b"Content-Length: 3.0\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3 3\r\n",
        b"Content-Length: 3\x0b\r\n",
        b"Content-Length: \xb3\r\n",
        b"Content-Length: 1_0\r\n",
        b"Content-Length:\r\n",
        b"Content-Length : 3\r\n",
        b"Content-Length\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
    )
    # Bodies in chunks that are none.
    CHUNKS = (
        b"3\nabc\r\n0\r\n\r\n",
        b"3\rabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3;x=\n\r\nabc\r\n0\r\n\r\n",
        b"3;x=\x00\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3_3\r\nabc\r\n0\r\n\r\n",
        b"3" * 2000 + b"\r\nabc\r\n0\r\n\r\n",
    )

    def assert_refused(self, request: bytes) -> None:
        """
        A request is answered 400 once, whatever follows it and in whatever
        pieces it comes, and the connection is over.
        """
        for size in (len(request) + 100, 7):
            peer = self.connect()
            whole = request + GET
            peer.send(*(whole[at : at + size] for at in range(0, len(whole), size)))
            self.assertEqual(peer.statuses(), [400], request[:99])
            self.assertTrue(peer.closing, request[:99])
            self.assert_forgotten(peer)
        self.assertEqual(self.resource.bodies, [])

    def test_ambiguous(self) -> None:
        """
        A body whose length is told twice, or in a way that others may read
        differently, is refused with all that follows.
        """
        for headers in self.AMBIGUOUS:
            self.assert_refused(HEAD + headers + b"X: y\r\n\r\nabc")
            self.assert_refused(HEAD + b"X: y\r\n" + headers + b"\r\nabc")

    def test_chunks(self) -> None:
        """
        A body in chunks that don't end where they say is refused.
        """
        for body in self.CHUNKS:
            self.assert_refused(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    def test_no_chunks_then(self) -> None:
        """
        HTTP/1.0 knows no chunks.
        """
        self.assert_refused(
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )

    def test_absurd(self) -> None:
        """
        What is no request of HTTP/1 is answered 400 once, and the connection
        closed.
        """
        requests = (
            b"nonsense\r\n",
            b"GET /\r\n",
            b"GET / HTTP/0.9\r\n\r\n",
            b"GET / HTTP/1.2\r\n\r\n",
            b"GET / HTTP/3\r\n\r\n",
            b"GET / http/1.1\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\nHost: bot.example\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\n X: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: a\nb\r\n\r\n",
            b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
            b"x" * 70_000,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"y" * 200) * 90 + b"\r\n",
        )
        for request in requests:
            self.assert_refused(request)

    def test_many_headers(self) -> None:
        """
        So many headers as any proxy adds are no trouble.
        """
        peer = self.connect()
        peer.send(b"GET / HTTP/1.1\r\n" + b"X-Y: zzzzzzzzzzz\r\n" * 100 + b"\r\n")
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
