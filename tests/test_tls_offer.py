"""
What a real daemon offers over TLS besides its first certificate: others, by
name; TLS 1.3 alone; and to browsers, never to come without.  And how that
changes while people are connected.
"""

from __future__ import annotations

import shutil
import socket
import ssl
from typing import Any

import yaml
from twisted.internet.threads import deferToThread

from tests.daemon import Daemon, configuration, eventually
from tests.test_tls import TLSCase, serial

_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_STRICT = b"\r\nStrict-Transport-Security: max-age=%d\r\n"
_TWO_YEARS = 63_072_000
_FORCE = "a configuration is put in force"
_STAYS = "the configuration in force stays"


class OfferCase(TLSCase):
    """
    A daemon with a second certificate at hand.
    """

    def setUp(self) -> None:
        super().setUp()
        # The first one's own serial number.
        self.first = self.authority.serial
        self.further = [
            {
                "certificate": str((self.directory / "other.pem").absolute()),
                "private_key": str((self.directory / "other.key").absolute()),
            }
        ]
        (self.directory / "other.key").touch(0o600)
        self.issue("other.example", "*.other.example")
        self.second = self.authority.serial
        # Which certificate is shown is the question, not whether it fits.
        self.trust.check_hostname = False

    def issue(self, *names: str) -> None:
        """
        Put another second certificate and its key in the place of the last.
        """
        certificate, key = self.authority.issue(*names)
        (self.directory / "other.pem").write_bytes(certificate)
        (self.directory / "other.key").write_bytes(key)

    async def shown(self, name: str | None) -> int:
        """
        Ask for a name, over a new connection.

        :return: the serial number of the certificate shown.
        """
        with await deferToThread(self.connect, None, name) as secure:
            return serial(secure)

    async def asked(self, open_: socket.socket, request: bytes = _GET) -> bytes:
        """
        Send a request over a connection.

        :return: the answer.
        """
        open_.sendall(request)
        return bytes(await deferToThread(open_.recv, 4096))

    async def reload(self, daemon: Daemon, result: str = _FORCE, **more: Any) -> None:
        """
        Put *more* below ``tls``, send SIGHUP, and wait for what the log says.
        """
        wanted = configuration(
            self.stand_ins, self.page, self.port, tls=self.section(**more)
        )
        (self.directory / "mica.yaml").write_text(yaml.safe_dump(wanted))
        before = daemon.output.count(result)
        daemon.signal("HUP")
        await eventually(lambda: daemon.output.count(result) > before)


class OfferTests(OfferCase):
    """
    Tests for names, versions and the header.
    """

    async def test_names(self) -> None:
        """
        Who asks for a name is shown the certificate that has it; who asks for
        another one, or for none, is shown the first.
        """
        await self.secure(further=self.further)
        for name, wanted in (
            ("localhost", self.first),
            ("other.example", self.second),
            ("X.Other.Example", self.second),
            ("x.y.other.example", self.first),
            ("unknown.example", self.first),
            (None, self.first),
        ):
            self.assertEqual(await self.shown(name), wanted, name)

    async def test_renewed(self) -> None:
        """
        A further certificate is renewed as the first one is, without a word;
        and where it can't be used, all stay as they were.
        """
        daemon = await self.secure(further=self.further)
        self.renew()
        self.issue("other.example")
        (self.directory / "other.key").write_bytes(self.key.read_bytes())
        await eventually(
            lambda: (
                "tls.further[0].private_key: " in daemon.output
                and "is not the key of" in daemon.output
            ),
            60.0,
        )
        self.assertEqual(await self.shown("localhost"), self.first)
        self.assertEqual(await self.shown("other.example"), self.second)
        self.issue("other.example")
        await eventually(lambda: daemon.output.count("is put in force") == 2, 60.0)
        self.assertEqual(await self.shown("other.example"), self.authority.serial)
        self.assertEqual(await self.shown("localhost"), self.second + 1)

    async def test_bad_start(self) -> None:
        """
        At the start, a further pair that can't be used is a fault.
        """
        self.further[0]["private_key"] = str(self.key.absolute())
        self.judged = False
        daemon = self.daemon(tls=self.section(further=self.further))
        daemon.start()
        self.assertNotEqual(await daemon.exited, 0)
        self.assertIn("tls.further[0].private_key: ", daemon.output)

    async def test_strict(self) -> None:
        """
        Browsers are told to come by TLS, also where a request is refused; and
        nobody is over plain HTTP.
        """
        await self.secure()
        too_long = b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"
        for request, status in ((_GET, b"404"), (too_long, b"413"), (b"x\r\n", b"400")):
            with await deferToThread(self.connect) as secure:
                answer = await self.asked(secure, request)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
            self.assertIn(_STRICT % _TWO_YEARS, answer)
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                answer = await self.asked(plain, request)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
            self.assertNotIn(b"strict-transport", answer.lower())

    async def test_reload(self) -> None:
        """
        A reload changes all of it for those who come then; who is connected is
        served on as before.
        """
        daemon = await self.secure()
        older = ssl.create_default_context(cadata=self.authority.pem.decode())
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        older.check_hostname = False
        self.trust, newest = older, self.trust
        with await deferToThread(self.connect) as kept:
            self.assertIn(_STRICT % _TWO_YEARS, await self.asked(kept))
            await self.reload(daemon, further=self.further, modern=True, hsts="5m")
            self.assertIn("changed: tls.further, tls.modern, tls.hsts", daemon.output)
            self.assertIn(_STRICT % _TWO_YEARS, await self.asked(kept))
            with self.assertRaises(ssl.SSLError):
                await deferToThread(self.connect)
            self.trust = newest
            with await deferToThread(self.connect, None, "other.example") as secure:
                self.assertEqual(secure.version(), "TLSv1.3")
                self.assertEqual(serial(secure), self.second)
                self.assertIn(_STRICT % 300, await self.asked(secure))
            await self.reload(daemon, hsts=0)
            self.assertIn(_STRICT % _TWO_YEARS, await self.asked(kept))
            self.assertEqual(await self.shown("other.example"), self.first)
            self.trust = older
            with await deferToThread(self.connect) as secure:
                answer = await self.asked(secure)
                self.assertNotIn(b"strict-transport", answer.lower())

    async def test_reload_refused(self) -> None:
        """
        Where one of the pairs can't be used, a reload changes nothing of it.
        """
        daemon = await self.secure()
        (self.directory / "other.pem").write_text("nothing")
        await self.reload(daemon, _STAYS, further=self.further, modern=True, hsts="5m")
        self.assertIn("tls.further[0].certificate: ", daemon.output)
        self.trust.maximum_version = ssl.TLSVersion.TLSv1_2
        with await deferToThread(self.connect) as secure:
            self.assertEqual(serial(secure), self.first)
            self.assertIn(_STRICT % _TWO_YEARS, await self.asked(secure))

    async def test_modern(self) -> None:
        """
        Where only the newest is wanted, a scanner finds TLS 1.3 and nothing
        else.
        """
        await self.secure(modern=True)
        suites = await self.scan()
        self.assertEqual(
            suites,
            {
                ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
                ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
                ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
            },
        )

    if shutil.which("sslscan") is None:
        test_modern.skip = "needs Debian's sslscan"  # type: ignore[attr-defined]
