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

import twisted

_SYNCS = 200


def options(
    doc: str | None,
    arguments: Sequence[str],
    *,
    seconds: float,
    rounds: int,
    broken: Sequence[str] = (),
) -> argparse.Namespace:
    """
    Read the command line.

    :param seconds: how long one measurement takes by default.
    :param rounds: how many there are of each kind by default.
    :param broken: names of ``tests/broken.py`` that may be told as well.
    """
    # However it ends, no child stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--directory", type=Path, help="the disk to be measured on")
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
