"""
Whether a Page may send now.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field, frozen
from twisted.logger import Logger, LogLevel

from .events import BotName
from .outcomes import NeverSent, NotSent, Outcome, Sent
from .pacing import Pressure, TokenBucket

# Seconds.
_SHORTEST_PAUSE = 5.0
_LONGEST_PAUSE = 900.0
# While the Graph API can't be reached: to try costs nobody anything.
_LONGEST_AWAY = 15.0

# So many attempts in a row that reach nobody are no single mishap.
_UNREACHED = 3

# Who has to wait longer for the rate is not kept at work, in seconds.
_SHORT_WAIT = 2.0

# For so many seconds a limit counts as being as near as was told of it, or as
# it was when a rest from it began.
_REMEMBERED = 300.0

# What is slowed down where the operator has set no limit, in messages per
# second.
# Source: docs/messenger-platform.md, section 5.2.
_CEILING = 40.0


@frozen
class Pause:
    """
    A time in which nothing is sent.

    :ivar length: how many seconds it was to last.
    :ivar until: when it ends, on the monotonic clock.
    """

    length: float
    until: float


def next_pause(outcome: NotSent, last: Pause | None, now: float) -> Pause:
    """
    Decide how long to send nothing: for the time that was named, and twice as
    long as the last time; but at least 5 seconds, and at most 15 minutes, or
    15 seconds where nobody was reached, since nobody else says when the trouble
    is over.

    :param last: the pause before, if nothing got through since.
    """
    doubled = 0.0 if last is None else last.length * 2.0
    longest = _LONGEST_AWAY if outcome.away else _LONGEST_PAUSE
    length = min(longest, max(outcome.rest or 0.0, _SHORTEST_PAUSE, doubled))
    return Pause(length, now + length)


@frozen
class _Told:
    """
    A limit that was told of.

    :ivar rested: when messages may be sent again.
    :ivar until: when it is forgotten.
    """

    pressure: Pressure
    rested: float
    until: float


@define(eq=False)
class Outlet:
    """
    One Page's way out: so many messages per second, fewer while a limit of the
    Graph API is near, and none while that is reached, or while the Graph API
    refuses the Page as such, as with an expired token, or is not reached.

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
    # Whether somebody must act to end it.
    _alarm: bool = field(default=False, init=False)
    # Why there is one, and whether it is that nobody was reached.
    _why: str = field(default="", init=False)
    _away: bool = field(default=False, init=False)
    # When the first message after that pause began to try.
    _tried: float | None = field(default=None, init=False)
    # The conversations that failed since each had a chance to try, and how.
    _suspects: dict[int, NotSent] = field(factory=dict, init=False)
    # When these may try, at the latest: however long others try in vain.
    _turn: float = field(default=0.0, init=False)
    # The conversations that failed while others got through.
    _aside: dict[int, Pause] = field(factory=dict, init=False)
    # How many attempts in a row reached nobody.
    _unreached: int = field(default=0, init=False)
    # Whether another one, whose place it took, was paused to the end.
    _inherited: bool = field(default=False, init=False)
    # When a message last got through.
    _sent: float | None = field(default=None, init=False)
    # The limits that were told of, by their source.
    _told: dict[str, _Told] = field(factory=dict, init=False)
    # Of conversations that wait for the rate: when each may send.
    _places: dict[int, float] = field(factory=dict, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._bucket = TokenBucket(self._rate)

    @property
    def open(self) -> bool:
        """
        Whether the last message that tells of the Page got through, and no
        limit is reached.
        """
        return self._pause is None and self._rested() <= self._ticks()

    @property
    def alarmed(self) -> bool:
        """
        Whether nothing is sent until somebody acts, as far as is known: no
        message got through since the Graph API refused the Page as such.
        """
        return self._pause is not None and self._alarm

    @property
    def away(self) -> bool:
        """Whether nothing is sent since the Graph API was not reached."""
        return self._pause is not None and self._away

    @property
    def stopped(self) -> tuple[float, str] | None:
        """
        For how many seconds nothing is sent, and why; 0.0 where that is until
        a message gets through.  ``None``: it is sent, or nobody is there who
        could try whether it is.
        """
        now = self._ticks()
        if self._pause is not None and (self._alarm or self._pause.until > now):
            return max(0.0, self._pause.until - now), self._why
        last = max(self._told.values(), key=lambda told: told.rested, default=None)
        if last is None or last.rested <= now:
            return None
        return last.rested - now, last.pressure.detail

    def paused(self, conversation: int) -> float:
        """
        Count the seconds for which nothing may be sent in a conversation.
        """
        own = self._aside.get(conversation)
        until = 0.0 if own is None else own.until
        if self._pause is not None:
            suspect = conversation in self._suspects
            until = max(until, self._turn if suspect else self._pause.until)
        until = max(until, self._rested(), self._places.get(conversation, 0.0))
        return max(0.0, until - self._ticks()) if until > 0.0 else 0.0

    def replace(self, before: Outlet) -> None:
        """
        Take the place of another one.  What stopped that does not stop this
        one; that something got through again is told all the same.
        """
        self._inherited = before._inherited or not before.open

    def change(self, rate: float, trial: float) -> None:
        """
        Send so many messages per second from now on, and give the one that
        tries so many seconds.  What stops it stops it still.
        """
        self._trial = trial
        if rate == self._rate:
            return
        self._rate = rate
        # They were given out at the other rate.
        self._places.clear()
        self._keep_pace()
        self._reopened()

    def try_again(self, conversation: int) -> None:
        """
        Let a conversation be the one that tries, and at once.  A limit that was
        reached is kept.
        """
        self._aside.pop(conversation, None)
        self._suspects.pop(conversation, None)
        if self._pause is not None:
            until = min(self._pause.until, self._ticks())
            self._pause = evolve(self._pause, until=until)

    def sent_within(self, seconds: float) -> bool:
        """
        Say whether a message got through in the last *seconds*.
        """
        return self._sent is not None and self._ticks() - self._sent <= seconds

    def take(self, conversation: int) -> bool:
        """
        Take leave to send at once, if it may be had.
        """
        self._keep_pace()
        return (
            self.open
            and self.paused(conversation) <= 0.0
            and self._bucket.take(self._ticks())
        )

    def reserve(self, conversation: int) -> float | None:
        """
        Take leave to send in a conversation that is not paused; or, after the
        Page's pause, to be the one that tries.

        :return: the seconds to wait before, few; none for the one that tries.
            ``None`` where that would be long: it is paused meanwhile.
        """
        now = self._ticks()
        self._keep_pace()
        if self._places.pop(conversation, None) is not None:
            wait = 0.0
        else:
            wait = self._bucket.reserve(now)
        if self._pause is None:
            if wait > _SHORT_WAIT:
                self._give_place(conversation, now + wait)
                return None
            return wait
        self._pause = evolve(self._pause, until=now + self._trial)
        if self._tried is None:
            self._tried = now
        if conversation in self._suspects:
            # All others had their chance, and have it again after this one.
            self._suspects.clear()
        return 0.0

    def _give_place(self, conversation: int, at: float) -> None:
        # The earliest is the first; of who has not come nobody knows whether
        # there is still something to send.
        long_ago = self._ticks() - _REMEMBERED
        while self._places:
            first = next(iter(self._places))
            if self._places[first] > long_ago:
                break
            del self._places[first]
        self._places[conversation] = at

    def press(self, pressure: Pressure) -> None:
        """
        Learn how near a limit is.
        """
        now = self._ticks()
        before = self._told.get(pressure.source)
        rested = now + pressure.rest
        until = rested + _REMEMBERED
        if pressure.share >= 1.0 and pressure.rest <= 0.0:
            self._told.pop(pressure.source, None)
        else:
            self._told[pressure.source] = _Told(pressure, rested, until)
        self._tell(pressure, None if before is None else before.pressure)
        if pressure.rest > 0.0:
            # They would all come at once when it is over.
            self._places.clear()
            self._bucket.change(self._bucket.rate, now)
        self._keep_pace()
        if before is not None and before.rested > now and self._rested() <= now:
            self._reopened()

    def _rested(self) -> float:
        """
        Tell when no limit is reached any more.
        """
        return max((told.rested for told in self._told.values()), default=0.0)

    def _keep_pace(self) -> None:
        """
        Take the rate that the limits allow.
        """
        if not self._told and self._bucket.rate == self._rate:
            return
        now = self._ticks()
        for source, told in list(self._told.items()):
            if told.until <= now:
                del self._told[source]
        share = min((told.pressure.share for told in self._told.values()), default=1.0)
        rate = self._rate if share >= 1.0 else (self._rate or _CEILING) * share
        if rate == self._bucket.rate:
            return
        faster = rate > self._bucket.rate > 0.0 or rate == 0.0
        self._bucket.change(rate, now)
        if faster and self._places:
            self._places.clear()
            self._reopened()

    def _tell(self, pressure: Pressure, before: Pressure | None) -> None:
        """
        Log what changes for people.
        """
        share = 1.0 if before is None else before.share
        if pressure.rest > 0.0 and (before is None or before.rest <= 0.0):
            self._log.warn(
                "nothing is sent for bot {bot} for {rest:.0f} s, to keep a limit:"
                " {detail}",
                event="sending.limited",
                bot=self._bot,
                rest=pressure.rest,
                detail=pressure.detail,
            )
        elif (pressure.share < 1.0) != (share < 1.0):
            self._log.info(
                "bot {bot} sends at {percent:.0f} % of its rate: {detail}",
                event="sending.slowed",
                bot=self._bot,
                percent=pressure.share * 100.0,
                detail=pressure.detail,
            )

    def note(self, conversation: int, outcome: Outcome, begun: float) -> None:
        """
        Learn from what came of an attempt.

        :param begun: when it began, on the monotonic clock.  What was in
            flight when the pause began tells nothing of its end.
        """
        if isinstance(outcome, Sent):
            self._sent = self._ticks()
            if self._inherited:
                self._inherited = False
                self._tell_resumed()
        tried = self._tried is not None and begun >= self._tried
        away = isinstance(outcome, NotSent) and outcome.away
        self._unreached = self._unreached + 1 if away else 0
        if isinstance(outcome, NotSent) and outcome.away:
            if tried or (self._pause is None and self._unreached >= _UNREACHED):
                self._shut(outcome)
        elif isinstance(outcome, NotSent) and outcome.pause:
            if self._pause is not None and not tried:
                self._alarm = self._alarm or outcome.alarm
                until = next_pause(outcome, None, self._ticks()).until
                self._pause = evolve(self._pause, until=max(self._pause.until, until))
                self._turn = max(self._turn, until + self._trial)
            elif self._pause is None and conversation in self._aside:
                self._set_aside(conversation, outcome)
            else:
                self._suspects[conversation] = outcome
                self._shut(outcome)
        elif isinstance(outcome, (Sent, NeverSent)):
            self._aside.pop(conversation, None)
            if tried:
                self._reopen()

    def _shut(self, outcome: NotSent) -> None:
        self._inherited = False
        # What was refused before it was out of reach is refused still.
        if self._pause is None or not outcome.away:
            self._alarm, self._why = outcome.alarm, outcome.detail
        self._away = outcome.away
        self._pause = next_pause(outcome, self._pause, self._ticks())
        self._turn = self._pause.until + self._trial
        self._tried = None
        self._log.emit(
            LogLevel.error if outcome.alarm else LogLevel.warn,
            "nothing is sent for bot {bot} for {rest:.0f} s: {detail}",
            event="sending.paused",
            bot=self._bot,
            rest=self._pause.length,
            detail=outcome.detail,
        )

    def _reopen(self) -> None:
        self._tell_resumed()
        self._pause = self._tried = None
        long_ago = self._ticks() - _LONGEST_PAUSE
        for conversation, own in list(self._aside.items()):
            if own.until < long_ago:
                del self._aside[conversation]
        for conversation, outcome in self._suspects.items():
            self._set_aside(conversation, outcome)
        self._suspects.clear()
        self._reopened()

    def _tell_resumed(self) -> None:
        self._log.info(
            "sending goes on for bot {bot}", event="sending.resumed", bot=self._bot
        )

    def _set_aside(self, conversation: int, outcome: NotSent) -> None:
        own = next_pause(outcome, self._aside.get(conversation), self._ticks())
        self._aside[conversation] = own
        self._log.emit(
            LogLevel.error if outcome.alarm else LogLevel.warn,
            "nothing is sent in conversation {conversation} of {bot} for"
            " {rest:.0f} s, while others get through: {detail}",
            event="sending.set_aside",
            conversation=conversation,
            bot=self._bot,
            rest=own.length,
            detail=outcome.detail,
        )
