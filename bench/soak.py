"""
Whether the daemon needs no more as time goes by: people write for half an
hour, 50 messages per second, while the LLM and the Graph API err as in
bench/chaos.py; memory, file descriptors and the store's log are watched.

Ends with a line of figures, and with status 1 if one of them grows or the
oracle complains.  ``--broken leaking`` is a daemon that keeps 4 KiB of each
delivery: it must be found out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import treq
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from bench.plot import Panel, svg
from bench.report import machine
from tests.chaos import World, world
from tests.daemon import Daemon
from tests.ports import free_port
from tests.scenarios import SETTLING, spoil

_MIB = 1024.0 * 1024.0

# Seconds between two looks.
_LOOK = 5.0

# So many looks are taken together where the fewest descriptors count.
_CALM = 12

# How much may be more after an hour, as far as the last two thirds tell.
_MEMORY = 16.0  # MiB
_FILES = 10.0
# The store's log is emptied again and again: it may not become larger than so
# much, nor than it was in the first third.
_LOG = 16.0  # MiB


@frozen(kw_only=True)
class Sample:
    """
    One look.

    :ivar at: minutes since the beginning.
    :ivar memory: resident, in MiB.
    :ivar files: descriptors that are open.
    :ivar log: of the store, in MiB.
    :ivar store: its size, in MiB.
    :ivar oldest: for how many seconds the oldest event waits for an answer, as
        the daemon tells.
    """

    at: float
    memory: float
    files: int
    log: float
    store: float
    oldest: float


def growth(samples: Sequence[Sample], name: str) -> float:
    """
    Estimate how much more something is after an hour: the median of the slopes
    between all pairs of samples (Theil and Sen).
    """
    points = [(it.at / 60.0, float(getattr(it, name))) for it in samples]
    return median(
        (later - value) / (at - begun)
        for number, (begun, value) in enumerate(points)
        for at, later in points[number + 1 :]
    )


class Watching:
    """
    Look at a daemon again and again.
    """

    def __init__(self, reactor: Any, daemon: Daemon, database: Path, admin: int):
        self.samples: list[Sample] = []
        self._reactor, self._daemon, self._database = reactor, daemon, database
        self._url = f"http://127.0.0.1:{admin}/metrics"
        self._begun = reactor.seconds()
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin."""
        self._loop.start(_LOOK)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._sample())

    async def _sample(self) -> None:
        answer = await treq.get(self._url, timeout=30.0, reactor=self._reactor)
        text = await answer.text()
        found = re.search(r"^mica_queue_oldest_age_seconds (\S+)$", text, re.M)
        here = Path(f"/proc/{self._daemon.pid}")
        status = (here / "status").read_text()
        memory = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)
        assert memory is not None, status
        self.samples.append(
            Sample(
                at=(self._reactor.seconds() - self._begun) / 60.0,
                memory=int(memory[1]) / 1024.0,
                files=sum(1 for _ in (here / "fd").iterdir()),
                log=_size(Path(f"{self._database}-wal")) / _MIB,
                store=_size(self._database) / _MIB,
                oldest=0.0 if found is None else float(found[1]),
            )
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def judge(samples: Sequence[Sample]) -> list[str]:
    """
    Say what grows that should not.
    """
    third = len(samples) // 3
    first, rest = samples[:third], samples[third:]
    # Connections come and go with the load: what leaks is there at its fewest.
    fewest = [
        min(rest[begin : begin + _CALM], key=lambda it: it.files)
        for begin in range(0, len(rest), _CALM)
    ]
    memory, files = growth(rest, "memory"), growth(fewest, "files")
    found = []
    if memory > _MEMORY:
        found.append(f"memory grows by {memory:.1f} MiB per hour")
    if files > _FILES:
        found.append(f"open files, at their fewest, grow by {files:.1f} per hour")
    log, before = max(it.log for it in rest), max(it.log for it in first)
    if log > max(_LOG, before * 1.5):
        found.append(f"the store's log grew to {log:.1f} MiB")
    return found


def picture(samples: Sequence[Sample], rate: float) -> str:
    """
    Draw all of it.
    """
    panels = [
        Panel("memory (resident), MiB", [it.memory for it in samples]),
        Panel("open file descriptors", [it.files for it in samples]),
        Panel("the store's log, MiB", [it.log for it in samples]),
        Panel("the store, which keeps what is said, MiB", [it.store for it in samples]),
        Panel("oldest event without an answer, s", [it.oldest for it in samples]),
    ]
    title = (
        f"{samples[-1].at:.0f} minutes at {rate:.0f} messages per second, with faults"
    )
    return svg(title, [it.at for it in samples], panels)


async def _soak(here: World, given: argparse.Namespace, reactor: Any) -> list[str]:
    spoil(here)
    admin = free_port()
    listen = f"tcp:{admin}:interface=127.0.0.1"
    # What is remembered here of each call is not the subject either.
    here.changes |= {
        "admin": {"listen": listen},
        "assistant": {"history": {"messages": 4}},
    }
    daemon = await here.serve()
    watching = Watching(reactor, daemon, here.database, admin)
    watching.start()
    # Each message takes about half a second to be delivered, too.
    pause = 2.0 * (given.people / given.rate - 0.5)
    each = max(1, round(given.minutes * 60.0 * given.rate / given.people))
    begun = reactor.seconds()
    await here.crowd(given.people, each, pause)
    seconds = reactor.seconds() - begun
    await here.settled(SETTLING)
    watching.stop()
    samples = watching.samples
    if given.plot:
        rate = given.people * each / seconds
        given.plot.write_text(picture(samples, rate), encoding="utf-8")
    rest = samples[len(samples) // 3 :]
    verdict = here.verdict(
        {
            "per second": round(given.people * each / seconds, 1),
            "MiB": f"{min(it.memory for it in rest):.0f} to"
            f" {max(it.memory for it in rest):.0f}",
            "MiB more per hour": round(growth(rest, "memory"), 1),
            "descriptors": f"{min(it.files for it in rest)} to"
            f" {max(it.files for it in rest)}",
            "log, MiB": f"at most {max(it.log for it in rest):.1f}",
            "store, MiB": f"{samples[-1].store:.0f}",
            "oldest, s": f"at most {max(it.oldest for it in samples):.0f}",
        },
        unreached=True,
    )
    print(f"soak: {verdict}")
    return [*verdict.complaints, *judge(samples)]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=50.0, help="messages per second")
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--seed", type=int, default=Random().getrandbits(32))
    parser.add_argument("--broken", action="append", default=[], choices=["leaking"])
    parser.add_argument("--directory", type=Path, help="the disk to run on")
    parser.add_argument("--plot", type=Path, help="an SVG to be written")
    return parser.parse_args(arguments)


async def _main(reactor: Any, arguments: Sequence[str]) -> None:
    given = _options(arguments)
    with TemporaryDirectory(prefix="soak-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(machine(directory), f"seed {given.seed}", sep="\n", flush=True)
        async with world(directory, given.seed, broken=given.broken) as here:
            complaints = await _soak(here, given, reactor)
    for why in complaints[:10]:
        print(f"  {why[:500]}")
    if complaints:
        raise SystemExit(1)


def main(reactor: Any) -> Deferred[None]:
    """
    Run, and print.
    """
    return Deferred.fromCoroutine(_main(reactor, sys.argv[1:]))


if __name__ == "__main__":
    react(main)
