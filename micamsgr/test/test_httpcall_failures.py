"""
Tests for how :mod:`micamsgr.httpcall` sorts failures, in the same way.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from twisted.web.client import RequestNotSent  # type: ignore[attr-defined]
from twisted.web.http_headers import Headers
from zope.interface import implementer

from micamsgr.errors import OutcomeUnknown, Unavailable
from micamsgr.httpcall import Answer, HTTPCaller
from micamsgr.test.test_httpcall import ANSWER, OK, URL, MemoryCase, Wire


@implementer(IHostnameResolver)
class NoNames:
    """
    A name server that knows no name, or that doesn't answer.
    """

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        *_: Any,
        **__: Any,
    ) -> IHostResolution:
        resolution = Resolution()
        resolutionReceiver.resolutionBegan(resolution)
        if self.answers:
            resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IHostResolution)
class Resolution:
    """
    A question to a name server.
    """

    name = "api.example"

    def cancel(self) -> None:
        pass


class UnavailableTests(MemoryCase):
    """
    Tests for calls that surely had no effect.
    """

    def assert_unavailable(self, call: Deferred[Answer], why: str = "") -> None:
        """
        The call failed as one that surely had no effect, for a reason that
        anybody understands.
        """
        error = self.failureResultOf(call, Unavailable).value
        assert isinstance(error, Unavailable)
        self.assertIn(why, error.detail)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """
        Nothing was sent where the connection was refused.
        """
        call = self.call()
        _, _, factory, _, _ = self.reactor.tcpClients.pop()
        connector: Any = self.reactor.connectors[0]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        # By now every address of the name has had its try.
        self.reactor.advance(0.3)
        self.assert_unavailable(call, "the connection was refused")

    def test_unknown_name(self) -> None:
        """
        Nothing was sent where the server's name has no address.
        """
        self.reactor.installNameResolver(NoNames(answers=True))
        self.assert_unavailable(self.call(), "the name was not found")

    def test_deadline_in_lookup(self) -> None:
        """
        Nothing was sent where the deadline passes while the name server is
        silent.
        """
        self.reactor.installNameResolver(NoNames(answers=False))
        call = self.call(deadline=3.0)
        self.reactor.advance(2.9)
        self.assertNoResult(call)
        self.reactor.advance(0.1)
        self.assert_unavailable(call)

    def test_deadline_in_connecting(self) -> None:
        """
        Nothing was sent where the deadline passes before the connection is
        there, and the attempt to connect ends.
        """
        call = self.call(deadline=3.0)
        self.reactor.advance(3.0)
        self.assert_unavailable(call)
        connector: Any = self.reactor.connectors[0]
        self.assertTrue(connector.stoppedConnecting)

    def test_connecting_limit(self) -> None:
        """
        A connection that isn't there after five seconds is not waited for,
        however late the deadline.
        """
        call = self.call(deadline=60.0)
        self.reactor.advance(4.9)
        self.assertNoResult(call)
        self.reactor.advance(0.1)
        self.assert_unavailable(call)

    def test_cancel_in_connecting(self) -> None:
        """
        Nothing was sent by a call that is canceled before the connection is
        there, and the attempt to connect ends.
        """
        call = self.call()
        call.cancel()
        self.assert_unavailable(call)
        connector: Any = self.reactor.connectors[0]
        self.assertTrue(connector.stoppedConnecting)

    def test_not_sent(self) -> None:
        """
        Nothing was sent where HTTP says that it sent nothing.
        """
        caller = HTTPCaller(self.reactor, lambda *_, **__: fail(RequestNotSent()))
        calling = caller.call("GET", URL, headers=Headers(), body=None, deadline=1.0)
        self.assert_unavailable(Deferred.fromCoroutine(calling))

    def test_mistake(self) -> None:
        """
        A URL that can't be called is a mistake of ours, and not the remote
        end's.
        """
        calling = self.caller.call(
            "GET", "ftp://x/", headers=Headers(), body=None, deadline=1.0
        )
        self.failureResultOf(calling, ValueError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class OutcomeUnknownTests(MemoryCase):
    """
    Tests for calls that may have had an effect.
    """

    def assert_unknown(self, call: Deferred[Answer], wire: Wire) -> OutcomeUnknown:
        """
        The call failed as one that may have had an effect, its connection was
        ended at once, and another call opens a new one.
        """
        failure = self.failureResultOf(call, OutcomeUnknown)
        self.assertTrue(wire.ended)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.tcpClients, [])
        self.call()
        self.assertEqual(len(self.reactor.tcpClients), 1)
        assert isinstance(failure.value, OutcomeUnknown)
        return failure.value

    def test_deadline_in_wait(self) -> None:
        """
        A request that was sent and not answered by the deadline is in doubt;
        the time that connecting took counts.
        """
        call = self.call()
        self.reactor.advance(4.0)
        wire = self.accept()
        self.reactor.advance(10.9)
        self.assertNoResult(call)
        self.reactor.advance(0.1)
        error = self.assert_unknown(call, wire)
        self.assertEqual(error.detail, "no whole answer within 15 s")

    def test_deadline_in_headers(self) -> None:
        """
        An answer that stops in its headers leaves a doubt.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK)
        self.reactor.advance(15.0)
        self.assert_unknown(call, wire)

    def test_deadline_in_body(self) -> None:
        """
        An answer that stops in its body leaves a doubt, even if it dripped
        until then.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"Content-Length: 10\r\n\r\n")
        for _ in range(9):
            wire.receive(b"x")
            self.reactor.advance(1.6)
        self.assertNoResult(call)
        self.reactor.advance(1.6)
        self.assert_unknown(call, wire)

    def test_too_large(self) -> None:
        """
        A body larger than is allowed is not read to its end.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 11)
        error = self.assert_unknown(call, wire)
        self.assertEqual(error.detail, "the answer is larger than 10 bytes")

    def test_too_large_at_once(self) -> None:
        """
        A body larger than is allowed that came in one piece leaves no
        connection that another call could take.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"Content-Length: 11\r\n\r\n" + b"x" * 11)
        self.assert_unknown(call, wire)

    def test_too_large_in_chunks(self) -> None:
        """
        A body that doesn't say how large it is has the same limit.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(
            OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"6\r\nxxxxxx\r\n" * 3
        )
        self.assert_unknown(call, wire)

    def test_endless_headers(self) -> None:
        """
        An answer whose headers don't end is not read for ever.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK)
        for _ in range(64):
            self.assertNoResult(call)
            wire.receive(b"X: " + b"x" * 1019 + b"\r\n")
        error = self.assert_unknown(call, wire)
        self.assertEqual(
            error.detail, "the answer is larger than 65536 bytes before its body"
        )
        wire.lose(ConnectionAborted())

    def test_endless_interim(self) -> None:
        """
        A server that only ever says that the answer will come is not listened
        to for ever.
        """
        call = self.call()
        wire = self.accept()
        hints = b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 9000 + b"\r\n\r\n"
        for _ in range(8):
            self.assertNoResult(call)
            wire.receive(hints)
        self.assert_unknown(call, wire)

    def test_lost(self) -> None:
        """
        A connection that breaks after the request was sent leaves a doubt.
        """
        call = self.call()
        wire = self.accept()
        wire.lose(ConnectionLost())
        self.assert_unknown(call, wire)

    def test_lost_in_body(self) -> None:
        """
        An answer that is cut off leaves a doubt.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(ANSWER[:-1])
        wire.lose(ConnectionDone())
        self.assert_unknown(call, wire)

    def test_not_http(self) -> None:
        """
        An answer that isn't HTTP leaves a doubt, and none of it is in the
        error's text.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(b"private words\r\n\r\n")
        self.assertNotIn("words", repr(self.assert_unknown(call, wire)))

    def test_cancel_in_wait(self) -> None:
        """
        A call that is canceled after its request was sent is in doubt.
        """
        call = self.call()
        wire = self.accept()
        call.cancel()
        self.assert_unknown(call, wire)

    def test_cancel_in_body(self) -> None:
        """
        A call that is canceled within its answer is in doubt.
        """
        call = self.call()
        wire = self.accept()
        wire.receive(OK + b"Content-Length: 2\r\n\r\nh")
        call.cancel()
        self.assert_unknown(call, wire)

    def test_no_repetition(self) -> None:
        """
        Not even a GET is sent a second time behind the caller's back.
        """
        self.call("GET")
        wire = self.accept()
        wire.receive(ANSWER)
        call = self.call("GET")
        wire.lose(ConnectionDone())
        self.assert_unknown(call, wire)
