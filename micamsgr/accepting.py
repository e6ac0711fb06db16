"""
What becomes of a listening socket when the system can give no connection: for
want of file descriptors or of memory.

Twisted either closes clients and writes a line for each, or tries again at
once and for ever; here one waits a moment.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

# Seconds until the system is asked again. Clients wait meanwhile, as many as
# the backlog holds.
PAUSE = 0.25

# It is the connection that failed, and the next one may be well.
_OF_THE_CONNECTION = {
    errno.ECONNABORTED,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENONET,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EPROTO,
}


@define(eq=False)
class PatientSocket:
    """
    A listening socket of which Twisted learns no other troubles than those
    that it takes calmly.

    :ivar _socket: does everything else, too.
    :ivar _failed: told of what the system said.
    """

    _socket: Any
    _failed: Callable[[OSError], None]

    def accept(self) -> Any:
        """
        Take the next connection.

        :raises BlockingIOError: where there is none, or none can be had.
        :raises PermissionError: where that one can't be had.
        """
        try:
            return self._socket.accept()
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno in _OF_THE_CONNECTION:
                raise PermissionError(errno.EPERM, "not this one") from error
            self._failed(error)
            raise BlockingIOError(errno.EAGAIN, "not now") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@define(eq=False)
class PatientPort:
    """
    Let a port that listens rest where it can't accept.

    :ivar _port: a :class:`twisted.internet.tcp.Port`, or one like it.
    :ivar _tell: told of each time at which it can't.
    """

    _clock: IReactorTime
    _port: Any
    _tell: Callable[[OSError], None]

    _resting: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        # What else is a port has no socket that could be asked.
        if hasattr(self._port, "socket"):
            self._port.socket = PatientSocket(self._port.socket, self._failed)

    def stop(self) -> None:
        """
        Wait no more, for the port is to be closed.
        """
        if self._resting is not None and self._resting.active():
            self._resting.cancel()

    def _failed(self, error: OSError) -> None:
        self._tell(error)
        # It stays readable; to be told so again and again would take all there
        # is of the processor.
        self._port.stopReading()
        self._resting = self._clock.callLater(PAUSE, self._port.startReading)
