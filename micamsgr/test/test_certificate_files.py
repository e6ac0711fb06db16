"""
Tests for :mod:`micamsgr.web.certificate_files`.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from OpenSSL.SSL import TLS_CLIENT_METHOD, Connection, Context, WantReadError
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.web.certificate_files import Unusable
from micamsgr.web.handshake import ServerConnection

from .test_tls import certificate, exchange, load, write_key

DAY = timedelta(days=1)


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
        missing = f"{none}: No such file or directory; correct the path"
        self.assertIn(f"tls.certificate: {missing}", self.refused(none, self.key))
        self.assertIn(
            f"tls.private_key: {missing}", self.refused(self.certificate, none)
        )

    def test_both(self) -> None:
        """
        What is wrong with each of the two files is told at once.
        """
        old, _ = certificate(
            self.directory, "old.example", begins=-2 * DAY, ends=-1 * DAY
        )
        with self.assertRaises(Unusable) as caught:
            load(old, str(self.directory / "none.key"))
        first, second = str(caught.exception).splitlines()
        self.assertIn("tls.certificate: ", first)
        self.assertIn("tls.private_key: ", second)

    def test_no_file(self) -> None:
        """
        A directory is no certificate; nor is a pipe, for which nobody waits,
        or a file without end.
        """
        why = self.refused(str(self.directory), self.key)
        self.assertIn("Is a directory; name the file in it", why)
        pipe = str(self.directory / "pipe")
        os.mkfifo(pipe)
        self.assertIn("is not a file", self.refused(pipe, self.key))
        self.assertIn("is not a file", self.refused("/dev/zero", self.key))
        large = self.directory / "large"
        large.write_bytes(bytes((1 << 20) + 1))
        self.assertIn("larger than 1 MiB", self.refused(str(large), self.key))

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
        The two files the wrong way round are a fault of both.
        """
        with self.assertRaises(Unusable) as caught:
            load(self.key, self.certificate)
        self.assertEqual(len(caught.exception.args), 2)

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
            begins=-2 * DAY,
            ends=-1 * DAY,
        )
        self.assertIn("expired at", self.refused(*files))

    def test_not_yet_valid(self) -> None:
        """
        One that is not valid yet is a fault that asks for the clock.
        """
        files = certificate(self.directory, "new.example", begins=timedelta(hours=1))
        self.assertIn("is the clock right?", self.refused(*files))

    def test_short_key(self) -> None:
        """
        An RSA key that clients would refuse is a fault that says so.
        """
        files = certificate(
            self.directory, "short", key=rsa.generate_private_key(65537, 1024)
        )
        why = self.refused(*files)
        self.assertIn(f"tls.certificate: {files[0]} is for an RSA key of 1024", why)
        self.assertIn("2048", why)

    def test_odd_key(self) -> None:
        """
        A key of a kind for which no client has a suite is a fault that says
        which have one.
        """
        for key in (dsa.generate_private_key(2048), generate_private_key(SECP256K1())):
            why = self.refused(*certificate(self.directory, "odd", key=key))
            self.assertIn("tls.certificate: ", why)
            self.assertIn("EC key on P-256, P-384 or P-521", why)

    def test_good_keys(self) -> None:
        """
        Keys of the kinds that clients have suites for can be used.
        """
        for key in (
            rsa.generate_private_key(65537, 2048),
            generate_private_key(SECP384R1()),
            generate_private_key(SECP521R1()),
            Ed25519PrivateKey.generate(),
            Ed448PrivateKey.generate(),
        ):
            load(*certificate(self.directory, "good", key=key))

    def chained(self, *paths: str) -> str:
        """
        Write several certificates into one file.
        """
        chain = self.directory / "chain.pem"
        chain.write_text("".join(Path(path).read_text() for path in paths))
        return str(chain)

    def issued(self, signing: Any) -> tuple[str, str, str]:
        """
        Issue a certificate.

        :return: the paths of the issuer's, of this one, and of its key.
        """
        issuer, _ = certificate(self.directory, "issuer.example", key=signing)
        made = certificate(
            self.directory, "issued.example", issuer=("issuer.example", signing)
        )
        return issuer, *made

    def test_order(self) -> None:
        """
        Where the issuer's certificate comes first, the fault is the order and
        not the key.
        """
        issuer, own, key = self.issued(generate_private_key(SECP256R1()))
        why = self.refused(self.chained(issuer, own), key)
        self.assertIn("own certificate in place 2: it must come first", why)
        self.assertIn("tls.certificate: ", why)

    def test_weak_issuer(self) -> None:
        """
        An issuer whose key is too short for OpenSSL to send its certificate,
        so that no client could connect, is a fault of the certificate's.
        """
        issuer, own, key = self.issued(rsa.generate_private_key(65537, 1024))
        why = self.refused(self.chained(own, issuer), key)
        self.assertIn("tls.certificate: ", why)
        self.assertIn("can't be used for TLS: ", why)
        self.assertIn("key too small", why)

    def test_cut_short(self) -> None:
        """
        A chain of which a part is missing is a fault, and not used as far as
        it goes.
        """
        issuer, own, key = self.issued(generate_private_key(SECP256R1()))
        chain = Path(self.chained(own, issuer))
        chain.write_text(chain.read_text()[:-100])
        why = self.refused(str(chain), key)
        self.assertIn("begins 2 certificates, and only 1 can be read", why)

    def test_doubt(self) -> None:
        """
        A certificate that the next one did not issue is used, as clients may
        find the issuer elsewhere, and the operator told.
        """
        issuer, own, key = self.issued(generate_private_key(SECP256R1()))
        self.assertEqual(load(self.chained(own, issuer), key).doubt, "")
        stranger, _ = certificate(self.directory, "stranger.example")
        doubt = load(self.chained(own, stranger), key).doubt
        self.assertIn("certificate 2 in it did not issue the one before", doubt)

    def test_chain(self) -> None:
        """
        What issued the certificate is sent along.
        """
        issuer, _ = certificate(self.directory, "issuer.example")
        context = load(self.chained(self.certificate, issuer), self.key).context
        client = Connection(Context(TLS_CLIENT_METHOD), None)
        client.set_connect_state()
        server = ServerConnection(context, lambda _: context)
        server.set_accept_state()
        for _ in range(3):
            for side, other in ((client, server), (server, client)):
                with contextlib.suppress(WantReadError):
                    side.do_handshake()
                exchange(side, other)
        shown = client.get_peer_cert_chain() or []
        names = [one.get_subject().CN for one in shown]
        self.assertEqual(names, ["bot.example", "issuer.example"])
