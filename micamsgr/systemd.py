"""
Telling systemd how we are.

Source: sd_notify(3), sd_watchdog_enabled(3) and systemd.service(5).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from .errors import StoreUnavailable


@frozen
class ServiceManager:
    """
    Whoever started this process, and wants to know how it is.

    :ivar _address: of its socket, as in ``$NOTIFY_SOCKET``; ``None``: nobody
        wants to know.
    :ivar watchdog: seconds within which it wants to hear that all is well,
        again and again; ``None``: it does not.
    """

    _address: str | None = None
    watchdog: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> ServiceManager:
        """
        Find it by the environment variables that it set.

        :param pid: of this process; others may have inherited the variables.
        """
        microseconds = environ.get("WATCHDOG_USEC", "")
        whose = environ.get("WATCHDOG_PID", str(pid))
        seconds = None
        if microseconds.isdecimal() and int(microseconds) > 0 and whose == str(pid):
            seconds = int(microseconds) / 1e6
        return cls(environ.get("NOTIFY_SOCKET") or None, seconds)

    def tell(self, **states: str) -> None:
        """
        Tell of some states, such as ``READY="1"``.

        Nobody waits for it, and where it can't be told it isn't.
        """
        if self._address is None:
            return
        address = self._address
        if address.startswith("@"):
            address = f"\0{address[1:]}"
        text = "\n".join(f"{name}={value}" for name, value in states.items())
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as out, suppress(OSError):
            out.sendto(text.encode(), address)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """
        Tell that another configuration is being read, and when that is over.
        """
        # Its clock is CLOCK_MONOTONIC, as is Python's.
        now = time.monotonic_ns() // 1000
        self.tell(RELOADING="1", MONOTONIC_USEC=str(now))
        try:
            yield
        finally:
            self.tell(READY="1")


@define(eq=False)
class Notifying(Service):
    """
    Tell the service manager that all has started, that all is well, and that
    it stops.  To start last, and so to stop first.

    Well is who does what it is asked to: the reactor comes to ask, and the
    store's writer answers, be it that the disk is full.  Otherwise nothing is
    told, and the manager ends this process and starts another.

    :ivar _ping: asks the writer; fires once it has come to it.
    :ivar _status: says in a few words what is going on.
    """

    _clock: IReactorTime
    _manager: ServiceManager
    _ping: Callable[[], Deferred[None]]
    _status: Callable[[], str]

    _call: IDelayedCall | None = field(default=None, init=False)
    _asked: Deferred[None] | None = field(default=None, init=False)
    # For how many beats there is no answer.
    _missed: int = field(default=0, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        self._manager.tell(READY="1", STATUS=self._status())
        if self._manager.watchdog is not None:
            self._beat()

    def stopService(self) -> None:
        super().stopService()
        self._manager.tell(STOPPING="1", STATUS="finishing what is in flight")
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._asked is not None:
            self._asked.cancel()

    def _beat(self) -> None:
        assert self._manager.watchdog is not None
        self._call = self._clock.callLater(self._manager.watchdog / 3.0, self._beat)
        if self._asked is None:
            self._asked = self._ping()
            self._asked.addErrback(lambda failure: failure.trap(StoreUnavailable))
            self._asked.addCallbacks(self._well, self._unwell)
            return
        self._missed += 1
        self._log.error(
            "the store's writer has not answered for {seconds:.0f} s; systemd ends"
            " this process if it goes on",
            event="store.silent",
            seconds=self._missed * self._manager.watchdog / 3.0,
        )

    def _well(self, _: object) -> None:
        self._asked, self._missed = None, 0
        if self.running:
            self._manager.tell(WATCHDOG="1", STATUS=self._status())

    def _unwell(self, failure: Failure) -> None:
        self._asked = None
        if not failure.check(CancelledError):
            self._log.failure(
                "a defect, asking the store's writer", failure, event="defect"
            )
