"""
Tests for :mod:`micamsgr.composition.admin`, and for listeners that change.
"""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from attrs import define, field
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)

from micamsgr.composition.admin import is_private
from micamsgr.composition.doors import AllDoors
from micamsgr.config.values import Config
from micamsgr.services import CannotStart
from micamsgr.test.test_changes import config
from micamsgr.test.test_site import Peer
from micamsgr.test.test_tap import DaemonCase

ADMIN = "admin: {listen: 'tcp:9191:interface=127.0.0.1'}\n"


class AddressTests(TestCase):
    """
    Tests for who can connect where.
    """

    def test_private(self) -> None:
        """
        Loopback and UNIX sockets are this machine's own; nothing else is.
        """
        own = (
            IPv4Address("TCP", "127.0.0.1", 1),
            IPv4Address("TCP", "127.3.2.1", 1),
            IPv6Address("TCP", "::1", 1),
            UNIXAddress("/run/admin.sock"),
        )
        others = (
            IPv4Address("TCP", "0.0.0.0", 1),
            IPv4Address("TCP", "10.0.0.1", 1),
            IPv6Address("TCP", "::", 1),
            HostnameAddress(b"localhost.example", 1),
            None,
        )
        self.assertTrue(all(map(is_private, own)))
        self.assertFalse(any(is_private(each) for each in others))  # type: ignore[arg-type]


@define(eq=False)
class _Doors:
    """
    Doors of which some can't be opened.
    """

    opened: list[str]
    error: Exception | None = None
    withdrawn: list[str] = field(factory=list)

    def prepare(self, _: Config) -> list[str]:
        if self.error is not None:
            raise self.error
        return self.opened

    def withdraw(self, new: list[str]) -> None:
        self.withdrawn += new

    def commit(self, _: Config) -> list[str]:
        return [f"not {name}" for name in self.opened]


class AllDoorsTests(TestCase):
    """
    Tests for several groups of listeners.
    """

    def test_all(self) -> None:
        """
        What each of them opens and closes is told.
        """
        each: Any = [_Doors(["a"]), _Doors([]), _Doors(["b", "c"])]
        doors = AllDoors(each)
        self.assertEqual(doors.prepare(config("bot")), ["a", "b", "c"])
        self.assertEqual(doors.commit(config("bot")), ["not a", "not b", "not c"])
        self.assertEqual([it.withdrawn for it in each], [[], [], []])

    def test_nothing(self) -> None:
        """
        Where one of them can't follow, what others have opened is closed.
        """
        each: Any = [_Doors(["a"]), _Doors([], CannotStart("taken")), _Doors(["b"])]
        with self.assertRaises(CannotStart):
            AllDoors(each).prepare(config("bot"))
        self.assertEqual([it.withdrawn for it in each], [["a"], [], []])


class AdminTests(DaemonCase):
    """
    Tests for the listeners of those who watch, in a daemon in memory.
    """

    def ask(self, path: bytes, seconds: float = 0.0) -> bytes:
        """
        Ask for a page, and let so much time go by.
        """
        (factory,) = (it[1] for it in self.reactor.tcpServers if it[0] == 9191)
        peer = Peer(factory)
        peer.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        self.reactor.advance(seconds)
        answered = peer.received()
        peer.go()
        return answered

    def test_order(self) -> None:
        """
        They open after the store and before the public ports: while these wait
        for what is in flight, one can still look.
        """
        self.start(ADMIN)
        ports = [port for port, *_ in self.reactor.tcpServers]
        self.assertEqual(ports, [9191, 8080, 8081])

    def test_off(self) -> None:
        """
        Without the key nobody listens.
        """
        self.start()
        self.assertEqual([it[0] for it in self.reactor.tcpServers], [8080, 8081])

    def test_stuck(self) -> None:
        """
        While the store's thread doesn't answer the metrics do, at once; and
        from the second look on they say so.
        """
        self.start(ADMIN)
        # What it hands over is not taken, so that it never seems to answer.
        first = self.ask(b"/metrics", 5.0)
        self.assertTrue(first.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b'mica_check_ok{bot="",check="store"} 1.0', first)
        second = self.ask(b"/metrics")
        self.assertIn(b'mica_check_ok{bot="",check="store"} 0.0', second)
        alive = self.ask(b"/healthz")
        self.assertTrue(alive.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"it has not answered for 5 s", alive)

    def test_few(self) -> None:
        """
        Not more than 32 may look at once, wherever they come from.
        """
        self.start(ADMIN)
        (factory,) = (it[1] for it in self.reactor.tcpServers if it[0] == 9191)
        peers = [Peer(factory, "127.0.0.1") for _ in range(32)]
        refused = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.assertIsNone(refused)
        for peer in peers:
            peer.go()
