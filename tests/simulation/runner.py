"""
Runs, by the seeds of their plans.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import cast

from attrs import field, frozen
from twisted.logger import ILogObserver, globalLogPublisher

from micamsgr.sandbox.journal import Applied, Asked, LookedUp, Posted, Wrote
from tests.oracle import rows
from tests.simulation.plan import draw
from tests.simulation.world import World

Broken = Callable[[World], None]


@frozen(kw_only=True)
class Result:
    """
    What came of a run.

    :ivar seconds: of simulated time.
    :ivar counts: how often what happened.
    :ivar trace: what happened, a line each, if that was wanted.
    """

    seed: int
    problems: list[str]
    seconds: float
    counts: Counter[str]
    trace: list[str] = field(factory=list, repr=False)


def run(
    seed: int, *, prepare: Callable[[World], None] | None = None, trace: bool = False
) -> Result:
    """
    Run what a seed stands for.

    :param prepare: changes the world before it begins.
    """
    # Of a daemon that died much is left in cycles; what becomes of it must not
    # depend on what was run before.
    gc.disable()
    world = World(draw(seed), trace=[] if trace else None)
    observe = cast(ILogObserver, world.observe)
    globalLogPublisher.addObserver(observe)
    try:
        if prepare is not None:
            prepare(world)
        world.run()
    finally:
        globalLogPublisher.removeObserver(observe)
        gc.enable()
    return _result(seed, world)


def _result(seed: int, world: World) -> Result:
    counts = world.counts
    journal = world.journal
    counts["runs"] = 1
    counts["messages"] = len(journal.of(Wrote))
    counts["parts delivered"] = len(journal.of(Applied))
    counts["look-ups"] = len(journal.of(LookedUp))
    counts["calls of the LLM"] = len(journal.of(Asked))
    posted = journal.of(Posted)
    counts["webhooks"] = len(posted)
    counts["webhooks not answered 200"] = sum(it.status != 200 for it in posted)
    accepted = Counter(it.body for it in posted if it.status == 200)
    counts["webhooks accepted again"] = accepted.total() - len(accepted)
    counts["commits"] = world.disk.commits
    for table in ("event", "turn", "part"):
        for row in rows(world.disk.database, f"SELECT state FROM {table}"):
            counts[f"{table}s in the end: {row['state']}"] += 1
    read = "SELECT id FROM event WHERE kind = 'message' AND source <> 'webhook'"
    counts["messages read from threads"] = len(rows(world.disk.database, read))
    again = "SELECT id FROM part WHERE attempt > 1"
    counts["parts sent again"] = len(rows(world.disk.database, again))
    lines = [repr(it) for it in world.trace or ()]
    if world.trace is not None:
        lines += map(repr, journal.facts)
    return Result(
        seed=seed,
        problems=world.problems,
        seconds=world.timeline.rightNow,
        counts=counts,
        trace=lines,
    )
