"""
How long 5,000 people wait who write within 5 seconds, while the LLM takes 5
seconds for each: all of its calls are under way at once.

``llm_config.concurrency`` is 5,000, and ``delivery.rate`` is 0.  So is
``limits.bot.tokens_per_day``: what 5,000 calls set aside until they are answered is
more than a day's share of tokens is by default.  Beside it, what as many calls of
the Send API take with nothing else around them.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.children import Child, measured, module, running
from bench.pipeline import Figures, Load, ours
from bench.report import Goal, Report, finish, machine, options, progress

PEOPLE = 5000

# Seconds within which they write, and that the LLM takes.
_WITHIN, _DELAY = 5.0, 5.0

# Connections over which they come, and over which the bare calls go.
_CONNECTIONS = 50

# File descriptors besides those of the LLM's calls.
_FURTHER = 1000


def _bare(config: Path, stand_in: Child, people: int) -> float:
    """
    :return: how many seconds as many sends take.
    """
    how = ("--people", _CONNECTIONS, "--sends", people)
    with running(*module("bare_calls", config, *how)) as caller:
        (result,), _ = measured([caller], [stand_in], 0.0)
    if result["answered"] != people:
        raise SystemExit(f"not all were sent: {result}")
    return float(result["seconds"])


def _may_open(files: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < files:
        raise SystemExit(f"{files} files have to be opened, and {hard} may be")
    # For the children, too.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=_WITHIN, rounds=1, people=PEOPLE)
    _may_open(given.people + _FURTHER)
    load = Load(
        people=_CONNECTIONS,
        seconds=given.seconds,
        warm_up=0.0,
        rate=given.people / given.seconds,
    )
    rounds: list[Figures] = []
    sends: list[float] = []
    with TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(f"slow_llm: {given.people:,} people in {given.seconds:g} s")
        print(machine(directory), flush=True)
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            where = directory / f"{number}"
            with running(*module("stand_in", "--delay", _DELAY)) as stand_in:
                remote = f"http://127.0.0.1:{stand_in.line()}"
                figures = ours(
                    where,
                    stand_in,
                    remote,
                    load,
                    llm_config={"concurrency": given.people},
                    delivery={"rate": 0},
                    limits={"bot": {"tokens_per_day": 0}},
                )
                sends.append(_bare(where / "mica.yaml", stand_in, given.people))
            if figures.all != given.people or figures.thought < _DELAY:
                raise SystemExit(f"not what was to be measured: {figures}")
            rounds.append(figures)
    last = median(figures.last for figures in rounds)
    bare = median(sends)
    least = given.seconds + _DELAY + bare
    peak = max(figures.peak for figures in rounds) * 1024 / 1e6
    report = Report(
        name="slow_llm",
        rows=[
            ["", "people", "last answer", "p50", "p99", "memory"],
            [
                "the least",
                f"{given.people:,}",
                f"{least:.1f} s",
                f"{_DELAY:.1f} s",
                f"{_DELAY:.1f} s",
                "",
            ],
            [
                "daemon",
                f"{given.people:,}",
                f"{last:.1f} s",
                f"{median(it.p50 for it in rounds):.1f} s",
                f"{median(it.p99 for it in rounds):.1f} s",
                f"{peak:.0f} MB",
            ],
        ],
        notes=[
            f"The least is {given.seconds:g} s of writing, {_DELAY:g} s of the LLM, and"
            f" {bare:.1f} s that as many sends take bare.",
            f"The daemon also gave {median(it.actions for it in rounds):,.0f} signs,"
            " such as that a message was seen.",
        ],
        line=f"last answer {last:.1f} s after the first message, ratio"
        f" {last / least:.3f}; memory at most {peak:.0f} MB",
        goals=[
            Goal(
                what="last answer, of the least", got=last / least, must=1.5, aim=1.25
            ),
            Goal(what="memory", got=peak, must=500.0, aim=350.0, shown="{:.0f} MB"),
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
