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
    # When the first message after that pause began to try.
    _tried: float | None = field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._bucket = TokenBucket(self._rate)

    @property
    def open(self) -> bool:
        """Whether the last message that tells of it got through."""
        return not self._pause

    def paused(self) -> float:
        """
        Count the seconds for which nothing may be sent.
        """
        return max(0.0, self._until - self._ticks()) if self._pause else 0.0

    def take(self) -> bool:
        """
        Take leave to send at once, if it may be had.
        """
        return self.open and self._bucket.take(self._ticks())

    def reserve(self) -> float:
        """
        Take leave to send; or, after a pause, to be the one that tries.

        :return: the seconds to wait before; none for the one that tries.
        """
        now = self._ticks()
        wait = self._bucket.reserve(now)
        if self.open:
            return wait
        self._until = now + self._trial
        if self._tried is None:
            self._tried = now
        return 0.0

    def note(self, outcome: Outcome, begun: float) -> None:
        """
        Learn from what came of an attempt.

        :param begun: when it began, on the monotonic clock.  What was in
            flight when the pause began tells nothing of its end.
        """
        tried = self._tried is not None and begun >= self._tried
        if isinstance(outcome, NotSent) and outcome.pause:
            rest = max(outcome.rest or 0.0, _SHORTEST_PAUSE)
            if self.open or tried:
                self._shut(outcome, max(rest, min(_LONGEST_PAUSE, self._pause * 2.0)))
            else:
                self._until = max(self._until, self._ticks() + rest)
        elif isinstance(outcome, (Sent, NeverSent)) and tried:
            self._log.info("sending goes on for bot {bot}", bot=self._bot)
            self._pause, self._tried = 0.0, None
            self._reopened()

    def _shut(self, outcome: NotSent, pause: float) -> None:
        self._pause, self._tried = pause, None
        self._until = self._ticks() + pause
        log = self._log.error if outcome.alarm else self._log.warn
        log(
            "nothing is sent for bot {bot} for {rest:.0f} s: {detail}",
            bot=self._bot,
            rest=pause,
            detail=outcome.detail,
        )
