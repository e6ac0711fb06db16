"""
Tests for :mod:`micamsgr.systemd`.
"""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.systemd import Notifying, ServiceManager


class ManagerCase(SynchronousTestCase):
    """
    A service manager that listens.
    """

    def setUp(self) -> None:
        # A path of a socket may not be long.
        self.name = f"@mica-{id(self)}-{self.id()[-40:]}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.name.replace("@", "\0"))
        self.socket.setblocking(False)

    def told(self) -> list[str]:
        """
        Read what was told since the last look.
        """
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


class ServiceManagerTests(ManagerCase):
    """
    Tests for whom to tell, and how.
    """

    def test_environment(self) -> None:
        """
        It is found by the variables that it sets, unless they are another
        process's.
        """
        found = ServiceManager.of(
            {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": "30000000"}, 7
        )
        self.assertEqual(found.watchdog, 30.0)
        found.tell(READY="1", STATUS="well")
        self.assertEqual(self.told(), ["READY=1\nSTATUS=well"])
        for whose, seconds in (("7", 30.0), ("8", None)):
            environ = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": whose}
            self.assertEqual(ServiceManager.of(environ, 7).watchdog, seconds)
        for nonsense in ("", "0", "-1", "soon"):
            found = ServiceManager.of({"WATCHDOG_USEC": nonsense}, 7)
            self.assertIsNone(found.watchdog)

    def test_path(self) -> None:
        """
        Its socket may be a file, too.
        """
        path = Path(self.mktemp())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.bind(str(path))
            ServiceManager(str(path)).tell(READY="1")
            self.assertEqual(out.recv(4096), b"READY=1")

    def test_nobody(self) -> None:
        """
        Where nobody listens, or nobody ever did, nothing happens.
        """
        ServiceManager().tell(READY="1")
        ServiceManager("/nowhere/notify").tell(READY="1")
        ServiceManager("@nobody").tell(READY="1")
        self.assertEqual(self.told(), [])

    def test_reloading(self) -> None:
        """
        A reload is told of as it begins and ends, however it ends.
        """
        with self.assertRaises(KeyError), ServiceManager(self.name).reloading():
            (begun,) = self.told()
            self.assertRegex(begun, r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
            raise KeyError
        self.assertEqual(self.told(), ["READY=1"])


class NotifyingTests(ManagerCase):
    """
    Tests for what is told of a daemon's life.
    """

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.pings: list[Deferred[None]] = []
        self.begin(30.0)

    def begin(self, watchdog: float | None) -> None:
        """
        Start telling.
        """
        manager = ServiceManager(self.name, watchdog)
        self.service = Notifying(self.clock, manager, self.ping, lambda: "well")
        self.service.startService()

    def ping(self) -> Deferred[None]:
        """
        Be asked.
        """
        self.pings.append(Deferred())
        return self.pings[-1]

    def test_life(self) -> None:
        """
        It is ready once it has started, and says so when it stops; then there
        is no timer left.
        """
        self.assertEqual(self.told(), ["READY=1\nSTATUS=well"])
        self.service.stopService()
        (stopping,) = self.told()
        self.assertTrue(stopping.startswith("STOPPING=1\n"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_watchdog(self) -> None:
        """
        Where nobody wants to hear it again and again, nobody is asked.
        """
        self.service.stopService()
        self.clock, self.pings = Clock(), []
        self.begin(None)
        self.clock.advance(60.0)
        self.assertEqual(self.pings, [])

    def test_well(self) -> None:
        """
        Three times in the time that the watchdog gives, all is told to be well.
        """
        self.told()
        for _ in range(6):
            self.pings.pop().callback(None)
            self.assertEqual(self.told(), ["WATCHDOG=1\nSTATUS=well"])
            self.clock.advance(10.0)

    def test_stuck(self) -> None:
        """
        While the writer does not answer nothing is told, and the log says so;
        it is asked once, and when it answers all is well.
        """
        self.told()
        for _ in range(4):
            self.clock.advance(10.0)
        self.assertEqual(self.told(), [])
        (ping,) = self.pings
        ping.callback(None)
        self.assertEqual(self.told(), ["WATCHDOG=1\nSTATUS=well"])
        self.clock.advance(10.0)
        self.assertEqual(len(self.pings), 2)

    def test_trouble(self) -> None:
        """
        A writer that answers that the disk is in trouble is alive: another
        process would do no better.
        """
        self.told()
        self.pings.pop().errback(StoreUnavailable("the disk is full"))
        self.assertEqual(self.told(), ["WATCHDOG=1\nSTATUS=well"])

    def test_defect(self) -> None:
        """
        What nobody thought of is logged, and does not count as well.
        """
        self.told()
        self.pings.pop().errback(KeyError("what"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.told(), [])
