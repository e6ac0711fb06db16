"""
The whole daemon, simulated: see :mod:`tests.simulation`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.broken import BROKEN
from tests.simulation.runner import run

ROOT = Path(__file__).parents[1]

# Each in tens of milliseconds.
SEEDS = int(os.environ.get("MICA_SEEDS") or 1000)

# By so many each broken daemon must be found out.
ENOUGH = 2000

# Runs in which much goes wrong.
NASTY = (0, 5, 7, 16, 27, 42, 76)


# What the command must have counted.
WHAT = {
    "commits failed",
    "commits slow",
    "connections cut",
    "connections refused",
    "crashes",
    "crashes: after commit",
    "crashes: after write",
    "crashes: before commit",
    "crashes: before write",
    "crashes: event",
    "echoes spoiled",
    "graph: conversations spoiled",
    "graph: message spoiled",
    "humans",
    "llm: spoiled",
    "look-ups",
    "reboots",
    "stops",
    "webhooks not answered 200",
    "writes held back",
    "doubts",
    "parts sent again",
    "webhooks accepted again",
    "llm: failed",
    "turns that waited for an apology",
    "messages that were missed",
    "messages read from threads",
    "webhooks delivered after all",
}


def simulate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """
    Run the command, in a process of its own: trial would write all that is
    logged to a file.
    """
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class SimulationTests(SynchronousTestCase):
    """
    Tests for the daemon in a world in which much goes wrong.
    """

    def test_seeds(self) -> None:
        """
        Whatever goes wrong, and whenever the daemon dies, nothing is lost,
        nothing is said twice or out of order, and nobody waits for others.
        """
        done = simulate("--seeds", str(SEEDS))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # All that a run may meet was met.
        lines = done.stdout.splitlines()[1:]
        counted = {what for _, what in (line.split(None, 1) for line in lines)}
        self.assertEqual(WHAT - counted, set())

    def test_replay(self) -> None:
        """
        A seed is the same run again, to the last byte, in this process and in
        another one.
        """
        for seed in NASTY:
            first, again = run(seed, trace=True), run(seed, trace=True)
            self.assertEqual(first.trace, again.trace, seed)
            self.assertGreater(len(first.trace), 50)
            arguments = ("--trace", "--first", str(seed))
            for hashing in ("1", "2"):
                done = simulate(*arguments, PYTHONHASHSEED=hashing)
                self.assertEqual(done.stdout.splitlines(), first.trace, seed)


class BrokenTests(SynchronousTestCase):
    """
    Tests for daemons that break the protocol on purpose.
    """

    def test_found_out(self) -> None:
        """
        A daemon that breaks the protocol in any one place is found out.
        """
        for name in BROKEN:
            done = simulate("--broken", name, "--seeds", str(ENOUGH))
            self.assertIn("found out by seed", done.stdout, name + done.stderr)

    def test_told(self) -> None:
        """
        The page on what was tried says how many there are.
        """
        page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
        self.assertIn(f"{len(BROKEN)} broken daemons", page)
