"""
The runs: what is done to the daemon, and what came of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import evolve
from twisted.internet.defer import TimeoutError
from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    INTERNAL,
    Applied,
    Chances,
    LookedUp,
    Spoiled,
    always,
    rejection,
)
from tests import oracle
from tests.chaos import Verdict, World
from tests.daemon import Daemon, reactor
from tests.plans import REFUSED, SLOW, SLOW_MODEL, Schedule, Sparing, echo_lost

#: 5 % of all sends answered 5xx, half of them applied; 2 % dropped.
GRAPH = Chances(
    {
        "message": (
            (0.025, INTERNAL),
            (0.025, REFUSED),
            (0.01, DROPPED_AFTER),
            (0.01, DROPPED_BEFORE),
            (0.3, SLOW),
        ),
        "conversations": ((0.05, REFUSED), (0.02, DROPPED_BEFORE)),
    }
)
MODEL = Chances(
    {
        "completion": (
            (0.05, llm.INTERNAL),
            (0.02, llm.DROPPED),
            (0.4, SLOW_MODEL),
        )
    }
)

#: How long a run may take to settle, in seconds, beyond all its doubts.
SETTLING = 90.0


# And a stop, beyond its drain: the store is closed, and the process ends.
_CLOSING = 5.0


def spoil(world: World) -> None:
    """
    Let some of what is sent, looked up and asked go wrong.
    """
    world.stand_ins.graph.faults = Sparing(GRAPH)
    world.stand_ins.graph.echoes = echo_lost(0.1)
    world.stand_ins.graph.lookup_lag = 0.5
    world.stand_ins.model.faults = MODEL


def _counted(world: World) -> dict[str, object]:
    spoiled = world.spoiled()
    return {
        "spoiled sends": spoiled["message"],
        "spoiled LLM calls": spoiled["completion"],
        "look-ups": len(world.journal.of(LookedUp)),
    }


async def kills(
    world: World,
    *,
    people: int,
    each: int,
    least: int,
    life: tuple[float, float] = (0.5, 4.0),
    pause: float = 5.0,
    settling: float = SETTLING,
) -> Verdict:
    """
    Kill the daemon at random times, until all has been written.

    :param least: how many kills there are at least.
    :param life: from when it is ready until it is killed, in seconds.
    """
    spoil(world)
    writing = world.crowd(people, each, pause)
    killed = 0
    while killed < least or not writing.called:
        daemon = await world.serve()
        await world.wait(*life)
        daemon.kill()
        await daemon.exited
        killed += 1
        world.look()
    await world.serve()
    await writing
    await world.settled(settling)
    return world.verdict({"kills": killed, **_counted(world)})


async def stops(
    world: World,
    *,
    people: int,
    each: int,
    times: int,
    pause: float = 2.0,
    slack: tuple[float, float] = (0.5, 3.0),
    hang: float = 0.0,
    drain: float = 10.0,
    settling: float = SETTLING,
) -> Verdict:
    """
    Stop the daemon by SIGTERM under load, and start it again.

    :param hang: how many of the language model's calls are never answered,
        from 0.0 to 1.0.
    :param drain: how long a stop may let what is in flight finish.
    """
    spoil(world)
    world.stand_ins.model.faults = lambda call, random: (
        llm.HANGING if random.random() < hang else MODEL(call, random)
    )
    writing = world.crowd(people, each, pause)
    took: list[float] = []
    statuses: Counter[int] = Counter()
    while len(took) < times:
        daemon = await world.serve()
        await world.wait(*slack)
        begun = reactor.seconds()
        daemon.terminate()
        statuses[await _ended(daemon, drain + 2.0 * _CLOSING)] += 1
        took.append(reactor.seconds() - begun)
        world.look()
    await world.serve()
    await writing
    await world.settled(settling)
    slow = sum(seconds > drain + _CLOSING for seconds in took)
    verdict = world.verdict(
        {
            "SIGTERMs": len(took),
            "statuses": dict(statuses),
            "longest stop": f"{max(took):.1f} s",
            **_counted(world),
        }
    )
    wrong = [f"{slow} stops took longer than {drain:g} s"] if slow else []
    # twistd ends by the signal that it was told to end by.
    wrong += [f"a stop ended with {it}" for it in statuses if it not in (0, -15)]
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


async def _ended(daemon: Daemon, seconds: float) -> int:
    """
    Wait for a daemon to end, and wait no longer than so.
    """
    try:
        return await daemon.exited.addTimeout(seconds, reactor)
    except TimeoutError:
        daemon.kill()
        return await daemon.exited


async def doubts(
    world: World,
    *,
    people: int,
    each: int,
    spoiled: int,
    parts: int,
    lost: float,
    pause: float = 2.0,
    settling: float = SETTLING,
) -> Verdict:
    """
    Let so many of the first so many sends be ambiguous.

    :param lost: how many of the echoes are lost, from 0.0 to 1.0.  If all are,
        look-ups lag so that the first one never sees what was sent.
    :param pause: the most seconds before each message.  A look-up shows only
        the newest messages of a thread: it must reach back to before a doubt.
    """
    schedule = Schedule(parts, spoiled, world.random)
    world.stand_ins.graph.faults = schedule
    world.stand_ins.graph.echoes = echo_lost(lost)
    if lost >= 1.0:
        delivery = world.deliver(lookup_lag=3)
        world.stand_ins.graph.lookup_lag = delivery["quarantine"] + 1.0
    await world.serve()
    await world.crowd(people, each, pause, answered=True)
    await world.settled(settling)
    verdict = world.verdict(
        {
            "ambiguous": world.spoiled()["message"],
            "echoes lost": f"{lost:.0%}",
            "look-ups": len(world.journal.of(LookedUp)),
        }
    )
    wrong = oracle.held_up(world.journal)
    ambiguous = world.spoiled()["message"]
    if ambiguous != spoiled:
        wrong.append(f"{ambiguous} sends, not {spoiled}, were ambiguous")
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


async def denied(
    world: World,
    *,
    policy: str,
    people: int,
    spoiled: int,
    settling: float = SETTLING,
) -> Verdict:
    """
    Let sends be ambiguous while neither echo nor look-up is to be had; each
    person writes once.

    :param policy: ``delivery.unresolved``.
    """
    schedule = Schedule(people, spoiled, world.random)
    # The long ones are of two parts.
    world.stand_ins.model.reply = lambda messages: messages[-1]["content"]
    refusals = always("conversations", rejection(10))
    world.stand_ins.graph.faults = lambda call, random: (
        schedule(call, random) or refusals(call, random)
    )
    world.stand_ins.graph.echoes = echo_lost(1.0)
    world.deliver(unresolved=policy)
    await world.serve()
    await world.crowd(people, 1, 1.0)
    if policy == "hold":
        await _until_held(world, spoiled, settling)
    else:
        await world.settled(settling)
    verdict = world.verdict(
        {"policy": policy, "ambiguous": spoiled}, settled=policy != "hold"
    )
    applied = sum(fault.applied for fault in schedule.spoils)
    judged = _as_wished(world, verdict, policy, spoiled, applied)
    met = world.spoiled()["message"]
    wrong = [f"{met} sends, not {spoiled}, were ambiguous"] if met != spoiled else []
    return evolve(judged, complaints=[*judged.complaints, *wrong])


async def _until_held(world: World, many: int, seconds: float) -> None:
    """
    Wait until all that is in doubt was looked up in vain.
    """

    def looked() -> bool:
        refused = {
            it.call.psid
            for it in world.journal.of(Spoiled)
            if it.call.kind == "conversations"
        }
        return len(refused) >= many

    await world.watch.until(looked, seconds)
    await deferLater(reactor, 1.0)


def _as_wished(
    world: World, verdict: Verdict, policy: str, many: int, applied: int
) -> Verdict:
    """
    Compare what became of parts in doubt with what the operator wished.

    :param many: how many there were.
    :param applied: how many of them were sent, which nobody could know.
    """
    twice = Counter(it.psid for it in world.journal.of(Applied)).values()
    doubled = sum(copies > 1 for copies in twice)
    states: dict[str, Any] = {
        row["state"]: row["count"]
        for row in oracle.rows(
            world.database,
            "SELECT state || iif(resent, ' again', '') AS state, count(*) AS count"
            " FROM part GROUP BY 1",
        )
    }
    wanted = {
        "resend": ("sent again", many, applied),
        "hold": ("unknown", many, 0),
        "drop": ("dead", many, 0),
    }[policy]
    state, parts, copies = wanted
    wrong = []
    if states.get(state, 0) != parts:
        wrong.append(f"{states.get(state, 0)} parts, not {parts}, are {state}")
    if doubled != copies:
        wrong.append(f"{doubled} were said twice, not {copies}")
    # What the policy gives up is known to be missing, or said again.
    others = [
        why
        for why in verdict.complaints
        if not any(word in why for word in (" times", "said 2", " lost "))
    ]
    found = [*others, *wrong]
    figures = {**verdict.figures, "said twice": doubled, **states}
    return Verdict(figures, found)
