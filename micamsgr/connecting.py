"""
Connections that calls are made over: opened as far as a request can be sent,
bounded in what comes before a body, and kept for the next request.
"""

from __future__ import annotations

import socket
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen
from OpenSSL.SSL import Error
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
    TCPTimedOutError,
)
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from micamsgr.errors import OutcomeUnknown, Unavailable

# Longest that written bytes may stay unacknowledged before the kernel gives
# up, in milliseconds.
_USER_TIMEOUT = 10_000

# What an operator who has never heard of Twisted makes something of.
_PLAIN = {
    ConnectionRefusedError: "the connection was refused",
    DNSLookupError: "the name was not found",
    NoRouteError: "there is no way to that address",
    TCPTimedOutError: "no connection in time",
}

# The most bytes of an answer to read before its body.
_LARGEST_HEAD = 1 << 16


class Pool(HTTPConnectionPool):
    """
    Keep a connection for another request only if both ends mean to.

    Twisted keeps one unless the peer says exactly ``close``.  HTTP/1.0 says
    nothing and closes; and we may have just closed it ourselves.
    """

    def _putConnection(self, key: Hashable, connection: Any) -> None:  # noqa: N802
        parser = connection._parser
        said = b",".join(parser.connHeaders.getRawHeaders(b"Connection", ()))
        kept = parser.response.version != (b"HTTP", 1, 0)
        if kept and b"close" not in said.lower() and connection.transport.connected:
            super()._putConnection(key, connection)
        else:
            connection.transport.loseConnection()


@implementer(IAgentEndpointFactory)
@define(eq=False)
class Endpoints:
    """
    Make one endpoint for each server, once.

    Twisted asks for one with every request, and a TLS context takes longer to
    make than a request.
    """

    _reactor: Any
    _policy: IPolicyForHTTPS
    _patience: float
    _made: dict[tuple[bytes, bytes, int], _Endpoint] = field(factory=dict, init=False)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        key = (uri.scheme, uri.host, uri.port)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, scheme: bytes, host: bytes, port: int) -> _Endpoint:
        if scheme not in {b"http", b"https"}:
            raise ValueError("neither an http nor an https URL")
        return _Endpoint(
            HostnameEndpoint(self._reactor, host, port, self._patience),
            self._policy.creatorForNetloc(host, port) if scheme == b"https" else None,
            clock=self._reactor,
            patience=self._patience,
        )


@implementer(IStreamClientEndpoint)
@frozen
class _Endpoint:
    """
    Connect as far as a request can be sent.

    :ivar _tls: ``None`` for plain TCP.
    :ivar _patience: the most seconds for all of it.
    """

    _tcp: HostnameEndpoint
    _tls: IOpenSSLClientConnectionCreator | None
    _clock: IReactorTime = field(kw_only=True)
    _patience: float = field(kw_only=True)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        :return: fails with nothing but :exc:`~micamsgr.errors.Unavailable`,
            also when canceled.
        """
        opening = Deferred.fromCoroutine(self._open(protocolFactory))
        return opening.addTimeout(self._patience, self._clock)

    async def _open(self, factory: IProtocolFactory) -> IProtocol:
        connection = _Connection(factory, secure=self._tls is not None)
        inner: Any = Factory.forProtocol(lambda: connection)
        inner.noisy = False
        if self._tls is not None:
            inner = TLSMemoryBIOFactory(self._tls, True, inner, self._clock)
        try:
            lowest: Any = await self._tcp.connect(inner)
            _set_options(lowest.transport)
            return await connection.usable
        except (CancelledError, ConnectingCancelledError) as error:
            raise Unavailable("no connection in time") from error
        except Exception as error:
            # Names and addresses, but nothing of the request.
            raise Unavailable(_words(error)) from error


@implementer(IHandshakeListener)
class _Connection(Protocol):
    """
    One connection to a peer, and the transport that HTTP sees of it.

    What HTTP calls losing the connection aborts it: over TLS, a peer that has
    stalled could otherwise keep it for ever, by not agreeing to its end.

    HTTP keeps all headers, and waits through all interim answers, however many
    come.  Here they may fill 64 KiB, together, for one request.

    :ivar usable: fires with HTTP's protocol, once that is connected.
    """

    transport: Any

    def __init__(self, factory: IProtocolFactory, *, secure: bool) -> None:
        self._http: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self._secure = secure
        self._head = 0
        self._reading = self._paused = False
        self.usable: Deferred[IProtocol] = Deferred(lambda _: self.loseConnection())

    def connectionMade(self) -> None:
        if not self._secure:
            self._use()

    def handshakeCompleted(self) -> None:
        self._use()

    def _use(self) -> None:
        self._http.makeConnection(self)
        self.usable.callback(self._http)

    def dataReceived(self, data: bytes) -> None:
        # The parser of the answer that this belongs to: by the time it is read,
        # the next request may have been begun.
        parser = self._http._parser
        self._reading, self._paused = True, False
        self._http.dataReceived(data)
        self._reading = False
        if self._paused:
            self.transport.pauseProducing()
        if parser is None or parser.state not in {"STATUS", "HEADER"}:
            self._head = 0
            return
        self._head += len(data)
        if self._head > _LARGEST_HEAD:
            detail = f"the answer is larger than {_LARGEST_HEAD} bytes before its body"
            self._http._giveUp(Failure(OutcomeUnknown(detail)))

    def pauseProducing(self) -> None:
        """
        Read no more; for a moment only, as with each head of an answer, at no cost.
        """
        if self._reading:
            self._paused = True
        else:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read on.
        """
        if self._reading:
            self._paused = False
        else:
            self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        if self.usable.called:
            self._http.connectionLost(reason)
        else:
            self.usable.errback(reason)

    def loseConnection(self) -> None:
        if self.connected:
            self.connected = 0
            self.transport.abortConnection()

    abortConnection = loseConnection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def _words(error: Exception) -> str:
    """
    Spell an error, but not the lists and objects that some have for words.
    """
    plain = _PLAIN.get(type(error))
    if plain is not None:
        return plain
    words = str(error)
    if isinstance(error, VerificationError):
        words = "the certificate is for other names"
    elif isinstance(error, Error) and error.args and isinstance(error.args[0], list):
        words = ", ".join(str(entry[-1]) for entry in error.args[0])
    return f"{type(error).__name__}: {words}"[:300]


def _set_options(transport: object) -> None:
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)
    if ISystemHandle.providedBy(transport):
        handle: Any = transport.getHandle()
        with suppress(OSError, AttributeError):  # TCP_USER_TIMEOUT is Linux's.
            handle.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT
            )
