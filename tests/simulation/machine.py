"""
Simulated time, and the reactor of a process that may die at any moment.

A process that died is not unwound: whatever of it is still on Python's stack,
or is called later, finds that nothing it does has any effect.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import (
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.task import Clock
from twisted.logger import Logger
from zope.interface import implementer

#: Where every name leads.
ADDRESS = "10.0.0.1"

# The longest that a look-up of a name may take, in seconds.
_NAMING = 0.01


class Timeline(Clock):
    """
    Simulated time, that goes from one event to the next.
    """

    _log = Logger()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> DelayedCall:
        when = self.rightNow + delay
        call = DelayedCall(
            when,
            callable,
            args,
            kw,
            self.calls.remove,
            lambda call: self.calls.sort(key=DelayedCall.getTime),
            self.seconds,
        )
        insort(self.calls, call, key=DelayedCall.getTime)
        return call

    def step(self) -> None:
        """
        Let the next event happen.
        """
        call = self.calls.pop(0)
        self.rightNow = max(self.rightNow, call.getTime())
        call.called = 1
        try:
            call.func(*call.args, **call.kw)
        except Exception:
            # As the reactor does.
            self._log.failure("an event failed")


class Network:
    """What a process needs of the network."""

    def listen(self, process: Process, port: int, factory: Any) -> IListeningPort:
        raise NotImplementedError

    def connect(
        self, process: Process, port: int, factory: Any, timeout: float
    ) -> object:
        raise NotImplementedError

    def resolves(self, name: str) -> bool:
        raise NotImplementedError


@implementer(
    IReactorTime, IReactorTCP, IReactorFromThreads, IReactorPluggableNameResolver
)
@define(eq=False, repr=False)
class Process:
    """
    The reactor of one process.

    :ivar name: for the trace.
    :ivar alive: while this is false, it does nothing.
    """

    timeline: Timeline
    network: Network
    name: str

    alive: bool = field(default=True, init=False)
    nameResolver: IHostnameResolver = field(init=False)  # noqa: N815

    def __attrs_post_init__(self) -> None:
        self.nameResolver = _Names(self)

    def seconds(self) -> float:
        return self.timeline.rightNow

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> IDelayedCall:
        call = self.timeline.callLater(delay, self._run, callable, args, kw)
        if not self.alive:
            call.cancel()
        return call

    def _run(
        self, call: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]
    ) -> None:
        if self.alive:
            call(*args, **kw)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [it for it in self.timeline.calls if it.func == self._run]

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        self.callLater(0.0, callable, *args, **kwargs)

    def listenTCP(  # noqa: N802
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        return self.network.listen(self, port, factory)

    def listenUNIX(  # noqa: N802
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666
    ) -> IListeningPort:
        # Nobody gives commands here.
        return self.network.listen(self, 0, factory)

    def connectTCP(  # noqa: N802
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: object = None,  # noqa: N803
    ) -> Any:
        return self.network.connect(self, port, factory, timeout)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:  # noqa: N802
        before, self.nameResolver = self.nameResolver, resolver
        return before


@implementer(IHostnameResolver)
@define(eq=False, repr=False)
class _Names:
    _process: Process

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: object = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def resolved() -> None:
            if self._process.network.resolves(hostName):
                found = IPv4Address("TCP", ADDRESS, portNumber)
                resolutionReceiver.addressResolved(found)
            resolutionReceiver.resolutionComplete()

        self._process.callLater(_NAMING, resolved)
        return resolution


@implementer(IHostResolution)
@define(eq=False, repr=False)
class _Resolution:
    name: str

    def cancel(self) -> None:
        """Give up; what is found all the same is not wanted."""
