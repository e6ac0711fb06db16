"""
The run that ends the daemon at each named point, life after life, while
ordinary people write, and visitors with whom something is the matter.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from random import Random

from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    INTERNAL,
    Call,
    Chances,
    Fault,
    rejection,
)
from tests.chaos import Verdict, World, regular, visitor
from tests.daemon import Daemon, reactor
from tests.launch import LONGEST, TRIES
from tests.plans import SLOW, SLOW_MODEL, Sparing, echo_lost

#: With whom something is the matter: a person who can't be reached, one whose
#: messages never arrive, one to whom the language model has no answer, one who
#: wrote long ago, one whom another app has taken over, one who waits long, one
#: who can only be written to later, and one whom a human answers meanwhile.
VISITORS = (
    "blocked",
    "deaf",
    "hopeless",
    "stale",
    "elsewhere",
    "slow",
    "later",
    "relieved",
)

# What never arrives is left to the visitors: of three attempts at a message,
# the stops themselves take some.
_ORDINARY = Sparing(
    Chances(
        {
            "message": (
                (0.1, INTERNAL),
                (0.1, DROPPED_AFTER),
                (0.3, SLOW),
            )
        }
    )
)

_LATER = Sparing(
    lambda call, random: evolve(rejection(2018321), headers=(("Retry-After", "1"),))
)

# So many visitors later a human answers: not so soon as a reply that Meta makes.
_LATER_ON = 30

_KEPT = "remember_page.kept"

# What happens once in a life.
_ONCE = {
    f"{name}.{when}": 1
    for name in ("remember_page", "interrupted", "told")
    for when in ("done", "kept")
} | {f"subscription.{when}": 1 for when in ("begun", "half", "written", "answered")}


@define(eq=False)
class Lives(Daemon):
    """
    Lives of the daemon, one after the other.

    :ivar ended: how each ended, by the line that ``tests/launch.py`` prints.
    """

    ended: list[str] = field(factory=list, init=False)
    last: bool = field(default=False, init=False)
    _rest: bytes = field(default=b"", init=False)

    def outReceived(self, data: bytes) -> None:
        super().outReceived(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"LIFE "):
                self.ended.append(line.decode("ascii"))
            self.last = self.last or line == b"LAST LIFE"


def _matter(psid: str | None) -> str | None:
    """
    Say what is the matter with whom.
    """
    if psid is None or not psid.startswith(visitor(0)[:8]):
        return None
    return VISITORS[int(psid[8:]) % len(VISITORS)]


def _graph(call: Call, random: Random) -> Fault | None:
    matter = _matter(call.psid)
    if call.kind != "message" or matter is None:
        return _ORDINARY(call, random)
    if matter == "blocked":
        return rejection(551)
    if matter in ("deaf", "relieved"):
        return DROPPED_BEFORE
    if matter == "elsewhere":
        return rejection(10, 2018300)
    if matter == "later":
        return _LATER(call, random)
    return None


def _model(call: Call, random: Random) -> llm.Fault | None:
    asked = call.text or ""
    if "hopeless" in asked:
        return llm.failing(400, "invalid_prompt", "invalid_request_error")
    if random.random() < 0.05:
        return llm.INTERNAL
    return llm.Fault(delay=2.5) if "slow" in asked else SLOW_MODEL


async def _visit(world: World, pause: float, going: Callable[[], bool]) -> None:
    for number in count():
        if not going():
            return
        if number >= _LATER_ON and _matter(visitor(number - _LATER_ON)) == "relieved":
            psid = visitor(number - _LATER_ON)
            world.stand_ins.meta.human(world.page.id, psid, "Let me see to that")
        psid = visitor(number)
        matter = _matter(psid)
        if matter == "stale":
            people = {"sender": {"id": psid}, "recipient": {"id": world.page.id}}
            message = {"mid": world.stand_ins.meta.new_id("m"), "text": "Long ago"}
            at = int((time.time() - 25 * 3600) * 1000)
            world.stand_ins.meta.event(
                world.page.id, {**people, "timestamp": at, "message": message}
            )
        else:
            # Whoever's text ends in 7 gets an answer of two parts.
            world.write(psid, f"a {matter} visitor, 7")
        await world.wait(0.0, pause)


async def _write_on(
    world: World, number: int, pause: float, going: Callable[[], bool]
) -> None:
    for first in count():
        if not going():
            return
        await world.person(regular(number), 1, pause, False, first)


async def points(
    world: World,
    plan: Sequence[str],
    *,
    people: int = 40,
    pause: float = 4.0,
    passes: int = 4,
    lost: float = 0.5,
    seconds: float | None = None,
    settling: float = 900.0,
) -> Verdict:
    """
    End the daemon at each point of a plan, one life for each.

    :param passes: at the first so many passes of the point, by chance.
    :param lost: how many of the echoes are, from 0.0 to 1.0.
    :param seconds: after so many, the rest of the plan is left out; ``None``: it
        is as long as it takes.
    """
    graph, model = world.stand_ins.graph, world.stand_ins.model
    graph.faults, graph.echoes, model.faults = _graph, echo_lost(lost), _model
    graph.lookup_lag = 0.5
    world.changes |= {
        "assistant": {"apology": {"after": 1}},
        # So few that some wait for one, after each start.
        "llm_config": {"concurrency": 5 + people // 12},
        "log": {"level": "error"},
    }
    stops = [
        (point, world.random.randint(1, _ONCE.get(point, passes))) for point in plan
    ]
    lives = await world.serve(stops=stops, kind=Lives)
    assert isinstance(lives, Lives)
    # Even where each life of the plan is in vain, and is tried again.
    most = len(stops) * (TRIES + 1) * LONGEST if seconds is None else seconds
    deadline = reactor.seconds() + most

    def going() -> bool:
        return not lives.last and reactor.seconds() < deadline

    writing = [Deferred.fromCoroutine(_visit(world, 0.3, going))] + [
        Deferred.fromCoroutine(_write_on(world, number, pause, going))
        for number in range(people)
    ]
    await world.watch.until(lambda: not going(), most + 30.0)
    if not lives.last:
        lives.kill()
        await lives.exited
        await world.serve()
    for each in writing:
        await each
    await world.settled(settling)
    ended = Counter(line.split()[1] for line in lives.ended if "stopped" in line)
    missed = [line.split()[1] for line in lives.ended if "stopped" not in line]
    short = {
        point: f"{ended[point]} of {times}"
        for point, times in Counter(plan).items()
        if ended[point] < times
    }
    verdict = world.verdict(
        {
            "points": len(ended),
            "stops": sum(ended.values()),
            # The Page is kept once and for all.
            "fewest": min(
                (ended[it] for it in plan if it != "remember_page.kept"), default=0
            ),
            "lives in vain": len(missed),
            "spoiled": world.spoiled()["message"],
        },
        unreached=True,
    )
    wrong = [f"{point}: {count} stops" for point, count in short.items()]
    return evolve(verdict, complaints=[*verdict.complaints, *wrong])
