"""
An HTTP site with limits: on the size of a body, declared or counted, and on
all bodies together that wait for their signatures to be checked.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

# For how many seconds a client that was refused may go on sending: long
# enough to read the answer, which closing at once could destroy.
_LINGER = 5.0


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


class LimitedRequest(Request):
    """
    A request whose body is held in memory, within limits.
    """

    channel: Any

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._taken = 0
        self._refused = False
        self._linger: IDelayedCall | None = None
        self._limits: LimitedSite = self.channel.site

    def gotLength(self, length: int | None) -> None:
        """
        Learn of the body's length, before any of it.

        :param length: ``None`` where the body comes in chunks.
        """
        self.content = BytesIO()
        if length is not None and length > self._limits.largest_body:
            self._refuse(413, "Content Too Large")

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
            self._close()
            return
        try:
            super().requestReceived(command, path, version)
        finally:
            self._give_back()

    def connectionLost(self, reason: Failure) -> None:
        """
        Forget a request whose client is gone.
        """
        self._give_back()
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        super().connectionLost(reason)

    def render(self, resrc: Resource) -> None:
        """
        Answer, without telling what we are made of.
        """
        self.responseHeaders.removeHeader(b"server")
        super().render(resrc)

    def _refuse(self, status: int, phrase: str) -> None:
        """
        Answer at once, and read on for a while without keeping anything.
        """
        self._refused = True
        self._give_back()
        self.content = BytesIO()
        # Lest the channel, which knows nothing of this, asks for the body.
        self.requestHeaders.removeHeader(b"expect")
        self.channel.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n".encode("ascii")
        )
        self._linger = self._limits.reactor.callLater(_LINGER, self._close)

    def _close(self) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self.channel.transport.loseConnection()

    def _give_back(self) -> None:
        self._limits.unverified.give_back(self._taken)
        self._taken = 0


class LimitedSite(Site):
    """
    A site for the public port.

    :ivar largest_body: the most bytes of one request's body.
    :ivar unverified: what all bodies that were not looked at yet share.
    """

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
