"""
The daemon's end of the socket.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    TimeoutError,
    maybeDeferred,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.errors import Declined, StoreUnavailable

from .protocol import (
    ANSWER_SECONDS,
    LONGEST_REQUEST,
    REQUEST_SECONDS,
    WORK_SECONDS,
    Malformed,
    decode_request,
    encode_answer,
)

#: Does what a command wants: its name and its arguments.
Work = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

# The most connections at once.
_MOST = 16

# The longest path that the system takes for a socket, in bytes.
_LONGEST_PATH = 100

_CREDENTIALS = struct.Struct("3i")


def peer_of(transport: Any) -> int:
    """
    Tell which user is at the other end of a UNIX socket.
    """
    connection = getattr(transport, "socket", transport)
    said = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    return int(_CREDENTIALS.unpack(said)[1])


class Place:
    """
    A path at which a socket can be, however long it is.

    :ivar name: by which the system finds it, until :meth:`close`.
    """

    def __init__(self, path: Path) -> None:
        """
        :raises OSError: where its directory can't be opened.
        """
        self._directory: int | None = None
        self.name = str(path)
        if len(os.fsencode(path)) > _LONGEST_PATH:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            self._directory = os.open(path.parent, flags)
            self.name = f"/proc/self/fd/{self._directory}/{path.name}"

    def close(self) -> None:
        """
        Let go of the directory.
        """
        directory, self._directory = self._directory, None
        if directory is not None:
            os.close(directory)


@define(eq=False)
class ControlSocket(Service):
    """
    Take commands while the service runs.

    Where nobody can listen at the path, the log says so, and the daemon does
    its work without: people are answered all the same.

    :ivar path: where; a socket that nobody serves any more is replaced.
    :ivar _work: does what is wanted; may raise
        :exc:`~micamsgr.errors.Declined`.
    :ivar _peer: tells a connection's user.
    """

    _reactor: Any
    path: Path
    _program: str
    _work: Work
    _peer: Callable[[Any], int] = field(default=peer_of, kw_only=True)

    _port: IListeningPort | None = field(default=None, init=False)
    _place: Place | None = field(default=None, init=False)
    _lines: set[Line] = field(factory=set, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        try:
            place = self._place = Place(self.path)
            _make_room(place.name)
            self._port = self._reactor.listenUNIX(place.name, _Lines(self), mode=0o600)
        except (OSError, CannotListenError) as error:
            cause = getattr(error, "socketError", error)
            self._log.error(
                "commands can't reach this daemon: {path}: {why}",
                event="control.unreachable",
                path=str(self.path),
                why=getattr(cause, "strerror", None) or str(cause),
            )
            self._let_go()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            assert self._place is not None
            # It is removed as the port closes, and that it is gone is no defect.
            with suppress(OSError):
                os.close(os.open(self._place.name, os.O_CREAT | os.O_EXCL, 0o600))
            await maybeDeferred(port.stopListening)
        for line in list(self._lines):
            line.give_up()
        self._let_go()

    def _let_go(self) -> None:
        if self._place is not None:
            self._place.close()
            self._place = None

    def connected(self, line: Line) -> str:
        """
        Take a connection.

        :return: why not, or nothing.
        """
        self._lines.add(line)
        user = self._peer(line.transport)
        if user not in (0, os.geteuid()):
            self._log.warn(
                "user {user} may not give commands", event="control.stranger", user=user
            )
            return "only the daemon's user and root may give commands"
        if len(self._lines) > _MOST:
            return f"{_MOST} commands are being done: try again"
        return ""

    def left(self, line: Line) -> None:
        """
        Forget a connection.
        """
        self._lines.discard(line)

    async def answer(self, said: bytes) -> bytes:
        """
        Do what a request wants.
        """
        try:
            request = decode_request(said)
        except Malformed as error:
            return self.refusal(str(error))
        try:
            working = Deferred.fromCoroutine(
                _coroutine(self._work, request.command, request.arguments)
            )
            result = await working.addTimeout(WORK_SECONDS, self._reactor)
        except (Declined, StoreUnavailable) as error:
            return self.refusal(error.detail)
        except TimeoutError:
            return self.refusal(
                f"it is not done after {WORK_SECONDS:g} s, and may still be: look"
                " before you try again"
            )
        except CancelledError:
            raise
        except Exception:
            self._log.failure(
                "a defect, doing the command {command}",
                event="defect",
                command=request.command[:40],
            )
            return self.refusal("a defect; see the daemon's log")
        return encode_answer(self._program, result=result)

    def refusal(self, why: str) -> bytes:
        """
        Write an answer that says why nothing was done.
        """
        return encode_answer(self._program, error=why)

    @property
    def clock(self) -> Any:
        """For every wait."""
        return self._reactor


async def _coroutine(
    work: Work, command: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    return await work(command, arguments)


def _make_room(name: str) -> None:
    """
    Remove a socket that nobody serves any more, as a killed process leaves it.

    :raises OSError: where something else is there, or somebody serves it.
    """
    try:
        there = os.lstat(name)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise OSError(0, "something else is there: remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        # Whoever serves it and is busy is no reason to wait.
        probe.setblocking(False)
        try:
            probe.connect(name)
        except ConnectionRefusedError:
            Path(name).unlink()
        except BlockingIOError:
            pass
        else:
            raise OSError(0, "another daemon takes commands there")


@define(eq=False)
class _Lines(Factory):
    """Makes the protocol of each connection."""

    noisy = False

    _socket: ControlSocket

    def buildProtocol(self, address: IAddress | None) -> Protocol:
        return Line(self._socket)


@define(eq=False)
class Line(Protocol):
    """
    One connection: a request, an answer, the end.
    """

    _socket: ControlSocket

    _read: bytes = field(default=b"", init=False)
    _asked: bool = field(default=False, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    _working: Deferred[bytes] | None = field(default=None, init=False)

    transport: Any = field(default=None, init=False)
    connected = 0

    _log = Logger()

    def connectionMade(self) -> None:
        why = self._socket.connected(self)
        if why:
            self._say(self._socket.refusal(why))
        else:
            self._call = self._socket.clock.callLater(REQUEST_SECONDS, self.give_up)

    def dataReceived(self, data: bytes) -> None:
        if self._asked:
            # Whatever comes now is nobody's.
            return
        self._read += data
        line, end, _ = self._read.partition(b"\n")
        if len(line) >= LONGEST_REQUEST:
            self._say(self._socket.refusal("the request is too long"))
        elif end:
            self._asked = True
            self._stop_waiting()
            self._working = working = Deferred.fromCoroutine(self._socket.answer(line))
            working.addCallbacks(self._say, self._failed)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._stop_waiting()
        self._socket.left(self)
        if self._working is not None:
            self._working.cancel()

    def give_up(self) -> None:
        """
        End it, whatever is under way.
        """
        self.transport.abortConnection()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a defect, answering a command", failure, event="defect")
        self.give_up()

    def _say(self, answer: bytes) -> None:
        self._asked = True
        self._working = None
        self._stop_waiting()
        self._call = self._socket.clock.callLater(ANSWER_SECONDS, self.give_up)
        self.transport.write(answer)
        self.transport.loseConnection()

    def _stop_waiting(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
