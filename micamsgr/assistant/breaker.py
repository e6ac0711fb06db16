"""
Whether an endpoint is to be asked now, after what came of asking it before.

Functions decide, over what is known and the time; :class:`Breaker` holds what
is known.  Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import define, evolve, field, frozen
from twisted.logger import Logger

# An endpoint is ill after so many failures in a row, ...
_IN_A_ROW = 5
# ... or if of so many calls at least, in so many seconds, half have failed.
_ENOUGH = 20
_RECENTLY = 30

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


class Health(Enum):
    """
    What came of a call tells of the endpoint: it is WELL; it is ILL, and may
    recover; or it is LOCKED, and takes no call until somebody acts.
    """

    WELL = "well"
    ILL = "ill"
    LOCKED = "locked"


@frozen
class Recent:
    """
    What came of the calls of the last half a minute.

    :ivar row: how many of the last calls have failed, one after the other.
    :ivar seconds: of each second in which calls ended: which it was, how many
        calls, how many of them failed; at most 31, oldest first.
    """

    row: int = 0
    seconds: tuple[tuple[int, int, int], ...] = ()

    @property
    def bad(self) -> bool:
        """Whether the endpoint is to be left alone."""
        calls = sum(calls for _, calls, _ in self.seconds)
        failed = sum(failed for _, _, failed in self.seconds)
        return self.row >= _IN_A_ROW or (calls >= _ENOUGH and failed * 2 >= calls)


def noted(recent: Recent, failed: bool, now: float) -> Recent:
    """
    Add what came of a call.
    """
    second = int(now)
    kept = [each for each in recent.seconds if each[0] >= second - _RECENTLY]
    calls = failures = 0
    if kept and kept[-1][0] == second:
        _, calls, failures = kept.pop()
    kept.append((second, calls + 1, failures + failed))
    return Recent(recent.row + 1 if failed else 0, tuple(kept))


@frozen(kw_only=True)
class Closed:
    """
    The endpoint is asked.

    :ivar most: by how many at the same time, as long as it recovers; ``None``:
        by all.
    :ivar rest: for how many seconds it was left alone before; 0 once it is
        well.
    """

    recent: Recent = Recent()
    most: int | None = None
    rest: float = 0.0


@frozen(kw_only=True)
class Open:
    """
    The endpoint is left alone; after that one call may try.

    :ivar until: on the monotonic clock, in seconds.
    :ivar rest: for how many seconds, but for the jitter.
    """

    until: float
    rest: float


State = Closed | Open


def most_at_once(state: State, now: float) -> int | None:
    """
    Say how many calls there may be at the same time; ``None``: any number.
    """
    if isinstance(state, Closed):
        return state.most
    return 0 if now < state.until else 1


def after_call(
    state: State, health: Health, named: float | None, now: float, jitter: float
) -> State:
    """
    Conclude from what came of a call that was allowed in *state*.

    :param named: the seconds for which the endpoint asked to be left alone.
    :param jitter: from 0.0 to 1.0, by which the rest is shortened to as little
        as three quarters, so that many do not come back together.
    """
    if health is Health.LOCKED:
        return Open(
            until=now + _LONGEST_REST * (1.0 - jitter / 4.0), rest=_LONGEST_REST
        )
    recent = state.recent if isinstance(state, Closed) else Recent()
    recent = noted(recent, health is Health.ILL, now)
    if health is Health.ILL and (isinstance(state, Open) or recent.bad):
        rest = min(_LONGEST_REST, max(_FIRST_REST, state.rest * 2.0))
        wait = max(rest * (1.0 - jitter / 4.0), min(named or 0.0, _LONGEST_NAMED))
        return Open(until=now + wait, rest=rest)
    if isinstance(state, Open):
        return Closed(most=2, rest=state.rest)
    if health is Health.ILL or state.most is None:
        return evolve(state, recent=recent)
    if state.most * 2 > _WELL:
        return Closed(recent=recent)
    return evolve(state, recent=recent, most=state.most * 2)


@define(eq=False)
class Breaker:
    """
    Keep calls from an endpoint that can't answer, and from all coming at once
    when it can again.

    It is left alone after five failures in a row, or if of twenty calls or
    more in half a minute half have failed: for 5 seconds, and twice as long
    each time, up to a minute.  Then one call tries.  If that succeeds two may
    be under way at the same time, and with each success twice as many, until
    there is no limit.  An endpoint that takes no call at all, as with a wrong
    key, is left alone at once, and somebody is told.

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

    def enter(self) -> int | None:
        """
        Begin a call, if one may begin now.

        :return: what :meth:`leave` is to be given; ``None`` where none may.
        """
        most = most_at_once(self._state, self._ticks())
        if most is not None and self._under_way >= most:
            return None
        self._under_way += 1
        return self._era

    def leave(
        self,
        entered: int,
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
        if entered != self._era:
            return
        self._under_way -= 1
        if health is None:
            return
        now, before = self._ticks(), self._state
        state = self._state = after_call(before, health, named, now, self._random())
        if isinstance(state, Open) or isinstance(before, Open):
            self._era += 1
            self._under_way = 0
            self._tell(state, health, now, detail)

    def wait(self) -> float | None:
        """
        Find when somebody who was turned away may come back: one after the
        other, and not before the endpoint is asked again.

        :return: in how many seconds; ``None`` where there is nothing to wait
            for.
        """
        now, state = self._ticks(), self._state
        if isinstance(state, Open):
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

    def _tell(self, state: State, health: Health, now: float, detail: str) -> None:
        said = {"host": self._host, "model": self._model, "detail": detail}
        if isinstance(state, Closed):
            self._alarmed = False
            self._log.info("{host} answers again, for {model}", **said)
        elif health is Health.LOCKED and not self._alarmed:
            self._alarmed = True
            self._log.error(
                "{host} takes no call for {model}: {detail}; until that is done,"
                " it is tried about once in a minute",
                **said,
            )
        else:
            self._log.warn(
                "{host} is not asked for {model} for {seconds:.0f} s, as it fails:"
                " {detail}",
                seconds=state.until - now,
                **said,
            )
