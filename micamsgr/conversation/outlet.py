"""
Whether a Page may send now.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.logger import Logger

from .events import BotName
from .pacing import TokenBucket
from .parts import NeverSent, NotSent, Outcome, Sent

# Seconds.
_SHORTEST_PAUSE = 5.0
_LONGEST_PAUSE = 900.0


@define(eq=False)
class Outlet:
    """
    One Page's way out: so many messages per second, and none while the Graph
    API refuses the Page as such, as with an expired token or at a rate limit.

    After a pause one message tries; only when it got through do the others
    follow.

    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _trial: for how many seconds the others wait for the one that tries.
    :ivar _reopened: called when a pause is over.
    """

    _bot: BotName
    _ticks: Callable[[], float]
    _rate: float
    _trial: float
    _reopened: Callable[[], None]

    _bucket: TokenBucket = field(init=False)
    # How long the last pause was, and 0 once a message got through.
    _pause: float = field(default=0.0, init=False)
    _until: float = field(default=0.0, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._bucket = TokenBucket(self._rate)

    def paused(self) -> float:
        """
        Count the seconds for which nothing may be sent.
        """
        return max(0.0, self._until - self._ticks()) if self._pause else 0.0

    def take(self) -> bool:
        """
        Take leave to send at once, if it may be had.
        """
        return not self._pause and self._bucket.take(self._ticks())

    def reserve(self) -> float:
        """
        Take leave to send.

        :return: the seconds to wait before.
        """
        if self._pause:
            self._until = self._ticks() + self._trial
        return self._bucket.reserve(self._ticks())

    def note(self, outcome: Outcome) -> None:
        """
        Learn from what came of an attempt.
        """
        if isinstance(outcome, NotSent) and outcome.pause:
            doubled = min(_LONGEST_PAUSE, self._pause * 2.0)
            self._pause = max(outcome.rest or 0.0, doubled, _SHORTEST_PAUSE)
            self._until = self._ticks() + self._pause
            log = self._log.error if outcome.alarm else self._log.warn
            log(
                "nothing is sent for bot {bot} for {rest:.0f} s: {detail}",
                bot=self._bot,
                rest=self._pause,
                detail=outcome.detail,
            )
        elif isinstance(outcome, (Sent, NeverSent)) and self._pause:
            self._log.info("sending goes on for bot {bot}", bot=self._bot)
            self._pause = self._until = 0.0
            self._reopened()
