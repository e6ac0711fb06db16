"""
The benchmarks of docs/performance.md, one after another; and the page, if it is told
where that is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import gettempdir

from bench import (
    accept,
    curves,
    flame,
    growth,
    idle,
    overhead,
    page,
    pipeline,
    slow_llm,
    tls,
)
from bench.report import Report, machine

_Main = Callable[[Sequence[str]], Report]

MAINS: Mapping[str, _Main] = {
    "accept": accept.main,
    "pipeline": pipeline.main,
    "overhead": overhead.main,
    "slow_llm": slow_llm.main,
    "idle": idle.main,
    "growth": growth.main,
    "tls": tls.main,
    "curves": curves.main,
    "flame": flame.main,
}

# What they draw, beside the page.
_PICTURES = {"curves": "throughput.svg", "flame": "flame.svg"}

# They have no rounds.
_ONCE = {"curves", "flame"}


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=MAINS, default=list(MAINS), metavar="NAME"
    )
    parser.add_argument("--docs", type=Path, help="where performance.md is")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--directory", type=Path, help="the disk to be measured on")
    return parser.parse_args(arguments)


def _handed_on(given: argparse.Namespace, name: str) -> list[str]:
    """
    Say what one benchmark is told.
    """
    told: list[str] = []
    for option in ("seconds", "rounds", "directory"):
        value = getattr(given, option)
        if value is not None and not (option == "rounds" and name in _ONCE):
            told += [f"--{option}", f"{value}"]
    if given.docs and name in _PICTURES:
        told += ["--plot", f"{given.docs / _PICTURES[name]}"]
    return told


def main(arguments: Sequence[str], mains: Mapping[str, _Main] = MAINS) -> None:
    """
    Run, print, and write.  The page is written after each, so that what is stopped
    keeps what it found; where one can't be run, the others are.

    :raises SystemExit: at the end, where a figure is not as it must be, or one of
        them failed; before anything is run, where the page is not as it has to be.
    """
    given = _options(arguments)
    names = [name for name in mains if name in given.only]
    path = given.docs / "performance.md" if given.docs else None
    if path is not None:
        try:
            page.check(path.read_text("utf-8"), names)
        except (OSError, page.PageError) as error:
            raise SystemExit(f"{path}: {error}") from error
    about = machine(given.directory or Path(gettempdir()))
    wrong: list[str] = []
    for name in names:
        when = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
        try:
            report = mains[name](_handed_on(given, name))
        except SystemExit as error:
            wrong.append(f"{name}: {error}")
            print(wrong[-1], flush=True)
        else:
            wrong += report.missed()
            if path is not None:
                picture = _PICTURES.get(name, "")
                old = path.read_text("utf-8")
                new = page.written(
                    old, report, when, picture, machine=about, order=list(MAINS)
                )
                path.write_text(new, "utf-8")
        print(flush=True)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
