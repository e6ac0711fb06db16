"""
Tests for :mod:`micamsgr.services`.
"""

from __future__ import annotations

import resource
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, RaisingMemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.services import (
    CannotStart,
    Closing,
    InTurn,
    Listener,
    raise_file_limit,
)


@define(eq=False)
class Noted(Service):
    """
    A service that notes its start and its stop, which lasts until the test
    ends it.
    """

    name: str
    notes: list[str]
    stopped: Deferred[None] = field(factory=Deferred)

    def startService(self) -> None:
        super().startService()
        self.notes.append(f"{self.name} starts")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.notes.append(f"{self.name} stops")
        return self.stopped


class InTurnTests(SynchronousTestCase):
    """
    Tests for :class:`InTurn`.
    """

    def setUp(self) -> None:
        self.notes: list[str] = []
        self.services = [Noted(name, self.notes) for name in ("a", "b", "c")]
        self.root = InTurn()
        for service in self.services:
            service.setServiceParent(self.root)

    def test_start(self) -> None:
        """
        Services start first to last.
        """
        self.root.startService()
        self.assertEqual(self.notes, ["a starts", "b starts", "c starts"])

    def test_stop(self) -> None:
        """
        Services stop last to first, each once the one before has stopped.
        """
        self.root.startService()
        self.notes.clear()
        stopping = self.root.stopService()
        for index, name in ((2, "c"), (1, "b"), (0, "a")):
            self.assertEqual(self.notes, [f"{name} stops"])
            self.notes.clear()
            self.assertNoResult(stopping)
            self.services[index].stopped.callback(None)
        self.successResultOf(stopping)

    def test_stop_fails(self) -> None:
        """
        A service that does not stop cleanly keeps no other from stopping.
        """
        self.root.startService()
        for service in self.services:
            service.stopped.errback(ZeroDivisionError())
        self.successResultOf(self.root.stopService())
        self.assertEqual(self.notes[3:], ["c stops", "b stops", "a stops"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_start_fails(self) -> None:
        """
        Behind a service that can't start, none starts.
        """

        def fail() -> None:
            raise CannotStart("why")

        self.services[1].startService = fail  # type: ignore[method-assign]
        self.assertRaises(CannotStart, self.root.startService)
        self.assertEqual(self.notes, ["a starts"])


class ListenerTests(SynchronousTestCase):
    """
    Tests for :class:`Listener`.
    """

    def listener(self, reactor: Any, endpoint: str = "tcp:8080") -> Listener:
        """
        Make a listener.
        """
        return Listener(reactor, endpoint, "tls.listen", Factory())

    def test_start(self) -> None:
        """
        A listener listens from its start on, and not before.
        """
        reactor = MemoryReactor()
        listener = self.listener(reactor, "tcp:8080:interface=127.0.0.1:backlog=1024")
        self.assertEqual(reactor.tcpServers, [])
        listener.startService()
        ((port, _, backlog, interface),) = reactor.tcpServers
        self.assertEqual((port, backlog, interface), (8080, 1024, "127.0.0.1"))

    def test_taken(self) -> None:
        """
        If somebody else listens there, the error says so in one line, with
        the key of the configuration, and what to do.
        """
        taken = CannotListenError("", 8080, OSError(98, "Address already in use"))
        listener = self.listener(RaisingMemoryReactor(taken))
        error = self.assertRaises(CannotStart, listener.startService)
        self.assertEqual(
            str(error),
            "tls.listen: can't listen on tcp:8080: Couldn't listen on any:8080:"
            " [Errno 98] Address already in use; stop what listens there, or name"
            " another endpoint",
        )

    def test_stop(self) -> None:
        """
        A stop takes as long as the port takes to close.
        """
        listener = self.listener(MemoryReactor())
        listener.startService()
        closed: Deferred[None] = Deferred()
        port: Any = listener._port
        port.stopListening = lambda: closed
        stopping = listener.stopService()
        assert stopping is not None
        self.assertNoResult(stopping)
        closed.callback(None)
        self.successResultOf(stopping)

    def test_never_started(self) -> None:
        """
        A listener that could not start can be stopped all the same.
        """
        refused = CannotListenError("", 8080, OSError(13, "Permission denied"))
        listener = self.listener(RaisingMemoryReactor(refused))
        self.assertRaises(CannotStart, listener.startService)
        self.assertEqual(listener.stopService(), None)


class ClosingTests(SynchronousTestCase):
    """
    Tests for :class:`Closing`.
    """

    def test_stop(self) -> None:
        """
        At the stop, and not before, the thing is closed, and that is waited
        for.
        """
        closed: Deferred[None] = Deferred()
        asked: list[Deferred[None]] = []

        def close() -> Deferred[None]:
            asked.append(closed)
            return closed

        closing = Closing(close)
        closing.startService()
        self.assertEqual(asked, [])
        self.assertIs(closing.stopService(), closed)


class FileLimitTests(SynchronousTestCase):
    """
    Tests for :func:`raise_file_limit`.
    """

    def test_raised(self) -> None:
        """
        As many files may be open as the system allows.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        raise_file_limit()
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))
