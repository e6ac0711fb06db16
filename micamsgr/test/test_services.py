"""
Tests for :mod:`micamsgr.services`.
"""

from __future__ import annotations

import errno
import resource
import signal
import socket
from typing import Any, cast

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, RaisingMemoryReactor
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    capturedLogs,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.services import (
    CannotStart,
    Closing,
    Draining,
    InTurn,
    Listener,
    SecondSignal,
    raise_file_limit,
    spelled,
    why_not,
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
        return Listener(reactor, endpoint, "mica.yaml:9: tls.listen", Factory())

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

    def test_told(self) -> None:
        """
        The log says where it listens as one would write it.
        """
        for endpoint, address in (
            ("tcp:8080", "0.0.0.0:8080"),
            ("tcp:8080:interface=\\:\\:1", "[::1]:8080"),
        ):
            with capturedLogs() as events:
                self.listener(MemoryReactor(), endpoint).startService()
            self.assertEqual(
                [formatEvent(event) for event in events], [f"listening on {address}"]
            )
        for name, path in (("/run/m.sock", "/run/m.sock"), (None, "a socket without")):
            self.assertIn(path, spelled(UNIXAddress(name)))

    def test_taken(self) -> None:
        """
        If somebody else listens there, the error says so in one line, with
        the place in the configuration, and what to do.
        """
        taken = CannotListenError("", 8080, OSError(98, "Address already in use"))
        listener = self.listener(RaisingMemoryReactor(taken))
        error = self.assertRaises(CannotStart, listener.startService)
        self.assertEqual(
            str(error),
            "mica.yaml:9: tls.listen: can't listen on tcp:8080: Address already in"
            " use; stop what listens there (`ss -lptux` names it), or name another"
            " endpoint",
        )

    def test_no_right(self) -> None:
        """
        Without the right to a port below 1024, nobody is told to stop what
        doesn't listen there, but how to get the right.
        """
        denied = CannotListenError("", 443, OSError(13, "Permission denied"))
        listener = self.listener(RaisingMemoryReactor(denied), "tcp:443")
        line = str(self.assertRaises(CannotStart, listener.startService))
        self.assertNotIn("stop what", line)
        for words in ("Permission denied", "CAP_NET_BIND_SERVICE", "service", "1024"):
            self.assertIn(words, line)

    def test_sockets_of_systemd(self) -> None:
        """
        A socket that systemd does not hand over is missed in one line.
        """
        for name in ("index=0", "name=web"):
            listener = self.listener(MemoryReactor(), f"systemd:domain=INET:{name}")
            line = str(self.assertRaises(CannotStart, listener.startService))
            self.assertIn("hands over no such socket", line)

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


class WhyNotTests(SynchronousTestCase):
    """
    Tests for :func:`why_not`.
    """

    def said(self, cause: object, endpoint: str) -> str:
        """
        Say why not, as Twisted tells it.
        """
        return why_not(CannotListenError("", 0, cause), endpoint)

    def test_advice(self) -> None:
        """
        What is advised fits what the system says, and what is wanted.
        """
        tcp, unix = "tcp:8080:interface=192.0.2.1", "unix:/run/mica/socket"
        for number, endpoint, advice in (
            (errno.EADDRINUSE, tcp, "stop what listens there"),
            (errno.EADDRNOTAVAIL, tcp, "no such address"),
            (errno.EAFNOSUPPORT, tcp, "no IPv6"),
            (errno.EACCES, unix, "write into the socket's directory"),
            (errno.EADDRINUSE, unix, "delete the file"),
            (errno.ENOENT, unix, "directory is missing: make it"),
            (errno.ENOTDIR, unix, "another path"),
            (errno.EROFS, unix, "/var/lib/micamessenger"),
            (errno.ENOBUFS, tcp, "another endpoint"),
        ):
            cause = OSError(number, "The system's words")
            self.assertRegex(
                self.said(cause, endpoint), f"^The system's words; .*{advice}"
            )

    def test_name(self) -> None:
        """
        A name that nobody knows is called so.
        """
        cause = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.assertIn("no address is known", self.said(cause, "tcp:1:interface=x"))

    def test_lock(self) -> None:
        """
        A socket's file that another process has locked is in use.
        """
        said = self.said("Cannot acquire lock", "unix:/run/mica")
        self.assertRegex(said, "^Cannot acquire lock; stop what listens there")

    def test_bare(self) -> None:
        """
        An error that Twisted does not wrap is told alike.
        """
        error = FileNotFoundError(errno.ENOENT, "No such file or directory")
        self.assertIn("make it", why_not(error, "unix:/none/mica"))


class DrainingTests(SynchronousTestCase):
    """
    Tests for :class:`Draining`.
    """

    def said(self, *services: Noted) -> str:
        """
        Stop services, and give what is logged at once.
        """
        seen: list[LogEvent] = []
        observer = cast(ILogObserver, seen.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        draining = Draining(10.0)
        for service in services:
            service.setServiceParent(draining)
        draining.startService()
        self.stopping = draining.stopService()
        return "".join(
            formatEvent(event) for event in seen if event["log_level"] >= LogLevel.warn
        )

    def test_waits(self) -> None:
        """
        A stop that has to wait says so at once, and for how long at most.
        """
        busy = Noted("busy", [])
        self.assertRegex(self.said(busy), "^stopping: .* 10 s .* at once")
        self.assertNoResult(self.stopping)
        busy.stopped.callback(None)
        self.successResultOf(self.stopping)

    def test_nothing(self) -> None:
        """
        A stop that has nothing to wait for says nothing.
        """
        self.assertEqual(self.said(Noted("idle", [], succeed(None))), "")
        self.successResultOf(self.stopping)


class SecondSignalTests(SynchronousTestCase):
    """
    Tests for :class:`SecondSignal`.
    """

    def setUp(self) -> None:
        self.asked: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.signal(number, lambda number, _: self.asked.append(number))
            self.addCleanup(signal.signal, number, before)

    def start(self) -> None:
        """
        Start, and let the reactor begin to run.
        """
        reactor = MemoryReactor()
        SecondSignal(reactor).startService()
        reactor.run()

    def test_first(self) -> None:
        """
        The first signal stops the daemon as ever, and leaves the next one, of
        either kind, to the system.
        """
        self.start()
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.asked, [signal.SIGINT])
        for number in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(signal.getsignal(number), signal.SIG_DFL)

    def test_ignored(self) -> None:
        """
        Where a signal is ignored it stays so.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.start()
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(self.asked, [signal.SIGTERM])
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)


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
