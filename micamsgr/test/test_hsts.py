"""
Tests for telling browsers to come only by TLS, over connections in memory.
"""

from __future__ import annotations

from OpenSSL.SSL import Connection
from twisted.web.resource import Resource

from .test_site import HEAD, Peer
from .test_tls_clients import SecureCase

_HEADER = b"Strict-Transport-Security: max-age=63072000\r\n"


class Broken(Resource):
    """
    Has a defect.
    """

    isLeaf = True

    def render_GET(self, request: object) -> bytes:
        raise ZeroDivisionError


class HSTSTests(SecureCase):
    """
    Tests for the header of each answer.
    """

    def setUp(self) -> None:
        super().setUp()
        self.factory.hsts = 63072000

    def ask(self, asked: bytes) -> bytes:
        """
        Send something over a new connection with TLS.

        :return: the answer so far.
        """
        return self.asked(*self.shake(), asked)

    def asked(self, peer: Peer, client: Connection, asked: bytes) -> bytes:
        """
        Send something over a connection that there is.
        """
        client.send(asked)
        self.carry(peer, client)
        if self.resource.requests:
            self.resource.answer()
            self.carry(peer, client)
        return client.recv(4000)

    def test_answer(self) -> None:
        """
        Each answer over TLS says it, once.
        """
        peer, client = self.shake()
        for method in (b"GET", b"HEAD", b"POST"):
            asked = method + b" / HTTP/1.1\r\nHost: bot.example\r\n\r\n"
            answer = self.asked(peer, client, asked)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
            self.assertEqual(answer.count(_HEADER), 1)

    def test_errors(self) -> None:
        """
        So do errors: of a resource, of a defect, and of what was refused
        before anybody looked at it.
        """
        for status, asked in (
            (413, HEAD + b"Content-Length: 1000000\r\n\r\n"),
            (417, HEAD + b"Expect: x\r\n\r\n"),
            (400, b"x\r\n\r\n"),
            (400, HEAD + b" folded\r\n\r\n"),
        ):
            answer = self.ask(asked)
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
            self.assertEqual(answer.count(_HEADER), 1)
        get = b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n"
        self.site.resource = Resource()
        self.assertRegex(self.ask(get), b"(?s)^HTTP/1.1 404 .*" + _HEADER)
        self.site.resource = Broken()
        self.assertRegex(self.ask(get), b"(?s)^HTTP/1.1 500 .*" + _HEADER)
        put = b"PUT / HTTP/1.1\r\nHost: bot.example\r\n\r\n"
        self.assertRegex(self.ask(put), b"(?s)^HTTP/1.1 405 .*" + _HEADER)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_late(self) -> None:
        """
        Who takes too long is told it, too.
        """
        peer, client = self.shake()
        client.send(HEAD)
        self.carry(peer, client)
        self.clock.advance(10.0)
        self.carry(peer, client)
        self.assertRegex(client.recv(4000), b"(?s)^HTTP/1.1 408 .*" + _HEADER)

    def test_plain(self) -> None:
        """
        Nobody is told it over plain HTTP, neither in an answer nor in a
        refusal.
        """
        for asked in (
            b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n",
            b"x\r\n\r\n",
        ):
            peer = self.connect()
            peer.send(asked)
            if self.resource.requests:
                self.resource.answer()
            answer = peer.received()
            self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer)
            self.assertNotIn(b"strict-transport", answer.lower())

    def test_off(self) -> None:
        """
        Where it is switched off, nobody is told anything.
        """
        self.factory.hsts = 0
        for asked in (
            b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n",
            b"x\r\n\r\n",
        ):
            answer = self.ask(asked)
            self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer)
            self.assertNotIn(b"strict-transport", answer.lower())

    def test_changed(self) -> None:
        """
        A change holds for the connections to come, and those that are open go
        on as they were.
        """
        get = b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n"
        peer, client = self.shake()
        self.factory.hsts = 300
        self.assertIn(_HEADER, self.asked(peer, client, get))
        self.assertIn(b"max-age=300\r\n", self.ask(get))
