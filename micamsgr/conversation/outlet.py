"""
Whether a Page may send now.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field, frozen
from twisted.logger import Logger, LogLevel

from .events import BotName
from .outcomes import NeverSent, NotSent, Outcome, Sent
from .pacing import TokenBucket

# Seconds.
_SHORTEST_PAUSE = 5.0
_LONGEST_PAUSE = 900.0


@frozen
class Pause:
    """
    A time in which nothing is sent.

    :ivar length: how many seconds it was to last.
    :ivar until: when it ends, on the monotonic clock.
    """

    length: float
    until: float


def next_pause(named: float | None, last: Pause | None, now: float) -> Pause:
    """
    Decide how long to send nothing: for the time that was named, and twice as
    long as the last time; but at least 5 seconds, and at most 15 minutes,
    since nobody else says when the trouble is over.

    :param named: the seconds to wait, where somebody named them.
    :param last: the pause before, if nothing got through since.
    """
    doubled = 0.0 if last is None else last.length * 2.0
    length = min(_LONGEST_PAUSE, max(named or 0.0, _SHORTEST_PAUSE, doubled))
    return Pause(length, now + length)


@define(eq=False)
class Outlet:
    """
    One Page's way out: so many messages per second, and none while the Graph
    API refuses the Page as such, as with an expired token or at a rate limit.

    After a pause one message tries; only when it got through do the others
    follow.  What looks like the Page's trouble may be that of one
    conversation.  So another one tries before those that failed; and if it
    gets through, these are set aside: each of them has a pause of its own,
    and its failures no longer concern the Page.

    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _trial: for how many seconds the others wait for the one that tries,
        and those that failed for others to try.
    :ivar _reopened: called when a pause is over.
    """

    _bot: BotName
    _ticks: Callable[[], float]
    _rate: float
    _trial: float
    _reopened: Callable[[], None]

    _bucket: TokenBucket = field(init=False)
    # The Page's, until a message got through.
    _pause: Pause | None = field(default=None, init=False)
    # When the first message after that pause began to try.
    _tried: float | None = field(default=None, init=False)
    # The conversations that failed since each had a chance to try, and how.
    _suspects: dict[int, NotSent] = field(factory=dict, init=False)
    # The conversations that failed while others got through.
    _aside: dict[int, Pause] = field(factory=dict, init=False)
    # When a message last got through.
    _sent: float | None = field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._bucket = TokenBucket(self._rate)

    @property
    def open(self) -> bool:
        """Whether the last message that tells of the Page got through."""
        return self._pause is None

    def paused(self, conversation: int) -> float:
        """
        Count the seconds for which nothing may be sent in a conversation.
        """
        own = self._aside.get(conversation)
        until = 0.0 if own is None else own.until
        if self._pause is not None:
            behind = self._trial if conversation in self._suspects else 0.0
            until = max(until, self._pause.until + behind)
        return max(0.0, until - self._ticks())

    def sent_within(self, seconds: float) -> bool:
        """
        Say whether a message got through in the last *seconds*.
        """
        return self._sent is not None and self._ticks() - self._sent <= seconds

    def take(self, conversation: int) -> bool:
        """
        Take leave to send at once, if it may be had.
        """
        return (
            self.open
            and self.paused(conversation) <= 0.0
            and self._bucket.take(self._ticks())
        )

    def reserve(self, conversation: int) -> float:
        """
        Take leave to send in a conversation that is not paused; or, after the
        Page's pause, to be the one that tries.

        :return: the seconds to wait before; none for the one that tries.
        """
        now = self._ticks()
        wait = self._bucket.reserve(now)
        if self._pause is None:
            return wait
        self._pause = evolve(self._pause, until=now + self._trial)
        if self._tried is None:
            self._tried = now
        if conversation in self._suspects:
            # All others had their chance, and have it again after this one.
            self._suspects.clear()
        return 0.0

    def note(self, conversation: int, outcome: Outcome, begun: float) -> None:
        """
        Learn from what came of an attempt.

        :param begun: when it began, on the monotonic clock.  What was in
            flight when the pause began tells nothing of its end.
        """
        if isinstance(outcome, Sent):
            self._sent = self._ticks()
        tried = self._tried is not None and begun >= self._tried
        if isinstance(outcome, NotSent) and outcome.pause:
            if self._pause is not None and not tried:
                until = next_pause(outcome.rest, None, self._ticks()).until
                self._pause = evolve(self._pause, until=max(self._pause.until, until))
            elif self.open and conversation in self._aside:
                self._set_aside(conversation, outcome)
            else:
                self._shut(conversation, outcome)
        elif isinstance(outcome, (Sent, NeverSent)):
            self._aside.pop(conversation, None)
            if tried:
                self._reopen()

    def _shut(self, conversation: int, outcome: NotSent) -> None:
        self._pause = next_pause(outcome.rest, self._pause, self._ticks())
        self._tried = None
        self._suspects[conversation] = outcome
        self._log.emit(
            LogLevel.error if outcome.alarm else LogLevel.warn,
            "nothing is sent for bot {bot} for {rest:.0f} s: {detail}",
            bot=self._bot,
            rest=self._pause.length,
            detail=outcome.detail,
        )

    def _reopen(self) -> None:
        self._log.info("sending goes on for bot {bot}", bot=self._bot)
        self._pause = self._tried = None
        long_ago = self._ticks() - _LONGEST_PAUSE
        for conversation, own in list(self._aside.items()):
            if own.until < long_ago:
                del self._aside[conversation]
        for conversation, outcome in self._suspects.items():
            self._set_aside(conversation, outcome)
        self._suspects.clear()
        self._reopened()

    def _set_aside(self, conversation: int, outcome: NotSent) -> None:
        own = next_pause(outcome.rest, self._aside.get(conversation), self._ticks())
        self._aside[conversation] = own
        self._log.emit(
            LogLevel.error if outcome.alarm else LogLevel.warn,
            "nothing is sent in conversation {conversation} of {bot} for"
            " {rest:.0f} s, while others get through: {detail}",
            conversation=conversation,
            bot=self._bot,
            rest=own.length,
            detail=outcome.detail,
        )
