"""
Tests for :mod:`micamsgr.web.waiting`, and for whom a site closes to let others
in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.seldom import Seldom
from micamsgr.web.admission import Admission
from micamsgr.web.site import LimitedSite
from micamsgr.web.waiting import Waiting

from .properties import given
from .properties import st as strategies
from .test_site import HEAD, LARGEST, Peer, SiteCase

GET = b"GET / HTTP/1.1\r\nHost: bot.example\r\n\r\n"

# Meta's, and one that others have, of which each /64 counts as an address.
META = "173.252.88.7"
ALLOCATION = "2001:db8:0:{:x}::1"


class WaitingTests(SynchronousTestCase):
    """
    Tests for :class:`Waiting`.
    """

    @given(
        strategies.lists(
            strategies.tuples(strategies.integers(0, 3), strategies.integers(0, 5)),
            max_size=300,
        ),
        strategies.integers(0, 3),
    )
    def test_first(self, steps: list[tuple[int, int]], newcomer: int) -> None:
        """
        It is always who waits longest of the networks of which most wait, the
        newcomer counted.
        """
        waiting: Waiting[tuple[int, int]] = Waiting()
        there: list[tuple[int, int]] = []
        for one in steps:
            if one in there:
                there.remove(one)
                waiting.remove(one[0], one)
            else:
                there.append(one)
                waiting.add(one[0], one)
            waiting.remove(one[0], (one[0], 9))
            counts = [sum(each[0] == n for each in there) for n in range(4)]
            most = max(counts)
            networks = [n for n in range(4) if counts[n] == most]
            if newcomer in networks:
                networks = [newcomer]
            wanted = next(((one[0], one) for one in there if one[0] in networks), None)
            self.assertEqual(waiting.first(newcomer), wanted)
        self.assertLessEqual(len(waiting._heap), 2 * 4 + 64)

    def test_bounded(self) -> None:
        """
        However often they come to wait and are served before anybody has to
        make room, nothing grows, and the right one does.
        """
        waiting: Waiting[int] = Waiting()
        for number in range(1000):
            for one in range(5):
                waiting.add(one % 2, one)
            self.assertLessEqual(len(waiting._heap), 2 * 2 + 64)
            if number % 100 == 99:
                self.assertEqual(waiting.first(None), (0, 0))
            for one in range(5):
                waiting.remove(one % 2, one)
        self.assertIsNone(waiting.first(None))

    def test_sorted(self) -> None:
        """
        So it does where there are hundreds of networks of several sizes.
        """
        waiting: Waiting[tuple[int, int]] = Waiting()
        sizes: dict[Hashable, int] = {}
        for network in range(100):
            sizes[network] = network * 37 % 101 + 1
            for one in range(network * 37 % 101 + 1):
                waiting.add(network, (network, one))
        # The one that makes the heap anew is the last.
        while len(waiting._heap) < 2 * 100 + 64:
            waiting.add(0, (0, len(waiting._heap)))
        waiting.add(0, (0, -1))
        sizes[0] = len(waiting._networks[0])
        for _ in range(3000):
            found = waiting.first(None)
            assert found is not None
            self.assertEqual(sizes[found[0]], max(sizes.values()))
            waiting.remove(*found)
            sizes[found[0]] -= 1


class MakingRoomTests(SiteCase):
    """
    Tests for a site to which as many are connected as may be.
    """

    def setUp(self) -> None:
        super().setUp()
        self.limit(8)

    def limit(self, most: int, *trusted: str) -> None:
        """
        Let so many connect.
        """
        self.site = LimitedSite(
            self.resource,
            self.clock,
            largest_body=LARGEST,
            unverified=self.budget,
            admission=Admission(most, 2, trusted),
            due=Seldom(self.clock, 60.0).count,
        )

    def fill(self, host: str = ALLOCATION) -> list[Peer]:
        """
        Take all places that are left, with each network's address once.
        """
        left = self.site.admission._most - self.site.admission.open
        return [self.connect(host.format(n)) for n in range(left)]

    def test_allocation(self) -> None:
        """
        Whoever fills all places from one IPv6 allocation keeps nobody out: each
        of Meta's connections gets in and is answered.
        """
        strangers = self.fill()
        for number in range(20):
            peer = self.connect(META)
            self.assertTrue(strangers[0].cut)
            strangers.pop(0).go()
            self.assertFalse(any(stranger.cut for stranger in strangers))
            peer.send(GET)
            self.resource.answer()
            self.assertEqual(peer.statuses(), [200])
            peer.go()
            strangers.append(self.connect(ALLOCATION.format(100 + number)))

    def test_few_networks(self) -> None:
        """
        Those who come again and again from a few networks close their own
        connections, never Meta's, though these wait longer.
        """
        meta = [self.connect(META) for _ in range(2)]
        hosts = ["198.51.100.{}", "203.0.113.{}", ALLOCATION]
        there: list[Peer] = []
        for number in range(60):
            there.append(self.connect(hosts[number % 3].format(number + 1)))
            for peer in [peer for peer in there if peer.cut]:
                there.remove(peer)
                peer.go()
        self.assertFalse(any(peer.cut for peer in meta))
        self.assertEqual(len(there), 6)

    def test_neighbors(self) -> None:
        """
        Addresses of one /24, or one /48, are of one network; others are not.
        """
        for most, fewer in (
            (("192.0.2.1", "192.0.2.255"), ("192.0.3.1", "192.0.1.1")),
            (
                ("2001:db8:0:1::1", "2001:db8:0:ffff::1"),
                ("2001:db8:1:1::1", "2001:db8:2:1::1"),
            ),
        ):
            self.limit(4)
            first, second = (self.connect(host) for host in fewer)
            third, fourth = (self.connect(host) for host in most)
            self.connect("100.64.0.1")
            cut = [peer.cut for peer in (first, second, third, fourth)]
            self.assertEqual(cut, [False, False, True, False], most)

    def waits(self, doing: Callable[[Peer], None], cut: bool = True) -> None:
        """
        Check whether a client that does something makes room.
        """
        self.limit(1)
        peer = self.connect("192.0.2.1")
        doing(peer)
        peer.received()
        self.assertIs(
            self.site.buildProtocol(peer.transport.getPeer()) is None, not cut
        )
        self.assertIs(peer.cut, cut)
        peer.go()
        self.assertEqual(self.budget.held, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_phases(self) -> None:
        """
        A client makes room in whatever it keeps us waiting, also where it was
        refused and doesn't go.
        """

        def answered(peer: Peer) -> None:
            peer.send(GET)
            self.resource.answer()

        def further(peer: Peer) -> None:
            answered(peer)
            peer.send(HEAD)

        def last(peer: Peer) -> None:
            peer.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.resource.answer()

        for doing in (
            lambda peer: None,
            lambda peer: peer.send(HEAD),
            lambda peer: peer.send(HEAD + b"Content-Length: 9\r\n\r\n1"),
            lambda peer: peer.send(b"nonsense\r\n\r\n"),
            answered,
            further,
            last,
        ):
            self.waits(doing)

    def test_served(self) -> None:
        """
        Who is being answered never makes room, however long it takes: others
        are turned away.
        """
        self.waits(lambda peer: peer.send(GET), cut=False)
        self.waits(lambda peer: peer.send(GET + GET), cut=False)

    def test_proxy(self) -> None:
        """
        A trusted proxy never makes room, nor does loopback.
        """
        self.limit(2, "198.51.100.0/24")
        peers = [self.connect("198.51.100.1"), self.connect("127.0.0.1")]
        address = peers[0].transport.getPeer()
        self.assertIsNone(self.site.buildProtocol(address))
        self.assertFalse(any(peer.cut for peer in peers))

    def test_since(self) -> None:
        """
        Who waits longest is counted from the connection, or from the last
        answer; bytes of a request that is not whole change nothing.
        """
        self.limit(3)
        first, second, third = (self.connect(f"192.0.2.{n}") for n in range(3))
        first.send(GET)
        self.resource.answer()
        second.send(HEAD)
        hosts = ("198.51.100.1", "203.0.113.1", META)
        for closed, host in zip((second, third, first), hosts, strict=True):
            self.assertFalse(closed.cut)
            self.connect(host)
            self.assertTrue(closed.cut)
            closed.go()

    def test_per_address(self) -> None:
        """
        For an address that has as many as it may have nobody goes.
        """
        own = [self.connect("192.0.2.1") for _ in range(2)]
        strangers = self.fill()
        self.assertIsNone(self.site.buildProtocol(own[0].transport.getPeer()))
        self.assertFalse(any(peer.cut for peer in own + strangers))

    def test_cut_already(self) -> None:
        """
        Who was cut off for being late, and isn't gone yet, makes room before
        anybody else has to.
        """
        self.limit(2)
        late = self.connect("192.0.2.1")
        late.send(b"nonsense\r\n\r\n")
        self.clock.advance(5.0)
        self.assertTrue(late.cut)
        other = self.connect("203.0.113.1")
        self.connect(META)
        self.assertFalse(other.cut)

    def test_told(self) -> None:
        """
        The log tells at once that somebody was closed for others, which limit
        it is, and then once a minute how many were.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        there = self.fill()
        for number in range(50):
            there.append(self.connect(ALLOCATION.format(100 + number)))
            there.pop(0).go()
        self.clock.advance(60.0)
        for peer in self.fill():
            self.assertFalse(peer.cut)
        self.connect(ALLOCATION.format(200))
        told = [
            {name: event[name] for name in ("count", "key")}
            for event in events
            if "closed for others" in (event.get("log_format") or "")
        ]
        line = {"key": "clients.connections"}
        self.assertEqual(told, [line | {"count": 1}, line | {"count": 50}])
