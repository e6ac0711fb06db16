"""
How many messages per second the daemon answers, from the webhook to the last
commit, while the LLM and the Graph API answer at once.

Beside it: the same calls of the LLM and the Graph API without a daemon.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attrs import field, frozen

from bench.children import Child, daemon, measured, module, running
from bench.report import machine, options, progress, table

PEOPLE = 50


@frozen(kw_only=True)
class Figures:
    """
    What came of one round.

    :ivar rate: messages answered per second.
    :ivar caller: seconds of processor time per 1,000 messages of the process
        that calls.
    :ivar stand_in: the same of the process that it calls.
    """

    rate: float
    caller: float
    stand_in: float


def _measure(
    speaker: Child, caller: Child, stand_in: Child, seconds: float
) -> tuple[Figures, dict[str, Any]]:
    (result,), used = measured([speaker], [caller, stand_in], seconds)
    thousands = result["answered"] / 1000.0
    figures = Figures(
        rate=result["answered"] / result["seconds"],
        caller=used[0] / thousands,
        stand_in=used[1] / thousands,
    )
    return figures, result


def _daemon(
    directory: Path, stand_in: Child, remote: str, seconds: float
) -> tuple[Figures, float, float]:
    """
    :return: also the median and the 99th percentile of the seconds from
        writing to the answer.
    """
    with daemon(directory, remote, delivery={"rate": 0}) as (child, port):
        stand_in.tell(f"{port} {PEOPLE} {seconds}")
        figures, result = _measure(stand_in, child, stand_in, seconds)
        child.stop()
    _check(result, directory / "mica.db")
    return figures, result["p50"], result["p99"]


def _check(result: dict[str, Any], store: Path) -> None:
    """
    :raises SystemExit: unless every message was answered once, and the store
        knows it.
    """
    database = sqlite3.connect(store)
    (done,) = database.execute(
        "SELECT count(*) FROM event WHERE state = 'done'"
    ).fetchone()
    (sent,) = database.execute(
        "SELECT count(*) FROM part WHERE state = 'sent'"
    ).fetchone()
    database.close()
    if result["unanswered"] or result["unexpected"]:
        raise SystemExit(f"not everybody was answered once: {result}")
    if not done == sent == result["all"]:
        raise SystemExit(f"{done} done and {sent} sent in the store: {result}")


def _bare(config: Path, stand_in: Child, seconds: float) -> Figures:
    with running(*module("bare_calls", config, PEOPLE, seconds)) as caller:
        return _measure(caller, caller, stand_in, seconds)[0]


@frozen
class Series:
    """
    The rounds of one way to answer, alternating with the other's.
    """

    name: str
    rounds: list[Figures] = field(factory=list)

    @property
    def rate(self) -> float:
        """Messages per second."""
        return median(figures.rate for figures in self.rounds)

    @property
    def caller(self) -> float:
        """Seconds of processor time per 1,000 messages."""
        return median(figures.caller for figures in self.rounds)

    def row(self) -> list[str]:
        """Say it all in cells."""
        rates = [figures.rate for figures in self.rounds]
        stand_in = median(figures.stand_in for figures in self.rounds)
        return [
            self.name,
            f"{self.rate:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{self.caller:.2f} s",
            f"{stand_in:.2f} s",
        ]


_HEAD = ["", "messages/s", "rounds", "CPU per 1,000", "stand-in's CPU per 1,000"]


def main(arguments: Sequence[str]) -> None:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=5.0, rounds=3)
    bare, ours = Series("bare calls"), Series("daemon")
    latencies: list[tuple[float, float]] = []
    with TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(f"pipeline: {PEOPLE} people wait at a time, remote ends at 0 latency")
        print(machine(directory), flush=True)
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            where = directory / f"{number}"
            with running(*module("stand_in")) as stand_in:
                remote = f"http://127.0.0.1:{stand_in.line()}"
                figures, *latency = _daemon(where, stand_in, remote, given.seconds)
                ours.rounds.append(figures)
                latencies.append((latency[0], latency[1]))
                config = where / "mica.yaml"
                bare.rounds.append(_bare(config, stand_in, given.seconds))
    p50, p99 = (median(column) * 1e3 for column in zip(*latencies, strict=True))
    print()
    print(table([_HEAD, bare.row(), ours.row()]))
    print(f"\nfrom writing to the answer: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(
        f"pipeline: {ours.rate:.0f} messages/s, bare calls {bare.rate:.0f}/s,"
        f" ratio {ours.rate / bare.rate:.3f}; CPU {ours.caller:.2f} s per 1,000,"
        f" bare calls {bare.caller:.2f} s, ratio {ours.caller / bare.caller:.2f}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
