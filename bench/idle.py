"""
What a daemon with TLS takes that has nothing to do: memory on a new store; and
how soon after its start it acknowledges the first webhook, on a new store and
with 1,000,000 stored events, which are read from the disk.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import frozen

from bench.accept import stored
from bench.children import daemon, module, running
from bench.report import Goal, Report, finish, machine, options, progress
from bench.restart import fill, forget
from bench.secure import deliver, pair, unchecked
from bench.webhooks import PAGE, delivery
from tests.ports import free_port

#: Events that are stored already, ten of each person.
STORED = 1_000_000
_EACH = 10


@frozen
class Start:
    """
    One start.

    :ivar first: seconds until the first acknowledgement.
    :ivar memory: resident, in MB, after some seconds of nothing.
    """

    first: float
    memory: float


def _start(directory: Path, remote: str, number: int, rest: float) -> Start:
    """
    Start a daemon, deliver a webhook, and let it rest.

    :raises SystemExit: unless the webhook is kept.
    """
    store, port = directory / "mica.db", free_port()
    before = 0
    if store.exists():
        before = stored(store)
        forget(store)
    tls = {"listen": f"tcp:{port}:interface=127.0.0.1", **pair(directory)}
    with daemon(directory, remote, tls=tls) as (child, _):
        deliver(port, delivery(number), unchecked())
        first = time.perf_counter() - child.started
        time.sleep(rest)
        memory = child.memory() * 1024 / 1e6
        child.kill()
    if stored(store) != before + 1:
        raise SystemExit(f"{stored(store) - before} webhooks are kept, and not 1")
    return Start(first, memory)


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=5.0, rounds=3, stored=STORED)
    alone: list[Start] = []
    full: list[Start] = []
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"idle: TLS, {given.stored:,} stored events")
        print(machine(directory), flush=True)
        past = directory / "past"
        past.mkdir()
        people = given.stored // _EACH
        fill(past / "mica.db", PAGE, people, 0, given.stored)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        remote = f"http://127.0.0.1:{stand_in.line()}"
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            new = directory / f"{number}"
            new.mkdir()
            alone.append(_start(new, remote, 0, given.seconds))
            # Somebody who has not written before.
            full.append(_start(past, remote, people + 1 + number, given.seconds))
    firsts = [median(it.first for it in each) for each in (alone, full)]
    memories = [median(it.memory for it in each) for each in (alone, full)]
    report = Report(
        name="idle",
        rows=[
            ["", "first acknowledgement", "memory"],
            ["new store", f"{firsts[0]:.2f} s", f"{memories[0]:.0f} MB"],
            [
                f"{given.stored:,} events",
                f"{firsts[1]:.2f} s",
                f"{memories[1]:.0f} MB",
            ],
        ],
        line=f"memory {memories[0]:.0f} MB; first acknowledgement"
        f" {firsts[1]:.2f} s after the start with {given.stored:,} events, ratio"
        f" {firsts[1] / firsts[0]:.2f} to that of a new store",
        goals=[
            Goal(
                what="memory", got=memories[0], must=80.0, aim=60.0, shown="{:.0f} MB"
            ),
            Goal(
                what=f"first acknowledgement with {given.stored:,} events",
                got=firsts[1],
                must=2.0,
                aim=1.0,
                shown="{:.2f} s",
            ),
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
