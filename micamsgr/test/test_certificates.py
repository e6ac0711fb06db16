"""
Tests for :mod:`micamsgr.web.certificates`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.web.certificates import CertificateWatch
from micamsgr.web.tls import ServerCertificate, Unusable, utc_now

from .test_tls import certificate, offer


class CertificateWatchTests(SynchronousTestCase):
    """
    A watch over files that change.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.began = utc_now()
        self.directory = Path(self.mktemp())
        self.offer = offer(certificate(self.directory, ends=timedelta(days=20)))
        (self.files,) = self.offer.files
        self.inforce = ServerCertificate()
        self.watch = CertificateWatch(self.clock, self.offer, self.inforce, self.now)
        self.told: list[LogEvent] = []
        tell = cast(ILogObserver, self.told.append)
        globalLogPublisher.addObserver(tell)
        self.addCleanup(globalLogPublisher.removeObserver, tell)
        self.watch.startService()
        self.first = self.inforce.current

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.clock.seconds())

    def renew(self, *, key: bool = True, days: int = 90) -> None:
        """
        Put a new certificate, and usually its key, in the place of the old.
        """
        made = certificate(self.directory, "new.example", ends=timedelta(days=days))
        Path(made[0]).replace(self.files.certificate)
        if key:
            Path(made[1]).replace(self.files.private_key)

    def levels(self) -> list[str]:
        return [event["log_level"].name for event in self.told]

    def test_unchanged(self) -> None:
        """
        As long as the files are what they were, nothing happens.
        """
        self.clock.pump([10.0] * 10)
        self.assertIs(self.inforce.current, self.first)
        self.assertEqual(self.told, [])

    def test_renewed(self) -> None:
        """
        A renewed certificate is in force within seconds, and that is said.
        """
        self.renew()
        self.clock.advance(10.0)
        self.assertIsNot(self.inforce.current, self.first)
        self.assertEqual(self.levels(), ["info"])

    def test_half_renewed(self) -> None:
        """
        Between the change of one file and that of the other the old
        certificate stays; then the new one is taken.
        """
        self.renew(key=False)
        self.clock.advance(10.0)
        self.assertIs(self.inforce.current, self.first)
        self.renew()
        self.clock.advance(10.0)
        self.assertIsNot(self.inforce.current, self.first)
        self.assertEqual(self.levels(), ["error", "info"])

    def test_bad(self) -> None:
        """
        What can't be used is not taken, and the fault is said once.
        """
        self.files.certificate.unlink()
        self.clock.pump([10.0] * 10)
        self.assertIs(self.inforce.current, self.first)
        self.assertEqual(self.levels(), ["error"])
        self.assertIn("No such file", str(self.told[0]["why"]))

    def test_passing_fault(self) -> None:
        """
        A fault that passes, without a change of the files, costs no more than
        the time until the next look.
        """
        self.renew()
        self.clock.advance(-86400.0 * 2)
        self.watch.reload()
        self.assertIs(self.inforce.current, self.first)
        self.clock.advance(86400.0 * 2)
        self.clock.advance(10.0)
        self.assertIsNot(self.inforce.current, self.first)

    def test_asked(self) -> None:
        """
        Whoever asks for it gets the files read at once.
        """
        self.renew()
        self.watch.reload()
        self.assertIsNot(self.inforce.current, self.first)
        self.clock.advance(10.0)
        self.assertEqual(self.levels(), ["info"])

    def test_asked_again(self) -> None:
        """
        Whoever asks is told the fault, also where it was said before; nobody
        else is told again.
        """
        self.files.certificate.unlink()
        self.clock.advance(10.0)
        for _ in range(2):
            self.watch.reload()
            self.clock.pump([10.0] * 5)
        self.assertEqual(self.levels(), ["error"] * 3)

    def test_doubt(self) -> None:
        """
        A chain that clients may not trust is told of when it is put in force,
        and at the start.
        """
        stranger, _ = certificate(self.directory, "stranger.example")
        with self.files.certificate.open("a") as chain:
            chain.write(Path(stranger).read_text())
        self.clock.advance(10.0)
        self.assertEqual(self.levels(), ["info", "warn"])
        self.watch.stopService()
        self.watch.startService()
        self.assertEqual(self.levels(), ["info", "warn", "warn"])

    def test_nothing(self) -> None:
        """
        Without a certificate that can be used there is no start.
        """
        self.files.certificate.unlink()
        watch = CertificateWatch(
            Clock(), self.offer, ServerCertificate(), self.watch._now
        )
        self.assertRaises(Unusable, watch.startService)

    def test_expiring(self) -> None:
        """
        A certificate that nobody renews is told of for two weeks, once a day.
        """
        days = 86400.0
        self.clock.advance(5 * days)
        self.assertEqual(self.levels(), [])
        self.clock.pump([0.5 * days] * 5)
        self.assertEqual(self.levels(), ["warn", "warn"])
        line = formatEvent(self.told[0])
        self.assertIn(f"{self.files.certificate} expires at", line)
        self.assertIn("in 13 days: renew it", line)

    def test_expired(self) -> None:
        """
        When it has expired, that is an error at once, and every hour; with
        what keeps its renewal from being taken, where something does.
        """
        days = 86400.0
        self.clock.advance(20 * days - 3600.0)
        self.told.clear()
        self.clock.advance(3610.0)
        self.assertEqual(self.levels(), ["error"])
        self.files.private_key.unlink()
        self.clock.pump([10.0] * 360)
        self.assertEqual(self.levels(), ["error"] * 3)
        line = formatEvent(self.told[-1])
        self.assertIn("expired at", line)
        self.assertIn("tls.number0.private_key: ", line)

    def test_renewed_shortly(self) -> None:
        """
        What was said of one certificate is not counted as said of the next.
        """
        days = 86400.0
        self.clock.advance(19 * days)
        self.renew(days=21)
        self.clock.advance(10.0)
        self.assertEqual(self.levels(), ["warn", "info", "warn"])

    def test_back(self) -> None:
        """
        That the files are back, which were away, is said; so a second loss of
        them is, too.
        """
        away = self.files.certificate.with_name("away")
        for _ in range(2):
            self.files.certificate.rename(away)
            self.clock.advance(10.0)
            away.rename(self.files.certificate)
            self.clock.advance(10.0)
        self.assertEqual(self.levels(), ["error", "info"] * 2)
        self.assertIs(self.inforce.current, self.first)

    def test_further(self) -> None:
        """
        With several certificates, any of whose files changes, all are taken
        anew, and each is told of; if one can't be used, all stay as they are.
        """
        quarter = timedelta(days=90)
        first = certificate(self.directory, "first.example", ends=quarter)
        second = certificate(self.directory, "second.example", ends=quarter)
        self.watch.stopService()
        wanted, inforce = offer(first, second), ServerCertificate()
        watch = CertificateWatch(self.clock, wanted, inforce, self.now)
        watch.startService()
        before = inforce.current
        Path(second[1]).unlink()
        self.clock.advance(10.0)
        self.assertIs(inforce.current, before)
        self.assertEqual(self.levels(), ["error"])
        self.assertIn("tls.number1.private_key: ", str(self.told[0]["why"]))
        certificate(self.directory, "second.example", ends=quarter)
        self.clock.advance(10.0)
        self.assertIsNot(inforce.current, before)
        told = [formatEvent(event) for event in self.told[1:]]
        self.assertIn(first[0], told[0])
        self.assertIn(second[0], told[1])
        self.assertEqual(len(told), 2)

    def test_each_expires(self) -> None:
        """
        Of several certificates each is told of as it expires, by its own file
        and key; and of all, the metric has the first to expire.
        """
        days = 86400.0
        long = certificate(self.directory, "long.example", ends=timedelta(days=16))
        short = certificate(self.directory, "short.example", ends=timedelta(days=15))
        watch = CertificateWatch(
            self.clock, offer(long, short), ServerCertificate(), self.now
        )
        self.watch.stopService()
        watch.startService()
        first = (self.began + timedelta(days=15)).timestamp()
        self.assertLess(abs(watch.expires() - first), 3600.0)
        self.clock.advance(1.5 * days)
        self.clock.advance(0.1 * days)
        self.clock.advance(1 * days)
        files = [str(event["file"]) for event in self.told]
        self.assertEqual(files, [short[0], long[0], short[0]])
        self.assertIn("tls.number1.certificate: ", formatEvent(self.told[0]))
        self.assertIn("tls.number0.certificate: ", formatEvent(self.told[1]))
        self.told.clear()
        self.clock.advance(12.5 * days)
        levels = {str(event["file"]): event["log_level"].name for event in self.told}
        self.assertEqual(levels, {short[0]: "error", long[0]: "warn"})

    def test_ready(self) -> None:
        """
        What was read already is put in force as it was, though the files have
        gone since; the loss is told of, and the start is none.
        """
        ready = self.offer.version(), self.offer.load(self.now())
        self.files.certificate.unlink()
        inforce = ServerCertificate()
        self.watch.stopService()
        watch = CertificateWatch(self.clock, self.offer, inforce, self.now, ready=ready)
        watch.startService()
        self.assertIs(inforce.current, ready[1])
        self.assertEqual(self.levels(), ["info", "error"])

    def test_stopped(self) -> None:
        """
        Once stopped, it looks no more.
        """
        self.watch.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
