"""
TLS, terminated by a real daemon: who connects with which suites, and how a
certificate is renewed while people write.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.internet.threads import deferToThread

from tests.daemon import VERIFY_TOKEN, Daemon, DaemonCase, eventually, free_port

_SWAPS = 200
_QUESTION = (
    "GET /v1/facebook/webhook/mica?hub.mode=subscribe"
    f"&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444 HTTP/1.1\r\n"
    "Host: localhost\r\nConnection: close\r\n\r\n"
).encode()


class Authority:
    """
    Issues certificates for localhost, that only who knows it trusts.
    """

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
        self.serial = 1
        own = self._build(self._name, self._key.public_key())
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        certificate = own.add_extension(constraint, critical=True)
        self.pem = self._sign(certificate)

    def issue(self) -> tuple[bytes, bytes]:
        """
        Issue one more, with a serial number of its own, and make its key.
        """
        self.serial += 1
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        certificate = self._build(name, key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._sign(certificate), secret

    def _build(self, subject: x509.Name, key: object) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)  # type: ignore[arg-type]
            .serial_number(self.serial)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=90))
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


class TLSTests(DaemonCase):
    """
    A daemon that speaks plain HTTP and TLS at once.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.tls_port = free_port()
        self.certificate = self.directory / "certificate.pem"
        self.key = self.directory / "key.pem"
        self.key.touch(0o600)
        self.renew()
        self.trust = ssl.create_default_context(cadata=self.authority.pem.decode())

    async def secure(self) -> Daemon:
        """
        Start the daemon.
        """
        return await self.serve(
            tls={
                "listen": f"tcp:{self.tls_port}:interface=127.0.0.1",
                "certificate": str(self.certificate.absolute()),
                "private_key": str(self.key.absolute()),
            }
        )

    def renew(self) -> None:
        """
        Put another certificate and its key in the place of the last.
        """
        for path, content in zip(
            (self.certificate, self.key), self.authority.issue(), strict=True
        ):
            path.write_bytes(content)

    def ask(self) -> tuple[bytes, int]:
        """
        Verify the webhook over a new connection.

        :return: the answer, and the serial number of the certificate shown.
        """
        with (
            socket.create_connection(("127.0.0.1", self.tls_port), 10) as plain,
            self.trust.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            shown = secure.getpeercert(True)
            assert shown is not None
            secure.sendall(_QUESTION)
            answer = b"".join(iter(lambda: secure.recv(4096), b""))
        return answer, x509.load_der_x509_certificate(shown).serial_number

    async def test_verified(self) -> None:
        """
        Who trusts the certificate's issuer verifies the webhook over TLS.
        """
        await self.secure()
        answer, serial = await deferToThread(self.ask)
        self.assertTrue(answer.endswith(b"\r\n\r\n1158201444"), answer)
        self.assertEqual(serial, self.authority.serial)

    async def test_swaps(self) -> None:
        """
        While requests come one after another, the certificate is renewed two
        hundred times; each new one is in force at once, and no request fails.
        """
        daemon = await self.secure()
        ended = threading.Event()
        answers: list[bytes] = []

        def load() -> None:
            while not ended.is_set():
                answers.append(self.ask()[0])

        loading = deferToThread(load)
        for _ in range(_SWAPS):
            self.renew()
            os.kill(daemon.pid, signal.SIGHUP)
            while (await deferToThread(self.ask))[1] != self.authority.serial:
                pass
        ended.set()
        await loading
        self.assertGreater(len(answers), _SWAPS // 2)
        failed = [it for it in answers if not it.endswith(b"\r\n\r\n1158201444")]
        self.assertEqual(failed, [])

    async def test_bad_pair(self) -> None:
        """
        A key that doesn't fit is not taken: the log says why, and the old
        certificate stays in force.
        """
        daemon = await self.secure()
        before = self.authority.serial
        self.key.write_bytes(self.authority.issue()[1])
        os.kill(daemon.pid, signal.SIGHUP)
        await eventually(lambda: "is not the key of" in daemon.output)
        answer, serial = await deferToThread(self.ask)
        self.assertTrue(answer.endswith(b"1158201444"))
        self.assertEqual(serial, before)

    async def test_suites(self) -> None:
        """
        A scanner finds TLS 1.2 and 1.3, with suites that have forward secrecy
        and authenticated encryption, and nothing else.
        """
        await self.secure()
        found = await deferToThread(
            subprocess.run,
            ["sslscan", "--no-colour", f"127.0.0.1:{self.tls_port}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        suites = re.findall(
            r"^(?:Preferred|Accepted) +(\S+) +\d+ bits +(\S+)", found.stdout, re.M
        )
        self.assertEqual({version for version, _ in suites}, {"TLSv1.2", "TLSv1.3"})
        for version, suite in suites:
            wanted = "^TLS_(AES|CHACHA20)" if version == "TLSv1.3" else "^ECDHE-ECDSA-"
            self.assertRegex(suite, wanted)
            self.assertRegex(suite, "GCM|CHACHA20")

    if shutil.which("sslscan") is None:
        test_suites.skip = "needs Debian's sslscan"  # type: ignore[attr-defined]
