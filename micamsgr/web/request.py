"""
A request whose body is held in memory, within limits.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource
from twisted.web.server import Request

from .admission import network_of
from .unwanted import body_refusal, methods_at

if TYPE_CHECKING:
    from .site import LimitedSite

_PLAIN = b"text/plain; charset=utf-8"
_ERROR = b"internal server error\n"


class LimitedRequest(Request):
    """
    A request whose body counts against a budget until it was looked at.

    :ivar size: bytes of the body that came so far.
    """

    channel: Any

    # What Twisted has to say of a request counts as Twisted's, or strangers
    # could fill the log with their URLs.
    _log = Logger(namespace="twisted.web.server.Request")
    _own_log = Logger()

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.size = 0
        self._limits: LimitedSite = self.channel.site
        self._network = network_of(self.channel.origin)
        self._hsts: int = self.channel.hsts

    def gotLength(self, length: int | None) -> None:
        """
        Learn of the body's length, before any of it.

        :param length: ``None`` where the body comes in chunks.
        """
        self.content = BytesIO()
        if length is not None and length > self._limits.largest_body:
            self.channel.refuse(413)
        elif length != 0:
            self._refuse_unwanted()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Hold some of the body.
        """
        if self.channel.ending:
            return
        self.size += len(data)
        if self.size > self._limits.largest_body:
            self.channel.refuse(413)
        elif self._limits.unverified.take(self._network, self, len(data)):
            assert self.content is not None
            self.content.write(data)

    def give_way(self) -> None:
        """
        Be refused, for all bodies together hold too much.
        """
        if not self.channel.ending:
            self._limits.gave_way(self.channel.transport.getPeer())
            self.channel.refuse(503)
        self.forget()

    def forget(self) -> None:
        """
        Let go of the body, which nobody will look at.
        """
        self._give_back()
        self.content = BytesIO()
        # Lest the channel, which knows nothing of this, asks for the body.
        self.requestHeaders.removeHeader(b"expect")

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        Process the request, now that it is whole.
        """
        try:
            super().requestReceived(command, path, version)
        finally:
            self._give_back()

    def connectionLost(self, reason: Failure) -> None:
        """
        Forget a request whose client is gone.
        """
        self._give_back()
        super().connectionLost(reason)

    def write(self, data: bytes) -> None:
        """
        Answer, without telling what we are made of.
        """
        self.responseHeaders.removeHeader(b"server")
        if self._hsts:
            self.setHeader(b"Strict-Transport-Security", b"max-age=%d" % self._hsts)
        super().write(data)

    def render(self, resrc: IResource) -> None:
        """
        Answer as a resource says; a method that it doesn't know, briefly.
        """
        super().render(_Brief(resrc))

    def processingFailed(self, reason: Failure) -> Failure:
        """
        Answer for a defect of ours, without telling of it.
        """
        self._own_log.failure("a defect, answering a request", reason, event="defect")
        if self.startedWriting:
            self.channel.transport.abortConnection()
        else:
            self.setResponseCode(500)
            self.setHeader(b"Content-Type", _PLAIN)
            self.setHeader(b"Content-Length", b"%d" % len(_ERROR))
            self.write(_ERROR)
            self.finish()
        return reason

    def _refuse_unwanted(self) -> None:
        method, path = self.channel.head
        methods = methods_at(self._limits.resource, path)
        status = body_refusal(methods, method)
        if status is not None:
            self.channel.refuse(status, methods or ())

    def _give_back(self) -> None:
        self._limits.unverified.give_back(self._network, self)


class _Brief:
    """
    A resource that answers methods it doesn't know in a few words.
    """

    def __init__(self, resource: IResource) -> None:
        self._resource = resource

    def render(self, request: Request) -> bytes | int:
        answer = self._answer(request)
        if request.method == b"HEAD" and isinstance(answer, bytes):
            # Twisted would complain of it in the log, with the URL.
            request.setHeader(b"Content-Length", b"%d" % len(answer))
            return b""
        return answer

    def _answer(self, request: Request) -> bytes | int:
        try:
            answer: bytes | int = self._resource.render(request)
            return answer
        except UnsupportedMethod as error:
            request.setResponseCode(405)
            request.setHeader(b"Allow", b", ".join(error.allowedMethods))
            request.setHeader(b"Content-Type", _PLAIN)
            return b"method not allowed\n"
