"""
How a request goes out: a URL, headers and bytes, written in one piece.

What treq and Twisted do besides, for requests of every kind, takes longer than
all the rest of a call: see docs/performance.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from attrs import define, field, frozen
from hyperlink import URL, DecodedURL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, ITransport
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IClientRequest, IResponse
from zope.interface import implementer

# What may stand in a request's first line; whatever else could end it.
_VALID = re.compile(rb"[\x21-\x7e]+")


class PlainClient(HTTPClient):
    """
    treq's client, for a request that is a URL, headers and bytes: that goes
    straight to the agent.

    Left out is what treq does for requests that keep cookies, follow redirects or
    unpack what comes.  And treq unpacks a chunk whole before anything can count
    it: 64 KiB become 64 MiB, and twice that packed, 64 GiB; so bodies are asked
    for as they are, and left as they come.
    """

    def request(  # type: ignore[override]
        self,
        method: str,
        url: bytes | str | URL | DecodedURL,
        *,
        headers: Headers,
        data: bytes | None,
        allow_redirects: Literal[False],
        unbuffered: Literal[True],
        reactor: object,
    ) -> Deferred[IResponse]:
        """
        See :meth:`treq.client.HTTPClient.request`; nothing else can be asked for.
        """
        agent: IAgent = self._agent
        body = Body(data) if data else None
        return agent.request(method.encode("ascii"), _encoded(url), headers, body)


class PlainAgent(Agent):
    """
    Twisted's agent, which writes what it knows whole in one piece.

    Twisted takes each URL apart, copies the headers to add to them, and writes a
    body as if it came bit by bit, with three Deferreds, to be told whether it
    was as long as it said.
    """

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        See :class:`~twisted.web.iweb.IAgent`; what comes is asked for as it is,
        not packed.

        :param bodyProducer: a :class:`Body`.

        :raises ValueError: where something other than a URL is asked for.
        """
        assert bodyProducer is None or isinstance(bodyProducer, Body)
        target = _target(uri)
        endpoint = self._getEndpoint(target.uri)
        asked = _Request(method, target, headers or Headers(), bodyProducer)
        connected: Deferred[Any] = self._pool.getConnection(target.key, endpoint)
        return connected.addCallback(lambda connection: connection.request(asked))


@implementer(IBodyProducer)
@frozen
class Body:
    """
    A request's body.
    """

    whole: bytes

    @property
    def length(self) -> int:
        """In bytes."""
        return len(self.whole)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.whole)
        return succeed(None)

    def stopProducing(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass


@frozen
class _Target:
    """
    What a URL says.

    :ivar key: for whom a connection may be used.
    :ivar form: how the resource is named there.
    :ivar host: what the header of that name says.
    """

    uri: URI
    key: tuple[bytes, bytes, int]
    form: bytes
    host: bytes


@lru_cache(maxsize=256)
def _target(url: bytes) -> _Target:
    if not _VALID.fullmatch(url):
        raise ValueError("not a URL as it can be asked for")
    uri = URI.fromBytes(url)
    usual = {b"http": 80, b"https": 443}.get(uri.scheme)
    host = b"[%s]" % uri.host if b":" in uri.host else uri.host
    form: bytes = uri.originForm
    return _Target(
        uri,
        (uri.scheme, uri.host, uri.port),
        form if form.startswith(b"/") else b"/" + form,
        host if uri.port == usual else b"%s:%d" % (host, uri.port),
    )


@implementer(IClientRequest)
@define(eq=False)
class _Request:
    """
    What Twisted's HTTP asks of a request.

    :ivar persistent: whether the connection is wanted for another one.
    """

    method: bytes
    _target: _Target
    headers: Headers
    _body: Body | None
    persistent: bool = field(default=True, init=False)

    @property
    def absoluteURI(self) -> bytes:  # noqa: N802
        return bytes(self._target.uri.toBytes())

    def writeTo(self, transport: ITransport) -> Deferred[None]:  # noqa: N802
        transport.write(self._written())
        return succeed(None)

    def stopWriting(self) -> None:  # noqa: N802
        """Nothing is left to be written."""

    def _written(self) -> bytes:
        lines = [b"%s %s HTTP/1.1" % (self.method, self._target.form)]
        if self._body is not None:
            lines.append(b"Content-Length: %d" % self._body.length)
        elif self.method in {b"POST", b"PUT"}:
            lines.append(b"Content-Length: 0")
        if not self.headers.hasHeader(b"host"):
            lines.append(b"Host: " + self._target.host)
        for name, values in self.headers.getAllRawHeaders():
            if name != b"Accept-Encoding":
                lines += [b"%s: %s" % (name, value) for value in values]
        lines.append(b"Accept-Encoding: identity\r\n\r\n")
        head = b"\r\n".join(lines)
        return head if self._body is None else head + self._body.whole


@lru_cache(maxsize=256)
def _encoded(url: bytes | str | URL | DecodedURL) -> bytes:
    """
    Write a URL as treq does; most are asked again and again.  One in ASCII is as
    it is to be: hyperlink would refuse an address of IPv6 in it.
    """
    if isinstance(url, DecodedURL):
        url = url.encoded_url
    if isinstance(url, bytes):
        return url
    if isinstance(url, str):
        if url.isascii():
            return url.encode("ascii")
        url = URL.from_text(url)
    return url.to_uri().to_text().encode("ascii")
