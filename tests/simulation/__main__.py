"""
``python -m tests.simulation``: run many seeds, and say what was exercised.
"""

from __future__ import annotations

import gc
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext

from twisted.logger import globalLogBeginner

from tests.simulation.broken import BROKEN, broken
from tests.simulation.runner import Result, run

# After so many runs what they left is cleared away.
_CLEARING = 25

# Seconds between two lines that say how far it is.
_TELLING = 60.0


def main(arguments: Sequence[str]) -> int:
    """
    Run, and print.

    :return: the exit status: 0 where all went well, or where a daemon that is
        broken on purpose was found out.
    """
    options = _options(arguments)
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    # What is loaded by now stays; only what runs leave is looked through.
    gc.collect()
    gc.freeze()
    if options.trace:
        return _replay(options)
    counts: Counter[str] = Counter()
    simulated, failed = 0.0, 0
    began, told = time.process_time(), time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        result = _run(seed, options)
        counts += result.counts
        simulated += result.seconds
        if result.problems and options.broken is None:
            failed += 1
            _tell(result)
            if failed >= options.most:
                break
        elif result.problems and not run(seed).problems:
            print(f"{options.broken}: found out by seed {seed}: ", end="")
            print(result.problems[0][:200])
            return 0
        if seed % _CLEARING == 0:
            gc.collect()
        if time.monotonic() - told > _TELLING:
            told = time.monotonic()
            print(f"at seed {seed}, {failed} failed", file=sys.stderr, flush=True)
    if options.broken is not None:
        print(f"{options.broken}: not found out by {options.seeds} seeds")
        return 1
    _sum_up(counts, simulated, failed, time.process_time() - began)
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m tests.simulation",
        description="Run the whole daemon in simulated time, seed by seed.",
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument(
        "--most", type=int, default=10, help="stop after so many that failed"
    )
    parser.add_argument(
        "--trace", action="store_true", help="print what happens in the first one"
    )
    parser.add_argument(
        "--broken",
        choices=sorted(BROKEN),
        help="break the daemon on purpose, and see whether it is found out",
    )
    return parser.parse_args(arguments)


def _run(seed: int, options: Namespace) -> Result:
    breaking = nullcontext() if options.broken is None else broken(options.broken)
    with breaking as prepare:
        return run(seed, prepare=prepare, trace=options.trace)


def _replay(options: Namespace) -> int:
    result = _run(options.first, options)
    for line in result.trace:
        print(line)
    if result.problems:
        _tell(result)
    return 1 if result.problems else 0


def _tell(result: Result) -> None:
    print(f"seed {result.seed} failed:")
    for problem in result.problems[:5]:
        print(f"  {problem[-1000:]}")
    print(
        f"  replay: python -m tests.simulation --first {result.seed} --trace",
        flush=True,
    )


def _sum_up(
    counts: Counter[str], simulated: float, failed: int, seconds: float
) -> None:
    runs = counts.pop("runs")
    print(
        f"{runs} seeds in {seconds:.1f} s of CPU, {runs / seconds:.1f} per second;"
        f" {simulated / 3600.0:.1f} hours simulated; {failed} failed"
    )
    for what, count in sorted(counts.items()):
        print(f"  {count:>9} {what}")


sys.exit(main(sys.argv[1:]))
