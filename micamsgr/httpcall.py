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

from collections.abc import Callable, Coroutine
from typing import Any
from typing import Protocol as TypingProtocol

from attrs import define, field, frozen
from hyperlink import DecodedURL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (  # type: ignore[attr-defined]
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestNotSent,
    ResponseDone,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from micamsgr.agent import PlainAgent, PlainClient
from micamsgr.connecting import Endpoints, Pool
from micamsgr.errors import OutcomeUnknown, RemoteError, Unavailable
from micamsgr.timers import SharedTimers


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


class Call(TypingProtocol):
    """
    Make one HTTP call, as :meth:`HTTPCaller.call` does.
    """

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Coroutine[Any, Any, Answer]: ...


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
            answer came back in time, or one larger than *largest*, or with
            more before its body than a connection accepts.
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
    pool = Pool(SharedTimers(reactor))
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = idle  # type: ignore[assignment]
    # The planner repeats; a repetition that it doesn't know of is a duplicate.
    pool.retryAutomatically = False
    endpoints = Endpoints(reactor, BrowserLikePolicyForHTTPS(trust_root), connect)
    agent = PlainAgent.usingEndpointFactory(reactor, endpoints, pool)
    return PlainClient(agent), pool


def _too_late(outcome: Answer | Failure, deadline: float) -> Answer | Failure:
    if isinstance(outcome, Failure) and outcome.check(Unavailable):
        return outcome
    raise OutcomeUnknown(f"no whole answer within {deadline:g} s")


def _summary(error: Exception) -> str:
    """
    Name what happened, and nothing that was in a request or an answer.
    """
    reasons: tuple[Any, ...] = getattr(error, "reasons", ())
    for reason in reasons:
        if isinstance(reason.value, OutcomeUnknown):
            return reason.value.detail
    return ": ".join([type(error).__name__, *(r.type.__name__ for r in reasons)])


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
        # Failure.check() names all that the reason could be first.
        if isinstance(reason.value, (ResponseDone, PotentialDataLoss)):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _close(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()
