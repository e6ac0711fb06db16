"""
Tests for :mod:`micamsgr.sandbox.stream`, over connections in memory.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.sandbox.stream import EventStream
from micamsgr.web.site import Budget, LimitedSite

from .test_site import Peer


class EventStreamTests(SynchronousTestCase):
    """
    Tests for :class:`EventStream`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = EventStream(self.clock, "run", lambda: {"all": "of it"})
        self.site = LimitedSite(
            self.stream, self.clock, largest_body=1, unverified=Budget(1)
        )
        self.peers: list[Peer] = []
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """
        Let all browsers go.
        """
        for peer in self.peers:
            peer.go()

    def listen(self, seen: str | None = None) -> Peer:
        """
        Look on, with a new browser.

        :param seen: the ID of the last event that it knows.
        """
        header = "" if seen is None else f"Last-Event-ID: {seen}\r\n"
        peer = Peer(self.site)
        self.peers.append(peer)
        peer.send(f"GET / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        return peer

    def heard(self, peer: Peer) -> list[str]:
        """
        Read the IDs and kinds of the events that came since the last time.
        """
        lines = peer.received().decode().splitlines()
        names = [line[4:] for line in lines if line.startswith("id: ")]
        kinds = [line[7:] for line in lines if line.startswith("event: ")]
        return [" ".join(pair) for pair in zip(names, kinds, strict=True)]

    def test_state_first(self) -> None:
        """
        A browser that begins is told the state, and then what happens.
        """
        self.stream.tell("line", 1)
        peer = self.listen()
        self.assertEqual(self.heard(peer), ["run-1 state"])
        self.stream.tell("line", 2)
        self.assertEqual(self.heard(peer), ["run-2 line"])

    def test_resume(self) -> None:
        """
        One that comes back is told just what it missed, which may be nothing.
        """
        for number in range(5):
            self.stream.tell("line", number)
        missed = self.heard(self.listen("run-3"))
        self.assertEqual(missed, ["run-4 line", "run-5 line"])
        self.assertEqual(self.heard(self.listen("run-5")), [])

    def test_missed_too_much(self) -> None:
        """
        One that missed too much, or knows another run or the future, is told
        the state.
        """
        for number in range(600):
            self.stream.tell("line", number)
        for seen in ("run-99", "other-600", "run-601", "run--1", "run-x", "", "\xff"):
            self.assertEqual(self.heard(self.listen(seen)), ["run-600 state"], seen)
        self.assertEqual(len(self.heard(self.listen("run-100"))), 500)

    def test_one_line(self) -> None:
        """
        Line breaks in a text don't end an event.
        """
        peer = self.listen()
        peer.received()
        self.stream.tell("line", "a\n\nevent: b\r\u2028")
        self.assertIn(b'data: "a\\n\\nevent: b\\r\\u2028"\n\n', peer.received())

    def test_most(self) -> None:
        """
        There is a limit to how many look on; one that leaves makes room.
        """
        for _ in range(16):
            self.listen()
        self.assertEqual(self.listen().statuses(), [503])
        self.peers.pop(0).go()
        self.assertEqual(self.listen().statuses(), [200])

    def test_not_read(self) -> None:
        """
        One that reads nothing is given up once much waits for it.
        """
        peer = self.listen()
        producer = peer.transport.producer
        producer.pauseProducing()
        for _ in range(10):
            self.stream.tell("line", "x" * 100_000)
        self.assertFalse(peer.transport.disconnected)
        self.stream.tell("line", "x" * 100_000)
        self.assertTrue(peer.transport.disconnected)

    def test_read_late(self) -> None:
        """
        One that reads on in time is not given up.
        """
        peer = self.listen()
        producer = peer.transport.producer
        for _ in range(20):
            producer.pauseProducing()
            self.stream.tell("line", "x" * 100_000)
            producer.resumeProducing()
        self.assertFalse(peer.transport.disconnected)

    def test_large_state(self) -> None:
        """
        One is told everything at first, however long the chats are, and is
        not given up for it.
        """
        self.stream._state = lambda: "x" * (2 << 20)
        peer = Peer(self.site)
        self.peers.append(peer)
        write = peer.transport.write

        def fill(data: bytes) -> None:
            # As a socket does, whose buffer is full.
            write(data)
            if len(data) > 1 << 16:
                peer.transport.producer.pauseProducing()

        self.patch(peer.transport, "write", fill)
        self.patch(peer.transport, "writeSequence", lambda it: fill(b"".join(it)))
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertFalse(peer.transport.disconnected)
        self.assertGreater(len(peer.received()), 2 << 20)

    def test_odd_id(self) -> None:
        """
        An ID of the last event that nobody gave counts as none.
        """
        for seen in ("run-", "run-x", "run-" + "9" * 5000, "run-\u0661"):
            peer = self.listen(seen.encode("utf-8").decode("latin-1"))
            self.assertEqual(self.heard(peer), ["run-0 state"])

    def test_signs_of_life(self) -> None:
        """
        While somebody looks on there is a sign of life now and then.
        """
        peer = self.listen()
        peer.received()
        self.clock.advance(15.0)
        self.assertIn(b":\n\n", peer.received())
        self.peers.remove(peer)
        peer.go()
        self.clock.advance(15.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        At the end browsers are sent away, and no timer is left.
        """
        peer = self.listen()
        self.stream.stop()
        self.assertIn(b"\r\n0\r\n\r\n", peer.received())
        self.leave()
        self.peers.clear()
        self.assertEqual(self.clock.getDelayedCalls(), [])
