"""
For how long a commit is waited for.
"""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

T = TypeVar("T")

# Meta waits for 5 seconds; a commit that takes longer than this is answered
# 503, and whether it happened or not, the next delivery is answered rightly.
COMMIT_DEADLINE = 3.0


@define(eq=False)
class Patience:
    """
    Wait for commits, for none of them longer than so many seconds; by one timer
    for all of them.
    """

    _clock: IReactorTime
    _seconds: float

    # Since they are all waited for equally long, the first one is due first;
    # some of them have come about.
    _waiting: deque[tuple[float, Deferred[Any]]] = field(factory=deque, init=False)
    # How many have not.
    _open: int = field(default=0, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)

    def wait(self, working: Deferred[T]) -> Deferred[T]:
        """
        Wait for one of them.

        :return: fires with it, or fails with
            :exc:`~micamsgr.errors.StoreUnavailable`; it may still come about.
        """
        result: Deferred[T] = Deferred()
        self._waiting.append((self._clock.seconds() + self._seconds, result))
        self._open += 1
        if self._call is None:
            self._call = self._clock.callLater(self._seconds, self._look)
        working.addBoth(self._settle, result)
        return result

    def _settle(self, outcome: T | Failure, result: Deferred[T]) -> None:
        if result.called:
            return
        self._closed()
        if isinstance(outcome, Failure):
            result.errback(outcome)
        else:
            result.callback(outcome)

    def _closed(self) -> None:
        self._open -= 1
        if not self._open:
            self._waiting.clear()
            if self._call is not None:
                self._call.cancel()
                self._call = None

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        while self._waiting:
            due, result = self._waiting[0]
            if due > now and not result.called:
                self._call = self._clock.callLater(due - now, self._look)
                break
            self._waiting.popleft()
            if not result.called:
                self._closed()
                result.errback(StoreUnavailable("the commit takes too long"))
