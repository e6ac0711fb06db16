"""
Daemons that break the protocol on purpose, each in one place: the simulation
must find out about every one of them.

The product has no switches for this; it is changed from outside, and only
while a run lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from micamsgr.conversation import answering, missed, parts, planner, steps
from micamsgr.conversation.dispatcher import Dispatcher
from micamsgr.conversation.events import Echo
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.outcomes import Absent, Evidence, InDoubt, NotSent, Outcome
from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Situation, Step
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.slots import Slots
from micamsgr.conversation.states import PartState, TurnState
from micamsgr.messenger.repair import Repair
from micamsgr.messenger.subscriptions import State, Subscriptions
from micamsgr.store import arrivals, gaps, rows, spending, sqlite
from micamsgr.store.sqlite import SQLiteStore
from tests.simulation.world import World

Patch = Callable[[Any, str, Any], None]
Breaking = Callable[[World, Patch], None]


def doubt_is_failure(world: World, put: Patch) -> None:
    """An attempt in doubt counts as not sent, and is repeated."""
    conclude = parts.after_outcome

    def after(part: Part, outcome: Outcome, now: Moment, jitter: float) -> Part:
        if isinstance(outcome, InDoubt):
            outcome = NotSent(detail=outcome.detail)
        return conclude(part, outcome, now, jitter)

    put(parts, "after_outcome", after)


def crash_is_failure(world: World, put: Patch) -> None:
    """What was being sent when the process died counts as not sent."""

    def adopt(part: Part, now: Moment) -> Part:
        if part.state is PartState.SENDING:
            return evolve(part, state=PartState.COMPOSED, rest=None)
        return sound(part, now)

    sound = parts.adopt
    put(parts, "adopt", adopt)


def no_quarantine(world: World, put: Patch) -> None:
    """Look-ups are believed while the request may still land."""
    world.adjust(quarantine=0.0, lookup_lag=0.1)


def one_look(world: World, put: Patch) -> None:
    """One look-up is enough, though reads lag behind."""
    conclude = parts.after_look_up

    def after(part: Part, evidence: Evidence, now: Moment, delivery: Delivery) -> Part:
        if isinstance(evidence, Absent) and part.looked is None:
            part = evolve(part, looked=now.tick)
        return conclude(part, evidence, now, delivery)

    put(parts, "after_look_up", after)


def no_guard(world: World, put: Patch) -> None:
    """What was written down long ago is sent, however late that is."""
    put(parts, "may_write", lambda part, now: True)


def early_answer(world: World, put: Patch) -> None:
    """Meta is told 200 before the commit."""
    commit = SQLiteStore.record

    async def record(
        store: SQLiteStore, arrived: Sequence[Arrival], now: Moment
    ) -> Recorded:
        committing = Deferred.fromCoroutine(commit(store, arrived, now))
        committing.addErrback(lambda failure: None)
        nobody: Any = ()
        return Recorded(
            known=frozenset(),
            silenced=frozenset(),
            wake=nobody,
            takeovers=nobody,
            doubled=nobody,
        )

    put(SQLiteStore, "record", record)


def no_keys(world: World, put: Patch) -> None:
    """What Meta delivers again is taken for new."""
    keep, number = arrivals.record_all, count()

    def new(arrived: Sequence[Arrival]) -> Sequence[Arrival]:
        return [
            evolve(it, event=evolve(it.event, key=next(number).to_bytes(16, "big")))
            for it in arrived
        ]

    def record_all(
        database: Any, deliveries: Sequence[tuple[Sequence[Arrival], Moment]]
    ) -> list[Recorded]:
        return keep(database, [(new(arrived), now) for arrived, now in deliveries])

    put(sqlite, "record_all", record_all)


def deaf(world: World, put: Patch) -> None:
    """Echoes settle nothing, and the first look-up is believed at once."""
    no_quarantine(world, put)
    one_look(world, put)
    named = arrivals._part_of

    def part_of(database: Any, echo: Echo, *more: Any) -> Part | None:
        part = named(database, echo, *more)
        # Nor are they a human's.
        return (
            None if part is None else evolve(part, echo=echo.mid, state=PartState.SENT)
        )

    put(arrivals, "_part_of", part_of)


def disorder(world: World, put: Patch) -> None:
    """The parts of an answer leave last first."""
    decide = planner.next_step

    def next_step(situation: Situation, *more: Any, **named: Any) -> Step:
        backwards = evolve(situation, parts=situation.parts[::-1])
        return decide(backwards, *more, **named)

    put(steps, "next_step", next_step)


def forgetful(world: World, put: Patch) -> None:
    """What a look-up shows is taken for any part with the same words."""

    async def claimed(store: SQLiteStore, mids: Any, part: str) -> frozenset[Any]:
        return frozenset()

    put(SQLiteStore, "claimed", claimed)


def no_look(world: World, put: Patch) -> None:
    """What is in the store is not looked at: only what arrives wakes anybody."""

    async def waiting(*arguments: Any) -> Sequence[int]:
        return ()

    put(SQLiteStore, "waiting", waiting)


def one_slot(world: World, put: Patch) -> None:
    """Whoever asks a slow LLM keeps all others waiting."""
    bots = [
        evolve(bot, llm=evolve(bot.llm, concurrency=1)) for bot in world.config.bots
    ]
    world.config = evolve(world.config, bots=tuple(bots))


def contagious(world: World, put: Patch) -> None:
    """A doubt about one message keeps the whole Page from sending."""
    note = Outlet.note

    def noted(
        outlet: Outlet, conversation: int, outcome: Outcome, begun: float
    ) -> None:
        if isinstance(outcome, InDoubt):
            outcome = NotSent(detail=outcome.detail, rest=30.0, pause=True)
        note(outlet, conversation, outcome, begun)

    put(Outlet, "note", noted)


def rude(world: World, put: Patch) -> None:
    """The bot goes on to talk where a human answers."""
    put(arrivals, "quiet_until", lambda *arguments: None)


def mute(world: World, put: Patch) -> None:
    """Who waits for a slot is not told that the answer is late."""
    put(planner, "until_apology", lambda *arguments: None)


def hasty(world: World, put: Patch) -> None:
    """Everybody is told at once that the answer is late."""
    put(answering, "until_apology", lambda *arguments: 0.0)


def dropped(world: World, put: Patch) -> None:
    """Who was told that the answer is late has lost their place in the queue."""
    wait = Dispatcher._hunger

    def hunger(it: Dispatcher, whose: int, after: Any, place: int | None) -> None:
        wait(it, whose, after, None)

    put(Dispatcher, "_hunger", hunger)


def forgotten(world: World, put: Patch) -> None:
    """Who was told that the answer is late is not thought of again."""
    wait = Dispatcher._hunger

    def hunger(it: Dispatcher, whose: int, after: Any, place: int | None) -> None:
        if place is None:
            wait(it, whose, after, place)
        else:
            it._resting[whose] = it._clock.callLater(86400.0, it._rested, whose)

    put(Dispatcher, "_hunger", hunger)


def unfair(world: World, put: Patch) -> None:
    """Who came last is served first."""
    wait = Dispatcher._hunger

    def hunger(it: Dispatcher, whose: int, after: Any, place: int | None) -> None:
        wait(it, whose, after, -next(it._places) if place is None else place)

    put(Dispatcher, "_hunger", hunger)


def crowded(world: World, put: Patch) -> None:
    """The LLM is asked as often at once as there are people."""

    def take(slots: Slots) -> bool:
        slots.taken += 1
        return True

    put(Slots, "take", take)


def slow_start(world: World, put: Patch) -> None:
    """What was left is taken up some seconds after the start."""

    def start(it: Dispatcher) -> None:
        Service.startService(it)
        it._looked(it._interval)

    put(Dispatcher, "startService", start)


def spendthrift(world: World, put: Patch) -> None:
    """Nobody's turns are counted."""
    put(spending, "reached", lambda *arguments: None)


def nagging(world: World, put: Patch) -> None:
    """Who is at a limit is told so again and again."""
    put(sqlite, "tell", lambda *arguments: True)


def quitter(world: World, put: Patch) -> None:
    """Who gets no answer is not told so."""
    keep = rows.insert_part

    def insert_part(database: Any, conversation: int, part: Part) -> None:
        if part.kind is not Kind.NOTICE:
            keep(database, conversation, part)

    put(sqlite, "insert_part", insert_part)


def impatient(world: World, put: Patch) -> None:
    """The first failure of the LLM is the last one."""

    def decide(situation: Situation, *more: Any, **named: Any) -> Step:
        turn = situation.turn
        if turn is not None and turn.tries and turn.state is TurnState.READY:
            return planner.Fail(turn, "patience")
        return sound(situation, *more, **named)

    sound = planner._turn_step
    put(planner, "_turn_step", decide)


def deaf_to_humans(world: World, put: Patch) -> None:
    """What the Page's staff wrote is accepted, and not kept."""
    keep = arrivals.record_all

    def record_all(
        database: Any, deliveries: Sequence[tuple[Sequence[Arrival], Moment]]
    ) -> list[Recorded]:
        kept = [
            ([it for it in arrived if not isinstance(it.event, Echo)], now)
            for arrived, now in deliveries
        ]
        return keep(database, kept)

    put(sqlite, "record_all", record_all)


def lawless(world: World, put: Patch) -> None:
    """A part skips a state, and no trigger of the daemon's minds."""

    def after(part: Part, outcome: Outcome, now: Moment, jitter: float) -> Part:
        part = conclude(part, outcome, now, jitter)
        if part.state is PartState.UNKNOWN:
            part = evolve(part, state=PartState.DEAD, reason="unresolved")
        return part

    conclude = parts.after_outcome
    world.disk.database.execute("DROP TRIGGER temp.part_goes_on")
    put(parts, "after_outcome", after)


def restless(world: World, put: Patch) -> None:
    """The bot goes on to show that it writes where a human answers."""
    put(Dispatcher, "hush", lambda *arguments: None)


def pushy(world: World, put: Patch) -> None:
    """Whatever a thread shows and nobody delivered is answered."""
    put(missed, "_judge", lambda taken, *arguments: taken)


def credulous(world: World, put: Patch) -> None:
    """Whatever a thread shows counts as missed."""
    keep = missed._Heard.doubt

    def doubt(heard: Any, message: missed.Message) -> str | None:
        keep(heard, message)
        return None

    put(missed._Heard, "doubt", doubt)
    put(arrivals, "known_from_thread", lambda *arguments: False)


def amnesiac(world: World, put: Patch) -> None:
    """That something may have been missed is not in the store."""
    keep = gaps._write

    def write(database: Any, task: str, value: int) -> None:
        if not task.startswith(("gap:", "lacked:")):
            keep(database, task, value)

    put(gaps, "_write", write)


def incurious(world: World, put: Patch) -> None:
    """A start is no reason to look for what was missed."""
    put(Repair, "note", lambda *arguments: None)


def unsubscribed(world: World, put: Patch) -> None:
    """Nobody subscribes again."""

    async def check(*arguments: Any) -> State:
        return State.INTACT

    put(Subscriptions, "check", check)


def stubborn(world: World, put: Patch) -> None:
    """What was left to the operator is not answered when it is delivered."""
    put(gaps, "gives_way", lambda *arguments: False)
    put(arrivals, "gives_way", lambda *arguments: False)


BROKEN: dict[str, Breaking] = {
    it.__name__.replace("_", "-"): it
    for it in (
        *(doubt_is_failure, crash_is_failure, no_quarantine, one_look, no_guard),
        *(early_answer, no_keys, deaf, forgetful, disorder, no_look),
        *(one_slot, contagious, rude, mute, hasty, dropped, forgotten, unfair, crowded),
        *(slow_start, spendthrift, nagging, quitter, impatient, deaf_to_humans),
        *(lawless, restless),
        *(pushy, credulous, amnesiac, incurious, unsubscribed, stubborn),
    )
}


@contextmanager
def broken(name: str) -> Iterator[Callable[[World], None]]:
    """
    Break the daemon while the block lasts.

    :return: what is to be done with each world before its run.
    """
    with ExitStack() as stack:

        def put(where: Any, what: str, value: Any) -> None:
            stack.enter_context(patch.object(where, what, value))

        yield lambda world: BROKEN[name](world, put)
