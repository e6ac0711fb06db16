"""
Tests for :mod:`micamsgr.web.tls`: limits on those who connect, by TLS.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from OpenSSL.SSL import (
    TLS_CLIENT_METHOD,
    Connection,
    Context,
    Error,
    WantReadError,
)
from twisted.internet.address import IPv4Address

from micamsgr.web.admission import Admission
from micamsgr.web.tls import (
    SecureConnections,
    ServerCertificate,
)

from .test_site import HEAD, Peer, SiteCase
from .test_tls import certificate, load_all


class SecureCase(SiteCase):
    """
    A site to which one connects over TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        current = load_all(certificate(Path(self.mktemp())))
        self.factory = SecureConnections(
            ServerCertificate(current), False, self.site, self.clock
        )

    def shake(self, protocol: bytes = b"http/1.1") -> tuple[Peer, Connection]:
        """
        Connect, as a client that does nothing by itself.

        :param protocol: the only one that it offers.
        """
        context = Context(TLS_CLIENT_METHOD)
        context.set_alpn_protos([protocol])
        client = Connection(context, None)
        client.set_connect_state()
        peer = self.peer = Peer(self.factory)
        for _ in range(3):
            with contextlib.suppress(WantReadError):
                client.do_handshake()
            self.carry(peer, client)
        return peer, client

    def carry(self, peer: Peer, client: Connection) -> None:
        """
        Carry the bytes both ways.
        """
        with contextlib.suppress(WantReadError):
            while True:
                peer.send(client.bio_read(1 << 16))
        # Twisted gathers what is written in one turn of the reactor.
        self.clock.advance(0.0)
        if received := peer.received():
            client.bio_write(received)


class ClosingTests(SecureCase):
    """
    Tests for connections over TLS, whose end takes two.
    """

    def test_refused(self) -> None:
        """
        A client that is refused reads why, and can't keep its connection by
        ignoring its end or by sending on.
        """
        peer, client = self.shake()
        client.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
        self.carry(peer, client)
        self.assertIn(b" 413 ", client.recv(1000))
        for _ in range(5):
            client.send(b"x" * 10_000)
            self.carry(peer, client)
            self.clock.advance(1.0)
        self.assertTrue(peer.transport.disconnected)
        self.assert_forgotten(peer)

    def test_last_answer(self) -> None:
        """
        A client whose connection ends with its answer can't keep it by not
        agreeing to its end.
        """
        peer, client = self.shake()
        client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.carry(peer, client)
        self.resource.answer()
        self.carry(peer, client)
        self.assertIn(b" 200 ", client.recv(1000))
        self.assertFalse(peer.cut)
        self.clock.advance(10.0)
        self.assertTrue(peer.cut)
        self.assert_forgotten(peer)

    def test_slow_handshake(self) -> None:
        """
        A client that doesn't finish its handshake in time is cut off; one
        that does may take its time afterwards.
        """
        silent = Peer(self.factory)
        peer, _ = self.shake()
        self.clock.advance(5.0)
        self.assertTrue(silent.transport.disconnected)
        self.assertFalse(peer.transport.disconnected)

    def test_other_protocol(self) -> None:
        """
        A client that speaks only HTTP/2 learns why it can't connect, and
        nothing of it is left.
        """
        with self.assertRaises(Error) as caught:
            self.shake(b"h2")
        self.assertIn("alert no application protocol", str(caught.exception))
        self.assertTrue(self.peer.closing)
        self.assert_forgotten(self.peer)

    def test_turned_away(self) -> None:
        """
        Where too many are connected, one more is turned away before its
        handshake; with whoever goes, there is room again.
        """
        self.site.admission = Admission(9, 1)
        peer, _ = self.shake()
        address = IPv4Address("TCP", "192.0.2.1", 4711)
        self.assertIsNone(self.factory.buildProtocol(address))
        peer.go()
        self.shake()

    def test_makes_room(self) -> None:
        """
        Who is slow in the handshake, or silent after it, makes room for others.
        """
        self.site.admission = Admission(2)
        silent = Peer(self.factory)
        peer, _ = self.shake()
        for closed, host in ((silent, "198.51.100.1"), (peer, "203.0.113.1")):
            self.assertFalse(closed.cut)
            Peer(self.factory, host)
            self.assertTrue(closed.cut)
            closed.go()
        self.assertEqual(self.site.admission.open, 2)

    def test_slow_headers(self) -> None:
        """
        Over TLS, too, a client has ten seconds for its headers, from the end of
        its handshake on.
        """
        peer, client = self.shake()
        for _ in range(11):
            client.send(b"x")
            self.carry(peer, client)
            self.clock.advance(1.0)
        self.carry(peer, client)
        self.assertIn(b" 408 ", client.recv(1000))
        self.clock.advance(5.0)
        self.assertTrue(peer.cut)
        self.assert_forgotten(peer)
