"""
What a benchmark prints.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

from attrs import frozen

import twisted

#: Seconds that one measurement takes, and how many there are of each kind, where
#: a benchmark has no reason for others.
SECONDS, ROUNDS = 4.0, 5

_SYNCS = 200

_T = TypeVar("_T")


def options(
    doc: str | None,
    arguments: Sequence[str],
    *,
    seconds: float,
    rounds: int = 0,
    broken: Sequence[str] = (),
    plot: bool = False,
    **numbers: int,
) -> argparse.Namespace:
    """
    Read the command line.

    :param seconds: how long one measurement takes by default.
    :param rounds: how many there are of each kind by default; 0: always one.
    :param broken: names of ``tests/broken.py`` that may be told as well.
    :param plot: whether it may be told where a picture goes.
    :param numbers: further options, and their defaults.
    """
    # However it ends, no child stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seconds", type=float, default=seconds)
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--directory", type=Path, help="the disk to be measured on")
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    if plot:
        parser.add_argument("--plot", type=Path, help="an SVG to be written")
    if broken:
        parser.add_argument("--broken", action="append", default=[], choices=broken)
    return parser.parse_args(arguments)


def machine(directory: Path) -> str:
    """
    Describe what the figures depend on besides the program.

    :param directory: on the disk in question.
    """
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = os.getloadavg()[0]
    return "\n".join(
        [
            f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, load {load:.1f}",
            f"{os.cpu_count()} cores, {models[0] if models else platform.machine()}",
            f"Python {platform.python_version()}, Twisted {twisted.__version__},"
            f" SQLite {sqlite3.sqlite_version}",
            f"fdatasync of 4 KiB in {directory}: p50 {_sync(directory) * 1e3:.2f} ms",
        ]
    )


def _sync(directory: Path) -> float:
    times: list[float] = []
    with TemporaryDirectory(dir=directory) as scratch:
        file = os.open(Path(scratch) / "file", os.O_WRONLY | os.O_CREAT)
        for _ in range(_SYNCS):
            start = time.perf_counter()
            os.write(file, bytes(4096))
            os.fdatasync(file)
            times.append(time.perf_counter() - start)
        os.close(file)
    return median(times)


def percentile(values: Sequence[float], percent: int) -> float:
    """
    Find the least of *values* that so many percent of them don't exceed.
    """
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def paired(over: Sequence[float], under: Sequence[float]) -> float:
    """
    Find the median of the ratios of two things that were measured in each round.

    Those of one round are next to each other in time.  A machine becomes faster and
    slower within minutes, and the ratio of two medians would compare what was
    measured at different times.

    :param over: a figure for each round.
    :param under: as many, by which they are divided.
    """
    return median(one / other for one, other in zip(over, under, strict=True))


def alternating(number: int, kinds: Sequence[_T]) -> Sequence[_T]:
    """
    Put what is measured in a round in order: that of every other round is the
    reverse, so that nothing gains by always being the first.

    :param number: the round's.
    """
    return kinds[::-1] if number % 2 else kinds


@frozen(kw_only=True)
class Goal:
    """
    A figure and what is expected of it: at least so much where *aim* is above
    *must*, and at most where it is below.

    :ivar what: it is.
    :ivar must: None where the aim is all there is.
    :ivar shown: how to write it, such as ``"{:.1f} ms"``.
    """

    what: str
    got: float
    must: float | None
    aim: float
    shown: str = "{:.2f}"

    @property
    def met(self) -> bool:
        """Whether it is as it must be."""
        if self.must is None:
            return True
        if self.aim > self.must:
            return self.got >= self.must
        return self.got <= self.must

    def row(self) -> list[str]:
        """Say it all in cells."""
        numbers = self.got, self.must, self.aim
        return [
            self.what,
            *("-" if each is None else self.shown.format(each) for each in numbers),
        ]


@frozen(kw_only=True)
class Report:
    """
    What a benchmark found.

    :ivar name: of its program.
    :ivar rows: a table, its head first.
    :ivar notes: sentences to be read with it.
    :ivar line: all that counts, the ratio among it.
    """

    name: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    line: str
    goals: Sequence[Goal]

    def show(self) -> None:
        """
        Print it.
        """
        print("", table(self.rows), "", *self.notes, sep="\n")
        print(f"{self.name}: {self.line}", flush=True)

    def missed(self) -> list[str]:
        """
        Say which figures are not as they must be.
        """
        return [
            f"{self.name}: {what} {got}, and it must be {must}"
            for what, got, must, _ in (it.row() for it in self.goals if not it.met)
        ]


def finish(*reports: Report) -> None:
    """
    End with status 1 where a figure is not as it must be.
    """
    missed = [why for report in reports for why in report.missed()]
    if missed:
        raise SystemExit("\n".join(missed))


def table(rows: Sequence[Sequence[str]]) -> str:
    """
    Align rows of as many cells each, the first column to the left.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def progress(text: str) -> None:
    """
    Say on standard error what is being done.
    """
    print(text, file=sys.stderr, flush=True)
