"""
TCP in memory: bytes take their time, and may be cut, held back, or lost with
their connection.

Within a connection each direction keeps its order, as TCP does.  What a dead
process wrote may still arrive, but not for ever: the protocol counts on it
that no request lands later than the quarantine.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from attrs import define, field, frozen
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IConnector,
    IListeningPort,
    IProtocolFactory,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.simulation.machine import ADDRESS, Network, Process, Timeline

_PEER = IPv4Address("TCP", ADDRESS, 0)


class Trouble(Enum):
    """
    What becomes of a write: the connection is cut, and none (LOST), half
    (HALF) or all (CUT) of it was there before; or it is held back (HELD) for
    some time.
    """

    LOST = "lost"
    HALF = "half"
    CUT = "cut"
    HELD = "held"


@frozen
class Weather:
    """
    How the network behaves.

    :ivar latency: makes the seconds that bytes are on their way.
    :ivar connecting: says whether the next connection is refused (``True``),
        not answered (``None``), or comes about (``False``).
    :ivar naming: says whether a name can be resolved.
    :ivar writing: decides what goes wrong with a write to a port.
    :ivar holding: makes the seconds for which bytes are held back.
    :ivar leaving: says whether what is on its way when a connection is
        aborted arrives all the same.
    """

    latency: Callable[[], float]
    connecting: Callable[[int], bool | None] = lambda port: False
    naming: Callable[[], bool] = lambda: True
    writing: Callable[[int], Trouble | None] = lambda port: None
    holding: Callable[[], float] = lambda: 0.0
    leaving: Callable[[], bool] = lambda: True


@define(eq=False, repr=False)
class Wires(Network):
    """
    All connections between processes.

    :ivar weather: may be replaced at any time.
    :ivar around_write: told of each write of a process, before (``True``) and
        after it (``False``); it may let the process die.
    :ivar note: told what happens, for the trace.
    """

    timeline: Timeline
    weather: Weather
    around_write: Callable[[Process, bool], None] = lambda process, before: None
    note: Callable[..., None] = lambda *what: None

    _ports: dict[int, _Port] = field(factory=dict, init=False)
    _ends: list[_End] = field(factory=list, init=False)

    def listen(self, process: Process, port: int, factory: Any) -> IListeningPort:
        if port in self._ports:
            raise error.CannotListenError("", port, OSError(98, "in use"))
        opened = self._ports[port] = _Port(self, process, port, factory)
        factory.doStart()
        return opened

    def connect(
        self, process: Process, port: int, factory: Any, timeout: float
    ) -> _Connector:
        connector = _Connector(self, process, port, factory, timeout)
        connector.begin()
        return connector

    def resolves(self, name: str) -> bool:
        return self.weather.naming()

    def later(self, call: Callable[..., Any], *args: Any) -> DelayedCall:
        """
        Do something as soon as bytes would be there.
        """
        return self.timeline.callLater(self.weather.latency(), call, *args)

    def port(self, number: int) -> _Port | None:
        """
        Find who listens.
        """
        return self._ports.get(number)

    def close(self, port: _Port) -> None:
        """
        Listen no more.
        """
        if self._ports.get(port.number) is port:
            del self._ports[port.number]

    def join(self, connector: _Connector, port: _Port) -> None:
        """
        Connect two processes.
        """
        here = _End(self, connector.process, port.number)
        there = _End(self, port.process, port.number)
        here.peer, there.peer = there, here
        self._ends = [end for end in self._ends if end.connected]
        self._ends += [here, there]
        there.open(port.factory)
        here.open(connector.factory)

    def die(self, process: Process, silent: bool) -> None:
        """
        Let a process die, and its connections with it.

        :param silent: nobody is told, as when a machine loses its power.
        """
        process.alive = False
        for port in list(self._ports.values()):
            if port.process is process:
                self.close(port)
        for end in self._ends:
            if end.process is process and end.connected:
                end.die(silent)


@implementer(IListeningPort)
@define(eq=False, repr=False)
class _Port:
    wires: Wires
    process: Process
    number: int
    factory: Any

    def startListening(self) -> None:  # noqa: N802
        """It does already."""

    def stopListening(self) -> Deferred[None]:  # noqa: N802
        self.wires.close(self)
        if self.process.alive:
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", ADDRESS, self.number)


@implementer(IConnector)
@define(eq=False, repr=False)
class _Connector:
    wires: Wires
    process: Process
    number: int
    factory: Any
    timeout: float

    _waiting: Any = field(default=None, init=False)
    _late: Any = field(default=None, init=False)

    def begin(self) -> None:
        """Try to connect."""
        self.factory.doStart()
        self.factory.startedConnecting(self)
        self._late = self.process.callLater(
            self.timeout, self._fail, error.TimeoutError()
        )
        refused = self.wires.weather.connecting(self.number)
        if refused is not None:
            self._waiting = self.wires.later(self._reach, refused)

    def _reach(self, refused: bool) -> None:
        if not self.process.alive:
            return
        port = self.wires.port(self.number)
        if refused or port is None:
            self._fail(error.ConnectionRefusedError())
        else:
            self._end()
            self.wires.join(self, port)

    def _end(self) -> None:
        for call in (self._waiting, self._late):
            if call is not None and call.active():
                call.cancel()

    def _fail(self, why: Exception) -> None:
        self._end()
        self.wires.note("no connection", self.process.name, self.number, repr(why))
        self.factory.clientConnectionFailed(self, Failure(why))

    def connect(self) -> None:
        """Only once."""

    def stopConnecting(self) -> None:  # noqa: N802
        self._fail(error.UserError())

    def disconnect(self) -> None:
        self.stopConnecting()

    def getDestination(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", ADDRESS, self.number)


@implementer(ITCPTransport)
@define(eq=False, repr=False)
class _End:
    """
    One process's end of a connection.
    """

    wires: Wires
    process: Process
    number: int

    peer: _End = field(init=False)
    connected: bool = field(default=True, init=False)
    disconnecting: bool = field(default=False, init=False)
    protocol: Any = field(default=None, init=False)
    producer: Any = field(default=None, init=False)
    # What is on its way to the peer, and when the last of it is there.
    _flying: list[DelayedCall] = field(factory=list, init=False)
    _there: float = field(default=0.0, init=False)

    _log = Logger()

    def open(self, factory: IProtocolFactory) -> None:
        """Make the protocol, and tell it."""
        protocol: Any = factory.buildProtocol(_PEER)
        self.protocol = protocol
        self.protocol.makeConnection(self)

    # What comes.

    def receive(self, data: bytes) -> None:
        """Take bytes of the peer's."""
        if not (self.connected and self.process.alive):
            return
        self.wires.note("to", self.process.name, self.number, len(data))
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._log.failure("a protocol failed")
            self.abortConnection()

    def lose(self, why: Exception) -> None:
        """Learn that the connection is over."""
        if not self.connected:
            return
        self.connected = False
        if self.process.alive:
            self.wires.note(
                "closed", self.process.name, self.number, type(why).__name__
            )
            self.protocol.connectionLost(Failure(why))

    # What goes.

    def write(self, data: bytes) -> None:
        if not (data and self.connected and self.process.alive) or self.disconnecting:
            return
        self.wires.around_write(self.process, True)
        if not self.process.alive:
            return
        trouble = self.wires.weather.writing(self.number)
        if trouble is None:
            self._fly(self.wires.weather.latency(), self.peer.receive, bytes(data))
        elif trouble is Trouble.HELD:
            held = self.wires.weather.holding()
            self.wires.note("held", self.process.name, self.number, held)
            self._fly(held, self.peer.receive, bytes(data))
        else:
            self._cut(trouble, bytes(data))
        self.wires.around_write(self.process, False)

    def _cut(self, trouble: Trouble, data: bytes) -> None:
        self.wires.note("cut", self.process.name, self.number, trouble.value)
        kept = {Trouble.LOST: 0, Trouble.HALF: len(data) // 2, Trouble.CUT: len(data)}
        latency = self.wires.weather.latency()
        if kept[trouble]:
            self._fly(latency, self.peer.receive, data[: kept[trouble]])
        self._fly(latency, self.peer.lose, error.ConnectionLost())
        self.wires.later(self.lose, error.ConnectionLost())
        self.disconnecting = True

    def _fly(self, latency: float, arrive: Callable[..., None], what: object) -> None:
        now = self.wires.timeline.rightNow
        self._there = max(self._there, now + latency)
        self._flying = [call for call in self._flying if call.active()]
        call = self.wires.timeline.callLater(self._there - now, arrive, what)
        self._flying.append(call)

    def writeSequence(self, data: Any) -> None:  # noqa: N802
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting and self.process.alive:
            self.disconnecting = True
            if self.producer is None:
                self._finish()

    def _finish(self) -> None:
        self._fly(self.wires.weather.latency(), self.peer.lose, error.ConnectionDone())
        self.process.callLater(0.0, self.lose, error.ConnectionDone())

    def abortConnection(self) -> None:
        if self.connected and self.process.alive:
            self.disconnecting = True
            self._reset()
            self.process.callLater(0.0, self.lose, error.ConnectionAborted())

    def _reset(self) -> None:
        if not self.wires.weather.leaving():
            for call in self._flying:
                if call.active():
                    call.cancel()
            self._there = 0.0
        self._fly(self.wires.weather.latency(), self.peer.lose, error.ConnectionLost())

    def die(self, silent: bool) -> None:
        """Be the end of a process that died."""
        self.connected = False
        if not silent:
            self._reset()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None
        if self.disconnecting and self.connected and self.process.alive:
            self._finish()

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return _PEER

    def getHost(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", ADDRESS, self.number)

    # What a transport has besides, and nothing here depends on.

    def pauseProducing(self) -> None:
        """All that is read fits into memory."""

    def resumeProducing(self) -> None:
        """It never stopped."""

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed."""

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """Nothing is kept alive."""
