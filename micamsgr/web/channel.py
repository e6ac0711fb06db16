"""
A connection of HTTP/1 with an end: each thing that its peer has to do is to be
done in time, and nothing that it does makes us hold more than a little.

Twisted parses; what is here is when to stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IHandshakeListener,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from zope.interface import implementer

from .admission import Origin
from .deadlines import Deadline

if TYPE_CHECKING:
    from .site import LimitedSite

MOST_HEADERS = 100
"""Headers of one request; together with its first line they may have 16 KiB."""

MOST_REQUESTS = 1000
"""Requests of one connection; the last one's answer says that it closes."""

# Bytes of requests to come that are read while one is answered. Twisted stops
# to read at 16 KiB, but for a client that doesn't read its answers.
_MOST_AHEAD = 128 * 1024

# Bytes of a body in chunks, beyond as many again as it has itself, that may be
# spent on telling where chunks end: each one costs as much as a long one.
_MOST_FRAMING = 64 * 1024

# Bytes of headers that follow a body in chunks, and that nobody reads.
_MOST_TRAILERS = 1024

_PHRASES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    417: "Expectation Failed",
    503: "Service Unavailable",
}


def refusal(status: int, hsts: int = 0, allow: Iterable[bytes] = ()) -> bytes:
    """
    Make the whole answer to a request that nobody looks at.

    :param status: 400, 404, 405, 408, 413, 417 or 503.
    :param hsts: as for :class:`LimitedChannel`.
    :param allow: the methods that there are; told where the status is 405.
    """
    phrase = _PHRASES[status]
    body = f"{phrase.lower()}\n"
    strict = f"Strict-Transport-Security: max-age={hsts}\r\n" if hsts else ""
    known = f"Allow: {b', '.join(allow).decode('ascii')}\r\n" if status == 405 else ""
    return (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\n"
        f"{strict}{known}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode("ascii")


class Phase(Enum):
    """
    What a connection waits for.
    """

    HANDSHAKE = "the end of the TLS handshake"
    FIRST = "the first byte of the first request"
    HEADERS = "the end of the headers"
    BODY = "the end of the body"
    ANSWER = "our answer"
    NEXT = "the first byte of a further request"
    END = "its end, whatever else comes"


@implementer(IHandshakeListener)
class LimitedChannel(HTTPChannel):
    """
    One connection.

    :ivar site: whose limits hold.
    :ivar origin: what :class:`~micamsgr.web.admission.Admission` counts it by.
    :ivar hsts: for how many seconds each answer tells browsers to come only by
        TLS; 0 where that is not spoken, or nothing is to be told.
    """

    transport: Any
    site: LimitedSite
    origin: Origin = None
    hsts = 0
    maxHeaders = MOST_HEADERS

    _phase = Phase.FIRST
    # Requests so far; bytes read ahead of the one that is answered; bytes that
    # the body took up so far, with what is around its chunks.
    _requests = 0
    _ahead = 0
    _taken_up = 0

    @property
    def ending(self) -> bool:
        """Whether nothing that still comes is looked at."""
        return self._phase is Phase.END

    @property
    def head(self) -> tuple[bytes, bytes]:
        """Method and path of the request that is being read."""
        # There is no public name for them before the request is whole.
        return self._command, self._path

    def refuse(self, status: int, allow: Iterable[bytes] = ()) -> None:
        """
        Answer a request that is still being read, and look at nothing more.

        :param status: as for :func:`refusal`, and so is *allow*.
        """
        if self.ending:
            return
        for request in self.requests:
            request.forget()
        self.transport.write(refusal(status, self.hsts, allow))
        self._end(self.site.deadlines.linger)
        has_halves = ITCPTransport.providedBy(self.transport) and not self._secure
        if has_halves:
            # Only ours: to close both while something is unread would make the
            # system destroy what we wrote. (TLS waits for the peer anyway.)
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()
        else:
            super().loseConnection()

    def make_room(self) -> None:
        """
        Be gone, for somebody else wants to connect.
        """
        self._cut()

    def leave(self) -> None:
        """
        Answer what is on its way, and close: the daemon stops.

        Whoever has nothing on its way has a moment, lest it writes into a
        connection that is being closed.
        """
        if self._phase in (Phase.BODY, Phase.ANSWER):
            self.persistent = False
            for request in self.requests:
                request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        self._wait_again()

    # What Twisted calls, and what we make of it.

    def connectionMade(self) -> None:
        """
        Begin; over TLS, with the handshake.
        """
        self.site.admission.enter(self.origin, self)
        self.site.entered(self)
        clock = self.site.reactor
        self._due, self._unread = Deadline(clock), Deadline(clock)
        super().connectionMade()
        if self._secure:
            self._wait_for(Phase.HANDSHAKE, self.site.deadlines.handshake)
        else:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """
        Go on to HTTP.
        """
        if not self.ending:
            self._wait_for(Phase.FIRST, self.site.deadlines.headers)

    def dataReceived(self, data: bytes) -> None:
        """
        Read on, unless this is to end.
        """
        if self.ending:
            return
        self._begin_request()
        if self._phase is Phase.ANSWER:
            self._ahead += len(data)
            if self._ahead > _MOST_AHEAD:
                self._cut()
                return
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> Any:
        """
        Take a line of the headers.

        :return: whether to read no more.
        """
        if line.startswith((b" ", b"\t")):
            # The line before goes on here, or this is another one: programs
            # differ in how they read it, and nobody needs it.
            self.refuse(400)
        if self._phase is Phase.END:
            return True
        # It may have been read while the request before was answered.
        self._begin_request()
        return super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Refuse a line without an end.
        """
        self.refuse(400)

    def headerReceived(self, line: bytes) -> bool:
        """
        Take a header.

        :return: whether it is one.
        """
        if self._phase is Phase.END:
            return False
        try:
            taken: bool = super().headerReceived(line)
        except ValueError:
            # A length of more digits than Python reads.
            self.refuse(400)
            return False
        return taken

    def checkPersistence(self, request: HTTPRequest, version: bytes) -> bool:
        """
        Look at the headers as a whole, before anything is made of them.

        :return: whether another request may follow.
        """
        self._requests += 1
        codings = request.requestHeaders.getRawHeaders(b"transfer-encoding", [])
        # Twisted overlooks "identity", which no longer exists, and chunks in
        # HTTP/1.0, which has none: others may read either in another way.
        named = [coding.strip().lower() for coding in codings]
        if named and (version != b"HTTP/1.1" or named != [b"chunked"]):
            self.refuse(400)
            return False
        expected = request.requestHeaders.getRawHeaders(b"expect", [])
        if expected and expected[0].lower() != b"100-continue":
            self.refuse(417)
            return False
        if super().checkPersistence(request, version):
            if self._requests < MOST_REQUESTS and not self.site.leaving:
                return True
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def allHeadersReceived(self) -> None:
        """
        Go on to the body, if there is one.
        """
        super().allHeadersReceived()
        if self.length != 0 and not self.ending:
            self._taken_up = 0
            if self.length is None:
                # There is no public setting for it.
                decoder: Any = self._transferDecoder
                decoder._maxTrailerHeadersSize = _MOST_TRAILERS
            self._wait_for(Phase.BODY, self.site.deadlines.body)

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take some of the body, or of what follows it.
        """
        if self.ending:
            return
        self._taken_up += len(data)
        super().rawDataReceived(data)
        if self._phase is Phase.BODY:
            framing = self._taken_up - 2 * self.requests[-1].size
            if framing > _MOST_FRAMING:
                self.refuse(413)

    def allContentReceived(self) -> None:
        """
        Let the request be answered, now that it is whole.
        """
        if not self.ending:
            self._ahead = 0
            self._wait_for(Phase.ANSWER, self.site.deadlines.answer)
            super().allContentReceived()

    def requestDone(self, request: HTTPRequest) -> None:
        """
        Go on to the next request, now that one is answered.
        """
        if self.persistent and not self.ending:
            self._wait_for(Phase.NEXT, self.site.deadlines.idle)
        super().requestDone(request)

    def pauseProducing(self) -> None:
        """
        Wait for the peer to read.
        """
        super().pauseProducing()
        if not self._unread.running:
            self._unread.set(self.site.deadlines.reading, self._cut)

    def resumeProducing(self) -> None:
        """
        Go on, now that it has.
        """
        self._unread.lift()
        super().resumeProducing()

    def loseConnection(self) -> None:
        """
        Close, once what was written has left.
        """
        self._end(self.site.deadlines.reading)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget the connection.
        """
        self._due.lift()
        self._unread.lift()
        self.site.admission.leave(self.origin, self)
        self.site.left(self)
        super().connectionLost(reason)

    @property
    def _secure(self) -> bool:
        return ISSLTransport.providedBy(self.transport)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400)

    def _begin_request(self) -> None:
        if self._phase is Phase.FIRST:
            # Since when it is waited for is known.
            self._phase = Phase.HEADERS
        elif self._phase is Phase.NEXT:
            self._wait_for(Phase.HEADERS, self.site.deadlines.headers)

    def _wait_for(self, phase: Phase, seconds: float | None) -> None:
        before, self._phase = self._phase, phase
        if phase is Phase.ANSWER:
            self.site.admission.serve(self.origin, self)
        elif before is Phase.ANSWER:
            self.site.admission.wait(self.origin, self)
        if self.site.leaving:
            self._wait_again()
        else:
            self._due.set(seconds, self._late)

    def _wait_again(self) -> None:
        """
        Wait for the same, as long as a daemon that stops does.
        """
        deadlines = self.site.deadlines
        short = self._phase in (Phase.FIRST, Phase.NEXT, Phase.END)
        self._due.set(deadlines.parting if short else deadlines.leaving, self._late)

    def _late(self) -> None:
        if self._phase in (Phase.HEADERS, Phase.BODY):
            self.refuse(408)
        elif self._phase in (Phase.FIRST, Phase.NEXT):
            # It had time enough to read all that there was.
            self._end(self.site.deadlines.linger)
            super().loseConnection()
        else:
            self._cut()

    def _end(self, seconds: float) -> None:
        if not self.ending:
            self._wait_for(Phase.END, seconds)

    def _cut(self) -> None:
        self._phase = Phase.END
        self._due.lift()
        self.transport.abortConnection()
