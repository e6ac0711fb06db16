"""
Services that start one after another, and stop in the reverse order.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from attrs import define, field
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorFromThreads,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from .accepting import PatientPort


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
                self._log.failure("{child} did not stop cleanly", child=child)


@define(eq=False)
class Listener(Service):
    """
    Take connections at an endpoint.

    Where the system can give no connection, it is asked again a little later;
    those who want to connect wait so long.

    :ivar _endpoint: a Twisted server endpoint description.
    :ivar _key: which key of the configuration names it, for the error.
    :ivar _due: says how many lines of a kind one line stands for, or 0 where
        none is due; see :class:`~micamsgr.messenger.seldom.Seldom`.
    """

    _reactor: Any
    _endpoint: str
    _key: str
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
        endpoint = serverFromString(self._reactor, self._endpoint)
        # All endpoints that can be named so know at once.
        endpoint.listen(self._factory).addBoth(outcome.append)
        port = outcome[0]
        if isinstance(port, Failure):
            raise CannotStart(
                f"{self._key}: can't listen on {self._endpoint}:"
                f" {port.getErrorMessage().rstrip('.')}; stop what listens there,"
                " or name another endpoint"
            )
        self._port = port
        self._patience = PatientPort(self._reactor, port, self._cannot_accept)
        self._log.info("listening on {host}", host=self._port.getHost())

    async def _stop(self, port: IListeningPort) -> None:
        await maybeDeferred(port.stopListening)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        port, self._port = self._port, None
        if self._patience is not None:
            self._patience.stop()
        return None if port is None else Deferred.fromCoroutine(self._stop(port))

    def _cannot_accept(self, error: OSError) -> None:
        count = self._due((self._key, error.errno))
        if count:
            self._log.error(
                "{key}: no connection can be taken ({error}), {count} times since it"
                " was last told; it is tried on",
                key=self._key,
                error=error.strerror,
                count=count,
            )


@define(eq=False)
class Closing(Service):
    """
    Something that only has to be closed.
    """

    _close: Callable[[], Any]

    def stopService(self) -> Any:
        super().stopService()
        return self._close()


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
        self._log.info("SIGHUP: certificates are read again")
        for reload in self._reload:
            reload()


def raise_file_limit() -> int:
    """
    Allow ourselves as many open files as the system lets us.

    :return: how many these are.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
