"""
Server-Sent Events: what happens, told to every browser that looks on.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from attrs import define, field
from twisted.internet.interfaces import (
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

# How many browsers may look on at once, how many events they may have missed
# to be told them again, and how many bytes may wait for one that doesn't read.
_MOST_LISTENERS, _BACKLOG, _MOST_WAITING = 16, 500, 1 << 20

# Seconds between two signs of life.
_INTERVAL = 15.0


@implementer(IPushProducer)
@define(eq=False)
class _Listener:
    """
    A browser that looks on.

    :ivar _waiting: bytes written since it stopped to read; ``None``: it reads.
    """

    _request: Request
    _waiting: int | None = field(default=None, init=False)

    def write(self, data: bytes) -> None:
        """
        Tell it something; or, where it has not read for long, give it up: it
        may come again.
        """
        # What it can't take at once pauses it; that alone is no reason, for
        # the state of long chats may be larger than all that may wait.
        behind = self._waiting
        self._request.write(data)
        if behind is not None and self._waiting is not None:
            self._waiting += len(data)
            if self._waiting > _MOST_WAITING:
                self.stopProducing()

    def finish(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        self._waiting = self._waiting or 0

    def resumeProducing(self) -> None:
        self._waiting = None

    def stopProducing(self) -> None:
        transport = cast("ITCPTransport | None", self._request.transport)
        if transport is not None:
            transport.abortConnection()


@define(eq=False, slots=False, repr=False)
class EventStream(Resource):
    """
    Tell browsers of events, in order.

    One that comes back is told what it missed, if that is not too much;
    otherwise, and at first, it is told the ``state``.

    :ivar _clock: for the signs of life.
    :ivar _run: names this run of the process.
    :ivar _state: makes the document of that event.
    """

    isLeaf = True

    _clock: IReactorTime
    _run: str
    _state: Callable[[], object]

    _told: int = field(default=0, init=False)
    # The last events, which are numbered up to _told.
    _backlog: deque[bytes] = field(factory=lambda: deque(maxlen=_BACKLOG), init=False)
    _listeners: list[_Listener] = field(factory=list, init=False)
    _sign: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def tell(self, kind: str, document: object) -> None:
        """
        Tell of an event.

        :param document: what JSON can hold.
        """
        self._told += 1
        event = self._spell(kind, document)
        self._backlog.append(event)
        for listener in tuple(self._listeners):
            listener.write(event)

    def stop(self) -> None:
        """
        Send the browsers away.
        """
        for listener in tuple(self._listeners):
            listener.finish()
        if self._sign is not None:
            self._sign.cancel()
            self._sign = None

    def render_GET(self, request: Request) -> int | bytes:
        if len(self._listeners) >= _MOST_LISTENERS:
            request.setResponseCode(503)
            return b"too many browsers look on\n"
        request.setHeader("Content-Type", "text/event-stream")
        listener = _Listener(request)
        self._listeners.append(listener)
        request.notifyFinish().addBoth(lambda _: self._listeners.remove(listener))
        request.registerProducer(listener, True)
        listener.write(b"retry: 1000\n\n" + self._missed(_last_seen(request)))
        if self._sign is None:
            self._sign = self._clock.callLater(_INTERVAL, self._live)
        return NOT_DONE_YET

    def _live(self) -> None:
        self._sign = None
        for listener in tuple(self._listeners):
            listener.write(b":\n\n")
        if self._listeners:
            self._sign = self._clock.callLater(_INTERVAL, self._live)

    def _missed(self, seen: str) -> bytes:
        run, _, number = seen.rpartition("-")
        if run == self._run and re.fullmatch("[0-9]{1,15}", number):
            missed = self._told - int(number)
            if 0 <= missed <= len(self._backlog):
                return b"".join(list(self._backlog)[len(self._backlog) - missed :])
        return self._spell("state", self._state())

    def _spell(self, kind: str, document: object) -> bytes:
        # JSON has no line break that a text could end an event with.
        text = json.dumps(document)
        event = f"id: {self._run}-{self._told}\nevent: {kind}\ndata: {text}\n\n"
        return event.encode("ascii")


def _last_seen(request: Request) -> str:
    header: Any = request.getHeader(b"last-event-id") or b""
    return cast(bytes, header).decode("ascii", "replace")
