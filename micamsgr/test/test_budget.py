"""
Tests for :mod:`micamsgr.web.budget`, and for whose body a site refuses where
all together hold too much.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.seldom import Seldom
from micamsgr.web.admission import Admission
from micamsgr.web.budget import Budget, largest_holder
from micamsgr.web.site import LimitedSite

from .properties import given
from .properties import st as strategies
from .test_site import HEAD, LARGEST, Peer, SiteCase
from .test_webhook import PATH, WebhookCase, entry, message, notification, post

META = "173.252.88.7"
ATTACKER = "198.51.100.{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Stone:
    """
    A body that holds bytes.

    :ivar gone: how often it gave way.
    """

    def __init__(self, going: Callable[[], None] = lambda: None) -> None:
        self._going = going
        self.gone = 0

    def give_way(self) -> None:
        self._going()
        self.gone += 1


class LargestHolderTests(SynchronousTestCase):
    """
    Tests for :func:`largest_holder`.
    """

    def test_decision(self) -> None:
        """
        The network gives way that would hold most; of equal ones the one that
        wants more.
        """
        cases: tuple[tuple[dict[Hashable, int], str, int, str], ...] = (
            ({}, "a", 1, "a"),
            ({"a": 5, "b": 9}, "c", 1, "b"),
            ({"a": 5, "b": 9}, "c", 8, "b"),
            ({"a": 5, "b": 9}, "c", 9, "c"),
            ({"a": 5, "b": 9}, "a", 3, "b"),
            ({"a": 5, "b": 9}, "a", 4, "a"),
            ({"a": 5, "b": 9}, "b", 1, "b"),
        )
        for held, newcomer, count, wanted in cases:
            found = largest_holder(held, newcomer, count)
            self.assertEqual(found, wanted, (held, newcomer, count))


class BudgetTests(SynchronousTestCase):
    """
    Tests for :class:`Budget`.
    """

    @given(
        strategies.lists(
            strategies.tuples(
                strategies.sampled_from([None, "a", "b", "c"]),
                strategies.integers(0, 4),
                strategies.integers(0, 60),
            ),
            max_size=200,
        )
    )
    def test_invariants(self, steps: list[tuple[Hashable, int, int]]) -> None:
        """
        Never is more held than may be, who gives way holds nothing, and nobody
        does of a network that holds less than another.
        """
        budget = Budget(100)
        stones: dict[tuple[Hashable, int], Stone] = {}
        held: dict[tuple[Hashable, int], int] = {}

        def total(network: Hashable) -> int:
            return sum(count for key, count in held.items() if key[0] == network)

        def going(key: tuple[Hashable, int]) -> None:
            most = max(total(each) for each in (None, "a", "b", "c"))
            self.assertEqual(total(key[0]), most)
            del held[key]
            self.assertEqual(stones.pop(key).gone, 0)

        for network, number, count in steps:
            key = network, number
            if count == 0:
                if key in stones:
                    budget.give_back(network, stones.pop(key))
                held.pop(key, None)
                continue
            stone = stones.setdefault(key, Stone(partial(going, key)))
            held[key] = held.get(key, 0) + count
            fits, before = sum(held.values()) <= 100, len(held)
            taken = budget.take(network, stone, count)
            self.assertIs(taken, not stone.gone)
            self.assertIs(fits, len(held) == before)
            self.assertEqual(budget.held, sum(held.values()))
            self.assertLessEqual(budget.held, 100)
        for key, stone in stones.items():
            budget.give_back(key[0], stone)
        self.assertEqual(budget.held, 0)
        self.assertEqual((budget._bodies, budget._sums), ({}, {}))

    def test_larger_than_all(self) -> None:
        """
        What is larger than all may hold together is refused, also where
        clients share a network, and nobody else has to give way in vain.
        """
        for network in (None, "a"):
            budget, stone = Budget(10), Stone()
            self.assertFalse(budget.take(network, stone, 11))
            self.assertEqual((stone.gone, budget.held), (1, 0))

    def test_give_back_nothing(self) -> None:
        """
        Who holds nothing gives nothing back.
        """
        budget, stone = Budget(10), Stone()
        self.assertTrue(budget.take("a", stone, 4))
        budget.give_back("a", Stone())
        budget.give_back("b", stone)
        self.assertEqual(budget.held, 4)


class GivingWayTests(SiteCase):
    """
    Tests for a site whose clients' bodies hold as much as they may.
    """

    def setUp(self) -> None:
        super().setUp()
        self.refused: list[str] = []
        self.site = LimitedSite(
            self.resource,
            self.clock,
            largest_body=LARGEST,
            unverified=self.budget,
            admission=Admission(trusted=["203.0.113.0/24"]),
            refused=self.refused.append,
            due=Seldom(self.clock, 60.0).count,
        )

    def hold(self, count: int, host: str = ATTACKER.format(1)) -> Peer:
        """
        Send so many bytes of a body that never ends.
        """
        peer = self.connect(host)
        peer.send(CHUNKED + b"%x\r\n" % count + b"x" * count + b"\r\n")
        return peer

    def deliver(self, size: int, host: str = META) -> None:
        """
        Post a body in two pieces, which is answered 200.
        """
        peer = self.connect(host)
        peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        peer.send(b"m" * (size // 2))
        peer.send(b"m" * (size - size // 2))
        self.assertEqual(self.resource.bodies[-1:], [b"m" * size])
        self.resource.answer()
        self.assertEqual(peer.statuses(), [200])
        peer.go()

    def test_one_network(self) -> None:
        """
        Whoever fills it all from one network, and does so again and again,
        keeps nobody else out; of theirs those go that have been there longest.
        """
        strangers = [self.hold(25, ATTACKER.format(n)) for n in range(6)]
        self.assertEqual(self.budget.held, 150)
        for number in range(6):
            self.deliver(10)
            refused = [peer.statuses() for peer in strangers]
            self.assertEqual(refused, [[503]] + [[]] * 5)
            strangers.pop(0).go()
            strangers.append(self.hold(25, ATTACKER.format(6 + number)))
        self.assertEqual(self.budget.held, 150)

    def test_much_room(self) -> None:
        """
        As many bodies give way as there must be for one that is large.
        """
        strangers = [self.hold(25, ATTACKER.format(n)) for n in range(6)]
        self.deliver(70)
        refused = [peer.statuses() for peer in strangers]
        self.assertEqual(refused, [[503]] * 3 + [[]] * 3)

    def test_several_networks(self) -> None:
        """
        Of several networks it is the one that holds most, however many bodies
        it holds that in.
        """
        many = [self.hold(10, ATTACKER.format(n)) for n in range(5)]
        few = self.hold(60, "192.0.2.1")
        little = self.hold(40, "2001:db8::1")
        self.deliver(30)
        self.assertEqual(few.statuses(), [503])
        self.assertEqual(little.statuses(), [])
        self.hold(60, "192.0.2.200")
        little.send(b"1\r\nx\r\n")
        self.assertEqual([peer.statuses() for peer in many], [[]] * 5)
        self.assertEqual(self.budget.held, 91)

    def test_own_network(self) -> None:
        """
        A newcomer of the network that holds most is refused, and so is who
        wants more of it; nobody else suffers.
        """
        first, second = self.hold(90), self.hold(40, ATTACKER.format(2))
        third = self.hold(20, "192.0.2.1")
        newcomer = self.hold(1, ATTACKER.format(255))
        self.assertEqual(newcomer.statuses(), [503])
        second.send(b"1\r\nx\r\n")
        self.assertEqual(second.statuses(), [503])
        self.assertEqual(first.statuses() + third.statuses(), [])
        self.assertEqual(self.budget.held, 110)

    def test_larger_newcomer(self) -> None:
        """
        A newcomer that would itself hold most is refused, at the byte by which
        it does.
        """
        others = [self.hold(50, f"192.0.{n}.1") for n in range(3)]
        peer = self.hold(49)
        self.assertEqual(others[0].statuses(), [503])
        peer.send(b"32\r\n" + b"x" * 50 + b"\r\n")
        self.assertEqual(peer.statuses(), [503])
        self.assertEqual(others[1].statuses() + others[2].statuses(), [])

    def test_shared(self) -> None:
        """
        Behind a proxy on loopback, or a trusted one, slow bodies give way to
        what is whole soon, the slowest first.
        """
        for host in ("127.0.0.1", "203.0.113.9"):
            strangers = [self.hold(25, host) for _ in range(6)]
            for number in range(12):
                self.deliver(20, host)
                refused = [peer.statuses() for peer in strangers]
                self.assertEqual(refused, [[503]] + [[]] * 5, number)
                strangers.pop(0).go()
                strangers.append(self.hold(25, host))
            for peer in strangers:
                peer.go()

    def test_shared_oldest(self) -> None:
        """
        There even who wants more is refused, if nobody is slower.
        """
        first, second = self.hold(90, "127.0.0.1"), self.hold(60, "127.0.0.1")
        first.send(b"1\r\nx\r\n")
        self.assertEqual(first.statuses(), [503])
        self.assertEqual(second.statuses(), [])

    def test_shared_is_one(self) -> None:
        """
        Who comes directly and holds most gives way to a proxy, and a proxy to
        who comes directly.
        """
        direct, proxied = self.hold(80), self.hold(70, "127.0.0.1")
        self.deliver(5, "203.0.113.9")
        self.assertEqual(direct.statuses(), [503])
        self.hold(60, "192.0.2.1")
        self.deliver(25)
        self.assertEqual(proxied.statuses(), [503])

    def test_whole(self) -> None:
        """
        Whose body is whole never gives way, however long the answer takes.
        """
        peers = [self.post(b"x" * LARGEST) for _ in range(3)]
        self.hold(90, "203.0.113.1")
        self.hold(90, META)
        self.assertEqual([peer.statuses() for peer in peers], [[]] * 3)
        self.assertEqual(len(self.resource.requests), 3)

    def test_forgotten(self) -> None:
        """
        Who gave way can read why, and is cut off after five seconds; nothing
        that still comes is held.
        """
        stranger = self.hold(100)
        self.hold(50, "192.0.2.1")
        self.deliver(10)
        self.assertEqual(stranger.statuses(), [503])
        self.assertTrue(stranger.closing)
        stranger.send(b"1\r\nx\r\n0\r\n\r\n" + HEAD + b"\r\n")
        self.assertEqual(self.budget.held, 50)
        self.assertEqual(stranger.statuses(), [])
        self.clock.advance(5.0)
        self.assertTrue(stranger.cut)
        stranger.go()
        self.assertEqual(self.budget.held, 50)

    def test_cut_already(self) -> None:
        """
        A body whose connection was cut, and isn't gone yet, is let go to make
        room, without being counted.
        """
        stranger = self.hold(100)
        self.site.admission.make_room(None)
        self.assertTrue(stranger.cut)
        self.hold(50, "192.0.2.1")
        self.deliver(10)
        self.assertEqual(self.refused, [])
        self.assertEqual(stranger._protocol.requests[0].content.getvalue(), b"")
        stranger.go()
        self.assertEqual(self.budget.held, 50)

    def test_told(self) -> None:
        """
        The log tells at once that a body was refused, of which limit it is, and
        then once a minute how many were; each is counted.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        self.hold(100)
        self.hold(50, META)
        for _ in range(10):
            self.hold(100, "192.0.2.1")
            self.hold(1, ATTACKER.format(7))
        self.clock.advance(60.0)
        self.hold(100)
        self.hold(51, META)
        self.assertEqual(len(self.refused), 21)
        told = [
            {name: event.get(name) for name in ("count", "host", "key")}
            for event in events
        ]
        line = {"key": "clients.unverified"}
        self.assertEqual(
            told,
            [
                {"count": 1, "host": "192.0.2.1"} | line,
                {"count": 20, "host": ATTACKER.format(1)} | line,
            ],
        )
        self.assertEqual(set(self.refused), {"clients.unverified"})


class DeliveryTests(WebhookCase):
    """
    Tests for Meta's deliveries while somebody sends slow bodies.
    """

    def test_delivered(self) -> None:
        """
        While one network fills all there is with slow bodies, each delivery of
        Meta's is kept and answered 200.
        """
        self.site.unverified.limit = 3 << 20
        head = b"POST " + PATH + b" HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"

        def hog(number: int) -> Peer:
            peer = Peer(self.site, ATTACKER.format(number))
            peer.send(head, b"x" * (1 << 20))
            return peer

        hogs = [hog(number) for number in range(3)]
        for number in range(10):
            self.peer = Peer(self.site, META)
            self.deliver(post(notification(entry(message(f"m_{number}")))))
            self.assertEqual(hogs[0].statuses(), [503])
            hogs.pop(0).go()
            hogs.append(hog(3 + number))
        self.assertEqual(len(self.kept()), 10)
        self.assertEqual(len(self.woken), 10)
