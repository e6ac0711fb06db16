"""
A start with a past; ``bench/restart.py`` measures how long it takes.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from bench.restart import measure_all


class RestartTests(TestCase):
    """
    Tests for the first answers after a kill.
    """

    timeout = 60

    async def test_first(self) -> None:
        """
        Killed again and again while people wait, the daemon answers some of
        them after each start; and so does the build that is the control.
        """
        for broken in ([], ["no_indexes"]):
            directory = Path(self.mktemp())
            directory.mkdir()
            many = {"people": 2000, "pending": 2000, "stored": 4000}
            rounds = await measure_all(directory, 2, broken, working=0.2, **many)
            self.assertEqual([it.answered > 0 for it in rounds], [True, True])
