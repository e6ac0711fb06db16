"""
What TLS 1.3 costs: webhooks kept per second over connections that stay open,
with TLS and without, by the same daemon with the same configuration, next to each
other in each round and in turns one or the other first; and how many new
connections per second it takes, with a full handshake and a webhook each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import evolve, field, frozen

from bench.accept import CONNECTIONS, Figures, Load, ours
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
from bench.secure import pair
from tests.ports import free_port

# Each driver makes one new connection after the other; so many together keep
# the daemon busy.
_NEWCOMERS = 8


@frozen
class Series:
    """
    The rounds of one way to connect.
    """

    name: str
    load: Load
    rounds: list[Figures] = field(factory=list)

    @property
    def rates(self) -> list[float]:
        """Webhooks per second, of each round."""
        return [figures.rate for figures in self.rounds]

    @property
    def rate(self) -> float:
        """Webhooks per second."""
        return median(self.rates)

    def row(self) -> list[str]:
        """Say it all in cells."""
        rates = self.rates
        return [
            self.name,
            f"{self.rate:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(figures.server for figures in self.rounds):.2f} s",
            f"{median(figures.driver for figures in self.rounds):.0%}",
        ]


_HEAD = ["", "webhooks/s", "rounds", "CPU per 1,000", "a driver's CPU"]


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(
        __doc__, arguments, seconds=SECONDS, rounds=ROUNDS, connections=CONNECTIONS
    )
    load = Load(connections=given.connections, seconds=given.seconds)
    plain = Series("plain", load)
    kept = Series("TLS 1.3", evolve(load, tls=True))
    new = Series(
        "a new connection each",
        evolve(load, tls=True, fresh=True, drivers=_NEWCOMERS, connections=_NEWCOMERS),
    )
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"tls: {given.connections} connections, an LLM that never answers")
        print(machine(directory), flush=True)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        remote = f"http://127.0.0.1:{stand_in.line()}"
        certificate = pair(directory)
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            for one in (*alternating(number, (plain, kept)), new):
                port = free_port()
                tls = {"listen": f"tcp:{port}:interface=127.0.0.1", **certificate}
                where = directory / f"{number}-{one.name}"
                to = port if one.load.tls else 0
                one.rounds.append(ours(where, remote, one.load, to, tls=tls))
    ratio = paired(kept.rates, plain.rates)
    report = Report(
        name="tls",
        rows=[_HEAD, plain.row(), kept.row(), new.row()],
        line=f"{kept.rate:.0f} webhooks/s kept over TLS 1.3, plain {plain.rate:.0f}/s,"
        f" ratio {ratio:.3f}; {new.rate:.0f} handshakes/s, with a webhook each",
        goals=[
            Goal(
                what="webhooks kept, of those without TLS", got=ratio, must=0.7, aim=0.8
            )
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
