"""
Tests for :mod:`micamsgr.web.admission`, and for whom a site turns away.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.seldom import Seldom
from micamsgr.web.admission import MOST_CLOSING, Admission, Origin, affordable
from micamsgr.web.site import LimitedSite

from .properties import given
from .properties import st as strategies
from .test_site import LARGEST, SiteCase


def address(host: str) -> IPv4Address | IPv6Address:
    """
    Make what a socket says of its far end.
    """
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 4711)


class Somebody:
    """
    A connection of which nothing is known but that it is told to go.
    """

    told = 0

    def make_room(self) -> None:
        self.told += 1


class AdmissionTests(SynchronousTestCase):
    """
    Tests for :class:`Admission`.
    """

    def connect(self, admission: Admission, *hosts: str) -> list[str | None]:
        """
        Let hosts connect, one after another, and stay if they may.

        :return: why not, of each.
        """
        answers = []
        for host in hosts:
            origin = admission.origin(address(host))
            answers.append(admission.refusal(origin))
            if answers[-1] is None:
                admission.enter(origin, Somebody())
        return answers

    def leave(self, admission: Admission, host: str) -> None:
        """
        Let somebody go who comes from a host.
        """
        admission.leave(admission.origin(address(host)), Somebody())

    def test_all(self) -> None:
        """
        There is no place for whoever comes when so many are connected, from
        wherever they come, until somebody goes.
        """
        admission = Admission(3, 256, ["198.51.100.0/24"])
        hosts = ["192.0.2.1", "127.0.0.1", "198.51.100.7"]
        self.assertEqual(self.connect(admission, *hosts), [None] * 3)
        for host in ("192.0.2.9", *hosts):
            self.assertEqual(self.connect(admission, host), ["clients.connections"])
        self.assertEqual(admission.open, 3)
        self.leave(admission, "127.0.0.1")
        self.assertEqual(self.connect(admission, "192.0.2.9"), [None])

    def test_exempt_stay(self) -> None:
        """
        No connection from loopback or a trusted proxy is closed to make room.
        """
        admission = Admission(3, 256, ["198.51.100.0/24"])
        self.connect(admission, "127.0.0.1", "::1", "198.51.100.7")
        self.assertIsNone(admission.make_room(admission.origin(address("192.0.2.1"))))

    def test_closing(self) -> None:
        """
        Who is told to go leaves their place at once, and is told once; only so
        many may be going at a time.
        """
        admission = Admission(1000, 1000)
        origin = admission.origin(address("192.0.2.1"))
        there = [Somebody() for _ in range(1000)]
        for one in there:
            admission.enter(origin, one)
        for one in there[:MOST_CLOSING]:
            self.assertEqual(admission.refusal(origin), "clients.per_address")
            self.assertIs(admission.make_room(origin), one)
        self.assertIsNone(admission.make_room(origin))
        self.assertEqual({one.told for one in there[:MOST_CLOSING]}, {1})
        other = admission.origin(address("192.0.2.2"))
        for _ in range(MOST_CLOSING):
            self.assertIsNone(admission.refusal(other))
            admission.enter(other, Somebody())
        self.assertEqual(admission.refusal(other), "clients.connections")
        admission.leave(origin, there[0])
        self.assertEqual(admission.refusal(other), "clients.connections")
        self.assertIs(admission.make_room(origin), there[MOST_CLOSING])

    def test_per_address(self) -> None:
        """
        One address has so many connections and no more, whatever others have.
        """
        admission = Admission(100, 2)
        one, other = "192.0.2.1", "192.0.2.2"
        refused = "clients.per_address"
        self.assertEqual(self.connect(admission, one, one, one), [None, None, refused])
        self.assertEqual(self.connect(admission, other, one), [None, refused])
        self.leave(admission, one)
        self.assertEqual(self.connect(admission, one, one), [None, refused])

    def test_exempt(self) -> None:
        """
        From loopback and from trusted proxies as many come as there is room
        for, also over a socket that takes IPv4 and IPv6.
        """
        admission = Admission(100, 1, ["198.51.100.0/24", "2001:db8:1::/48"])
        for host in (
            "127.0.0.1",
            "127.8.9.10",
            "::1",
            "::ffff:127.0.0.1",
            "198.51.100.255",
            "::ffff:198.51.100.1",
            "2001:db8:1:ffff::1",
        ):
            self.assertEqual(self.connect(admission, host, host, host), [None] * 3)
        self.assertIsNone(admission.origin(UNIXAddress(b"/run/mica")))
        for host in ("198.51.101.0", "2001:db8:2::1", "128.0.0.1", "::2", "fe80::1%2"):
            refused = [None, "clients.per_address"]
            self.assertEqual(self.connect(admission, host, host), refused, host)

    def test_ipv6(self) -> None:
        """
        All addresses of an IPv6 network that one customer has count as one;
        IPv4 addresses count each, also where they come over IPv6.
        """
        admission = Admission(100, 1)
        for hosts, second in (
            (("2001:db8::1", "2001:db8::ffff:1"), "clients.per_address"),
            (("2001:db8:0:2::1", "2001:db8:0:3::1"), None),
            (("::ffff:192.0.2.1", "::ffff:192.0.2.2"), None),
            (("192.0.2.3", "::ffff:192.0.2.3"), "clients.per_address"),
        ):
            self.assertEqual(self.connect(admission, *hosts), [None, second], hosts)

    @given(strategies.lists(strategies.integers(0, 5), max_size=60))
    def test_nothing_kept(self, hosts: list[int]) -> None:
        """
        However many come and go, nobody is remembered who is gone.
        """
        admission = Admission(1000, 1000)
        there: list[tuple[Origin, Somebody]] = []
        for host in hosts:
            there.append((admission.origin(address(f"192.0.2.{host}")), Somebody()))
            admission.enter(*there[-1])
        for number, (origin, one) in enumerate(there):
            if number % 3 == 0:
                admission.make_room(origin)
            admission.serve(origin, one)
            if number % 2:
                admission.wait(origin, one)
            admission.leave(origin, one)
        self.assertEqual((admission.open, admission._origins), (0, {}))
        self.assertEqual(admission._closing, set())
        waiting = admission._waiting
        self.assertEqual((waiting._networks, waiting.first(None)), ({}, None))


class AffordableTests(SynchronousTestCase):
    """
    Tests for :func:`affordable`.
    """

    def test_affordable(self) -> None:
        """
        Connections leave the files over that we need ourselves, but for half
        of all files.
        """
        for wanted, files, own, connections in (
            (10_000, 65_536, 464, 10_000),
            (10_000, 4096, 464, 3632),
            (10_000, 1024, 900, 512),
            (100, 1024, 900, 100),
            (10_000, 10, 464, 5),
        ):
            self.assertEqual(affordable(wanted, files, own), connections)


class TurnedAwayTests(SiteCase):
    """
    Tests for a site to which too many connect.
    """

    def setUp(self) -> None:
        super().setUp()
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)
        self.site = LimitedSite(
            self.resource,
            self.clock,
            largest_body=LARGEST,
            unverified=self.budget,
            admission=Admission(4, 2),
            due=Seldom(self.clock, 60.0).count,
        )

    def turned_away(self, host: str) -> bool:
        """
        Try to connect, and stay if one may.
        """
        if self.site.buildProtocol(address(host)) is None:
            return True
        self.connect(host)
        return False

    def test_goes_on(self) -> None:
        """
        Those who are connected are served while others are turned away, and
        who goes makes room.
        """
        peers = [self.connect(f"192.0.2.{n}") for n in range(4)]
        for peer in peers:
            peer.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(self.turned_away("192.0.2.7"))
        self.resource.answer()
        self.assertEqual(peers[0].statuses(), [200])
        peers[1].go()
        peers[0].send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertFalse(self.turned_away("192.0.2.7"))

    def test_late(self) -> None:
        """
        Who is cut off makes room, too.
        """
        peers = [self.connect() for _ in range(2)]
        self.assertTrue(self.turned_away("192.0.2.1"))
        self.clock.advance(20.0)
        for peer in peers:
            self.assertTrue(peer.closing)
            peer.go()
        self.assertFalse(self.turned_away("192.0.2.1"))

    def test_told(self) -> None:
        """
        The log tells at once that somebody is turned away, which limit it is
        and from where, and then once a minute how many were.
        """
        for _ in range(2):
            self.connect("192.0.2.1")
        for _ in range(1000):
            self.assertTrue(self.turned_away("192.0.2.1"))
        self.clock.advance(60.0)
        self.assertTrue(self.turned_away("192.0.2.1"))
        told = [
            {name: event[name] for name in ("count", "key", "host", "open")}
            for event in self.events
            if "turned away" in (event.get("log_format") or "")
        ]
        line = {"key": "clients.per_address", "host": "192.0.2.1", "open": 2}
        self.assertEqual(told, [line | {"count": 1}, line | {"count": 1000}])
