"""
Tests for :mod:`micamsgr.web.tls`, by handshakes in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from OpenSSL.SSL import (
    TLS1_1_VERSION,
    TLS1_2_VERSION,
    TLS1_VERSION,
    TLS_CLIENT_METHOD,
    Connection,
    Context,
    Error,
    WantReadError,
)
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from micamsgr.web.tls import (
    CertificateFiles,
    CertificateSet,
    ServerCertificate,
    Unusable,
    utc_now,
)

from .test_site import HEAD, Peer, SiteCase


def certificate(
    directory: Path,
    name: str = "bot.example",
    *,
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta = timedelta(days=1),
) -> tuple[str, str]:
    """
    Make a certificate that is valid for a day, and its key.

    :return: the paths of both files.
    """
    directory.mkdir(exist_ok=True)
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return str(path), write_key(key, directory / f"{name}.key", NoEncryption())


def write_key(
    key: EllipticCurvePrivateKey, path: Path, encryption: KeySerializationEncryption
) -> str:
    """
    Write a private key into a file.
    """
    path.touch(0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return str(path)


def load(certificate: str, key: str) -> CertificateSet:
    """
    Read a certificate and its key, as of now.
    """
    return CertificateFiles(Path(certificate), Path(key)).load(utc_now())


def exchange(one: Connection, other: Connection) -> None:
    """
    Carry what one side of a connection has written to the other side.
    """
    with contextlib.suppress(WantReadError):
        while True:
            other.bio_write(one.bio_read(1 << 16))


class FileTests(SynchronousTestCase):
    """
    Tests for the files of a certificate and its key.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.certificate, self.key = certificate(self.directory)

    def refused(self, certificate: str, key: str) -> str:
        """
        Say why these files can't be used, in one line.
        """
        with self.assertRaises(Unusable) as caught:
            load(certificate, key)
        why = str(caught.exception)
        self.assertEqual(len(why.splitlines()), 1)
        return why

    def test_missing(self) -> None:
        """
        A file that isn't there is named, with the key of the configuration
        that names it.
        """
        none = str(self.directory / "none.pem")
        missing = f"{none}: No such file or directory"
        self.assertEqual(self.refused(none, self.key), f"tls.certificate: {missing}")
        self.assertEqual(
            self.refused(self.certificate, none), f"tls.private_key: {missing}"
        )

    def test_directory(self) -> None:
        """
        A directory is no certificate.
        """
        self.assertIn("Is a directory", self.refused(str(self.directory), self.key))

    def test_garbage(self) -> None:
        """
        A file of something else is named.
        """
        garbage = self.directory / "garbage"
        garbage.touch(0o600)
        for content in (b"", b"\0" * 999, b"-----BEGIN CERTIFICATE-----\nxx\n"):
            garbage.write_bytes(content)
            path = str(garbage)
            self.assertIn(f"tls.certificate: {path}", self.refused(path, self.key))
            self.assertIn(
                f"tls.private_key: {path}", self.refused(self.certificate, path)
            )

    def test_swapped(self) -> None:
        """
        The two files the wrong way round are a fault.
        """
        self.assertIn("tls.certificate: ", self.refused(self.key, self.certificate))

    def test_wrong_key(self) -> None:
        """
        The key of another certificate is a fault that names both files.
        """
        _, other = certificate(self.directory, "other.example")
        why = self.refused(self.certificate, other)
        self.assertIn(other, why)
        self.assertIn(self.certificate, why)

    def test_encrypted_key(self) -> None:
        """
        A key with a passphrase is a fault, and nobody is asked for one.
        """
        path = write_key(
            generate_private_key(SECP256R1()),
            self.directory / "encrypted.key",
            BestAvailableEncryption(b"passphrase"),
        )
        why = self.refused(self.certificate, path)
        self.assertIn(f"tls.private_key: {path} is encrypted", why)

    def test_key_for_all(self) -> None:
        """
        A key that others may read is a fault that says how to mend it.
        """
        Path(self.key).chmod(0o644)
        why = self.refused(self.certificate, self.key)
        self.assertIn("mode 0644", why)
        self.assertIn("chmod 600", why)

    def test_key_for_group(self) -> None:
        """
        A group may read the key, as Debian's ssl-cert does.
        """
        Path(self.key).chmod(0o640)
        load(self.certificate, self.key)

    def test_expired(self) -> None:
        """
        A certificate that has expired is a fault that says when.
        """
        files = certificate(
            self.directory,
            "old.example",
            begins=timedelta(days=-2),
            ends=timedelta(days=-1),
        )
        self.assertIn("expired at", self.refused(*files))

    def test_not_yet_valid(self) -> None:
        """
        One that is not valid yet is a fault that asks for the clock.
        """
        files = certificate(self.directory, "new.example", begins=timedelta(hours=1))
        self.assertIn("is the clock right?", self.refused(*files))

    def test_chain(self) -> None:
        """
        What issued the certificate is sent along.
        """
        issuer, _ = certificate(self.directory, "issuer.example")
        chain = self.directory / "chain.pem"
        content = [Path(path).read_text() for path in (self.certificate, issuer)]
        chain.write_text("".join(content))
        context = load(str(chain), self.key).context
        client = Connection(Context(TLS_CLIENT_METHOD), None)
        client.set_connect_state()
        server = Connection(context, None)
        server.set_accept_state()
        for _ in range(3):
            for side, other in ((client, server), (server, client)):
                with contextlib.suppress(WantReadError):
                    side.do_handshake()
                exchange(side, other)
        shown = client.get_peer_cert_chain() or []
        names = [one.get_subject().CN for one in shown]
        self.assertEqual(names, ["bot.example", "issuer.example"])


class HandshakeTests(SynchronousTestCase):
    """
    Tests for what is agreed with those who connect.
    """

    def setUp(self) -> None:
        self.files = certificate(Path(self.mktemp()))
        self.creator = ServerCertificate(load(*self.files))

    def shake(self, limit: Callable[[Context], object]) -> Connection:
        """
        Connect a client that is limited as *limit* says.

        :raises Error: where the two can't agree.
        """
        context = Context(TLS_CLIENT_METHOD)
        limit(context)
        client = Connection(context, None)
        client.set_connect_state()
        server = self.creator.serverConnectionForTLS(None)  # type: ignore[arg-type]
        server.set_accept_state()
        for _ in range(3):
            for side, other in ((client, server), (server, client)):
                with contextlib.suppress(WantReadError):
                    side.do_handshake()
                exchange(side, other)
        self.assertNotEqual(client.get_cipher_name(), None)
        return client

    def test_interface(self) -> None:
        """
        The certificate is what Twisted takes for the server's side of TLS.
        """
        verifyObject(IOpenSSLServerConnectionCreator, self.creator)

    def test_newest(self) -> None:
        """
        Who can speak TLS 1.3 does.
        """
        client = self.shake(lambda context: None)
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")

    def test_oldest(self) -> None:
        """
        TLS 1.2 is still spoken.
        """
        client = self.shake(
            lambda context: context.set_max_proto_version(TLS1_2_VERSION)
        )
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.2")

    def test_too_old(self) -> None:
        """
        Nothing older than TLS 1.2 is spoken.
        """

        def limit(context: Context) -> None:
            context.set_min_proto_version(TLS1_VERSION)
            context.set_max_proto_version(TLS1_1_VERSION)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")

        with self.assertRaises(Error) as caught:
            self.shake(limit)
        self.assertIn("unsupported protocol", str(caught.exception))

    def test_ciphers(self) -> None:
        """
        With TLS 1.2, only suites with forward secrecy and authenticated
        encryption are used.
        """
        server = self.creator.serverConnectionForTLS(None)  # type: ignore[arg-type]
        older = [s for s in server.get_cipher_list() if not s.startswith("TLS_")]
        self.assertNotEqual(older, [])
        for suite in older:
            self.assertRegex(suite, "^ECDHE-(ECDSA|RSA)-.*(GCM|CHACHA20)")

    def test_weak_cipher(self) -> None:
        """
        A client that knows only a suite without authenticated encryption is
        turned away.
        """

        def limit(context: Context) -> None:
            context.set_max_proto_version(TLS1_2_VERSION)
            context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA")

        with self.assertRaises(Error) as caught:
            self.shake(limit)
        self.assertIn("no shared cipher", str(caught.exception))

    def test_http1(self) -> None:
        """
        HTTP/1.1 is chosen even by a client that would rather have HTTP/2.
        """
        client = self.shake(
            lambda context: context.set_alpn_protos([b"h2", b"http/1.1"])
        )
        self.assertEqual(client.get_alpn_proto_negotiated(), b"http/1.1")

    def test_only_http2(self) -> None:
        """
        With a client that offers nothing we speak, no protocol is agreed on.
        """
        client = self.shake(lambda context: context.set_alpn_protos([b"h2"]))
        self.assertEqual(client.get_alpn_proto_negotiated(), b"")

    def test_replaced(self) -> None:
        """
        Another certificate is in force for the connections to come.
        """
        files = certificate(Path(self.mktemp()), "new.example")
        self.creator.current = load(*files)
        shown = self.shake(lambda context: None).get_peer_certificate()
        assert shown is not None
        self.assertEqual(shown.get_subject().CN, "new.example")


class ClosingTests(SiteCase):
    """
    Tests for connections over TLS, whose end takes two.
    """

    def setUp(self) -> None:
        super().setUp()
        current = load(*certificate(Path(self.mktemp())))
        self.factory = TLSMemoryBIOFactory(
            ServerCertificate(current), False, self.site, self.clock
        )

    def shake(self) -> tuple[Peer, Connection]:
        """
        Connect, as a client that does nothing by itself.
        """
        client = Connection(Context(TLS_CLIENT_METHOD), None)
        client.set_connect_state()
        peer = Peer(self.factory)
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
        self.assertFalse(peer.transport.disconnected)
        self.clock.advance(5.0)
        self.assertTrue(peer.transport.disconnected)
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
