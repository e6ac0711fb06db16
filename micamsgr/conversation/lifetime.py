"""
How long a bot goes on; and what is kept for as long as it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from micamsgr.errors import StoreUnavailable

T = TypeVar("T")


@define(eq=False)
class Lifetime:
    """
    The time from a bot's start until it is to begin nothing more.

    :ivar _clock: for every wait; usually the reactor.
    """

    _clock: IReactorTime

    _over: bool = field(default=False, init=False)
    _waiting: set[Deferred[None]] = field(factory=set, init=False)

    _log = Logger()

    @property
    def over(self) -> bool:
        """Whether no turn and no send may be begun any more."""
        return self._over

    def end(self) -> None:
        """
        Let nothing more begin; who waits to begin hears of it at once.
        """
        self._over = True
        for waiting in list(self._waiting):
            waiting.cancel()

    async def wait(self, seconds: float) -> None:
        """
        Wait to begin something.

        :raises CancelledError: where the lifetime ends meanwhile.
        """
        waiting: Deferred[None] = deferLater(self._clock, seconds)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    async def insist(self, keep: Callable[[], Awaitable[T]]) -> T:
        """
        Keep what came of something that can't be had again: try until the
        store takes it, or the lifetime is over.

        :raises StoreUnavailable: then.
        """
        delay = 0.1
        while True:
            try:
                return await keep()
            except StoreUnavailable as error:
                if self._over:
                    raise
                self._log.error(
                    "the store fails: {detail}",
                    event="store.failed",
                    detail=error.detail,
                )
            await deferLater(self._clock, delay)
            delay = min(5.0, delay * 2.0)
