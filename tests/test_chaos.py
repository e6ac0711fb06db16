"""
Everything goes wrong at the same time, and nobody is forgotten or told a thing
twice; and where the daemon is broken on purpose, the oracle says so.

``python -m bench.chaos`` does the same for as long as one likes.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.chaos import Verdict, World, world
from tests.outages import mixed, outage, token
from tests.points import points
from tests.scenarios import denied, doubts, kills, stops
from tests.stops import POINTS, plan

# In seconds: doubts are over sooner than in the long runs.
SOON = {"deadline": 1, "quarantine": 3}

Run = Callable[[World], Awaitable[Verdict]]


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
        async with world(directory, self.seed, broken=broken) as here:
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
        return gatherResults(judging, consumeErrors=True)

    async def assert_kept(self, *runs: Run) -> None:
        """
        Check that nobody complains.
        """
        found = await self.judge_all([(run, ()) for run in runs])
        self.assertEqual(found, [[] for _ in runs])


class KillTests(ChaosCase):
    """
    Tests for a daemon that ends again and again.
    """

    async def test_random(self) -> None:
        """
        Whenever the daemon is killed or told to stop, while the language model
        and the Graph API err, everybody is answered, once, and in order.
        """
        few: dict[str, Any] = {"people": 30, "each": 6, "pause": 1.5}
        await self.assert_kept(
            partial(kills, least=5, life=(0.3, 1.2), **few),
            partial(stops, times=3, slack=(0.2, 1.0), **few),
        )

    async def test_points(self) -> None:
        """
        So is everybody if it ends between any two commits, or before, in,
        or after anything that it writes to the network.
        """
        shares = [plan(POINTS[first::2], 1) for first in range(2)]
        await self.assert_kept(
            *(partial(points, plan=share, people=15, pause=2.0) for share in shares)
        )


class NeighborTests(ChaosCase):
    """
    Tests for a Graph API and a language model that fail.
    """

    async def test_doubts(self) -> None:
        """
        A message of which nobody knows at first whether it was sent is said
        once, whatever becomes of its echo, and keeps nobody else waiting;
        where nobody can ever know, it goes as the operator wishes.
        """
        some: dict[str, Any] = {"people": 20, "each": 3, "spoiled": 16, "parts": 60}
        await self.assert_kept(
            partial(doubts, lost=0.0, **some),
            partial(doubts, lost=0.5, **some),
            partial(doubts, lost=1.0, **some),
            partial(denied, policy="resend", people=15, spoiled=8),
            partial(denied, policy="hold", people=15, spoiled=8),
            partial(denied, policy="drop", people=15, spoiled=8),
        )

    async def test_troubles(self) -> None:
        """
        A language model that is down is left alone and then not run over, one
        that errs costs little, and an expired token costs nobody an answer.
        """
        await self.assert_kept(
            partial(outage, people=20, seconds=5.0),
            partial(mixed, people=20, each=6, most=1.7),
            partial(token, people=10, seconds=5.0, most=5),
        )


class BrokenTests(ChaosCase):
    """
    Tests for the oracle: builds that break the protocol do not get by.
    """

    async def assert_noticed(self, run: Run, *builds: str) -> None:
        """
        Check that somebody complains about each of these builds.
        """
        found = await self.judge_all([(run, [build]) for build in builds])
        for build, complaints in zip(builds, found, strict=True):
            self.assertNotEqual(complaints, [], build)

    async def test_kills(self) -> None:
        """
        What a crash costs people is noticed.
        """

        async def run(here: World) -> Verdict:
            # Some of it is delivered again, by which it is seen.
            here.stand_ins.meta.habits = evolve(here.stand_ins.meta.habits, doubles=0.5)
            ends = ["message.written", "webhook.written"]
            return await points(here, plan(ends, 6), people=10, passes=1)

        await self.assert_noticed(run, "crash_is_failure", "early_200", "no_dedup")

    async def test_doubts(self) -> None:
        """
        So is what doubt costs them, ended too soon, too simply, or for all.
        """
        some: dict[str, Any] = {"people": 15, "each": 2, "spoiled": 12, "parts": 30}
        await self.assert_noticed(
            partial(doubts, lost=1.0, **some),
            *("one_look", "doubt_is_failure", "doubt_is_success"),
        )
        await self.assert_noticed(partial(doubts, lost=0.5, **some), "doubt_stops_all")

    async def test_troubles(self) -> None:
        """
        So are a herd, and messages that are given up for a token's sake.
        """
        await self.assert_noticed(partial(outage, people=20, seconds=3.0), "herd")
        expired: Any = partial(token, people=8, seconds=3.0, most=5)
        await self.assert_noticed(expired, "token_is_refusal", "no_pause")
