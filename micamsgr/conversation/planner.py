"""
What a conversation needs next, as a function of what is stored and the time.
"""

from __future__ import annotations

from attrs import field, frozen

from . import parts
from .events import Conversation
from .moment import Moment, Tick
from .parts import Do, Kind, Part
from .policy import Delivery, Manners
from .states import PartState, TurnState

# Meta lets a Page answer for 24 hours; the last minutes are left alone, since
# a call may take its time and clocks differ.
# Source: docs/messenger-platform.md, section 6.
WINDOW = 24 * 3600 * 1000 - 10 * 60 * 1000


@frozen(kw_only=True)
class Turn:
    """
    The answer to some events of one conversation, while it is being made.

    :ivar began: milliseconds, by Meta's clock, when the oldest of its events
        was received.
    :ivar tries: how often the LLM was asked in vain.
    :ivar why: the last time was in vain.
    :ivar rest: the LLM is not to be asked before.
    :ivar apologized: the person was told, or is being told, that the answer
        is late.
    :ivar trace: by what the log names what it answers.
    """

    id: int
    state: TurnState
    began: int
    tries: int = 0
    why: str | None = None
    rest: Tick | None = None
    apologized: bool = False
    trace: str = field(default="", eq=False)


@frozen(kw_only=True)
class Situation:
    """
    All that is stored of a conversation's unfinished business.

    :ivar heard: when the person last did what opens Meta's window, in
        milliseconds by Meta's clock.
    :ivar turn: the one turn that is open, if any.
    :ivar parts: the open parts, in the order in which they are to be sent.
    :ivar waiting: when the oldest of the events was received that wait for a
        turn, in milliseconds by Meta's clock; ``None``: none does.
    :ivar farewell: the notice after which the thread is passed on, by its ID;
        ``None``: it is not to be, or has been.
    :ivar trace: by what the log names what is answered, or is to be next.
    """

    id: int
    conversation: Conversation
    heard: int
    turn: Turn | None = None
    parts: tuple[Part, ...] = field(default=())
    waiting: int | None = None
    farewell: str | None = None
    trace: str = field(default="", eq=False)


@frozen
class Begin:
    """Open a turn over all the pending events, and ask the assistant."""


@frozen
class Generate:
    """Ask the assistant again, for a turn that rested."""

    turn: Turn


@frozen
class Apologize:
    """Tell the person that the answer is late."""


@frozen
class Fail:
    """Give a turn up, and say so to the person."""

    turn: Turn
    reason: str


@frozen
class Lapse:
    """
    Give up in silence what wants an answer: there is no way to give one.
    """

    reason: str


@frozen
class Send:
    """Send a part."""

    part: Part


@frozen
class LookUp:
    """Look up whether a part was sent."""

    part: Part


@frozen
class Change:
    """Write down what has become of a part."""

    part: Part
    after: Part


@frozen
class Wait:
    """
    Nothing can be done for so many seconds, unless something happens.
    """

    seconds: float


@frozen
class Rest:
    """There is nothing to do."""


@frozen
class Hunger:
    """
    There is a turn to answer, but none of the assistant's slots is free.

    :ivar seconds: until something is to be done nevertheless; ``None``: never.
    """

    seconds: float | None


Step = (
    Begin
    | Generate
    | Apologize
    | Fail
    | Lapse
    | Send
    | LookUp
    | Change
    | Hunger
    | Wait
    | Rest
)


def next_step(
    situation: Situation,
    now: Moment,
    delivery: Delivery,
    manners: Manners,
    paused: float = 0.0,
    queued: float = 0.0,
    *,
    slot: bool = True,
) -> Step:
    """
    Decide what to do next in a conversation.

    Parts leave in order: what is behind an unfinished answer, or an operator's
    words, waits, while a notice in doubt holds nothing up, and an apology never
    does.

    :param paused: for so many seconds nothing may be sent for this Page.
    :param queued: for so many seconds others are looked up.
    :param slot: the assistant may be asked now.
    """
    too_late = closed(situation, now)
    waits: list[float] = []
    look_up: LookUp | None = None
    for part in situation.parts:
        if too_late and part.state is PartState.COMPOSED:
            return Change(part, parts.expire(part, "window"))
        if part.withdrawn and part.state is PartState.COMPOSED:
            return Change(part, parts.expire(part, "human"))
        if _too_late_to_apologize(part, situation.turn):
            return Change(part, parts.expire(part, "sibling"))
        do, wait = parts.next_step(part, now, delivery)
        if do is Do.ADOPT:
            return Change(part, parts.adopt(part, now))
        if do is Do.LOOK_UP:
            if too_late and parts.past_settling(part, now, delivery):
                return Change(part, parts.abandon(part))
            look_up = look_up or LookUp(part)
            wait = queued
        elif do is Do.SEND:
            if paused <= 0.0:
                return Send(part)
            wait = paused
        waits.append(wait)
        if part.kind in (Kind.ANSWER, Kind.OPERATOR):
            break
        if part.kind is Kind.NOTICE and part.state is not PartState.UNKNOWN:
            break
    else:
        step = _turn_step(situation, now, manners, paused, slot)
        if isinstance(step, Hunger):
            if look_up is not None and queued <= 0.0:
                return look_up
            known = [*waits, *([] if step.seconds is None else [step.seconds])]
            return Hunger(min(known, default=None))
        if isinstance(step, Wait):
            waits.append(step.seconds)
        elif not isinstance(step, Rest):
            return step
    if look_up is not None and queued <= 0.0:
        return look_up
    return Wait(min(waits)) if waits else Rest()


def closed(situation: Situation, now: Moment) -> bool:
    """
    Say whether it is too late to send anything in a conversation.
    """
    return now.sure and now.wall - situation.heard > WINDOW


def _turn_step(
    situation: Situation, now: Moment, manners: Manners, paused: float, slot: bool
) -> Step:
    turn = situation.turn
    if turn is not None and turn.state is TurnState.COMPOSED:
        return Rest()
    if turn is None and situation.waiting is None:
        return Rest()
    if closed(situation, now):
        return Lapse("window")
    # One that is generating was left so by a process that died.
    patience = None
    if turn is not None and turn.tries and now.sure:
        patience = manners.patience - (now.wall - turn.began) / 1000.0
        if patience <= 0.0:
            return Fail(turn, "patience")
    wait = max(now.until(turn.rest if turn is not None else None), paused)
    if wait <= 0.0 and slot:
        return Begin() if turn is None else Generate(turn)
    late = None if paused > 0.0 else until_apology(situation, now, manners)
    if late is not None and late <= 0.0:
        return Apologize()
    known = [it for it in (late, patience) if it is not None]
    if wait <= 0.0:
        return Hunger(min(known, default=None))
    return Wait(min([wait, *known]))


def _too_late_to_apologize(part: Part, turn: Turn | None) -> bool:
    """
    Say whether *part* is an apology that was not sent before the answer was
    there, or given up.
    """
    return (
        part.kind is Kind.APOLOGY
        and part.state is PartState.COMPOSED
        and (turn is None or turn.id != part.turn or turn.state is TurnState.COMPOSED)
    )


def until_apology(situation: Situation, now: Moment, manners: Manners) -> float | None:
    """
    Count the seconds until the person is to be told that the answer is late.

    Meta asks bots to react within 30 s; once for each turn is enough.

    :return: ``None`` where there is nothing to tell, or it was told.

    Source: docs/messenger-platform.md, section 6.
    """
    turn = situation.turn
    if turn is not None:
        since = turn.began
        if turn.apologized or turn.state is TurnState.COMPOSED:
            return None
    elif situation.waiting is not None:
        since = situation.waiting
    else:
        return None
    passed = (now.wall - since) / 1000.0 if now.sure else 0.0
    return manners.apology_after - passed


def after_failure(tries: int, retry_after: float | None, jitter: float) -> float:
    """
    Decide how long a turn rests before the LLM is asked again, in seconds.

    Full jitter below a bound that doubles from one second to a minute, and
    never less than the LLM asked for.

    :param tries: how often it was asked, this time included; from 1.
    :param jitter: from 0.0 to 1.0.
    """
    bound = min(60.0, 1.0 * 2.0 ** min(tries - 1, 10))
    return max(jitter * bound, retry_after or 0.0)
