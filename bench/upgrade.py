"""
How long the upgrade of a large store takes, from the first version to today's.

Compared with reading the file once, on the same disk; before either it is taken
out of the system's memory.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report import machine
from bench.restart import fill_tables
from micamsgr.store.database import open_database
from micamsgr.store.schema import MIGRATIONS, migrate

_PAGE = "108463527190842"


def make_first(path: Path) -> None:
    """
    Make the tables that the first version made.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        migrate(database, MIGRATIONS[:1])
        database.execute("PRAGMA journal_mode = WAL").fetchone()


def from_disk(path: Path, work: Callable[[Path], object]) -> float:
    """
    Do something with a file that is not in the system's memory.

    :return: how many seconds it took.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    began = time.perf_counter()
    work(path)
    return time.perf_counter() - began


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def _upgrade(path: Path) -> None:
    open_database(str(path)).close()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upgrade")
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as directory:
        path = Path(directory) / "mica.db"
        make_first(path)
        fill_tables(path, _PAGE, given.people, 1000, given.stored)
        before = path.stat().st_size
        reading = from_disk(path, _read)
        upgrade = from_disk(path, _upgrade)
        grown = path.stat().st_size - before
        where = machine(Path(directory))
    print(
        f"upgrade from version 1 to {len(MIGRATIONS)}: {given.stored:,} messages,"
        f" {before >> 20} MiB: {upgrade:.1f} s, {upgrade / reading:.1f} times as long"
        f" as reading it once; {grown >> 20} MiB more; {where}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
