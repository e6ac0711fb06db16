"""
An HTTP site with limits: on the size of a body, declared or counted, on the
time it takes to come, and on all bodies together that wait for their
signatures to be checked.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

# For how many seconds a client that was refused may go on sending: long
# enough to read the answer, which closing at once could destroy.
_LINGER = 5.0

# For how many seconds a TLS handshake may go on.
_HANDSHAKE = 5.0

# For how many seconds a body may be on its way; Meta itself gives up after 5.
# Without an end, clients that send byte by byte could hold all there is.
_PATIENCE = 10.0


@define(eq=False)
class Budget:
    """
    Bytes that may be held at once.

    :ivar limit: how many.
    """

    limit: int
    held: int = field(default=0, init=False)

    def take(self, count: int) -> bool:
        """
        Take so many bytes, if they are to be had.
        """
        if self.held + count > self.limit:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """
        Give back what was taken.
        """
        self.held -= count


@implementer(IHandshakeListener)
class LimitedChannel(HTTPChannel):
    """
    A connection that begins in time, and ends soon after it should, whatever
    its peer does: over TLS, one that doesn't agree to the end could keep it
    for ever.
    """

    transport: Any
    _end: IDelayedCall | None = None
    _handshake: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Begin; over TLS, with the handshake.
        """
        super().connectionMade()
        if ISSLTransport.providedBy(self.transport):
            self._handshake = self.callLater(_HANDSHAKE, self.transport.abortConnection)

    def handshakeCompleted(self) -> None:
        """
        Go on to HTTP.
        """
        if self._handshake is not None and self._handshake.active():
            self._handshake.cancel()

    def end_soon(self) -> None:
        """
        Read no more, and cut the peer off if it hasn't gone in a while.
        """
        if self._end is None:
            self._end = self.callLater(_LINGER, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """
        Read on, unless this is to end.
        """
        if self._end is None:
            super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        """
        Take a header.

        :return: whether it is one.
        """
        try:
            taken: bool = super().headerReceived(line)
        except ValueError:
            # A length of more digits than Python reads.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.loseConnection()
            return False
        return taken

    def loseConnection(self) -> None:
        """
        Close, once what was written has left.
        """
        self.end_soon()
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget the connection.
        """
        for call in (self._end, self._handshake):
            if call is not None and call.active():
                call.cancel()
        super().connectionLost(reason)


class LimitedRequest(Request):
    """
    A request whose body is held in memory, within limits.
    """

    channel: Any

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._taken = 0
        self._refused = False
        self._late: IDelayedCall | None = None
        self._limits: LimitedSite = self.channel.site

    def gotLength(self, length: int | None) -> None:
        """
        Learn of the body's length, before any of it.

        :param length: ``None`` where the body comes in chunks.
        """
        self.content = BytesIO()
        if length is not None and length > self._limits.largest_body:
            self._refuse(413, "Content Too Large")
        elif length != 0:
            self._late = self._limits.reactor.callLater(
                _PATIENCE, self._refuse, 408, "Request Timeout"
            )

    def handleContentChunk(self, data: bytes) -> None:
        """
        Hold some of the body.
        """
        if self._refused:
            return
        assert self.content is not None
        if self.content.tell() + len(data) > self._limits.largest_body:
            self._refuse(413, "Content Too Large")
        elif not self._limits.unverified.take(len(data)):
            self._refuse(503, "Service Unavailable")
        else:
            self._taken += len(data)
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        Process the request, now that it is whole.
        """
        if self._refused:
            return
        self._be_in_time()
        try:
            super().requestReceived(command, path, version)
        finally:
            self._give_back()

    def connectionLost(self, reason: Failure) -> None:
        """
        Forget a request whose client is gone.
        """
        self._give_back()
        self._be_in_time()
        super().connectionLost(reason)

    def write(self, data: bytes) -> None:
        """
        Answer, without telling what we are made of.
        """
        self.responseHeaders.removeHeader(b"server")
        super().write(data)

    def _refuse(self, status: int, phrase: str) -> None:
        """
        Answer at once, and look at nothing more.
        """
        self._refused = True
        self._give_back()
        self._be_in_time()
        self.content = BytesIO()
        # Lest the channel, which knows nothing of this, asks for the body.
        self.requestHeaders.removeHeader(b"expect")
        self.channel.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n".encode("ascii")
        )
        self.channel.end_soon()

    def _be_in_time(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()

    def _give_back(self) -> None:
        self._limits.unverified.give_back(self._taken)
        self._taken = 0


class LimitedSite(Site):
    """
    A site for the public port.

    :ivar largest_body: the most bytes of one request's body.
    :ivar unverified: what all bodies that were not looked at yet share.
    """

    # Not Twisted's choice by ALPN: HTTP/2 would go by all limits.
    protocol = LimitedChannel  # type: ignore[assignment]
    noisy = False
    displayTracebacks = False

    def __init__(
        self,
        resource: Resource,
        reactor: Any,
        *,
        largest_body: int,
        unverified: Budget,
        idle: float = 60.0,
    ) -> None:
        super().__init__(
            resource,
            requestFactory=LimitedRequest,
            reactor=reactor,
            timeout=idle,
            parsePOSTFormSubmission=False,
        )
        self.largest_body = largest_body
        self.unverified = unverified

    def log(self, request: object) -> None:
        """
        Write no access log: what is worth a line has one.
        """
