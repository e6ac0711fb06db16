"""
The send protocol against everything that can happen to it.

A breadth-first search over every order of what the program, the network, Meta
and the power supply may do to one part.  The program's side is the shipped
planner itself, not a copy of it; each rule of the protocol is then switched
off, to see that the search would tell.

Meta, as the search knows it: a request that was written lands at once, later,
or never, but not after ``_ON_THE_WAY`` seconds.  What has landed can't be
called back.  Its response may be lost, or be an error.  Its echo comes sooner,
later, or never.  A look-up sees it at the latest after ``lookup_lag``, unless
so much was said since that it shows only what is newer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum

from attrs import evolve, frozen
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation import parts
from micamsgr.conversation.events import BotName, Conversation, Mid, PageId, Psid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import (
    Absent,
    Evidence,
    Found,
    InDoubt,
    LookedUp,
    NoEvidence,
    NotSent,
    Outcome,
    Sent,
)
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import (
    Change,
    LookUp,
    Rest,
    Send,
    Situation,
    Turn,
    Wait,
    next_step,
)
from micamsgr.conversation.policy import Delivery, Manners, Unresolved
from micamsgr.conversation.states import PartState, TurnState

# For how many seconds a written request may be on its way.
_ON_THE_WAY = 2

_DELIVERY = Delivery(
    deadline=2.0,
    quarantine=parts.GUARD + _ON_THE_WAY + 1.0,
    lookup_lag=2.0,
    # Whoever wishes a resend without evidence wishes what is sought here.
    unresolved=Unresolved.HOLD,
)
_NOW = Moment(wall=10**12, tick=Tick(0.0, "boot"), started=0.0)

_MOST_CRASHES = 2
_MOST_REFUSALS = 1
_FAILING_LOOK_UPS = 1

_ENDS = frozenset(
    {PartState.SENT, PartState.REFUSED, PartState.EXPIRED, PartState.DEAD}
)


class Flight(Enum):
    """
    How far an attempt is that the process has begun.
    """

    INTENDED = "intended"
    WRITTEN = "written"


@frozen(cache_hash=True)
class World:
    """
    Everything that matters at one instant; times are relative to it.

    :ivar part: as it is stored, but for the number of its attempt, which has
        no bound.
    :ivar up: the process runs.
    :ivar flight: the attempt that the process is making, if any.
    :ivar wire: ages of the requests that may yet land.
    :ivar copies: ages of the messages that the person has.
    :ivar echo: one may yet come.
    """

    part: Part
    up: bool = True
    flight: Flight | None = None
    wire: tuple[int, ...] = ()
    copies: tuple[int, ...] = ()
    echo: bool = False
    crashes: int = 0
    refusals: int = 0
    failures: int = 0


@frozen(kw_only=True)
class Rules:
    """
    The protocol's decisions; the defaults are those that are shipped.
    """

    delivery: Delivery = _DELIVERY
    may_write: Callable[[Part, Moment], bool] = parts.may_write
    after_outcome: Callable[[Part, Outcome, Moment, float], Part] = parts.after_outcome
    after_look_up: Callable[[Part, Evidence, Moment, Delivery], Part] = (
        parts.after_look_up
    )
    not_seen: Callable[[Part, LookedUp, Moment], Evidence] = parts.not_seen
    after_crash: Callable[[Part, Moment], Part] = parts.adopt


def _follow(world: World, rules: Rules) -> Iterator[World]:
    """
    Name everything that may happen next.
    """
    yield from _network(world)
    if world.part.state in _ENDS:
        return
    if world.up:
        yield from _program(world, rules)
        if world.crashes < _MOST_CRASHES:
            yield evolve(world, up=False, flight=None, crashes=world.crashes + 1)
        if world.echo:
            yield evolve(world, part=parts.after_echo(world.part, Mid("m")))
    else:
        yield evolve(world, up=True)
    yield _later(world)


def _network(world: World) -> Iterator[World]:
    for index in range(len(world.wire)):
        wire = world.wire[:index] + world.wire[index + 1 :]
        yield evolve(
            world,
            wire=wire,
            copies=tuple(sorted((*world.copies, 0))),
            echo=True,
        )


def _program(world: World, rules: Rules) -> Iterator[World]:
    if world.flight is not None:
        yield from _in_flight(world, world.flight, rules)
        return
    part = world.part
    turn = Turn(id=1, state=TurnState.COMPOSED, began=_NOW.wall)
    situation = Situation(
        id=1,
        conversation=Conversation(BotName("b"), PageId("1"), Psid("2")),
        heard=_NOW.wall,
        turn=turn,
        parts=() if part.state in _ENDS else (part,),
    )
    step = next_step(situation, _NOW, rules.delivery, Manners())
    if isinstance(step, Send):
        intended = evolve(parts.intend(part, _NOW), attempt=1)
        yield evolve(world, part=intended, flight=Flight.INTENDED)
    elif isinstance(step, LookUp):
        yield from _looked_up(world, rules)
    elif isinstance(step, Change):
        # That is how the planner adopts what a process left behind.
        yield evolve(world, part=rules.after_crash(part, _NOW))
    else:
        assert isinstance(step, (Wait, Rest)), step


def _in_flight(world: World, flight: Flight, rules: Rules) -> Iterator[World]:
    def outcome(value: Outcome) -> World:
        part = world.part
        if part.state is PartState.SENDING:
            part = rules.after_outcome(part, value, _NOW, 0.0)
        return evolve(world, part=part, flight=None)

    if flight is Flight.INTENDED:
        if not rules.may_write(world.part, _NOW):
            yield outcome(NotSent(detail="late"))
            return
        yield evolve(world, flight=Flight.WRITTEN, wire=(*world.wire, 0))
        if world.refusals < _MOST_REFUSALS:
            refused = outcome(NotSent(detail="rejected"))
            yield evolve(refused, refusals=world.refusals + 1)
        return
    # An error says nothing, whether the request landed or not.
    yield outcome(InDoubt("error"))
    if world.copies:
        yield outcome(Sent(Mid("m")))


def _looked_up(world: World, rules: Rules) -> Iterator[World]:
    lag = _DELIVERY.lookup_lag

    def looked(evidence: Evidence) -> World:
        after = rules.after_look_up(world.part, evidence, _NOW, rules.delivery)
        # That of a part that is held would only make the search longer.
        rest = after.rest and min(after.rest, _NOW.plus(lag), key=_NOW.until)
        return evolve(world, part=evolve(after, rest=rest))

    if world.copies:
        yield looked(Found(Mid("m")))
    if all(age < lag for age in world.copies):
        yield looked(rules.not_seen(world.part, LookedUp(()), _NOW))
    yield looked(rules.not_seen(world.part, LookedUp((), back_to=_NOW.wall), _NOW))
    if world.failures < _FAILING_LOOK_UPS:
        failed = looked(NoEvidence("500", lasting=False))
        yield evolve(failed, failures=world.failures + 1)


def _later(world: World) -> World:
    """
    Let a second pass; a request that was on its way for too long is lost.
    """
    part = world.part
    delivery = _DELIVERY
    return evolve(
        world,
        part=evolve(
            part,
            intended=_earlier(part.intended, delivery.quarantine),
            looked=_earlier(part.looked, delivery.lookup_lag),
            rest=_earlier(part.rest, 0.0),
        ),
        wire=tuple(age + 1 for age in world.wire if age < _ON_THE_WAY),
        copies=tuple(min(age + 1, int(delivery.lookup_lag)) for age in world.copies),
    )


def _earlier(tick: Tick | None, matters: float) -> Tick | None:
    """
    Move a time into the past, as far as it matters.
    """
    if tick is None:
        return None
    return Tick(max(tick.seconds - 1.0, -matters - 1.0), tick.boot)


@frozen
class Findings:
    """
    What a search found.

    :ivar duplicate: a state in which the person has the message twice.
    :ivar lost: one in which it counts as sent, and nobody has it.
    :ivar forgotten: one in which it was given up, and the person has it.
    :ivar stuck: one from which nothing leads to an end.
    """

    states: int
    duplicate: World | None = None
    lost: World | None = None
    forgotten: World | None = None
    stuck: World | None = None


def search(rules: Rules) -> Findings:
    """
    Try everything, until the person has the message twice or all is tried.
    """
    part = Part(id="p", turn=1, kind=Kind.ANSWER, number=1, text="hi")
    start = World(part)
    before: dict[World, list[World]] = {start: []}
    todo = deque([start])
    lost = forgotten = None
    while todo:
        world = todo.popleft()
        state = world.part.state
        if len(world.copies) > 1:
            # Protocols that allow this may go on for ever.
            return Findings(len(before), duplicate=world)
        if state is PartState.SENT and not world.copies:
            lost = lost or world
        if state is PartState.DEAD and (world.copies or world.wire):
            forgotten = forgotten or world
        for after in _follow(world, rules):
            if after not in before:
                before[after] = []
                todo.append(after)
            before[after].append(world)
    return Findings(len(before), None, lost, forgotten, _stuck(before))


def _stuck(before: dict[World, list[World]]) -> World | None:
    good = [
        world for world in before if world.part.state in _ENDS or len(world.copies) > 1
    ]
    known = set(good)
    while good:
        for world in before[good.pop()]:
            if world not in known:
                known.add(world)
                good.append(world)
    return next((world for world in before if world not in known), None)


class SendModelTests(SynchronousTestCase):
    """
    Exhaustive searches.
    """

    def test_shipped(self) -> None:
        """
        Whatever is lost, late or repeated, and whenever the power fails, the
        person never has a message twice, none counts as sent that nobody has,
        none that the person has is given up, and no part is ever stuck.
        """
        found = search(Rules())
        self.assertGreater(found.states, 1000)
        self.assertIsNone(found.duplicate)
        self.assertIsNone(found.lost)
        self.assertIsNone(found.forgotten)
        self.assertIsNone(found.stuck)

    def test_no_quarantine(self) -> None:
        """
        Without the quarantine a look-up may come before the message, and the
        person has it twice.
        """
        found = search(Rules(delivery=evolve(_DELIVERY, quarantine=0.0)))
        self.assertIsNotNone(found.duplicate)

    def test_one_look_up(self) -> None:
        """
        If one look-up that finds nothing is believed, reads that lag make the
        person have a message twice.
        """

        def after_look_up(
            part: Part, evidence: Evidence, now: Moment, delivery: Delivery
        ) -> Part:
            seen_before = evolve(part, looked=now.tick)
            return parts.after_look_up(seen_before, evidence, now, delivery)

        found = search(Rules(after_look_up=after_look_up))
        self.assertIsNotNone(found.duplicate)

    def test_look_ups_too_close(self) -> None:
        """
        Two look-ups that follow at once are no better than one.
        """
        found = search(Rules(delivery=evolve(_DELIVERY, lookup_lag=0.0)))
        self.assertIsNotNone(found.duplicate)

    def test_newest_only(self) -> None:
        """
        If what a look-up doesn't show counts as absent, also where it shows
        only newer messages, the person has a message twice.
        """
        found = search(Rules(not_seen=lambda part, looked, now: Absent()))
        self.assertIsNotNone(found.duplicate)

    def test_blind_retry(self) -> None:
        """
        If doubt is taken for failure, the person has a message twice.
        """

        def after_outcome(
            part: Part, outcome: Outcome, now: Moment, jitter: float
        ) -> Part:
            if isinstance(outcome, InDoubt):
                outcome = NotSent(detail=outcome.detail)
            return parts.after_outcome(part, outcome, now, jitter)

        found = search(Rules(after_outcome=after_outcome))
        self.assertIsNotNone(found.duplicate)

    def test_missing_echo_believed(self) -> None:
        """
        If a message counts as absent since no echo came in time, the person
        has it twice.
        """

        def after_look_up(
            part: Part, evidence: Evidence, now: Moment, delivery: Delivery
        ) -> Part:
            return evolve(part, state=PartState.COMPOSED, looked=None)

        found = search(Rules(after_look_up=after_look_up))
        self.assertIsNotNone(found.duplicate)

    def test_no_guard(self) -> None:
        """
        If a request may be written long after its intent, the quarantine is
        over before the request is, and the person has a message twice.
        """
        found = search(Rules(may_write=lambda part, now: True))
        self.assertIsNotNone(found.duplicate)

    def test_crash_taken_for_failure(self) -> None:
        """
        If what was in flight at a crash counts as not sent, the person has a
        message twice.
        """

        def after_crash(part: Part, now: Moment) -> Part:
            return evolve(part, state=PartState.COMPOSED)

        found = search(Rules(after_crash=after_crash))
        self.assertIsNotNone(found.duplicate)

    def test_doubt_taken_for_success(self) -> None:
        """
        If doubt is taken for success, a message is lost.
        """

        def after_outcome(
            part: Part, outcome: Outcome, now: Moment, jitter: float
        ) -> Part:
            if isinstance(outcome, InDoubt):
                outcome = Sent(Mid("m"))
            return parts.after_outcome(part, outcome, now, jitter)

        found = search(Rules(after_outcome=after_outcome))
        self.assertIsNotNone(found.lost)

    def test_waiting_for_an_echo_for_ever(self) -> None:
        """
        If only an echo may end doubt, a message whose echo is lost is stuck.
        """

        def after_look_up(
            part: Part, evidence: Evidence, now: Moment, delivery: Delivery
        ) -> Part:
            return part

        found = search(Rules(after_look_up=after_look_up))
        self.assertIsNotNone(found.stuck)
