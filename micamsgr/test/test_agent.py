"""
Tests for :mod:`micamsgr.agent`: what goes out, byte for byte.
"""

from __future__ import annotations

from typing import Any

from hyperlink import DecodedURL
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IClientRequest
from zope.interface.verify import verifyObject

from micamsgr.agent import Body, PlainAgent, PlainClient, _Request, _target

URL = "http://api.example/v1/send?x=1"


class AgentTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.agent.PlainAgent` and its client.
    """

    def sent(
        self,
        url: bytes | str | DecodedURL = URL,
        *,
        method: str = "POST",
        headers: Headers | None = None,
        data: bytes | None = b"hello",
    ) -> bytes:
        """
        Ask for something, and tell what goes out.
        """
        reactor = MemoryReactorClock()
        client = PlainClient(PlainAgent(reactor, pool=HTTPConnectionPool(reactor)))
        client.request(
            method,
            url,
            headers=headers or Headers(),
            data=data,
            allow_redirects=False,
            unbuffered=True,
            reactor=reactor,
        )
        host, port, factory, _, _ = reactor.tcpClients.pop(0)
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", host, port))
        wire = StringTransport()
        protocol.makeConnection(wire)
        sent: bytes = wire.value()
        return sent

    def test_whole(self) -> None:
        """
        A request is its line, its headers and its body; what comes is not to be
        packed, whatever the caller takes.
        """
        headers = Headers({"Authorization": ["Bearer k"], "accept-encoding": ["gzip"]})
        self.assertEqual(
            self.sent(headers=headers),
            b"POST /v1/send?x=1 HTTP/1.1\r\nContent-Length: 5\r\n"
            b"Host: api.example\r\nAuthorization: Bearer k\r\n"
            b"Accept-Encoding: identity\r\n\r\nhello",
        )
        self.assertEqual(headers.getRawHeaders("accept-encoding"), ["gzip"])

    def test_no_body(self) -> None:
        """
        What has no body says so where one is expected, and only there.
        """
        for data in (None, b""):
            self.assertIn(b"\r\nContent-Length: 0\r\n", self.sent(data=data))
            got = self.sent(method="GET", data=data)
            self.assertNotIn(b"Content-Length", got)
            self.assertTrue(got.startswith(b"GET /v1/send?x=1 HTTP/1.1\r\n"))

    def test_host(self) -> None:
        """
        The host has its port where that is not the usual one, and brackets where
        it is an address of IPv6; one that the operator names goes before it.
        """
        for url, host in (
            ("http://api.example:80/", b"api.example"),
            ("http://api.example:443/", b"api.example:443"),
            ("http://127.0.0.1:8080/", b"127.0.0.1:8080"),
            ("http://[::1]:8080/v1", b"[::1]:8080"),
            ("http://[::1]/v1", b"[::1]"),
            ("http://bücher.example/", b"xn--bcher-kva.example"),
        ):
            lines = self.sent(url).split(b"\r\n")
            self.assertEqual(lines.count(b"Host: " + host), 1, lines)
        lines = self.sent(headers=Headers({"Host": ["other"]})).split(b"\r\n")
        self.assertEqual([it for it in lines if b"Host" in it], [b"Host: other"])

    def test_several_values(self) -> None:
        """
        A header that is there twice is sent twice; what could end its line can't.
        """
        sent = self.sent(headers=Headers({"X-A": ["1", "2\r\nX-B: 3"]}))
        self.assertIn(b"\r\nX-A: 1\r\nX-A: 2 X-B: 3\r\n", sent)

    def test_path(self) -> None:
        """
        Whatever a URL has beside the host stands in the line; and a slash where
        there is nothing.
        """
        for url, form in (
            ("http://api.example", b"/"),
            ("http://api.example?a=b", b"/?a=b"),
            ("http://api.example/a;b?c=d%20e", b"/a;b?c=d%20e"),
            ("http://api.example/ä?ö=1", b"/%C3%A4?%C3%B6=1"),
            (DecodedURL.from_text("http://api.example/a%20b"), b"/a%20b"),
        ):
            line = self.sent(url).partition(b"\r\n")[0]
            self.assertEqual(line, b"POST " + form + b" HTTP/1.1")

    def test_not_a_url(self) -> None:
        """
        What could end the line, or begin another request, is not sent.
        """
        for url in (b"http://a/ b", b"http://a/\r\nX: y", b"http://a/\0", b""):
            self.assertRaises(ValueError, self.sent, url)

    def test_interfaces(self) -> None:
        """
        Bodies and requests are what Twisted's HTTP asks for.
        """
        verifyObject(IBodyProducer, Body(b"x"))
        asked = _Request(b"GET", _target(b"http://a/b"), Headers(), None)
        verifyObject(IClientRequest, asked)
        self.assertEqual(asked.absoluteURI, b"http://a/b")
