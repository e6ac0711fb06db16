"""
Everything goes wrong at the same time, and nobody is forgotten or told a thing
twice; and where the daemon is broken on purpose, the oracle says so.

``python -m bench.chaos`` does the same for as long as one likes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from tests.chaos import Verdict, World, world
from tests.outages import mixed, outage, token, unreachable
from tests.points import points
from tests.scenarios import denied, doubts, kills, stops
from tests.stops import POINTS, plan

# In seconds: doubts are over sooner than in the long runs.
SOON = {"deadline": 1, "quarantine": 3}

Run = Callable[[World], Awaitable[Verdict]]


def _all(ended: list[tuple[bool, Any]]) -> list[list[str]]:
    for is_well, result in ended:
        if not is_well:
            result.raiseException()
    return [result for _, result in ended]


class ChaosCase(TestCase):
    """
    Runs in worlds of their own, several at the same time.
    """

    timeout = 240

    def setUp(self) -> None:
        self.seed = int(os.environ.get("MICA_SEED") or Random().getrandbits(32))

    async def judge(self, run: Run, *broken: str) -> list[str]:
        """
        Say what the oracle complains about after a run.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        patience = 8.0 if broken else 60.0
        async with world(
            directory, self.seed, broken=broken, patience=patience
        ) as here:
            here.deliver(**SOON)
            verdict = await run(here)
        return [f"MICA_SEED={self.seed}: {why}" for why in verdict.complaints]

    def judge_all(
        self, runs: Sequence[tuple[Run, Sequence[str]]]
    ) -> Deferred[list[list[str]]]:
        """
        Run several at the same time, whole builds or broken ones.
        """
        judging = [
            Deferred.fromCoroutine(self.judge(run, *broken)) for run, broken in runs
        ]
        # Who is left behind would go on beside the tests that follow.
        return DeferredList(judging, consumeErrors=True).addCallback(_all)

    async def assert_kept(self, *runs: Run) -> None:
        """
        Check that nobody complains.
        """
        found = await self.judge_all([(run, ()) for run in runs])
        self.assertEqual(found, [[] for _ in runs])


class ChaosTests(ChaosCase):
    """
    Tests for a daemon with which all is well, in a world in which nothing is.
    """

    async def test_ends(self) -> None:
        """
        Whenever the daemon is killed or told to stop, be it between any two
        commits, or before, in or after anything that it writes to the network,
        everybody is answered, once, and in order.
        """
        some: dict[str, Any] = {"people": 30, "each": 6, "pause": 1.5}
        shares = [plan(POINTS[first::4], 1) for first in range(4)]
        await self.assert_kept(
            partial(kills, least=5, life=(0.3, 1.2), **some),
            partial(stops, times=3, slack=(0.2, 1.0), **some),
            *(
                partial(points, plan=share, people=8, pause=2.0, passes=2)
                for share in shares
            ),
        )

    async def test_neighbors(self) -> None:
        """
        A message of which nobody knows at first whether it was sent is said
        once, whatever becomes of its echo, and keeps nobody else waiting;
        where nobody can ever know, it goes as the operator wishes.  A language
        model that is down is left alone and then not run over, one that errs
        costs little, and neither an expired token nor a Graph API out of reach
        costs anybody an answer.
        """
        some: dict[str, Any] = {"people": 20, "each": 2, "spoiled": 12, "parts": 40}
        await self.assert_kept(
            *(partial(doubts, lost=lost, **some) for lost in (0.0, 0.5, 1.0)),
            *(
                partial(denied, policy=policy, people=12, spoiled=8)
                for policy in ("resend", "hold", "drop")
            ),
            partial(outage, people=20, seconds=3.0),
            partial(unreachable, people=20, seconds=8.0),
            partial(mixed, people=20, each=6, most=1.5),
            partial(token, people=10, seconds=4.0, most=5),
        )


async def _dying(here: World) -> Verdict:
    """
    End where it matters the most; echoes are lost, and much else is delivered
    again.
    """
    here.stand_ins.meta.habits = evolve(here.stand_ins.meta.habits, doubles=0.5)
    ends = plan(["message.written", "webhook.written"], 4)
    return await points(here, ends, people=25, pause=1.5, passes=1, lost=1.0)


_SOME: dict[str, Any] = {"people": 15, "each": 2, "spoiled": 8, "parts": 30}
_BLIND = partial(doubts, lost=1.0, **_SOME)
_LIVELY: dict[str, Any] = {"people": 20, "each": 4, "pause": 1.0}
_killed = partial(kills, least=3, life=(0.5, 1.2), **_LIVELY)
_stopping = partial(stops, times=3, slack=(0.5, 1.2), **_LIVELY)
_stuck = partial(stops, people=10, each=1, pause=0.5, times=1, hang=1.0)
_EXPIRED = partial(token, people=8, seconds=3.0, most=5)

# What each broken build is put through, and what must be said of it: a pattern.
_NOTICED: dict[str, tuple[Run, str]] = {
    "crash_is_failure": (_dying, r"said \d+ times"),
    "early_200": (_dying, "accepted and lost"),
    "no_dedup": (_dying, r"kept \d+ times"),
    "doubt_is_failure": (_BLIND, r"said \d+ times"),
    "doubt_is_success": (_BLIND, "lost '"),
    "one_look": (_BLIND, r"said \d+ times"),
    "doubt_stops_all": (
        partial(doubts, lost=1.0, people=20, each=3, spoiled=8, parts=40),
        "nobody was answered",
    ),
    "blind_resend": (
        partial(denied, policy="hold", people=10, spoiled=8),
        "were said twice, not 0",
    ),
    "blind_drop": (
        partial(denied, policy="resend", people=10, spoiled=8),
        "0 parts, not 8, are sent again",
    ),
    "herd": (partial(outage, people=20, seconds=3.0), "that was down"),
    "token_is_refusal": (_EXPIRED, "lost '"),
    "no_pause": (_EXPIRED, "with an expired token"),
    "eager": (partial(mixed, people=10, each=4), "calls per turn"),
    "no_drain": (_stopping, r"said .* \d+ times"),
    "endless_drain": (_stuck, "took longer than"),
}
# Of runs that others of them have, too.
_NOTICED_TOO: dict[str, tuple[Run, str]] = {
    "doubt_is_failure": (_killed, r"said .* \d+ times"),
    "no_pause": (partial(unreachable, people=20, seconds=15.0), "who can't be reached"),
    "blind_resend": (
        partial(denied, policy="drop", people=10, spoiled=8),
        "0 parts, not 8, are dead",
    ),
}


class BrokenTests(ChaosCase):
    """
    Tests for the oracle.
    """

    async def test_noticed(self) -> None:
        """
        A build that breaks the protocol does not get by, and it is said what
        it does to people.  Whether the faults hit it is chance, so that each
        has three runs.
        """
        await self.assert_noticed(_NOTICED)

    async def test_noticed_otherwise(self) -> None:
        """
        Some are found out by other runs as well.
        """
        await self.assert_noticed(_NOTICED_TOO)

    async def assert_noticed(self, wanted: Mapping[str, tuple[Run, str]]) -> None:
        """
        Check that of each build that is said of it, in one of three runs.
        """
        builds = list(wanted)
        for _ in range(3):
            runs = [(wanted[it][0], [it]) for it in builds]
            found = zip(builds, await self.judge_all(runs), strict=True)
            missed = {
                build: complaints[:5]
                for build, complaints in found
                if not any(re.search(wanted[build][1], why) for why in complaints)
            }
            builds = list(missed)
            if not missed:
                break
        self.assertEqual(missed, {})
