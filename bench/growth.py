"""
Whether a long past makes the daemon slower: webhooks kept and messages answered
per second, with an empty store; with 10,000 conversations, all of whose people
have written and been answered before and write again; and with 1,000,000 events
of others than those who write.

Each round has its own copy of the store; the stores alternate, in turns forward and
backward, and the ratios are the medians of those of the rounds.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import field, frozen

from bench import accept, pipeline
from bench.children import module, running
from bench.report import (
    ROUNDS,
    SECONDS,
    Goal,
    Report,
    alternating,
    finish,
    machine,
    options,
    paired,
    progress,
)
from bench.restart import fill
from bench.webhooks import PAGE

#: Conversations of those who write again.
CONVERSATIONS = 10_000

#: Events of others.
STORED = 1_000_000

# Messages of each person in the past, and as many answers.
_EACH = 10

# The number of the first message: nobody's who is in a store.
_NEW = 10_000_000


@frozen
class Past:
    """
    A store to begin with, and what came of its rounds.

    :ivar conversations: 0: it is empty.
    :ivar again: those who write are in it; otherwise nobody of them is.
    """

    name: str
    conversations: int
    again: bool
    accepted: list[float] = field(factory=list)
    answered: list[float] = field(factory=list)

    def ratios(self, empty: Past) -> tuple[float, float]:
        """
        Compare webhooks kept, and messages answered, with those of the same rounds
        with an empty store.
        """
        return (
            paired(self.accepted, empty.accepted),
            paired(self.answered, empty.answered),
        )

    def make(self, path: Path) -> None:
        """
        Make the store.
        """
        fill(path, PAGE, self.conversations, 0, self.conversations * _EACH)

    @property
    def among(self) -> int:
        """So many write in turn; 0: each one once."""
        return self.conversations if self.again else 0

    def row(self, empty: Past) -> list[str]:
        """Say it all in cells."""
        cells = [self.name]
        both = (self.accepted, self.answered)
        for rates, ratio in zip(both, self.ratios(empty), strict=True):
            cells += [f"{median(rates):,.0f}", f"{ratio:.2f}"]
        return cells


_HEAD = ["", "webhooks/s", "of the empty one's", "messages/s", "of the empty one's"]


@contextmanager
def _copied(past: Past, stores: Path, where: Path) -> Iterator[Path]:
    where.mkdir()
    if past.conversations:
        store = where / "mica.db"
        shutil.copyfile(stores / past.name, store)
        with store.open("rb") as file:
            # It is not to be written while the daemon writes.
            os.fsync(file.fileno())
    yield where
    shutil.rmtree(where)


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(
        __doc__,
        arguments,
        seconds=SECONDS,
        rounds=ROUNDS,
        conversations=CONVERSATIONS,
        stored=STORED,
    )
    empty = Past("empty", 0, False)
    pasts = [
        empty,
        Past(f"{given.conversations:,} conversations", given.conversations, True),
        Past(f"{given.stored:,} events", given.stored // _EACH, False),
    ]
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"growth: {', '.join(past.name for past in pasts)}")
        print(machine(directory), flush=True)
        for past in pasts[1:]:
            past.make(directory / past.name)
        hanging = stack.enter_context(running(*module("stand_in", "--hang")))
        silent = f"http://127.0.0.1:{hanging.line()}"
        for number in range(given.rounds):
            for past in alternating(number, pasts):
                progress(f"round {number + 1} of {given.rounds}: {past.name}")
                taking = accept.Load(
                    seconds=given.seconds, first=_NEW, among=past.among
                )
                with _copied(past, directory, directory / "accept") as where:
                    kept = accept.ours(where, silent, taking)
                past.accepted.append(kept.rate)
                writing = pipeline.Load(
                    seconds=given.seconds, first=_NEW, among=past.among
                )
                with (
                    _copied(past, directory, directory / "pipeline") as where,
                    running(*module("stand_in")) as stand_in,
                ):
                    remote = f"http://127.0.0.1:{stand_in.line()}"
                    told = pipeline.ours(
                        where, stand_in, remote, writing, delivery={"rate": 0}
                    )
                past.answered.append(told.rate)
    ratios = {past.name: past.ratios(empty) for past in pasts[1:]}
    report = Report(
        name="growth",
        rows=[_HEAD, *(past.row(empty) for past in pasts)],
        line="; ".join(
            f"{name}: accept ratio {taken:.3f}, pipeline ratio {told:.3f}"
            for name, (taken, told) in ratios.items()
        ),
        goals=[
            Goal(
                what=f"{what}, {name}",
                got=got,
                must=0.85,
                aim=0.95,
            )
            for name, both in ratios.items()
            for what, got in zip(("accept", "pipeline"), both, strict=True)
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
