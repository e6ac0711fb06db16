"""
One outbound call: its deadline, its limit, and what is known if it fails.

A call that fails either surely had no effect or may have had one.  Which of
the two is decided by where it failed, not by how: HTTP is given a connection
only once it can carry a request, so that whatever goes wrong before that is
:exc:`~micamsgr.errors.Unavailable`, and whatever goes wrong after it is
:exc:`~micamsgr.errors.OutcomeUnknown`.

Nothing here is tried twice, follows a redirect, keeps a cookie, or unpacks a
compressed body.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Hashable
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from attrs import define, field, frozen
from hyperlink import DecodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IConsumer,
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
from twisted.web.client import (  # type: ignore[attr-defined]
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestNotSent,
    ResponseDone,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

from micamsgr.errors import OutcomeUnknown, RemoteError, Unavailable

# Longest that written bytes may stay unacknowledged before the kernel gives
# up, in milliseconds.
_USER_TIMEOUT = 10_000


@frozen
class Answer:
    """
    A whole HTTP response, of any status.

    :ivar body: as it was sent.  One that ends with the connection, and says
        no length, is taken for whole: let a parser notice if it was cut.
    """

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


@define(eq=False)
class HTTPCaller:
    """
    Call remote APIs.

    :ivar _clock: for the deadlines; usually the reactor.
    :ivar _request: with the signature of :meth:`treq.client.HTTPClient.request`,
        usually that of an :func:`outbound_client`.
    :ivar largest: the most bytes of body to accept in an answer.
    """

    _clock: IReactorTime
    _request: Callable[..., Deferred[Any]]
    largest: int = 1 << 20

    async def call(
        self,
        method: str,
        url: bytes | str | DecodedURL,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        """
        Make one request, once.

        Canceling the Deferred that awaits this ends the call as its deadline
        would: at once, with its connection closed, and with one of the two
        errors below.

        :param headers: not changed.
        :param body: ``None``, like ``b""``, sends no body.
        :param deadline: the seconds, more than none, from now to the last byte
            of the answer; connecting is part of it.

        :raises Unavailable: surely nothing was sent.
        :raises OutcomeUnknown: the request may have been sent, and no whole
            answer came back in time, or one larger than *largest*.
        """
        # What raises here is a mistake in the arguments, and goes to the
        # caller as it is.
        begun = self._request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._clock,
        )
        answer: Deferred[Answer] = begun.addCallback(self._read)
        try:
            return await answer.addTimeout(deadline, self._clock, _too_late)
        except RemoteError:
            raise
        except RequestNotSent as error:
            raise Unavailable(_summary(error)) from error
        except Exception as error:
            # Whatever became of a request that may have left, the doubt is
            # the same; a list of exceptions would only miss some.
            raise OutcomeUnknown(_summary(error)) from error

    def _read(self, response: IResponse) -> Deferred[Answer]:
        body = _AnswerBody(self.largest)
        response.deliverBody(body)
        return body.whole.addCallback(
            lambda whole: Answer(response.code, response.headers, whole)
        )


def outbound_client(
    reactor: Any,
    *,
    connections: int,
    idle: float = 20.0,
    connect: float = 5.0,
    trust_root: object = None,
) -> tuple[HTTPClient, HTTPConnectionPool]:
    """
    Make the client that every call shares, and the pool of its connections.

    :param reactor: an ``IReactorTCP``, ``IReactorTime`` and
        ``IReactorPluggableNameResolver``.
    :param connections: the most idle connections to keep for one host; how
        many are in use at once is for the callers to limit.
    :param idle: the seconds after which an idle connection is closed.  It must
        be shorter than the peer's patience: a request that meets the peer's
        own closing is in doubt.
    :param connect: the most seconds from looking up the name to the end of the
        TLS handshake.
    :param trust_root: an ``IOpenSSLTrustRoot``; ``None`` for the platform's.

    :return: the pool is to be closed with ``closeCachedConnections()``, once
        no call is in flight.
    """
    pool = _Pool(reactor)
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = idle  # type: ignore[assignment]
    # The planner repeats; a repetition that it doesn't know of is a duplicate.
    pool.retryAutomatically = False
    endpoints = _Endpoints(reactor, BrowserLikePolicyForHTTPS(trust_root), connect)
    agent = _Verbatim(Agent.usingEndpointFactory(reactor, endpoints, pool))
    # One jar would carry cookies from one bot's calls to another's.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    client = HTTPClient(agent, no_cookies, _RequestBody)  # type: ignore[arg-type]
    return client, pool


def _too_late(outcome: Answer | Failure, deadline: float) -> Answer | Failure:
    if isinstance(outcome, Failure) and outcome.check(Unavailable):
        return outcome
    raise OutcomeUnknown(f"no whole answer within {deadline:g} s")


def _summary(error: Exception) -> str:
    """
    Name what happened, and nothing that was in a request or an answer.
    """
    reasons = [reason.type.__name__ for reason in getattr(error, "reasons", ())]
    return ": ".join([type(error).__name__, *reasons])


@implementer(IBodyProducer)
class _RequestBody:
    """
    A request's body, written in one go together with its headers.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass


class _AnswerBody(Protocol):
    """
    Collect a response's body.

    Neither ``treq.content()`` nor ``readBody()`` closes the connection when it
    is canceled, or has a limit.

    :ivar whole: fires with the body.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._size = 0
        self._parts: list[bytes] = []
        self.whole: Deferred[bytes] = Deferred(lambda _: self._close())

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._largest:
            self._parts.append(data)
        elif not self.whole.called:
            self._close()
            detail = f"the answer is larger than {self._largest} bytes"
            self.whole.errback(OutcomeUnknown(detail))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _close(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@implementer(IAgent)
@frozen
class _Verbatim:
    """
    Ask for bodies as they are, and leave them as they come.

    treq asks for gzip, and unpacks a chunk whole before anything can count
    it: 64 KiB become 64 MiB, and twice that packed, 64 GiB.
    """

    _agent: IAgent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        # treq's own copy, made to add its gzip to.
        headers = Headers() if headers is None else headers
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        begun = self._agent.request(method, uri, headers, bodyProducer)
        return begun.addCallback(self._unnamed)

    def _unnamed(self, response: IResponse) -> IResponse:
        response.headers.removeHeader(b"Content-Encoding")
        return response


class _Pool(HTTPConnectionPool):
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
class _Endpoints:
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
            raise Unavailable(f"{type(error).__name__}: {error}"[:300]) from error


@implementer(IHandshakeListener)
class _Connection(Protocol):
    """
    One connection to a peer, and the transport that HTTP sees of it.

    What HTTP calls losing the connection aborts it: over TLS, a peer that has
    stalled could otherwise keep it for ever, by not agreeing to its end.

    :ivar usable: fires with HTTP's protocol, once that is connected.
    """

    transport: Any

    def __init__(self, factory: IProtocolFactory, *, secure: bool) -> None:
        self._http: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self._secure = secure
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
        self._http.dataReceived(data)

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


def _set_options(transport: object) -> None:
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)
    if ISystemHandle.providedBy(transport):
        handle: Any = transport.getHandle()
        with suppress(OSError, AttributeError):  # TCP_USER_TIMEOUT is Linux's.
            handle.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT
            )
