"""
How long a client may take for each thing that it has to do.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@frozen(kw_only=True)
class Deadlines:
    """
    Seconds, each from the moment at which something is due; no byte that comes
    in between makes one later.

    :ivar handshake: from the connection to the end of the TLS handshake.
    :ivar headers: from the connection, the end of the handshake, or the first
        byte of a further request, to the end of the headers.
    :ivar body: from the headers to the end of the body.
    :ivar answer: from the whole request to the whole answer, which is ours to
        give; ``None``: as long as it takes.
    :ivar reading: for the client to take what was written: where so much waits
        for it that no more is written, or before it is closed.
    :ivar idle: between an answer and the next request.
    :ivar parting: once the daemon stops, for the first byte of a request, be it
        on its way already; and for a client to hang up after its answer.
    :ivar leaving: once the daemon stops, for all that is left of a request.
    :ivar linger: for which a client that was refused may go on sending: long
        enough to read why, which closing at once could destroy.
    """

    handshake: float = 5.0
    headers: float = 10.0
    # Meta itself gives up after 5.
    body: float = 10.0
    answer: float | None = 30.0
    reading: float = 10.0
    idle: float = 30.0
    parting: float = 1.0
    # Meta's deadline: whoever takes longer has given up.
    leaving: float = 5.0
    linger: float = 5.0


@define(eq=False)
class Deadline:
    """
    What is to happen unless something else does in time; one thing at a time.

    One timer runs as long as there is one at all, and looks when it is due: to
    put a deadline off costs a comparison, and not another timer.
    """

    _clock: IReactorTime

    _until: float | None = field(default=None, init=False)
    _late: Callable[[], object] = field(default=lambda: None, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    _rings: float = field(default=0.0, init=False)

    @property
    def running(self) -> bool:
        """Whether there is one."""
        return self._until is not None

    def set(self, seconds: float | None, late: Callable[[], object]) -> None:
        """
        Put a deadline in the place of the one there is.

        :param seconds: from now; ``None``: there is none.
        :param late: what is to happen then.
        """
        if seconds is None:
            self.lift()
            return
        self._until, self._late = self._clock.seconds() + seconds, late
        if self._call is None or self._until < self._rings:
            self._ring(seconds)

    def lift(self) -> None:
        """
        Have none any more.
        """
        self._until = None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _ring(self, seconds: float) -> None:
        if self._call is not None:
            self._call.cancel()
        self._rings = self._clock.seconds() + seconds
        self._call = self._clock.callLater(seconds, self._rung)

    def _rung(self) -> None:
        self._call = None
        assert self._until is not None
        left = self._until - self._clock.seconds()
        if left > 0.0:
            self._ring(left)
        else:
            self._until = None
            self._late()
