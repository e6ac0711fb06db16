"""
Services that start one after another, and stop in the reverse order.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Hashable, Sequence
from types import FrameType
from typing import Any

from attrs import define, field
from twisted.application.service import MultiService, Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IReactorFromThreads,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from .accepting import PatientPort
from .inherited import NoListener, keep

_IN_USE = "stop what listens there (`ss -lptux` names it), or name another endpoint"
_OTHERWISE = "name another endpoint"

# What to do, by what the system says.
_TCP_ADVICE = {
    errno.EACCES: (
        "ports below 1024 need a right (CAP_NET_BIND_SERVICE) that the service has"
        " not: let systemd hold the port, by etc/micamessenger.socket, and name"
        " systemd:domain=INET:name=https, or a port from 1024 on"
    ),
    errno.EADDRINUSE: _IN_USE,
    errno.EADDRNOTAVAIL: (
        "this machine has no such address (`ip address` lists those that it has):"
        " name one of them, or leave interface= out for all of them"
    ),
    errno.EAFNOSUPPORT: "this machine has no IPv6: name an IPv4 address",
}
_UNIX_ADVICE = {
    errno.EACCES: "let the daemon's user write into the socket's directory",
    errno.EADDRINUSE: f"{_IN_USE}, or delete the file if nobody does",
    errno.ENOENT: "the socket's directory is missing: make it, or name another path",
    errno.ENOTDIR: "what should be the socket's directory is none: name another path",
    errno.EROFS: (
        "the service may write only below /run and /var/lib/micamessenger: name a"
        " path there"
    ),
}

_ENDING = (signal.SIGTERM, signal.SIGINT)


class CannotStart(Exception):
    """
    The daemon can't start; the text says why, and what to do.
    """


class InTurn(MultiService):
    """
    Services that start first to last, and stop last to first, each once the
    one before has stopped; :class:`MultiService` stops all at once.
    """

    _log = Logger()

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop_children())

    async def _stop_children(self) -> None:
        for child in reversed(list(self)):
            try:
                await maybeDeferred(child.stopService)
            except Exception:
                self._log.failure(
                    "a defect, stopping the {child}",
                    event="defect",
                    child=type(child).__name__,
                )


@define(eq=False)
class Listener(Service):
    """
    Take connections at an endpoint.

    Where the system can give no connection, it is asked again a little later;
    those who want to connect wait so long.

    :ivar _endpoint: a Twisted server endpoint description.
    :ivar _place: where the configuration names it, for the error.
    :ivar _due: says how many lines of a kind one line stands for, or 0 where
        none is due; see :class:`~micamsgr.messenger.seldom.Seldom`.
    """

    _reactor: Any
    _endpoint: str
    _place: str
    _factory: IProtocolFactory
    _due: Callable[[Hashable], int] = field(default=lambda _: 1, kw_only=True)

    _port: IListeningPort | None = field(default=None, init=False)
    _patience: PatientPort | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        """
        :raises CannotStart: where nobody can listen there.
        """
        super().startService()
        outcome: list[IListeningPort | Failure] = []
        try:
            endpoint = serverFromString(self._reactor, self._endpoint)
            if isinstance(endpoint, AdoptedStreamServerEndpoint):
                keep(endpoint)
        except LookupError:
            raise self._refusal(
                "systemd hands over no such socket: its unit must be active before"
                " the service is started (systemctl status micamessenger.socket),"
                " and have this FileDescriptorName="
            ) from None
        except (NoListener, OSError) as error:
            raise self._refusal(str(error)) from None
        # All endpoints that can be named so know at once.
        endpoint.listen(self._factory).addBoth(outcome.append)
        port = outcome[0]
        if isinstance(port, Failure):
            raise self._refusal(why_not(port.value, self._endpoint))
        self._port = port
        self._patience = PatientPort(self._reactor, port, self._cannot_accept)
        self._log.info(
            "listening on {host}",
            event="listener.opened",
            host=spelled(self._port.getHost()),
        )

    def serve(self, factory: IProtocolFactory) -> None:
        """
        Give connections to come to another factory.
        """
        self._factory = factory
        port: Any = self._port
        if port is not None:
            port.factory = factory

    def _refusal(self, why: str) -> CannotStart:
        return CannotStart(f"{self._place}: can't listen on {self._endpoint}: {why}")

    async def _stop(self, port: IListeningPort) -> None:
        await maybeDeferred(port.stopListening)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        port, self._port = self._port, None
        if self._patience is not None:
            self._patience.stop()
        return None if port is None else Deferred.fromCoroutine(self._stop(port))

    def _cannot_accept(self, error: OSError) -> None:
        count = self._due((self._place, error.errno))
        if count:
            self._log.error(
                "{place}: no connection can be taken ({error}), {count} times since it"
                " was last told; it is tried on",
                event="listener.failed",
                place=self._place,
                error=error.strerror,
                count=count,
            )


def spelled(address: object) -> str:
    """
    Spell where somebody listens or is: address and port, or a path.
    """
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    name = getattr(address, "name", None)
    return "a socket without a name" if name is None else os.fsdecode(name)


def why_not(error: object, endpoint: str) -> str:
    """
    Say why nobody can listen somewhere, and what to do.

    :param error: Twisted's or the system's.
    :param endpoint: the description of where.
    """
    # Twisted wraps what the system says; but for a lock, which is text.
    cause = getattr(error, "socketError", error)
    if isinstance(cause, socket.gaierror):
        return "no address is known by that name; put an IP address after interface="
    if not isinstance(cause, OSError):
        return f"{str(cause).rstrip('.')}; {_IN_USE}"
    advice = _UNIX_ADVICE if endpoint.startswith("unix:") else _TCP_ADVICE
    what = cause.strerror or str(cause)
    return f"{what}; {advice.get(cause.errno or 0, _OTHERWISE)}"


@define(eq=False)
class Closing(Service):
    """
    Something that only has to be closed.
    """

    _close: Callable[[], Any]

    def stopService(self) -> Any:
        super().stopService()
        return self._close()


class Draining(MultiService):
    """
    Services that let what is in flight finish, all at once, and say so.
    """

    _log = Logger()

    def __init__(self, most: float) -> None:
        """
        :param most: seconds after which each of them gives up.
        """
        super().__init__()
        self._most = most

    def stopService(self) -> Deferred[Any]:
        stopping: Deferred[Any] = super().stopService()
        if not stopping.called:
            # A warning, so that the sandbox says it too: silence invites people
            # to press Ctrl-C again.
            self._log.warn(
                "stopping: what is in flight may take {most:g} s to finish; another"
                " Ctrl-C or SIGTERM ends it at once, and loses nothing",
                event="stop.begun",
                most=self._most,
            )
        return stopping


@define(eq=False)
class SecondSignal(Service):
    """
    Let the second SIGTERM or Ctrl-C end the process at once, whatever the
    first one waits for.

    A third finds nobody.  Twisted would try to stop a second time, and log a
    defect.
    """

    _reactor: IReactorCore

    _first: dict[int, Any] = field(factory=dict, init=False)

    def startService(self) -> None:
        super().startService()
        # The reactor puts its own in place when it begins to run.
        self._reactor.callWhenRunning(self._arm)

    def _arm(self) -> None:
        for number in _ENDING:
            before = signal.getsignal(number)
            # Not where it is ignored, as for a job in the background.
            if callable(before):
                self._first[number] = before
                signal.signal(number, self._signaled)

    def _signaled(self, number: int, frame: FrameType | None) -> None:
        # From here on the system's own way, which doesn't depend on us.
        for each in self._first:
            signal.signal(each, signal.SIG_DFL)
        self._first[number](number, frame)


@define(eq=False)
class OnHangup(Service):
    """
    Do something on SIGHUP, which otherwise would end the process.

    :ivar _reload: what to do, in the reactor.
    """

    _reactor: IReactorFromThreads
    _reload: Sequence[Callable[[], None]]

    _before: Any = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        self._before = signal.signal(signal.SIGHUP, self._hung_up)

    def stopService(self) -> None:
        super().stopService()
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)

    def _hung_up(self, *_: object) -> None:
        # A signal comes in the middle of anything.
        self._reactor.callFromThread(self._go)

    def _go(self) -> None:
        self._log.info(
            "SIGHUP: the configuration and the certificates are read again",
            event="configuration.read",
        )
        for reload in self._reload:
            reload()


def raise_file_limit() -> int:
    """
    Allow ourselves as many open files as the system lets us.

    :return: how many these are.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
