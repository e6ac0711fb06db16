"""
Whether an endpoint is to be asked now, after what came of asking it before.

Functions decide, over what is known and the time; :class:`Breaker` holds what
is known.  Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from attrs import define, evolve, field, frozen
from twisted.logger import Logger, LogLevel

from .health import WITNESSES, Health, Recent, Witnesses, noted

# For how many seconds it is then left alone: twice as long each time.
_FIRST_REST = 5.0
_LONGEST_REST = 60.0
# The longest that it may ask for itself.
_LONGEST_NAMED = 900.0

# Once it may be asked by so many at the same time, it is well again.
_WELL = 128

# Those that are turned away come back at this rate, in calls per second, as
# far as that takes no more than so many seconds; a second later at least,
# while somebody tries.
_RETURNS = 25.0
_LONGEST_QUEUE = 300.0
_WHILE_ANOTHER_TRIES = 1.0

# For how many seconds more whoever failed last lets others try, if there are any.
_AFTER_YOU = 5.0


@frozen(kw_only=True)
class Closed:
    """
    The endpoint is asked.

    :ivar most: by how many at the same time, as long as it recovers; ``None``:
        by all.
    :ivar rest: for how many seconds it was left alone before; 0 once it is
        well.
    """

    recent: Recent = field(factory=Recent)
    most: int | None = None
    rest: float = 0.0


@frozen(kw_only=True)
class Open:
    """
    The endpoint is left alone; after that one call may try.

    :ivar until: on the monotonic clock, in seconds.
    :ivar rest: for how many seconds, but for the jitter.
    :ivar last: whose call failed last; ``None`` where their words can't be the
        cause.
    :ivar recent: of what came of calls, ``denied`` and ``distrusted`` count.
    """

    until: float
    rest: float
    last: Hashable | None = None
    recent: Recent = field(factory=Recent)

    @property
    def denied(self) -> Witnesses:
        """See :class:`Recent`."""
        return self.recent.denied

    def blames(self, asker: Hashable, now: float) -> bool:
        """
        Say whether it may be the words of *asker* that failed.
        """
        distrusted = dict(self.recent.distrusted).get(asker, now)
        return asker in (self.last, *self.denied) or distrusted > now


State = Closed | Open


def takes_none(health: Health, denied: Witnesses) -> bool:
    """
    Say whether somebody must act before the endpoint takes a call again.

    :param health: what came of the last call.
    :param denied: see :class:`Recent`; with that call.
    """
    if health is Health.DENIED:
        return len(denied) >= WITNESSES
    return health is Health.LOCKED


def most_at_once(state: State, now: float) -> int | None:
    """
    Say how many calls there may be at the same time; ``None``: any number.
    """
    if isinstance(state, Closed):
        return state.most
    return 0 if now < state.until else 1


def gives_way(state: State, asker: Hashable, others: bool, now: float) -> float | None:
    """
    Say until when *asker* leaves it to others to try; ``None``: need not.

    The words of whoever failed last, or was denied, as others were not, may be
    the cause.  If only these tried, nobody would learn that the endpoint is well.

    :param others: whether others wait to try.
    """
    if isinstance(state, Closed) or not others or not state.blames(asker, now):
        return None
    until = state.until + _AFTER_YOU
    return until if now < until else None


def after_call(
    state: State,
    health: Health,
    named: float | None,
    asker: Hashable,
    now: float,
    jitter: float,
) -> State:
    """
    Conclude from what came of a call that was allowed in *state*.

    :param asker: who made it.
    :param named: the seconds for which the endpoint asked to be left alone.
    :param jitter: from 0.0 to 1.0, by which the rest is shortened to as little
        as three quarters, so that many do not come back together.
    """
    recent = state.recent
    if health is not Health.LOCKED:
        recent = noted(recent, health, asker, now)
    known = Recent(denied=recent.denied, distrusted=recent.distrusted)
    if takes_none(health, recent.denied):
        wait = _LONGEST_REST * (1.0 - jitter / 4.0)
        # Should it be for what that one wrote after all, another finds out.
        return Open(until=now + wait, rest=_LONGEST_REST, last=asker, recent=known)
    failed = health is not Health.WELL
    if failed and (isinstance(state, Open) or recent.bad):
        rest = min(_LONGEST_REST, max(_FIRST_REST, state.rest * 2.0))
        wait = max(rest * (1.0 - jitter / 4.0), min(named or 0.0, _LONGEST_NAMED))
        last = None if health is Health.AWAY else asker
        return Open(until=now + wait, rest=rest, last=last, recent=known)
    if isinstance(state, Open):
        return Closed(most=2, rest=state.rest, recent=known)
    if failed or state.most is None:
        # What evolve() does takes three times as long, and this is each call's.
        return Closed(recent=recent, most=state.most, rest=state.rest)
    if state.most * 2 > _WELL:
        return Closed(recent=recent)
    return evolve(state, recent=recent, most=state.most * 2)


@frozen
class Entered:
    """
    A call that was begun.
    """

    asker: Hashable
    era: int


@define(eq=False)
class Breaker:
    """
    Keep calls from an endpoint that can't answer, and from all coming at once
    when it can again.

    It is left alone after five failures in a row, or if of twenty calls or
    more in half a minute half have failed: for 5 seconds, and twice as long
    each time, up to a minute.  These failures must be of three askers, or as
    many of them of calls that did not reach it: what one person's words cause
    is that one's trouble, and to ask more seldom is for the caller.  Then one
    call tries, if there is a choice not of whoever failed last.  If that
    succeeds two may be under way at the same time, and with each success twice
    as many, until there is no limit.  An endpoint that takes no call at all, as
    with a wrong key, is left alone at once, and somebody is told; where it may
    be that it did not like one call only, that is once it has denied calls of
    three askers, and taken none meanwhile; and those three count no more for an
    hour, once another's call was taken.

    :ivar _host: names the endpoint in the log, with *_model*.
    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _random: makes a number from 0.0 to 1.0.
    """

    _host: str
    _model: str
    _ticks: Callable[[], float]
    _random: Callable[[], float]

    _state: State = field(factory=Closed, init=False)
    # Counts how often the endpoint was left alone, or asked again.  What was
    # under way at the time tells nothing of what came after.
    _era: int = field(default=0, init=False)
    # How many calls are under way that began in this era.
    _under_way: int = field(default=0, init=False)
    # Until when those that were turned away have a time to come back.
    _booked: float = field(default=0.0, init=False)
    # Whether it turned others away than whose call failed last.
    _others: bool = field(default=False, init=False)
    _alarmed: bool = field(default=False, init=False)

    _log = Logger()

    @property
    def shut(self) -> bool:
        """
        Whether the endpoint is left alone now, or one call only tries it.

        Not where one may try and nobody does: without anything to ask, nobody
        finds out whether it is well again.
        """
        if not isinstance(self._state, Open):
            return False
        return self._under_way > 0 or self._ticks() < self._state.until

    @property
    def left_alone(self) -> float | None:
        """For how many seconds nobody is to ask; ``None``: it is asked."""
        state = self._state
        if isinstance(state, Closed):
            return None
        return max(0.0, state.until - self._ticks())

    def enter(self, asker: Hashable) -> Entered | None:
        """
        Begin a call, if one may begin now.

        :param asker: the same value for the same person; not ``None``.

        :return: what :meth:`leave` is to be given; ``None`` where none may.
        """
        now, state = self._ticks(), self._state
        most = most_at_once(state, now)
        if most is not None and self._under_way >= most:
            if isinstance(state, Open) and not state.blames(asker, now):
                self._others = True
            return None
        if gives_way(state, asker, self._others, now) is not None:
            return None
        self._under_way += 1
        return Entered(asker, self._era)

    def leave(
        self,
        entered: Entered,
        health: Health | None,
        named: float | None = None,
        detail: str = "",
    ) -> None:
        """
        End a call.

        :param health: ``None`` where nobody knows, as the call was canceled.
        :param named: see :func:`after_call`.
        :param detail: why it failed, for the log.
        """
        if entered.era != self._era:
            return
        self._under_way -= 1
        if health is None:
            return
        now, before = self._ticks(), self._state
        state = self._state = after_call(
            before, health, named, entered.asker, now, self._random()
        )
        if isinstance(state, Open) or isinstance(before, Open):
            self._era += 1
            self._under_way = 0
            self._others = False
            self._tell(before, state, health, now, detail)

    def try_again(self) -> None:
        """
        Let the next call try, at once and whosever it is.
        """
        if isinstance(self._state, Open):
            until = min(self._state.until, self._ticks())
            self._state = evolve(self._state, until=until)
            self._others = False

    def wait(self, asker: Hashable) -> float | None:
        """
        Find when somebody who was turned away may come back: one after the
        other, and not before the endpoint is asked again.

        :return: in how many seconds; ``None`` where there is nothing to wait
            for.
        """
        now, state = self._ticks(), self._state
        if isinstance(state, Open):
            later = gives_way(state, asker, self._others, now)
            if later is not None:
                # Not in the queue, or all who come after would wait as long.
                return later - now
            first = max(state.until, now)
            if self._under_way:
                first = now + _WHILE_ANOTHER_TRIES
        elif state.most is not None and self._under_way >= state.most:
            first = now + _WHILE_ANOTHER_TRIES
        else:
            return None
        place = max(first, self._booked) + self._random() * 2.0 / _RETURNS
        if place - first > _LONGEST_QUEUE:
            return first + self._random() * _LONGEST_QUEUE - now
        self._booked = place
        return place - now

    def _tell(
        self, before: State, state: State, health: Health, now: float, detail: str
    ) -> None:
        """
        Tell of what changed; that it goes on like this is only for debugging.
        """
        said = {"host": self._host, "model": self._model, "detail": detail}
        if isinstance(state, Closed):
            self._alarmed = False
            self._log.info(
                "{host} answers again, for {model}", event="llm.recovered", **said
            )
        elif takes_none(health, state.denied) and not self._alarmed:
            self._alarmed = True
            self._log.error(
                "{host} takes no call for {model}: {detail}; until that is done,"
                " it is tried about once in a minute",
                event="llm.locked",
                **said,
            )
        else:
            self._log.emit(
                LogLevel.warn if isinstance(before, Closed) else LogLevel.debug,
                "{host} is not asked for {model} for {seconds:.0f} s, as it fails:"
                " {detail}",
                event="llm.left_alone",
                seconds=state.until - now,
                **said,
            )
