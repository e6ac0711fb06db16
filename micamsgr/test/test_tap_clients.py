"""
Tests for :mod:`micamsgr.tap`: what it lets those who connect have.
"""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher

from micamsgr.clock import Clocks
from micamsgr.composition import build
from micamsgr.config import load_config
from micamsgr.tap import Daemon
from micamsgr.watching import Watching

from .test_site import Peer
from .test_tap import DaemonCase
from .test_webhook import PATH, notification, post

LIMITS = """
clients:
  connections: 5
  per_address: 2
  trusted_proxies: [198.51.100.0/24]
"""


class ClientsTests(DaemonCase):
    """
    Tests for limits on connections.
    """

    def open_files(self, files: int) -> list[Any]:
        """
        Start a daemon that may have so many files open.

        :return: the keys of limits that the log names meanwhile, with the
            number of connections.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        daemon = Daemon(None)
        config = load_config(self.write(), {})
        for service in build(self.reactor, config, Clocks("first boot"), files):
            service.setServiceParent(daemon)
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        return [event["connections"] for event in events if "connections" in event]

    def test_limits(self) -> None:
        """
        The configuration says how many may connect, over all ports together,
        and who is exempt from the limit on one address.
        """
        self.start(LIMITS)
        sites = [server[1] for server in self.reactor.tcpServers]
        self.assertEqual(len(sites), 2)

        def refused(host: str, port: int) -> bool:
            address = IPv4Address("TCP", host, 4711)
            return sites[port].buildProtocol(address) is None

        peers = [Peer(site, "192.0.2.1") for site in sites]
        self.assertTrue(refused("192.0.2.1", 0))
        self.assertTrue(refused("192.0.2.1", 1))
        self.assertFalse(refused("192.0.2.2", 0))
        peers += [Peer(sites[0], "198.51.100.1") for _ in range(3)]
        for peer in peers[:2]:
            self.assertFalse(peer.cut)
            self.assertFalse(refused("127.0.0.1", 1))
            self.assertTrue(peer.cut)
            peers.append(Peer(sites[1], "127.0.0.1"))
        self.assertTrue(refused("198.51.100.1", 0))
        self.assertTrue(refused("127.0.0.1", 1))
        for peer in peers:
            peer.go()

    def test_counted(self) -> None:
        """
        Whom a limit costs the connection is counted by the limit: turned away,
        closed for others, or refused with a body.
        """
        daemon = self.start(LIMITS + "  body: 1MiB\n  unverified: 1MiB\n")
        (watching,) = (each for each in daemon if isinstance(each, Watching))
        site = self.reactor.tcpServers[0][1]

        def counted() -> list[float | None]:
            return [
                watching.metrics.registry.get_sample_value(
                    "mica_clients_refused_total", {"limit": f"clients.{key}"}
                )
                for key in ("connections", "per_address", "unverified")
            ]

        self.assertEqual(counted(), [0, 0, 0])
        head = b"POST " + PATH + b" HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"
        peers = [Peer(site, "192.0.2.1") for _ in range(2)]
        peers[0].send(head, b"x" * 1_048_575)
        peers[1].send(head, b"xx")
        self.assertEqual(peers[1].statuses(), [503])
        self.assertEqual(counted(), [0, 0, 1])
        self.assertIsNone(site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4711)))
        self.assertEqual(counted(), [0, 1, 1])
        peers += [Peer(site, "192.0.2.2"), Peer(site, "192.0.2.2")]
        peers += [Peer(site, "203.0.113.1"), Peer(site, "203.0.113.2")]
        self.assertEqual(counted(), [1, 1, 1])
        for peer in peers:
            peer.go()

    def test_trusted(self) -> None:
        """
        Through a trusted proxy slow bodies keep nobody out.
        """
        self.start(LIMITS + "  body: 1MiB\n  unverified: 1MiB\n")
        site = self.reactor.tcpServers[0][1]
        head = b"POST " + PATH + b" HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"
        slow, other = Peer(site, "198.51.100.1"), Peer(site, "198.51.100.2")
        slow.send(head, b"x" * 1_048_575)
        other.send(post(notification(), b"sha256=no"))
        self.assertEqual(other.statuses(), [403])
        self.assertEqual(slow.statuses(), [503])
        for peer in (slow, other):
            peer.go()

    def test_few_files(self) -> None:
        """
        Where so few files may be open that connections would leave none for
        the store and for calls, there are fewer connections, which is said.
        """
        self.assertEqual(self.open_files(2048), [2048 - 64 - 256 - 2 * 200])

    def test_files(self) -> None:
        """
        Where there are files enough, nothing is said.
        """
        self.assertEqual(self.open_files(65_536), [])

    def test_sandbox(self) -> None:
        """
        Who looks on in the sandbox is told of events for as long as they like.
        """
        self.patch(sys, "__stdout__", StringIO())
        graph = "http://127.0.0.1:8082"
        path = self.write("sandbox: {listen: tcp:8082:interface=127.0.0.1}\n")
        path.write_text(path.read_text().replace("http://graph.example:8092", graph))
        config = load_config(path, {})
        daemon = Daemon(None)
        for service in build(self.reactor, config, Clocks("first boot")):
            service.setServiceParent(daemon)
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        ports = {server[0]: server[1] for server in self.reactor.tcpServers}
        peer = Peer(ports[8082], "127.0.0.1")
        peer.send(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:8082\r\n\r\n")
        self.assertEqual(peer.statuses(), [200])
        self.reactor.pump([15.0] * 20)
        self.assertFalse(peer.cut)
        self.assertFalse(peer.closing)
        peer.go()
