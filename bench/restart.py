"""
How soon the daemon answers again after a kill, with a long history and many
people who wait.

Its store is filled by SQL, with a turn, a part and two utterances for each
message that was answered; before each round it is taken out of the system's
memory, so that it is read from the disk.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from bench.children import status
from bench.report import machine, progress
from bench.webhooks import person
from micamsgr.sandbox.journal import Applied
from micamsgr.store.database import open_database
from tests.chaos import World, world
from tests.daemon import reactor

_TEXT = "Do you have these shoes in size 42, and until when are you open today?"

#: Seconds after which the first answer is too late, in the median.
LATE = 2.0

# For so many seconds the daemon works on, before its memory is looked at.
_WORKING = 5.0


@frozen(kw_only=True)
class Round:
    """
    What came of one start.

    :ivar first: seconds from the process's start to the first answer.
    :ivar answered: in the seconds after that.
    :ivar memory: at most, in MiB.
    """

    first: float
    answered: int
    memory: float


def fill(path: Path, page: str, people: int, pending: int, stored: int) -> None:
    """
    Make a store with a past.

    :param pending: messages that nobody has answered, each from another person.
    :param stored: messages that were answered.
    """
    open_database(str(path)).close()
    fill_tables(path, page, people, pending, stored)


def fill_tables(path: Path, page: str, people: int, pending: int, stored: int) -> None:
    """
    Put the same into tables that are there, of any version.
    """
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    now = int(time.time() * 1000)
    random = Random(0)
    _insert(
        database,
        "conversation (id, bot, page, psid, opened, heard)",
        ((n, "mica", page, person(n), now, now) for n in range(1, people + 1)),
    )
    answered = [(n, n % people + 1, now - (stored - n)) for n in range(1, stored + 1)]
    _insert(
        database,
        "turn (id, conversation, state, began, tokens)",
        ((n, who, "closed", at, 100) for n, who, at in answered),
    )
    event = "event (key, conversation, bot, page, kind, mid, at, received, text"
    _insert(
        database,
        f"{event}, state, turn)",
        ((*_event(random, page, who, at), "done", n) for n, who, at in answered),
    )
    _insert(
        database,
        "part (id, turn, conversation, kind, number, text, state, attempt, mid)",
        (
            (f"{n:026}", n, who, "answer", 1, _TEXT, "sent", 1, _mid(random))
            for n, who, _ in answered
        ),
    )
    for role in ("person", "bot"):
        _insert(
            database,
            "utterance (conversation, role, at, text)",
            ((who, role, at, _TEXT) for _, who, at in answered),
        )
    _insert(
        database,
        f"{event}, state, turn)",
        (
            (*_event(random, page, n % people + 1, now), "new", None)
            for n in range(pending)
        ),
    )
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _mid(random: Random) -> str:
    return f"m_{random.getrandbits(256):064x}"


def _event(random: Random, page: str, who: int, at: int) -> tuple[object, ...]:
    mid = _mid(random)
    key = random.randbytes(16)
    return (key, who, "mica", page, "message", mid, at, at, _TEXT)


def _insert(
    database: sqlite3.Connection, columns: str, rows: Iterator[tuple[Any, ...]]
) -> None:
    progress(f"filling {columns.partition(' ')[0]}")
    database.execute("BEGIN")
    marks = ", ".join("?" * (columns.count(",") + 1))
    database.executemany(f"INSERT INTO {columns} VALUES ({marks})", rows)
    database.execute("COMMIT")


def forget(path: Path) -> None:
    """
    Let the system read a file from the disk the next time.
    """
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


async def measure(here: World, working: float) -> Round:
    """
    Start the daemon once, and kill it so many seconds after its first answer.
    """
    forget(here.database)
    before = len(here.journal.of(Applied))
    start = reactor.seconds()
    daemon = await here.serve()
    await here.watch.until(lambda: len(here.journal.of(Applied)) > before, 120.0)
    said = here.journal.of(Applied)[before:]
    if not said:
        raise SystemExit(f"no answer:\n{daemon.output[-2000:]}")
    await deferLater(reactor, working)
    most = status(daemon.pid, "VmHWM") / 1024.0
    answered = len(here.journal.of(Applied)) - before
    daemon.kill()
    await daemon.exited
    return Round(first=said[0].at - start, answered=answered, memory=most)


async def _main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.restart", description=__doc__)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--broken", action="append", default=[], choices=["no_indexes"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="the disk to be measured on")
    given = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="restart-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(machine(directory), flush=True)
        alone = directory / "alone"
        alone.mkdir()
        bare = await measure_all(alone, given.rounds, people=1, pending=1, stored=0)
        many = await measure_all(
            directory,
            given.rounds,
            given.broken,
            people=given.people,
            pending=given.pending,
            stored=given.stored,
        )
        size = (directory / "mica.db").stat().st_size / 2**20
    first, alone_first = (median(it.first for it in each) for each in (many, bare))
    firsts = ", ".join(f"{each.first:.2f}" for each in many)
    answered = ", ".join(str(each.answered) for each in many)
    print(
        f"restart: {given.pending} pending of {given.people} people and"
        f" {given.stored} stored events, {size:.0f} MiB: first answer after"
        f" {firsts} s, then {answered} answers in {_WORKING:g} s,"
        f" {max(each.memory for each in many):.0f} MiB of memory; with one pending"
        f" and none stored {alone_first:.2f} s,"
        f" {max(each.memory for each in bare):.0f} MiB; ratio"
        f" {first / alone_first:.2f}"
    )
    if first > LATE:
        raise SystemExit(f"the first answer after {first:.2f} s")


async def measure_all(
    directory: Path,
    rounds: int,
    broken: Sequence[str] = (),
    working: float = _WORKING,
    **many: int,
) -> list[Round]:
    """
    Measure some times with the same past.

    :param broken: what the build does wrong, as ``tests/broken.py`` says.
    :param many: as for :func:`fill`.
    """
    async with world(directory, 0, broken=broken) as here:
        here.deliver(rate=0)
        fill(here.database, here.page.id, **many)
        now = time.time()
        names = [person(n) for n in range(1, many["people"] + 1)]
        here.page.people.update(dict.fromkeys(names, now))
        measured = []
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            if many["pending"] == 1:
                here.write(names[0], _TEXT)
            measured.append(await measure(here, working))
        return measured


def main(_: object) -> Deferred[None]:
    """
    Measure, and print.
    """
    return Deferred.fromCoroutine(_main(sys.argv[1:]))


if __name__ == "__main__":
    react(main)
