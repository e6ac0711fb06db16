"""
Tests for :mod:`micamsgr.accepting`, with a socket whose troubles the test
chooses.
"""

from __future__ import annotations

import contextlib
import errno
from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.tcp import Port
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.accepting import PAUSE, PatientPort, PatientSocket
from micamsgr.services import Listener

SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@define(eq=False)
class Socket:
    """
    A listening socket.

    :ivar troubles: what the next calls of accept() fail with, in this order;
        then nobody waits any more.
    """

    troubles: list[int] = field(factory=list)
    asked: int = 0

    def accept(self) -> Any:
        self.asked += 1
        if self.troubles:
            raise OSError(self.troubles.pop(0), "trouble")
        raise BlockingIOError(errno.EAGAIN, "nobody waits")

    def fileno(self) -> int:
        return 17


class PatientSocketTests(SynchronousTestCase):
    """
    Tests for :class:`PatientSocket`.
    """

    def test_everything_else(self) -> None:
        """
        It is the socket in all but accepting.
        """
        self.assertEqual(PatientSocket(Socket(), self.fail).fileno(), 17)

    def test_nobody(self) -> None:
        """
        That nobody waits is no trouble.
        """
        socket = PatientSocket(Socket(), self.fail)
        self.assertRaises(BlockingIOError, socket.accept)


class PatientPortTests(SynchronousTestCase):
    """
    Tests for :class:`PatientPort`, around Twisted's own port.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.reading: list[str] = []
        self.told: list[int | None] = []
        self.socket = Socket()
        self.port: Any = Port(0, Factory(), reactor=self)
        self.port.socket = self.socket
        self.port.numberAccepts = 10
        self.patience = PatientPort(
            self.clock, self.port, lambda error: self.told.append(error.errno)
        )

    def addReader(self, _: object) -> None:  # noqa: N802
        self.reading.append("on")

    def removeReader(self, _: object) -> None:  # noqa: N802
        self.reading.append("off")

    def test_rest(self) -> None:
        """
        A port that can't accept rests for a moment, and then tries again; its
        trouble is told, and Twisted writes no line of its own.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for trouble in (*SHORT, errno.EIO):
            self.socket.troubles = [trouble]
            self.port.doRead()
            self.assertEqual(self.reading, ["off"], trouble)
            self.clock.advance(PAUSE)
            self.assertEqual(self.reading, ["off", "on"], trouble)
            self.reading.clear()
        self.assertEqual(self.told, [*SHORT, errno.EIO])
        self.assertEqual(list(events), [])

    def test_once_each(self) -> None:
        """
        A trouble that lasts is looked at once in each pause.
        """
        self.socket.troubles = [errno.EMFILE] * 5
        for count in range(1, 6):
            self.port.doRead()
            self.assertEqual(self.socket.asked, count)
            self.clock.advance(PAUSE)
        self.port.doRead()
        self.assertEqual(self.reading, ["off", "on"] * 5)

    def test_one_gone(self) -> None:
        """
        A client that is gone before it is accepted holds up nobody.
        """
        self.socket.troubles = [errno.ECONNABORTED, errno.EPERM, errno.EPROTO]
        self.port.doRead()
        self.assertEqual(self.socket.asked, 4)
        self.assertEqual((self.reading, self.told), ([], []))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stopped(self) -> None:
        """
        A port that is closed while it rests does not listen again.
        """
        self.socket.troubles = [errno.EMFILE]
        self.port.doRead()
        self.patience.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ListenerTests(SynchronousTestCase):
    """
    Tests for what :class:`Listener` makes of it.
    """

    def test_told_seldom(self) -> None:
        """
        The log has the key, the trouble and how often it came, where a line is
        due.
        """
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        counts = iter([1, 0, 0, 3])
        reactor: Any = SocketReactor()
        listener = Listener(
            reactor, "tcp:80", "listen", Factory(), due=lambda _: next(counts)
        )
        listener.startService()
        for _ in range(4):
            with contextlib.suppress(BlockingIOError):
                reactor.port.socket.accept()
        told = [
            (event["place"], event["error"], event["count"])
            for event in events
            if "no connection can be taken" in (event.get("log_format") or "")
        ]
        self.assertEqual(told, [("listen", "trouble", 1), ("listen", "trouble", 3)])


class SocketReactor(MemoryReactorClock):
    """
    A reactor in memory whose port has a socket that never can.
    """

    def listenTCP(  # noqa: N802
        self, *arguments: Any, **more: Any
    ) -> Any:
        self.port: Any = super().listenTCP(*arguments, **more)
        self.port.socket = Socket([errno.EMFILE] * 10)
        self.port.stopReading = self.port.startReading = list
        return self.port
