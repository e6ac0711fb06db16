"""
The life of a part: what to do with it next, and what follows from what was
seen.  All of the send protocol's decisions are here, and nothing waits.

The Send API has no idempotency key, and may apply a message and then answer
with an error, or not at all.  So an attempt is first written down (the
*intent*), and whatever does not surely fail or surely succeed leaves the part
in doubt.  Doubt ends by an echo; or by two look-ups, *lookup_lag* apart and
both after the *quarantine*, that agree on the message's absence: only then is
it sent again.  That an echo is missing proves nothing.
``micamsgr/test/test_send_model.py`` searches every order of events for a
duplicate, a loss or a part that is stuck.

Source: docs/messenger-platform.md, sections 3.2, 4.1 and 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from attrs import evolve, field, frozen

from .events import Mid
from .moment import Moment, Tick
from .outcomes import (
    Absent,
    Evidence,
    Found,
    InDoubt,
    LookedUp,
    NeverSent,
    NoEvidence,
    Outcome,
    Seen,
    Sent,
)
from .policy import Delivery, Unresolved
from .states import PartState
from .ulid import ulid

# After so many attempts that were proved absent the person counts as
# unreachable: code 2 may also mean that they blocked the Page.
MOST_ABSENT = 3

# From the intent's commit until the request is written, in seconds.  Later,
# the quarantine that began with the intent might end before the request does.
GUARD = 2.0

# For how long look-ups may fail for reasons that pass, in seconds after the
# quarantine, before the evidence counts as not to be had, if all the while
# messages can be sent.
EVIDENCE_PATIENCE = 3600.0

# The longest that a part in doubt is held, in seconds: as long as the 24-hour
# window would be open at most, if the person wrote nothing more.
_LONGEST_HELD = 24 * 3600.0

# How far Meta's clock may be behind our idea of it, in milliseconds; and where
# that idea is from before a reboot.
_SLACK = 5_000
_LONG_SLACK = 120_000

_METADATA = re.compile("mica:1:([^:]{1,64}):([1-9][0-9]{0,8})")

_FIRST_REST = 1.0
_LONGEST_REST = 300.0
# Seconds in which a process has looked for what was in doubt when it started.
_MOMENT = 120.0
# While the Graph API can't be reached: once it can, nobody waits much longer.
_LONGEST_AWAY = 15.0


class Kind(Enum):
    """
    What a part is for: the answer itself; an apology, because the answer is
    late; a notice, because there will be none; or what an operator says.
    """

    ANSWER = "answer"
    APOLOGY = "apology"
    NOTICE = "notice"
    OPERATOR = "operator"


@frozen(kw_only=True)
class Part:
    """
    One message to a person.

    :ivar number: its place in its turn, from 1.
    :ivar attempt: how often its sending was intended.
    :ivar absent: how many of these attempts were proved absent.
    :ivar intended: when the last attempt was written down.
    :ivar first_intended: when the first one was; ``None`` if that was before
        the machine was restarted.
    :ivar first_wall: the same in milliseconds, by Meta's clock; 0 if that was
        not known then.
    :ivar looked: when the first of two look-ups found nothing.
    :ivar rest: not to be touched before.
    :ivar resent: was sent again without evidence, as the operator wished.
    :ivar withdrawn: not to be sent again, since a human has answered.
    :ivar mid: what Meta calls it, once it is sent.
    :ivar echo: what its first echo called it; another echo with another ID
        proves that it was said twice.
    :ivar reason: why it ended as it did.
    :ivar trace: by what the log names what its turn answers.
    """

    id: str
    turn: int
    kind: Kind
    number: int
    text: str = field(repr=False)
    state: PartState = PartState.COMPOSED
    attempt: int = 0
    absent: int = 0
    intended: Tick | None = None
    first_intended: Tick | None = None
    first_wall: int | None = None
    looked: Tick | None = None
    rest: Tick | None = None
    resent: bool = False
    withdrawn: bool = False
    mid: Mid | None = None
    echo: Mid | None = None
    reason: str | None = None
    trace: str = field(default="", eq=False)

    @property
    def metadata(self) -> str:
        """What an attempt carries, and its echo brings back."""
        return f"mica:1:{self.id}:{self.attempt}"


def compose(
    turn: int,
    kind: Kind,
    number: int,
    text: str,
    now: Moment,
    entropy: bytes,
    trace: str = "",
) -> Part:
    """
    Make a part that is to be sent.

    :param entropy: ten random bytes, for its ID.
    """
    part = ulid(now.wall, entropy)
    return Part(id=part, turn=turn, kind=kind, number=number, text=text, trace=trace)


def part_named(metadata: str | None) -> str | None:
    """
    Read a part's ID from an echo's metadata, if it is of our making.
    """
    if metadata is None:
        return None
    named = _METADATA.fullmatch(metadata)
    return None if named is None else named[1]


# What to do with a part.


class Do(Enum):
    """
    SEND it, LOOK_UP whether it was sent, ADOPT it from a process that died,
    or WAIT.
    """

    SEND = "send"
    LOOK_UP = "look_up"
    ADOPT = "adopt"
    WAIT = "wait"


def next_step(part: Part, now: Moment, delivery: Delivery) -> tuple[Do, float]:
    """
    Decide what an open part needs, while no attempt of this process is in
    flight.

    :return: what to do, and for WAIT the seconds until there is something.
    """
    wait = now.until(part.rest)
    if part.state is PartState.COMPOSED:
        return (Do.SEND, 0.0) if wait <= 0.0 else (Do.WAIT, wait)
    if (
        part.state is PartState.SENDING
        or part.intended is None
        or part.intended.boot != now.tick.boot
    ):
        return Do.ADOPT, 0.0
    wait = max(wait, delivery.quarantine - now.since(part.intended))
    if part.looked is not None:
        wait = max(wait, delivery.lookup_lag - now.since(part.looked))
    return (Do.LOOK_UP, 0.0) if wait <= 0.0 else (Do.WAIT, wait)


def intend(part: Part, now: Moment) -> Part:
    """
    Write down that *part* is about to be sent.
    """
    first, first_wall = part.first_intended, part.first_wall
    if part.attempt == 0:
        first, first_wall = now.tick, now.wall if now.sure else 0
    elif first is not None and first.boot != now.tick.boot:
        first = None
    return evolve(
        part,
        state=PartState.SENDING,
        attempt=part.attempt + 1,
        intended=now.tick,
        first_intended=first,
        first_wall=first_wall,
        looked=None,
        rest=None,
    )


def may_write(part: Part, now: Moment) -> bool:
    """
    Say whether the intent is fresh enough for the request to be written.
    """
    return part.intended is not None and now.since(part.intended) <= GUARD


def after_outcome(part: Part, outcome: Outcome, now: Moment, jitter: float) -> Part:
    """
    Conclude from what came of an attempt.

    :param jitter: from 0.0 to 1.0; where nobody named a time to wait, it is
        that share of a bound that doubles with each attempt, up to five
        minutes, or to 15 seconds where nobody was reached, so that many do not
        try again together.
    """
    if isinstance(outcome, Sent):
        return _sent(part, outcome.mid)
    if isinstance(outcome, NeverSent):
        return evolve(part, state=PartState.REFUSED, reason=outcome.reason)
    if isinstance(outcome, InDoubt):
        return evolve(part, state=PartState.UNKNOWN)
    rest = outcome.rest
    if outcome.pause:
        # The Page rests, not this part, which a start with a better token is
        # to send at once.
        rest = 0.0
    elif rest is None:
        tries = part.attempt - part.absent
        most = _LONGEST_AWAY if outcome.away else _LONGEST_REST
        rest = jitter * min(most, _FIRST_REST * 2.0 ** min(tries, 20))
    return evolve(part, state=PartState.COMPOSED, rest=now.plus(rest))


def after_echo(part: Part, mid: Mid) -> Part:
    """
    Conclude from an echo of this very part: it was sent, whatever we thought.
    """
    part = evolve(part, echo=part.echo or mid)
    if part.state in (PartState.COMPOSED, PartState.SENDING, PartState.UNKNOWN):
        return _sent(part, mid)
    return part


def after_look_up(
    part: Part, evidence: Evidence, now: Moment, delivery: Delivery
) -> Part:
    """
    Conclude from a look-up of a part in doubt.

    One that finds nothing is believed only if a second one agrees, since
    reads may lag behind.
    """
    if part.state is not PartState.UNKNOWN:
        return part
    if isinstance(evidence, Found):
        return _sent(part, evidence.mid)
    if isinstance(evidence, Absent):
        if part.looked is None:
            return evolve(part, looked=now.tick, rest=None)
        absent = part.absent + 1
        if absent >= MOST_ABSENT:
            return _dead(evolve(part, absent=absent))
        return evolve(
            part, state=PartState.COMPOSED, absent=absent, looked=None, rest=None
        )
    if not evidence.lasting:
        return evolve(part, rest=now.plus(_until_another_look(part, now, delivery)))
    if delivery.unresolved is Unresolved.RESEND and not part.resent:
        return evolve(
            part, state=PartState.COMPOSED, resent=True, looked=None, rest=None
        )
    assert part.intended is not None
    held = now.since(part.intended)
    if delivery.unresolved is Unresolved.HOLD and held < _LONGEST_HELD:
        return evolve(part, rest=now.plus(_LONGEST_REST))
    return _dead(part)


def _until_another_look(part: Part, now: Moment, delivery: Delivery) -> float:
    """
    Decide how many seconds to wait after a look-up that failed: the longer,
    the longer it is sought.
    """
    return max(delivery.lookup_lag, 1.0, min(_LONGEST_REST, _sought(part, now) / 10.0))


def alike(part: Part, seen: Iterable[Seen], now: Moment) -> list[Mid]:
    """
    Say which messages may be *part*: its words, and not older than its first
    intent.  The oldest comes first: of parts with the same words the one that
    was begun first is looked for first, and must not take another one's.

    White space is not compared, since Meta may trim it.

    :param now: when the look-up was answered.  By the answer our idea of
        Meta's clock was corrected; what it was at the intent may have been
        wrong, but how long ago that is we know.
    """
    since = _not_before(part, now)
    return [
        message.mid
        for message in sorted(seen, key=lambda it: it.at)
        if message.at >= since and same_words(part.text, message.text)
    ]


def not_seen(part: Part, looked: LookedUp, now: Moment) -> Evidence:
    """
    Conclude from a look-up that doesn't show *part*.

    If it shows only what came later, because so much was said meanwhile, it
    proves nothing, and no other one will.
    """
    if looked.back_to is not None and looked.back_to > _not_before(part, now):
        return NoEvidence("too much was said since", lasting=True)
    return Absent()


def _not_before(part: Part, now: Moment) -> int:
    """
    Name the time, by Meta's clock, before which *part* can't have been sent.
    """
    assert part.first_wall is not None
    first = part.first_intended
    if first is None or first.boot != now.tick.boot:
        return part.first_wall - _LONG_SLACK
    since = now.wall - int(now.since(first) * 1000)
    return min(since, part.first_wall or since) - _SLACK


def same_words(one: str, other: str) -> bool:
    """
    Say whether two texts differ in white space at most, which Meta may trim.
    """
    return one.split() == other.split()


def adopt(part: Part, now: Moment) -> Part:
    """
    Conclude from finding *part* as a process left it that died, or a machine.

    An attempt in flight is in doubt.  Its quarantine goes on, and after a reboot
    is counted from this process's start.
    """
    if part.intended is None or part.intended.boot != now.tick.boot:
        part = evolve(
            part,
            intended=Tick(now.started, now.tick.boot),
            first_intended=None,
            looked=None,
            rest=None,
        )
    return evolve(part, state=PartState.UNKNOWN)


def sought_long(part: Part, now: Moment, delivery: Delivery) -> bool:
    """
    Say whether evidence was sought for so long that it can't be had.  While no
    process ran, or none knew what time it is for Meta, none was sought.
    """
    return now.sure and _sought(part, now) > delivery.quarantine + EVIDENCE_PATIENCE


def past_settling(part: Part, now: Moment, delivery: Delivery) -> bool:
    """
    Say whether what can't be sent again need not be looked for any more: it was
    for long, in however many processes; this one had a moment for it, and failed.
    """
    assert part.intended is not None
    long = now.since(part.intended) > delivery.quarantine + EVIDENCE_PATIENCE
    failed = part.rest is not None and part.rest.seconds > now.started
    return now.sure and long and failed and _sought(part, now) > _MOMENT


def _sought(part: Part, now: Moment) -> float:
    """
    Count the seconds for which this process may have looked for *part*.
    """
    assert part.intended is not None
    return min(now.since(part.intended), now.tick.seconds - now.started)


def abandon(part: Part) -> Part:
    """
    Give up a part whose doubt can no longer end in a resend, as when the
    24-hour window has closed.
    """
    return _dead(part)


def release(part: Part) -> Part:
    """
    Let a part in doubt be sent again, as an operator wishes; once more it is
    not, without evidence.
    """
    if part.state is not PartState.UNKNOWN:
        raise ValueError(f"a part that is {part.state.value} is not in doubt")
    return evolve(part, state=PartState.COMPOSED, resent=True, looked=None, rest=None)


def withdraw(part: Part) -> Part:
    """
    Take back a part since a human has answered: what is not sent yet, and
    the right to send again what is in doubt.
    """
    if part.state is PartState.COMPOSED:
        return expire(part, "human")
    return evolve(part, withdrawn=True)


def expire(part: Part, reason: str) -> Part:
    """
    Withdraw a part that was not sent.

    :param reason: ``window``, ``human`` or ``sibling``.
    """
    if part.state is not PartState.COMPOSED:
        raise ValueError(f"a part that is {part.state.value} can't expire")
    return evolve(part, state=PartState.EXPIRED, reason=reason)


def _sent(part: Part, mid: Mid) -> Part:
    return evolve(part, state=PartState.SENT, mid=mid, rest=None, looked=None)


def _dead(part: Part) -> Part:
    return evolve(part, state=PartState.DEAD, reason="unresolved", rest=None)
