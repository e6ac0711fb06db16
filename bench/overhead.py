"""
How long the daemon itself takes from a webhook to the call that sends the
answer, at 20 messages per second: what the LLM takes is subtracted, and what the
Graph API takes comes after that.

The configuration is that of ``bench/accept.py``, with no difference at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import field, frozen

from bench.children import module, running
from bench.pipeline import Figures, Load, ours
from bench.report import Goal, Report, finish, machine, options, progress

#: Messages per second, below the 30 that are sent by default.
RATE = 20

# Connections over which they come.
_CONNECTIONS = 10

# Seconds that the LLM takes.
_DELAYS = (0.0, 0.5)

_SHOWN = "{:.1f} ms"


@frozen
class Series:
    """
    The rounds with an LLM that takes so many seconds.
    """

    delay: float
    rounds: list[Figures] = field(factory=list)

    @property
    def p50(self) -> float:
        """What the daemon takes, in milliseconds."""
        return median(it.p50 - it.thought for it in self.rounds) * 1e3

    @property
    def p99(self) -> float:
        """What the daemon takes, in milliseconds."""
        return median(it.p99 - it.thought for it in self.rounds) * 1e3

    def row(self) -> list[str]:
        """Say it all in cells."""
        return [
            f"{self.delay:g} s" if self.delay else "at once",
            f"{sum(figures.all for figures in self.rounds):,}",
            f"{self.p50:.1f} ms",
            f"{self.p99:.1f} ms",
        ]


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=10.0, rounds=3)
    load = Load(people=_CONNECTIONS, seconds=given.seconds, rate=RATE)
    series = [Series(delay) for delay in _DELAYS]
    with TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(f"overhead: {RATE} messages/s")
        print(machine(directory), flush=True)
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            for one in series:
                with running(*module("stand_in", "--delay", one.delay)) as stand_in:
                    remote = f"http://127.0.0.1:{stand_in.line()}"
                    where = directory / f"{number}-{one.delay}"
                    one.rounds.append(ours(where, stand_in, remote, load))
    for one in series:
        # As many wrote as were to, and the LLM took what it was to take.
        wrote = min(it.all for it in one.rounds)
        thought = min(it.thought for it in one.rounds)
        if wrote < RATE * given.seconds or thought < one.delay or one.p50 <= 0.0:
            raise SystemExit(f"not what was to be measured: {one}")
    p50, p99 = (max(getattr(one, name) for one in series) for name in ("p50", "p99"))
    report = Report(
        name="overhead",
        rows=[
            ["the LLM answers", "messages", "p50", "p99"],
            *(it.row() for it in series),
        ],
        line=f"at {RATE} messages/s p50 {p50:.1f} ms, p99 {p99:.1f} ms,"
        " the worse of the two",
        goals=[
            Goal(what=f"p50 at {RATE}/s", got=p50, must=10.0, aim=6.0, shown=_SHOWN),
            Goal(what=f"p99 at {RATE}/s", got=p99, must=30.0, aim=20.0, shown=_SHOWN),
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
