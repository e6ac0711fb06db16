"""
The runs: what is done to the daemon, and what came of it.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    INTERNAL,
    Applied,
    Asked,
    Chances,
    LookedUp,
    Refused,
    Spoiled,
    always,
    rejection,
)
from tests import oracle
from tests.chaos import DELIVERY, Verdict, World
from tests.daemon import reactor
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

# How long a run may take to settle, in seconds, beyond all its doubts.
_SETTLING = 90.0


def _faults(world: World) -> None:
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
    settling: float = _SETTLING,
) -> Verdict:
    """
    Kill the daemon at random times, until all has been written.

    :param least: how many kills there are at least.
    :param life: from when it is ready until it is killed, in seconds.
    """
    _faults(world)
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
    drain: float = 10.0,
    settling: float = _SETTLING,
) -> Verdict:
    """
    Stop the daemon by SIGTERM under load, and start it again.

    :param drain: how long a stop may let what is in flight finish.
    """
    _faults(world)
    writing = world.crowd(people, each, pause)
    took: list[float] = []
    statuses: Counter[int] = Counter()
    while len(took) < times:
        daemon = await world.serve()
        await world.wait(*slack)
        begun = reactor.seconds()
        daemon.terminate()
        statuses[await daemon.exited] += 1
        took.append(reactor.seconds() - begun)
        world.look()
    await world.serve()
    await writing
    await world.settled(settling)
    # The store is closed after that, and the process ends.
    slow = sum(seconds > drain + 5.0 for seconds in took)
    verdict = world.verdict(
        {
            "SIGTERMs": len(took),
            "statuses": dict(statuses),
            "longest stop": f"{max(took):.1f} s",
            **_counted(world),
        }
    )
    wrong = [f"{slow} stops took longer than {drain:g} s"] if slow else []
    wrong += [f"a stop ended with {it}" for it in statuses if it != 0]
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


async def doubts(
    world: World,
    *,
    people: int,
    each: int,
    spoiled: int,
    parts: int,
    lost: float,
    settling: float = _SETTLING,
) -> Verdict:
    """
    Let so many of the first so many sends be ambiguous.

    :param lost: how many of the echoes are lost, from 0.0 to 1.0.  If all are,
        look-ups lag so that the first one never sees what was sent.
    """
    schedule = Schedule(parts, spoiled, world.random)
    world.stand_ins.graph.faults = schedule
    world.stand_ins.graph.echoes = echo_lost(lost)
    if lost >= 1.0:
        delivery = world.changes["delivery"] = {**DELIVERY, "lookup_lag": 3}
        world.stand_ins.graph.lookup_lag = delivery["quarantine"] + 1.0
    await world.serve()
    await world.crowd(people, each, 0.5, answered=True)
    await world.settled(settling)
    verdict = world.verdict(
        {
            "ambiguous": world.spoiled()["message"],
            "echoes lost": f"{lost:.0%}",
            "look-ups": len(world.journal.of(LookedUp)),
        }
    )
    wrong = oracle.held_up(world.journal)
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


async def denied(
    world: World,
    *,
    policy: str,
    people: int,
    spoiled: int,
    settling: float = _SETTLING,
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
    world.changes["delivery"] = {**DELIVERY, "unresolved": policy}
    await world.serve()
    await world.crowd(people, 1, 1.0)
    if policy == "hold":
        await _until_held(world, spoiled, settling)
    else:
        await world.settled(settling)
    verdict = world.verdict(
        {"policy": policy, "ambiguous": spoiled}, settled=policy != "hold"
    )
    return _as_wished(world, verdict, policy, spoiled)


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


def _as_wished(world: World, verdict: Verdict, policy: str, many: int) -> Verdict:
    """
    Compare what became of parts in doubt with what the operator wished.
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
    # Half of them were applied; nobody could know which.
    wanted = {
        "resend": ("sent again", many, many // 2),
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


def _peak(asked: list[float]) -> int:
    """
    Count the most calls within any second.
    """
    most = first = 0
    for last, at in enumerate(asked):
        while asked[first] <= at - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


async def outage(
    world: World,
    *,
    people: int,
    seconds: float,
    settling: float = 300.0,
    most: int = 60,
) -> Verdict:
    """
    Let the language model be down while everybody writes, and then be back.

    :param seconds: how long it is down.
    :param most: how many calls per second it must be spared when it is back.
    """
    world.changes["assistant"] = {"apology": {"after": 3600}}
    await world.serve()
    world.stand_ins.model.faults = always("completion", llm.BAD_GATEWAY)
    down = reactor.seconds()
    writing = world.crowd(people, 1, seconds * 0.8)
    await deferLater(reactor, seconds)
    world.stand_ins.model.faults = lambda call, random: llm.Fault(delay=0.3)
    up = reactor.seconds()
    await writing
    waiting = people - len({it.psid for it in world.journal.of(Applied)})
    settled = await world.settled(settling)
    drained = reactor.seconds() - up
    asked = [it.at for it in world.journal.of(Asked)]
    during = [at for at in asked if down <= at < up]
    after = _peak([at for at in asked if at >= up])
    verdict = world.verdict(
        {
            "down": f"{seconds:g} s",
            "waiting": waiting,
            "calls while down": len(during),
            "most per second while down": _peak(during),
            "most per second after": after,
            "drained in": f"{drained:.0f} s",
        }
    )
    wrong = [] if settled else ["the queue did not drain"]
    if after > most:
        wrong.append(f"a herd of {after} calls in a second")
    if len(during) > people:
        wrong.append(f"{len(during)} calls of a language model that was down")
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


#: 30 % of calls go wrong, in every way; ``FILTERED`` has no answer by right.
MIXED = Chances(
    {
        "completion": tuple(
            (0.025, fault)
            for fault in (
                llm.INTERNAL,
                llm.BAD_GATEWAY,
                evolve(llm.RATE_LIMITED, headers=(("Retry-After", "1"),)),
                evolve(llm.RATE_LIMITED, headers=()),
                llm.DROPPED,
                llm.HANGING,
                llm.STALLING,
                llm.TRUNCATED,
                llm.EMPTY,
                llm.ERROR_IN_200,
                llm.TOO_LONG,
                llm.FILTERED,
            )
        )
    }
)


async def mixed(
    world: World, *, people: int, each: int, settling: float = 300.0
) -> Verdict:
    """
    Let 30 % of the language model's calls go wrong, in every way.
    """
    world.changes["llm_config"] = {"timeout": 2}
    world.changes["assistant"] = {"apology": {"after": 3600}}
    world.stand_ins.model.faults = MIXED
    await world.serve()
    await world.crowd(people, each, 1.0)
    await world.settled(settling)
    rows = partial(oracle.rows, world.database)
    turns = Counter(row["state"] for row in rows("SELECT state FROM turn"))
    (told,) = rows(
        "SELECT count(*) AS count FROM part WHERE kind = 'notice' AND state = 'sent'"
    )
    dead = {row["text"] for row in rows("SELECT text FROM event WHERE state = 'dead'")}
    calls = len(world.journal.of(Asked)) / max(1, sum(turns.values()))
    verdict = world.verdict(
        {
            "turns": sum(turns.values()),
            "failed": turns["failed"],
            "told": told["count"],
            "calls per turn": f"{calls:.2f}",
            "spoiled LLM calls": world.spoiled()["completion"],
        }
    )
    allowed = {f"lost {text!r}" for text in dead}
    wrong = [why for why in verdict.complaints if why.partition(": ")[2] not in allowed]
    if told["count"] != turns["failed"]:
        wrong.append(f"{turns['failed']} turns failed, and {told['count']} were told")
    if calls > 1.5:
        wrong.append(f"{calls:.2f} calls per turn")
    figures = {**verdict.figures, "lost": verdict.figures["lost"] if wrong else 0}
    return Verdict(figures, wrong)


async def token(
    world: World,
    *,
    people: int,
    seconds: float,
    most: int,
    settling: float = _SETTLING,
) -> Verdict:
    """
    Let the Page's token expire while everybody writes, and start again with a
    new one.

    :param most: how many calls with the old one are few.
    """
    daemon = await world.serve()
    await world.crowd(people, 1, 1.0, answered=True)
    world.page.token = "token-renewed"
    writing = [
        Deferred.fromCoroutine(
            world.person(f"628491377510{n:04}", 1, seconds / 2, False, first=1)
        )
        for n in range(people)
    ]
    await deferLater(reactor, seconds)
    refused = Counter(it.call.kind for it in world.journal.of(Refused))
    daemon.terminate()
    await daemon.exited
    await world.serve()
    for each in writing:
        await each
    await world.settled(settling)
    verdict = world.verdict(
        {
            "expired": f"{seconds:g} s",
            "refused messages": refused["message"],
            "refused calls": sum(refused.values()),
            "told": daemon.output.count("code 190"),
        }
    )
    wrong = []
    if refused["message"] > most:
        wrong.append(f"{refused['message']} messages with an expired token")
    if not refused or "code 190" not in daemon.output:
        wrong.append("nobody was told that the token has expired")
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])
