"""
An HTTP site with limits, for a port that anybody may connect to: on how many
connect, on how long each thing may take, and on what a request may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Site

from .admission import Admission
from .budget import Budget
from .channel import LimitedChannel
from .deadlines import Deadlines
from .request import LimitedRequest

__all__ = ["Admission", "Budget", "Deadlines", "LimitedSite"]


class LimitedSite(Site):
    """
    A site for the public port.

    :ivar largest_body: the most bytes of one request's body.
    :ivar unverified: what all bodies that were not looked at yet share. Of those
        for which no resource is (see :class:`~.unwanted.Choosy`) none is read.
    :ivar admission: who may connect; by default so many as by the
        configuration's defaults.
    :ivar deadlines: how long a client may take for what.
    :ivar leaving: whether each connection ends with the request that it is at.
    :ivar _refused: told of each client that a limit costs its connection, as the
        key of the configuration that sets it.
    :ivar _due: says how many lines of a kind one line stands for, or 0 where
        none is due; see :class:`~micamsgr.messenger.seldom.Seldom`.
    """

    # Not Twisted's choice by ALPN: HTTP/2 would go by all limits.
    protocol = LimitedChannel  # type: ignore[assignment]
    noisy = False
    displayTracebacks = False

    _log = Logger()

    def __init__(
        self,
        resource: Resource,
        reactor: Any,
        *,
        largest_body: int,
        unverified: Budget,
        admission: Admission | None = None,
        deadlines: Deadlines | None = None,
        refused: Callable[[str], None] = lambda _: None,
        due: Callable[[Hashable], int] = lambda _: 1,
    ) -> None:
        # Without Twisted's timeout: any byte makes that one begin anew.
        super().__init__(
            resource,
            requestFactory=LimitedRequest,
            reactor=reactor,
            timeout=None,
            parsePOSTFormSubmission=False,
        )
        self.largest_body = largest_body
        self.unverified = unverified
        self.admission = Admission() if admission is None else admission
        self.deadlines = Deadlines() if deadlines is None else deadlines
        self._refused = refused
        self._due = due
        self.leaving = False
        self._channels: set[LimitedChannel] = set()
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make what serves a connection.

        :return: ``None`` where there are too many, and none of them can go; the
            port then closes it.
        """
        assert addr is not None
        origin = self.admission.origin(addr)
        key = self.admission.refusal(origin)
        if key == "clients.connections":
            closed: Any = self.admission.make_room(origin)
            if closed is not None:
                self._tell_closed(key, closed.getPeer())
                key = None
        if key is not None:
            self._tell(key, addr)
            return None
        channel: Any = super().buildProtocol(addr)
        channel.origin = origin
        return channel

    async def leave(self) -> None:
        """
        Answer what is on its way, and close all connections; where no port
        makes another one.

        Returns once there are none, at the latest a little after
        :attr:`Deadlines.leaving`.
        """
        self.leaving = True
        for channel in list(self._channels):
            channel.leave()
        if self._channels:
            self._empty = Deferred()
            # One that hangs up last is told so a little later.
            most = self.deadlines.leaving + self.deadlines.parting
            with suppress(TimeoutError):
                await self._empty.addTimeout(most, self.reactor)
            self._empty = None

    def entered(self, channel: LimitedChannel) -> None:
        """
        Know of a connection.
        """
        self._channels.add(channel)

    def left(self, channel: LimitedChannel) -> None:
        """
        Know that it is gone.
        """
        self._channels.discard(channel)
        if self._empty is not None and not self._channels:
            self._empty.callback(None)

    def gave_way(self, address: object) -> None:
        """
        Learn that a body is refused, for all together hold too much.

        :param address: where it comes from.
        """
        key = "clients.unverified"
        self._refused(key)
        count = self._due(key)
        if count:
            self._log.warn(
                "too many bodies are unfinished: {count} were refused since it was"
                " last told, the latest from {host}; the limit is {key}",
                event="clients.bodies_refused",
                count=count,
                host=getattr(address, "host", None),
                key=key,
            )

    def log(self, request: object) -> None:
        """
        Write no access log: what is worth a line has one.
        """

    def _tell_closed(self, key: str, address: object) -> None:
        self._refused(key)
        count = self._due((key, "closed"))
        if count:
            self._log.warn(
                "too many connect: {count} that kept us waiting were closed for others"
                " since it was last told, the latest from {host}; {open} are"
                " connected; the limit is {key}",
                event="clients.displaced",
                count=count,
                host=_host(address),
                open=self.admission.open,
                key=key,
            )

    def _tell(self, key: str, address: IAddress) -> None:
        self._refused(key)
        count = self._due(key)
        if count:
            self._log.warn(
                "too many connect: {count} turned away since it was last told, the"
                " latest from {host}; {open} are connected; the limit is {key}",
                event="clients.turned_away",
                count=count,
                host=_host(address),
                open=self.admission.open,
                key=key,
            )


def _host(address: object) -> str:
    return getattr(address, "host", None) or "a socket of this machine"
