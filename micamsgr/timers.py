"""
Timers that are hardly ever heard: deadlines of calls, and of what waits for the
next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@define(eq=False)
class _Ring:
    """
    What is to be called after the same delay: the first one is due first.

    :ivar alive: how many of them were not canceled.
    """

    clock: IReactorTime
    delay: float
    emptied: Callable[[float], object]
    waiting: deque[SharedCall] = field(factory=deque, init=False)
    alive: int = field(default=0, init=False)
    call: IDelayedCall | None = field(default=None, init=False)

    def add(self, called: Callable[[], object]) -> SharedCall:
        made = SharedCall(self, self.clock.seconds() + self.delay, called)
        self.waiting.append(made)
        self.alive += 1
        if self.call is None:
            self.call = self.clock.callLater(self.delay, self.look)
        return made

    def leave(self) -> None:
        """
        Have one less.
        """
        self.alive -= 1
        if not self.alive:
            self.waiting.clear()
            self.emptied(self.delay)
            if self.call is not None:
                self.call.cancel()
                self.call = None

    def look(self) -> None:
        """
        Call what is due.
        """
        self.call = None
        now = self.clock.seconds()
        due: list[Callable[[], object]] = []
        while self.waiting:
            first = self.waiting[0]
            if first.called is not None:
                if first.time > now:
                    self.call = self.clock.callLater(first.time - now, self.look)
                    break
                due.append(first.end())
            self.waiting.popleft()
        if not self.waiting:
            self.emptied(self.delay)
        for called in due:
            # What one of them raises is not the others' concern.
            self.clock.callLater(0.0, called)


@define(eq=False)
class SharedCall:
    """
    Something that is to be called.

    :ivar time: when, by the clock's seconds.
    :ivar called: ``None`` once it was, or was canceled.
    """

    _ring: _Ring
    time: float
    called: Callable[[], object] | None
    _canceled: bool = field(default=False, init=False)

    def active(self) -> bool:
        """See :class:`~twisted.internet.interfaces.IDelayedCall`."""
        return self.called is not None

    def cancel(self) -> None:
        """See :class:`~twisted.internet.interfaces.IDelayedCall`."""
        if self.called is None:
            raise AlreadyCancelled() if self._canceled else AlreadyCalled()
        # It stays in its place, and holds nothing.
        self.called, self._canceled = None, True
        self._ring.leave()

    def end(self) -> Callable[[], object]:
        """
        Give what is to be called now.
        """
        assert self.called is not None
        called, self.called = self.called, None
        self._ring.alive -= 1
        return called


@implementer(IReactorTime)
@define(eq=False)
class SharedTimers:
    """
    A clock with one timer for all that is to be called after the same delay.

    Each call has two deadlines, and nearly all of them are canceled: of the reactor's
    own timers each is put in order among all others, and taken out again.

    :ivar _clock: usually the reactor.
    """

    _clock: IReactorTime
    _rings: dict[float, _Ring] = field(factory=dict, init=False)

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(  # type: ignore[override]
        self,
        delay: float,
        callable: Callable[..., Any],
        *arguments: object,
        **named: object,
    ) -> SharedCall:
        """
        See :class:`~twisted.internet.interfaces.IReactorTime`; what comes back can
        be canceled, but not put off.
        """
        ring = self._rings.get(delay)
        if ring is None:
            ring = self._rings[delay] = _Ring(self._clock, delay, self._rings.pop)
        if not arguments and not named:
            return ring.add(callable)
        return ring.add(lambda: callable(*arguments, **named))

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self._clock.getDelayedCalls()
