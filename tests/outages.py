"""
The runs in which a neighbor is down, or errs, or refuses us: what that costs
it, and what came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import Applied, Asked, Call, Refused, always
from tests import oracle
from tests.chaos import Verdict, World, regular
from tests.daemon import reactor
from tests.scenarios import SETTLING


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


async def unreachable(
    world: World, *, people: int, seconds: float, settling: float = 300.0
) -> Verdict:
    """
    Let the Graph API refuse all connections while everybody writes, and then be
    back.

    :param seconds: for how long it does.
    """
    world.changes["assistant"] = {"apology": {"after": 3600}}
    daemon = await world.serve()
    graph = world.stand_ins.site(world.stand_ins.graph)
    await graph.shut()
    writing = world.crowd(people, 1, seconds * 0.8)
    await deferLater(reactor, seconds)
    attempts = daemon.output.count(": surely not sent")
    graph.open()
    up = reactor.seconds()
    await writing
    settled = await world.settled(settling)
    drained = reactor.seconds() - up
    sent = [it.at for it in world.journal.of(Applied)]
    verdict = world.verdict(
        {
            "down": f"{seconds:g} s",
            "attempts while down": attempts,
            "most per second after": _peak(sent),
            "drained in": f"{drained:.0f} s",
        }
    )
    wrong = [] if settled else ["the queue did not drain"]
    # One for each of the longest pauses, and what it takes to find out.
    if attempts > 20 + seconds / 5.0:
        wrong.append(f"{attempts} attempts at who can't be reached")
    if "nothing is sent for bot mica" not in daemon.output:
        wrong.append("nobody was told that nothing is sent")
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])


#: What goes wrong with three of ten calls, each as often as the others.
MIXED = (
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


def _three_in_ten(random: Random) -> Callable[[Call, Random], llm.Fault | None]:
    left: list[llm.Fault | None] = []

    def plan(call: Call, _: Random) -> llm.Fault | None:
        if not left:
            left.extend([*MIXED, *[None] * (len(MIXED) * 7 // 3)])
            random.shuffle(left)
        return left.pop()

    return plan


async def mixed(
    world: World,
    *,
    people: int,
    each: int,
    most: float = 1.5,
    settling: float = 300.0,
) -> Verdict:
    """
    Let 30 % of the language model's calls go wrong, in every way.

    :param most: how many calls a turn may cost.
    """
    world.changes["llm_config"] = {"timeout": 2}
    world.changes["assistant"] = {"apology": {"after": 3600}}
    world.stand_ins.model.faults = _three_in_ten(world.random)
    await world.serve()
    await world.crowd(people, each, 1.0)
    await world.settled(settling)
    rows = partial(oracle.rows, world.database)
    turns = Counter(row["state"] for row in rows("SELECT state FROM turn"))
    (told,) = rows(
        "SELECT count(*) AS count FROM part WHERE kind = 'notice' AND state = 'sent'"
    )
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
    # An answer that was cut, or to a history that was, may name less.
    wrong = [why for why in verdict.complaints if ": lost " not in why]
    if told["count"] != turns["failed"]:
        wrong.append(f"{turns['failed']} turns failed, and {told['count']} were told")
    if calls > most:
        wrong.append(f"{calls:.2f} calls per turn")
    (lost,) = rows(
        "SELECT count(*) AS count FROM event WHERE text IS NOT NULL"
        " AND state NOT IN ('done', 'dead')"
    )
    return Verdict({**verdict.figures, "lost": lost["count"]}, wrong)


async def token(
    world: World,
    *,
    people: int,
    seconds: float,
    most: int,
    settling: float = SETTLING,
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
        Deferred.fromCoroutine(world.person(regular(n), 1, seconds / 2, False, first=1))
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
