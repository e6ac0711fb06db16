"""
TLS, terminated by a real daemon: who connects with which suites, and how a
certificate is renewed while people write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.client import HTTPException, HTTPSConnection
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.internet.threads import deferToThread

from micamsgr.sandbox.meta import signature
from tests.daemon import (
    VERIFY_TOKEN,
    Daemon,
    DaemonCase,
    eventually,
    reactor,
)
from tests.ports import free_port

_SWAPS = 1000
_CLIENTS = 10
# Over one connection; the daemon itself closes it after a thousand.
_MOST_REQUESTS = 900
_PATH = "/v1/facebook/webhook/mica"
_QUESTION = (
    f"GET {_PATH}?hub.mode=subscribe"
    f"&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444 HTTP/1.1\r\n"
    "Host: localhost\r\nConnection: close\r\n\r\n"
).encode()


class Authority:
    """
    Issues certificates that only who knows it trusts.
    """

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
        self.serial = 1
        own = self._build(self._name, self._key.public_key())
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        certificate = own.add_extension(constraint, critical=True)
        self.pem = self._sign(certificate)

    def issue(self, *names: str) -> tuple[bytes, bytes]:
        """
        Issue one more, with a serial number of its own, and make its key.

        :param names: that it is for; by default localhost.
        """
        self.serial += 1
        names = names or ("localhost",)
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        listed = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        certificate = self._build(name, key.public_key()).add_extension(
            listed, critical=False
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


def serial(secure: ssl.SSLSocket) -> int:
    """
    Read the serial number of the certificate that was shown.
    """
    shown = secure.getpeercert(True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


class TLSCase(DaemonCase):
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

    async def secure(self, *ports: int, **more: Any) -> Daemon:
        """
        Start the daemon.

        :param ports: besides the usual one.
        :param more: keys below ``tls``.
        """
        return await self.serve(tls=self.section(*ports, **more))

    def section(self, *ports: int, **more: Any) -> dict[str, Any]:
        """
        Write what stands below ``tls``.
        """
        all_ports = (self.tls_port, *ports)
        return {
            "listen": [f"tcp:{port}:interface=127.0.0.1" for port in all_ports],
            "certificate": str(self.certificate.absolute()),
            "private_key": str(self.key.absolute()),
            **more,
        }

    def renew(self) -> None:
        """
        Put another certificate and its key in the place of the last.
        """
        for path, content in zip(
            (self.certificate, self.key), self.authority.issue(), strict=True
        ):
            path.write_bytes(content)

    def connect(
        self, port: int | None = None, name: str | None = "localhost"
    ) -> ssl.SSLSocket:
        """
        Connect, and trust only what the authority issued.

        :param name: that is asked for.
        """
        plain = socket.create_connection(("127.0.0.1", port or self.tls_port), 10)
        return self.trust.wrap_socket(plain, server_hostname=name)

    def ask(self, port: int | None = None) -> tuple[bytes, int]:
        """
        Verify the webhook over a new connection.

        :return: the answer, and the serial number of the certificate shown.
        """
        with self.connect(port) as secure:
            secure.sendall(_QUESTION)
            answer = b"".join(iter(lambda: secure.recv(4096), b""))
            return answer, serial(secure)

    async def renewed(self, seconds: float = 20.0) -> None:
        """
        Wait until the last certificate is in force.

        :raises AssertionError: where it is not in time.
        """
        deadline = reactor.seconds() + seconds
        while (await deferToThread(self.ask))[1] != self.authority.serial:
            self.assertLess(reactor.seconds(), deadline, "not in force in time")

    def notifications(self, name: str) -> Iterator[bytes]:
        """
        Write notifications, each of another event.
        """
        number = 0
        while True:
            number += 1
            now = int(self.stand_ins.meta.now() * 1000)
            item = {
                "sender": {"id": name},
                "recipient": {"id": self.page.id},
                "timestamp": now + number,
                "read": {"watermark": now + number},
            }
            entry = {"id": self.page.id, "time": now, "messaging": [item]}
            yield json.dumps({"object": "page", "entry": [entry]}).encode()

    def signed(self, body: bytes) -> dict[str, str]:
        """
        Make the headers of a notification.
        """
        return {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Hub-Signature-256": signature(self.page.app.secret, body),
        }

    def notify(self, name: str, ended: threading.Event, outcomes: list[object]) -> None:
        """
        Post signed notifications over a connection that is kept as long as it
        may be, until it is *ended*.

        :param outcomes: to which the status of each answer is added, or what
            went wrong.
        """
        connection = HTTPSConnection(
            "localhost", self.tls_port, timeout=20, context=self.trust
        )
        connection.connect()
        kept = connection.sock
        try:
            for body in self.notifications(name):
                connection.request("POST", _PATH, body, self.signed(body))
                answer = connection.getresponse()
                answer.read()
                outcomes.append(answer.status)
                if len(outcomes) % _MOST_REQUESTS == 0:
                    connection.close()
                    connection.connect()
                    kept = connection.sock
                if connection.sock is not kept:
                    outcomes.append("the connection was closed")
                    break
                if ended.wait(0.02):
                    break
        except (OSError, HTTPException) as error:
            outcomes.append(repr(error))
        finally:
            connection.close()

    async def scan(self) -> set[tuple[str, str]]:
        """
        Let sslscan look at it.

        :return: each version and each suite that it found.
        """
        found = await deferToThread(
            subprocess.run,
            ["sslscan", "--no-colour", f"127.0.0.1:{self.tls_port}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        line = r"^(?:Preferred|Accepted) +(\S+) +\d+ bits +(\S+)"
        return set(re.findall(line, found.stdout, re.M))


class TLSTests(TLSCase):
    """
    Tests with one certificate.
    """

    async def test_verified(self) -> None:
        """
        Who trusts the certificate's issuer verifies the webhook over TLS.
        """
        await self.secure()
        answer, shown = await deferToThread(self.ask)
        self.assertTrue(answer.endswith(b"\r\n\r\n1158201444"), answer)
        self.assertEqual(shown, self.authority.serial)

    async def test_several(self) -> None:
        """
        TLS is spoken at each of the endpoints, and HTTP at its own.
        """
        further = free_port()
        await self.secure(further)
        for port in (self.tls_port, further):
            answer, _ = await deferToThread(self.ask, port)
            self.assertTrue(answer.endswith(b"\r\n\r\n1158201444"), answer)
        url = f"http://127.0.0.1:{self.port}/"
        self.assertEqual((await self.stand_ins.client.get(url))[0], 404)

    async def test_swaps(self) -> None:
        """
        While ten clients post over connections that they keep, the certificate
        is renewed a thousand times; each new one is in force for whoever
        connects then, and no request fails, and no connection is lost.
        """
        daemon = await self.secure()
        ended = threading.Event()
        self.addCleanup(ended.set)
        outcomes: list[list[object]] = [[] for _ in range(_CLIENTS)]
        clients = [
            threading.Thread(target=self.notify, args=(f"7{n}", ended, outcome))
            for n, outcome in enumerate(outcomes)
        ]
        for client in clients:
            client.start()
        for _ in range(_SWAPS):
            self.renew()
            os.kill(daemon.pid, signal.SIGHUP)
            await self.renewed()
        ended.set()
        for client in clients:
            await deferToThread(client.join, 30)
        for outcome in outcomes:
            self.assertGreater(len(outcome), 1)
            self.assertEqual(set(outcome), {200})

    test_swaps.timeout = 300  # type: ignore[attr-defined]

    async def test_open(self) -> None:
        """
        A request that is half sent when the certificate is renewed is taken
        as a whole, and the next one over the same connection, too.
        """
        daemon = await self.secure()
        before = self.authority.serial
        secure = await deferToThread(self.connect)
        self.addCleanup(secure.close)
        bodies = self.notifications("8")
        for body, renew in ((next(bodies), True), (next(bodies), False)):
            lines = [f"POST {_PATH} HTTP/1.1", "Host: localhost"]
            lines += [f"{name}: {value}" for name, value in self.signed(body).items()]
            head = "\r\n".join(lines).encode() + b"\r\n\r\n"
            secure.sendall(head + body[:50])
            if renew:
                self.renew()
                os.kill(daemon.pid, signal.SIGHUP)
                await self.renewed()
            secure.sendall(body[50:])
            answer = await deferToThread(secure.recv, 4096)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertEqual(serial(secure), before)

    async def test_no_signal(self) -> None:
        """
        A certificate whose files change is renewed though nobody says so, as
        after certbot.
        """
        daemon = await self.secure()
        self.renew()
        await self.renewed(60.0)
        self.assertIn("a certificate is put in force", daemon.output)
        self.assertNotIn("SIGHUP", daemon.output)

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
        answer, shown = await deferToThread(self.ask)
        self.assertTrue(answer.endswith(b"1158201444"))
        self.assertEqual(shown, before)

    async def test_suites(self) -> None:
        """
        A scanner finds TLS 1.2 and 1.3, with suites that have forward secrecy
        and authenticated encryption, and nothing else.
        """
        await self.secure()
        suites = await self.scan()
        self.assertEqual({version for version, _ in suites}, {"TLSv1.2", "TLSv1.3"})
        for version, suite in suites:
            wanted = "^TLS_(AES|CHACHA20)" if version == "TLSv1.3" else "^ECDHE-ECDSA-"
            self.assertRegex(suite, wanted)
            self.assertRegex(suite, "GCM|CHACHA20")

    if shutil.which("sslscan") is None:
        test_suites.skip = "needs Debian's sslscan"  # type: ignore[attr-defined]
