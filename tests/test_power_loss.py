"""
The power fails: what was acknowledged before is there afterwards.  A small
version of ``python -m bench.power_loss``.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from bench.power_loss import Run
from tests.power import Verdict, judge

MESSAGES, CUTS = 400, 120


class PowerLossTests(SynchronousTestCase):
    """
    Tests for a daemon whose disk is observed, and cut off afterwards.
    """

    def run_one(self, *, messages: int = MESSAGES, **how: bool | float) -> Run:
        """
        Let a daemon take messages, and be killed once meanwhile.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        run = Run(directory, 1, **how)  # type: ignore[arg-type]
        self.addCleanup(run.disk.close)
        run.take(messages, kills=1 if messages > 10 else 0)
        self.assertEqual(len(run.acknowledged), messages)
        return run

    def sound(self, verdict: Verdict) -> None:
        """
        Check that nothing was lost, and that something could have been.
        """
        self.assertEqual(verdict.damaged, [])
        self.assertEqual(verdict.lost, 0)
        self.assertGreater(verdict.required, 0)

    def test_acknowledged(self) -> None:
        """
        Whenever the power fails, the store is whole, a start does not refuse
        it, and each message that was answered 200 is in it.
        """
        self.sound(self.run_one().judge(CUTS))

    def test_failing(self) -> None:
        """
        So it is where fsync fails at times, and what it was to write never
        reaches the disk though a later one succeeds.
        """
        run = self.run_one(failing=0.02)
        self.assertGreater(run.disk.failed, 0)
        self.sound(run.judge(CUTS))

    def test_first_start(self) -> None:
        """
        So it is at every single step of the first start and the first message.
        """
        run = self.run_one(messages=2)
        rebuilt = run.directory / "rebuilt"
        rebuilt.mkdir()
        for seed in range(5):
            self.sound(
                judge(
                    run.directory / "record",
                    run.acknowledged,
                    rebuilt / "mica.db",
                    cuts=1_000_000,
                    random=Random(seed),
                )
            )

    def test_weaker(self) -> None:
        """
        A daemon that does not wait for the disk loses messages so, by which we
        know that these tests would notice.
        """
        self.assertGreater(self.run_one(weaker=True).judge(CUTS).lost, 0)
