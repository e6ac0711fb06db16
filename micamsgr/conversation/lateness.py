"""
Telling a person that the answer is late, while it is still being sought.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from micamsgr.errors import StoreUnavailable

# An answer that comes within so many seconds needs no apology, however late it
# is: so after an outage people get their answers, and not two messages each.
_GRACE = 2.0

# Seconds until it is tried again, where it could not be sent.
_AGAIN = 1.0


@define(eq=False)
class Lateness:
    """
    Apologize once, after a while, unless there is an answer before.

    :ivar _apologize: does so; tells whether it needs no other try.
    """

    _clock: IReactorTime
    _apologize: Callable[[], Awaitable[bool]]

    _call: IDelayedCall | None = field(default=None, init=False)
    _apologizing: Deferred[None] | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    _log = Logger()

    def start(self, seconds: float) -> None:
        """
        Apologize after so many seconds.
        """
        self._call = self._clock.callLater(max(seconds, _GRACE), self._begin)

    async def end(self) -> None:
        """
        Apologize no more; an apology that is being sent is sent first.
        """
        self._end()
        if self._apologizing is not None:
            await self._apologizing

    def cancel(self) -> None:
        """
        End at once, and cut off what is under way.
        """
        self._end()
        if self._apologizing is not None:
            self._apologizing.cancel()

    def _end(self) -> None:
        self._ended = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _begin(self) -> None:
        self._apologizing = Deferred.fromCoroutine(self._try())

    async def _try(self) -> None:
        try:
            settled = await self._apologize()
        except StoreUnavailable as error:
            self._log.error(
                "the store fails: {detail}", event="store.failed", detail=error.detail
            )
            settled = False
        except CancelledError:
            settled = True
        except Exception:
            self._log.failure("a defect, apologizing", event="defect")
            settled = True
        if not (settled or self._ended):
            self._call = self._clock.callLater(_AGAIN, self._begin)
