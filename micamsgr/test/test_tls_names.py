"""
Tests for several certificates, of which the client's name decides, in
:mod:`micamsgr.web.tls`.
"""

from __future__ import annotations

import gc
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis.strategies import binary
from OpenSSL.SSL import TLS1_2_VERSION, Context
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.web.certificate_files import names_of
from micamsgr.web.tls import CertificateSet, Unusable, utc_now

from .test_tls import HandshakeCase, certificate, load_all


class NameCase(HandshakeCase):
    """
    A server with certificates for some names.
    """

    def serve(self, *names: list[str] | None, modern: bool = False) -> CertificateSet:
        """
        Put in force a certificate for each list of names; the subject of each
        is its place.
        """
        pairs = [
            certificate(self.directory, f"{place}.example", names=listed)
            for place, listed in enumerate(names)
        ]
        current = self.creator.current = load_all(*pairs, modern=modern)
        return current

    def shown(self, name: bytes | None, limit: Any = lambda context: None) -> int:
        """
        Connect, and ask for a name.

        :return: the place of the certificate shown.
        """
        shown = self.shake(limit, name).get_peer_certificate()
        assert shown is not None
        subject = shown.get_subject().CN
        assert subject is not None
        return int(subject.partition(".")[0])


class NameTests(NameCase):
    """
    Tests for which certificate a client is shown.
    """

    def test_names(self) -> None:
        """
        Who asks for a name is shown the certificate that has it, however the
        name is written, by TLS 1.2 and 1.3.
        """
        self.serve(["a.org"], ["b.org", "b.net"], ["c.org", "*.c.org"])
        for name, place in (
            (b"a.org", 0),
            (b"b.org", 1),
            (b"B.Net", 1),
            (b"c.org.", 2),
            (b"x.c.org", 2),
        ):
            self.assertEqual(self.shown(name), place)
            older = self.shown(
                name, lambda context: context.set_max_proto_version(TLS1_2_VERSION)
            )
            self.assertEqual(older, place)

    def test_others(self) -> None:
        """
        Who asks for no name, or for one that no certificate has, is shown the
        first.
        """
        self.serve(["a.org"], ["b.org", "*.c.org"])
        for name in (
            None,
            b"c.org",
            b"x.y.c.org",
            b".c.org",
            b"x.b.org",
            b"org",
            b"192.0.2.1",
            b".",
            b"*",
            b"b.org\xff",
            b"\xc4.c.orG\x01",
            b"b.org/../",
            b"x" * 255,
        ):
            self.assertEqual(self.shown(name), 0, name)

    def test_exact(self) -> None:
        """
        A certificate that has just this name goes before one with a star,
        wherever they stand; of two alike, the one that stands first.
        """
        self.serve(["*.a.org"], ["x.a.org"], ["y.a.org"], ["*.a.org", "x.a.org"])
        self.assertEqual(self.shown(b"x.a.org"), 1)
        self.assertEqual(self.shown(b"y.a.org"), 2)
        self.assertEqual(self.shown(b"z.a.org"), 0)
        self.serve(["x.a.org"], ["*.a.org"])
        self.assertEqual(self.shown(b"x.a.org"), 0)

    def test_subject(self) -> None:
        """
        A certificate without a list of names is for its subject; one with a
        list is not.
        """
        self.serve(["a.org"], None, ["c.org"])
        self.assertEqual(self.shown(b"1.example"), 1)
        self.assertEqual(self.shown(b"2.example"), 0)
        self.assertEqual(self.shown(b"c.org"), 2)

    def test_agreed(self) -> None:
        """
        What is agreed for the first certificate is agreed for the further ones:
        the suites, HTTP/1.1, and TLS 1.3 alone where that is wanted.
        """
        self.serve(["a.org"], ["b.org"], modern=True)
        client = self.shake(
            lambda context: context.set_alpn_protos([b"h2", b"http/1.1"]), b"b.org"
        )
        self.assertEqual(client.get_alpn_proto_negotiated(), b"http/1.1")
        with self.assertRaises(Exception) as caught:
            self.shown(
                b"b.org", lambda context: context.set_max_proto_version(TLS1_2_VERSION)
            )
        self.assertIn("unsupported protocol", str(caught.exception))
        self.serve(["a.org"], ["b.org"])

        def weak(context: Context) -> None:
            context.set_max_proto_version(TLS1_2_VERSION)
            context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA")

        with self.assertRaises(Exception) as caught:
            self.shown(b"b.org", weak)
        self.assertIn("no shared cipher", str(caught.exception))

    def test_open(self) -> None:
        """
        A connection that was made before the certificates are replaced is shown
        the one that was in force, though its handshake comes later.
        """
        made = self.connection()
        del self.current
        self.serve(["new.org"])
        gc.collect()
        client = self.shake(name=b"b.org", server=made)
        shown = client.get_peer_certificate()
        assert shown is not None
        self.assertEqual(shown.get_subject().CN, "1.example")

    def test_errors_apart(self) -> None:
        """
        A certificate that was in force can be put in force again, and no
        context is changed after it was used.
        """
        self.shown(b"b.org")
        before, self.creator.current = self.creator.current, None
        self.serve(["a.org"])
        self.assertEqual(self.shown(b"b.org"), 0)
        self.creator.current = before
        self.assertEqual(self.shown(b"b.org"), 1)

    @given(binary(max_size=300))
    def test_total(self, name: bytes) -> None:
        """
        No name, of whatever bytes, keeps a client from being shown the first.
        """
        first, second = self.current.certificates
        chosen = self.current.context_for(name)
        self.assertIs(
            chosen,
            second.context if name.lower().rstrip(b".") == b"b.org" else first.context,
        )

    def setUp(self) -> None:
        super().setUp()
        self.current = self.serve(["a.org"], ["b.org"])


class SetTests(NameCase):
    """
    Tests for certificates as a set.
    """

    def test_all_faults(self) -> None:
        """
        What is wrong with each pair is told at once, by the keys that name
        them; and none is taken.
        """
        none = str(self.directory / "none")
        with self.assertRaises(Unusable) as caught:
            load_all((none, none), self.files, (self.files[0], none))
        lines = str(caught.exception).splitlines()
        self.assertEqual(
            [line.partition(":")[0] for line in lines],
            [
                "tls.number0.certificate",
                "tls.number0.private_key",
                "tls.number2.private_key",
            ],
        )

    def test_doubts(self) -> None:
        """
        A further certificate that nobody is ever shown, as its names are those
        of others or none at all, is told of.
        """
        current = self.serve(["a.org"], ["A.org"], [], ["*.a.org"], ["x.a.org"])
        told = list(current.doubts())
        self.assertEqual(
            [line.partition(":")[0] for line in told],
            [
                "tls.number1.certificate",
                "tls.number2.certificate",
            ],
        )
        self.assertIn(f"nobody is shown {self.directory / '1.example.pem'}", told[0])
        self.assertEqual(list(self.serve([]).doubts()), [])

    def test_expires(self) -> None:
        """
        The set expires when the first of them does.
        """
        current = self.serve(["a.org"], ["b.org"])
        self.assertEqual(
            current.expires, min(one.expires for one in current.certificates)
        )
        self.assertGreater(current.expires, utc_now())


class WrittenTests(SynchronousTestCase):
    """
    Tests for the names that a certificate is for.
    """

    def names(self, common: list[str], extension: Any = None) -> list[bytes]:
        """
        List those of a certificate.
        """
        key = generate_private_key(SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, one) for one in common]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(utc_now())
            .not_valid_after(utc_now())
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        return list(names_of(builder.sign(key, hashes.SHA256())))

    def test_odd(self) -> None:
        """
        What no client can ask for is no name: a star elsewhere than alone in
        front, spaces, other letters than ASCII, empty labels.
        """
        self.assertEqual(
            self.names(
                ["*", "x.*.org", "*a.org", "a b.org", "b\xfccher.org", ".", "a..org"]
            ),
            [],
        )
        self.assertEqual(
            self.names(["*.A.org.", "a_b.org", "xn--bcher-kva.org", "*.a.org"]),
            [b"*.a.org", b"a_b.org", b"xn--bcher-kva.org"],
        )

    def test_unreadable(self) -> None:
        """
        A list of names that can't be read has none, and is not replaced by the
        subject.
        """
        garbage = x509.UnrecognizedExtension(
            x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x09x"
        )
        self.assertEqual(self.names(["a.org"], garbage), [])

    def test_other_kinds(self) -> None:
        """
        In a list, only names of hosts count.
        """
        listed = x509.SubjectAlternativeName(
            [x509.RFC822Name("x@a.org"), x509.DNSName("b.org")]
        )
        self.assertEqual(self.names(["c.org"], listed), [b"b.org"])
