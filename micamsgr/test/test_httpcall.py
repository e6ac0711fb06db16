"""
Tests for :mod:`micamsgr.httpcall`, with Twisted's own client over memory.
"""

from __future__ import annotations

import gzip
from typing import Any

from treq.testing import StubTreq
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
)
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import client
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Request

from micamsgr.httpcall import Answer, HTTPCaller, outbound_client

URL = b"http://api.example/v1/send?x=1"
OK = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
ANSWER = OK + b"Content-Length: 2\r\n\r\nhi"


class Wire(StringTransport):
    """
    The near end of a connection, and the far one's means to act on it.

    :ivar ended: by either end.
    """

    ended = False

    def __init__(self, protocol: Any) -> None:
        super().__init__(lenient=True)
        self.protocol = protocol
        protocol.makeConnection(self)

    def abortConnection(self) -> None:
        # As TLS does, which forgets its state with its connection.
        assert not self.ended, "ended twice"
        self.ended = True

    def loseConnection(self) -> None:
        raise AssertionError("a peer that has stalled would not let go")

    def receive(self, data: bytes) -> None:
        """
        Let the peer send *data*.
        """
        self.protocol.dataReceived(data)

    def lose(self, reason: Exception) -> None:
        """
        Let the connection end.
        """
        self.ended = True
        self.protocol.connectionLost(Failure(reason))


class MemoryCase(SynchronousTestCase):
    """
    A caller whose connections are made by the test.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.outbound, self.pool = outbound_client(self.reactor, connections=3)
        self.caller = HTTPCaller(self.reactor, self.outbound.request, largest=10)

    def call(self, method: str = "POST", deadline: float = 15.0) -> Deferred[Answer]:
        """
        Begin a call.
        """
        headers = Headers({"Authorization": ["Bearer secret"]})
        body = b"hello" if method == "POST" else None
        return Deferred.fromCoroutine(
            self.caller.call(method, URL, headers=headers, body=body, deadline=deadline)
        )

    def accept(self) -> Wire:
        """
        Let the connection that was asked for come about.
        """
        host, port, factory, _, _ = self.reactor.tcpClients.pop(0)
        return Wire(factory.buildProtocol(IPv4Address("TCP", host, port)))


class AnswerTests(MemoryCase):
    """
    Tests for calls that are answered.
    """

    def test_answer(self) -> None:
        """
        A call gives the answer's status, its headers and its body.
        """
        call = self.call()
        wire = self.accept()
        self.assertNoResult(call)
        wire.receive(ANSWER)
        answer = self.successResultOf(call)
        self.assertEqual((answer.status, answer.body), (200, b"hi"))
        self.assertEqual(
            answer.headers.getRawHeaders("date"), ["Mon, 01 Jan 2024 00:00:00 GMT"]
        )

    def test_request(self) -> None:
        """
        What is sent is the request as it was asked for, its body included,
        at once.
        """
        self.call()
        head, _, body = self.accept().value().partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        self.assertEqual(line, b"POST /v1/send?x=1 HTTP/1.1")
        self.assertEqual(body, b"hello")
        self.assertEqual(
            sorted(headers),
            [
                b"Accept-Encoding: identity",
                b"Authorization: Bearer secret",
                b"Content-Length: 5",
                b"Host: api.example",
            ],
        )

    def test_any_status(self) -> None:
        """
        An error status is an answer like another; what it means is for the
        caller.
        """
        call = self.call()
        self.accept().receive(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.successResultOf(call).status, 500)

    def test_redirect(self) -> None:
        """
        A redirect is an answer too, and nothing is sent where it points to.
        """
        call = self.call("GET")
        self.accept().receive(
            b"HTTP/1.1 302 Found\r\nLocation: http://x.example/\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        self.assertEqual(self.successResultOf(call).status, 302)
        self.assertEqual(self.reactor.tcpClients, [])

    def test_slow_answer(self) -> None:
        """
        An answer that comes in pieces and ends just before the deadline
        counts, and leaves no deadline behind.
        """
        call = self.call()
        wire = self.accept()
        for byte in ANSWER[:-1]:
            wire.receive(bytes([byte]))
        self.reactor.advance(14.9)
        wire.receive(ANSWER[-1:])
        self.assertEqual(self.successResultOf(call).body, b"hi")
        self.pool.closeCachedConnections()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_largest(self) -> None:
        """
        A body of just the size that is allowed is accepted.
        """
        call = self.call()
        self.accept().receive(OK + b"Content-Length: 10\r\n\r\n" + b"x" * 10)
        self.assertEqual(self.successResultOf(call).body, b"x" * 10)

    def test_interim(self) -> None:
        """
        What a server says before its answer is not taken for the answer.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.receive(ANSWER)
        self.assertEqual(self.successResultOf(call).body, b"hi")

    def test_ended_by_closing(self) -> None:
        """
        A server that says no length and closes when it is done is understood.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"\r\nhi")
        wire.lose(ConnectionDone())
        self.assertEqual(self.successResultOf(call).body, b"hi")

    def test_not_unpacked(self) -> None:
        """
        An answer that was packed, although nobody asked for it, is not
        unpacked, so that it can't become larger than it came.
        """
        packed = gzip.compress(b"")[:10]
        call = self.call()
        self.accept().receive(
            OK + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + packed
        )
        self.assertEqual(self.successResultOf(call).body, packed)

    def test_cookies(self) -> None:
        """
        A cookie that a server sets is never sent back.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(call)
        self.call()
        self.assertEqual(wire.value().count(b"POST"), 2)
        self.assertNotIn(b"Cookie", wire.value())

    def test_private(self) -> None:
        """
        An answer that is logged shows neither its headers nor its body.
        """
        answer = Answer(200, Headers({"Set-Cookie": ["secret"]}), b"words")
        self.assertEqual(repr(answer), "Answer(status=200)")

    def test_address(self) -> None:
        """
        An address of IPv6 will do as well as a name.
        """
        call = self.caller.call(
            "GET", "http://[::1]:8000/", headers=Headers(), body=None, deadline=15.0
        )
        answering = Deferred.fromCoroutine(call)
        wire = self.accept()
        self.assertIn(b"Host: [::1]:8000", wire.value())
        wire.receive(ANSWER)
        self.assertEqual(self.successResultOf(answering).status, 200)

    def test_stub(self) -> None:
        """
        The client can be treq's stub of one, over a resource in memory.
        """

        class Hello(Resource):
            isLeaf = True

            def render_POST(self, request: Request) -> bytes:
                assert request.content is not None
                return bytes(request.content.read())

        stub: Any = StubTreq(Hello())
        caller = HTTPCaller(self.reactor, stub.request)
        answer = self.successResultOf(
            caller.call("POST", URL, headers=Headers(), body=b"echo", deadline=1.0)
        )
        self.assertEqual(answer.body, b"echo")


class ConnectionTests(MemoryCase):
    """
    Tests for what becomes of connections.
    """

    def answered(self) -> Wire:
        """
        Make a call over a new connection.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(ANSWER)
        self.successResultOf(call)
        return wire

    def test_reuse(self) -> None:
        """
        A second call takes the connection of the first.
        """
        wire = self.answered()
        call = self.call()
        self.assertEqual(self.reactor.tcpClients, [])
        wire.receive(ANSWER)
        self.assertEqual(self.successResultOf(call).body, b"hi")

    def test_large_headers(self) -> None:
        """
        The limit on headers is that of one answer, and not of all that come
        over a connection.
        """
        wire = self.answered()
        for _ in range(3):
            call = self.call()
            for part in (OK, (b"X: " + b"x" * 9000 + b"\r\n") * 7):
                wire.receive(part)
            wire.receive(b"Content-Length: 2\r\n\r\nhi")
            self.successResultOf(call)
        self.assertFalse(wire.ended)

    def test_large_body(self) -> None:
        """
        A body counts neither as headers of its own answer nor of the next,
        not even if that is asked for as soon as the body ends.
        """
        self.caller.largest = 1 << 20
        calls = [self.call()]
        calls[0].addCallback(lambda _: calls.append(self.call()))
        wire = self.accept()
        wire.receive(OK)
        wire.receive(b"Content-Length: 200000\r\n\r\n" + b"x" * 100000)
        wire.receive(b"x" * 100000)
        self.assertEqual(wire.value().count(b"POST"), 2)
        wire.receive(OK)
        wire.receive(b"Content-Length: 2\r\n\r\nhi")
        self.assertEqual(self.successResultOf(calls[1]).body, b"hi")

    def test_idle(self) -> None:
        """
        A connection that nobody needed for 20 seconds is closed.
        """
        wire = self.answered()
        self.reactor.advance(19.9)
        self.assertFalse(wire.ended)
        self.reactor.advance(0.1)
        self.assertTrue(wire.ended)

    def test_once_a_minute(self) -> None:
        """
        One message a minute, to a server that drops connections idle for a
        minute, never raises a doubt.
        """
        wire, used = self.answered(), self.reactor.seconds()
        for _ in range(5):
            self.reactor.advance(60.0)
            call = self.call()
            if self.reactor.tcpClients:
                wire = self.accept()
            elif self.reactor.seconds() - used >= 60.0:
                wire.lose(ConnectionDone())
            wire.receive(ANSWER)
            self.successResultOf(call)
            used = self.reactor.seconds()

    def test_closed_by_peer(self) -> None:
        """
        A server that closes an idle connection doesn't disturb the next call.
        """
        wire = self.answered()
        wire.lose(ConnectionDone())
        self.answered()

    def test_closed_by_both(self) -> None:
        """
        An idle connection that the server has closed isn't closed again.
        """
        wire = self.answered()
        wire.lose(ConnectionDone())
        self.reactor.advance(20.0)

    def test_context(self) -> None:
        """
        What TLS needs, which takes longer to make than a call, is made once
        for each server.
        """
        made = []

        def make(name: str, **options: Any) -> object:
            made.append(name)
            return optionsForClientTLS(name, **options)

        # Twisted's policy looks it up there, and offers no other way in.
        self.patch(client, "optionsForClientTLS", make)
        for host in ["a.example", "a.example", "b.example"]:
            calling = self.caller.call(
                "GET", f"https://{host}/", headers=Headers(), body=None, deadline=1.0
            )
            Deferred.fromCoroutine(calling)
        self.assertEqual(made, ["a.example", "b.example"])

    def test_limit(self) -> None:
        """
        No more idle connections are kept for a server than the pool may hold;
        the one idle for longest goes.
        """
        calls = [self.call() for _ in range(4)]
        wires = [self.accept() for _ in calls]
        for wire in wires:
            wire.receive(ANSWER)
        self.assertEqual([w.ended for w in wires], [True] + [False] * 3)

    def test_last_answer(self) -> None:
        """
        A connection that the server is about to close isn't used again,
        however it says so.
        """
        for head in [
            OK + b"Connection: close\r\n",
            OK + b"Connection: Close\r\n",
            OK + b"Connection: x, close\r\n",
            b"HTTP/1.0 200 OK\r\n",
        ]:
            for rest in [b"Content-Length: 2\r\n\r\nhi", b"Content-Length: 0\r\n\r\n"]:
                call = self.call()
                wire = self.accept()
                wire.receive(head + rest)
                self.assertEqual(self.successResultOf(call).status, 200)
                self.assertTrue(wire.ended, head)

    def test_close(self) -> None:
        """
        Closing the pool ends its idle connections, and waits until they have
        ended.
        """
        wire = self.answered()
        closing = self.pool.closeCachedConnections()
        self.assertTrue(wire.ended)
        self.assertNoResult(closing)
        wire.lose(ConnectionAborted())
        self.successResultOf(closing)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
