"""
Tests for :mod:`micamsgr.web.tls`, by handshakes in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
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
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from micamsgr.web.certificate_files import CertificateFiles, Certified
from micamsgr.web.tls import (
    CertificateSet,
    Offer,
    ServerCertificate,
    utc_now,
)


def certificate(
    directory: Path,
    name: str = "bot.example",
    *,
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta = timedelta(days=1),
    key: Any = None,
    issuer: tuple[str, Any] | None = None,
    names: Sequence[str] | None = None,
) -> tuple[str, str]:
    """
    Make a certificate that is valid for a day, and its key.

    :param name: of its subject, and of its files.
    :param key: by default a new one.
    :param issuer: the name and the key of who issues it; by default its own.
    :param names: that it lists; by default it has no such list.
    :return: the paths of both files.
    """
    directory.mkdir(exist_ok=True)
    key = key or generate_private_key(SECP256R1())
    issued_by, signing = issuer or (name, key)
    issuing = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issued_by)])
    edwards = isinstance(signing, (Ed25519PrivateKey, Ed448PrivateKey))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuing)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    if names is not None:
        listed = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        made = made.add_extension(listed, critical=False)
    signed = made.sign(signing, None if edwards else hashes.SHA256())
    path = directory / f"{name}.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    return str(path), write_key(key, directory / f"{name}.key", NoEncryption())


def write_key(
    key: PrivateKeyTypes, path: Path, encryption: KeySerializationEncryption
) -> str:
    """
    Write a private key into a file.
    """
    path.touch(0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return str(path)


def load(certificate: str, key: str) -> Certified:
    """
    Read a certificate and its key, as of now.
    """
    return CertificateFiles(Path(certificate), Path(key)).load(utc_now())


def offer(*pairs: tuple[str, str], modern: bool = False) -> Offer:
    """
    Name the files of certificates and their keys.
    """
    files = (
        CertificateFiles(Path(certificate), Path(key), f"tls.number{number}")
        for number, (certificate, key) in enumerate(pairs)
    )
    return Offer(tuple(files), modern)


def load_all(*pairs: tuple[str, str], modern: bool = False) -> CertificateSet:
    """
    Read certificates and their keys, as of now.
    """
    return offer(*pairs, modern=modern).load(utc_now())


def exchange(one: Connection, other: Connection) -> None:
    """
    Carry what one side of a connection has written to the other side.
    """
    with contextlib.suppress(WantReadError):
        while True:
            other.bio_write(one.bio_read(1 << 16))


class HandshakeCase(SynchronousTestCase):
    """
    A server without a network.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.files = certificate(self.directory)
        self.creator = ServerCertificate(load_all(self.files))

    def shake(
        self,
        limit: Callable[[Context], object] = lambda context: None,
        name: bytes | None = None,
        server: Connection | None = None,
    ) -> Connection:
        """
        Connect a client that is limited as *limit* says.

        :param name: that it asks for, if any.
        :param server: the other side, by default one made now.

        :raises Error: where the two can't agree.
        """
        context = Context(TLS_CLIENT_METHOD)
        limit(context)
        client = self.client = Connection(context, None)
        if name is not None:
            client.set_tlsext_host_name(name)
        client.set_connect_state()
        server = server or self.connection()
        server.set_accept_state()
        for _ in range(3):
            for side, other in ((client, server), (server, client)):
                try:
                    with contextlib.suppress(WantReadError):
                        side.do_handshake()
                finally:
                    exchange(side, other)
        self.assertNotEqual(client.get_cipher_name(), None)
        return client

    def connection(self) -> Connection:
        """
        Make the server's side of a connection.
        """
        return self.creator.serverConnectionForTLS(None)  # type: ignore[arg-type]


class HandshakeTests(HandshakeCase):
    """
    Tests for what is agreed with those who connect.
    """

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

    def test_modern(self) -> None:
        """
        Where that is wanted, TLS 1.3 is spoken, and nothing older.
        """
        self.creator.current = load_all(self.files, modern=True)
        client = self.shake()
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")
        with self.assertRaises(Error) as caught:
            self.shake(lambda context: context.set_max_proto_version(TLS1_2_VERSION))
        self.assertIn("unsupported protocol", str(caught.exception))

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
        server = self.connection()
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
        A client that offers nothing we speak is told so, and turned away.
        """
        with self.assertRaises(Error):
            self.shake(lambda context: context.set_alpn_protos([b"h2"]))
        with self.assertRaises(Error) as caught:
            self.client.do_handshake()
        self.assertIn("alert no application protocol", str(caught.exception))

    def test_no_alpn(self) -> None:
        """
        A client that names no protocol is taken to mean HTTP/1.1.
        """
        client = self.shake(lambda context: None)
        self.assertEqual(client.get_alpn_proto_negotiated(), b"")

    def test_preference(self) -> None:
        """
        Of the suites that both know, the one is used that the client prefers.
        """
        suites = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]

        def limit(context: Context) -> None:
            context.set_max_proto_version(TLS1_2_VERSION)
            context.set_cipher_list(":".join(suites).encode())

        for _ in range(2):
            suites.reverse()
            self.assertEqual(self.shake(limit).get_cipher_name(), suites[0])

    def test_replaced(self) -> None:
        """
        Another certificate is in force for the connections to come.
        """
        files = certificate(self.directory, "new.example")
        self.creator.current = load_all(files)
        shown = self.shake(lambda context: None).get_peer_certificate()
        assert shown is not None
        self.assertEqual(shown.get_subject().CN, "new.example")
