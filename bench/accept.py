"""
How many webhooks per second the daemon keeps, while the LLM never answers.

Beside it, with the same load: a bare site that keeps nothing.  The ratio is the
median of those of the rounds; each round measures both, in turns one or the other
first.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, field, frozen

from bench.children import WARM_UP, Child, daemon, measured, module, running
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

CONNECTIONS = 50

# Per second, where it is not how many but how late that is measured.
STEADY = 500

# More per second than any server here answers.
_MOST = 12_000


@frozen(kw_only=True)
class Figures:
    """
    What came of one round.

    :ivar answered: 200, warm-up included.
    :ivar rate: answered per second.
    :ivar server: seconds of processor time per 1,000 webhooks.
    :ivar driver: of one core, how much each driver used, from 0.0 to 1.0.
    :ivar p50: of latency, in seconds; in a round without a rate from when a
        connection was free to send.
    """

    answered: int
    rate: float
    server: float
    driver: float
    p50: float
    p99: float


@frozen(kw_only=True)
class Load:
    """
    What is sent in one round.

    :ivar connections: at once.
    :ivar seconds: what is measured.
    :ivar warm_up: seconds before that.
    :ivar rate: webhooks per second; 0: as many as are answered.
    :ivar drivers: processes among which the connections are divided.
    :ivar first: the number of the first webhook.
    :ivar among: so many people write in turn; 0: each one once.
    :ivar tls: it is spoken.
    :ivar fresh: each webhook has a connection of its own.
    """

    connections: int = CONNECTIONS
    seconds: float
    warm_up: float = WARM_UP
    rate: int = 0
    drivers: int = 1
    first: int = 0
    among: int = 0
    tls: bool = False
    fresh: bool = False

    def driver(self, port: int, number: int) -> tuple[object, ...]:
        """
        Give the arguments by which Python runs one of the drivers.
        """
        most = int((self.warm_up + self.seconds) * (self.rate or _MOST)) // self.drivers
        return (
            *module("driver", port),
            *("--connections", self.connections // self.drivers),
            *("--seconds", self.seconds, "--warm-up", self.warm_up),
            *("--rate", self.rate / self.drivers),
            *("--first", self.first + number * most, "--most", most),
            *("--among", self.among),
            *(["--tls"] if self.tls else []),
            *(["--fresh"] if self.fresh else []),
        )


def measure(server: Child, port: int, load: Load) -> Figures:
    """
    Let a server take webhooks.

    :raises SystemExit: unless all were answered 200.
    """
    with ExitStack() as stack:
        children = [
            stack.enter_context(running(*load.driver(port, number)))
            for number in range(load.drivers)
        ]
        for child in children:
            child.line()
        for child in children:
            child.tell("go")
        results, (cpu,) = measured(children, [server], load.seconds, load.warm_up)
    for result in results:
        if set(result["statuses"]) != {"200"}:
            raise SystemExit(f"not all were answered 200: {result['statuses']}")
    return Figures(
        answered=sum(result["statuses"]["200"] for result in results),
        rate=sum(result["answered"] / result["seconds"] for result in results),
        server=cpu / sum(result["answered"] for result in results) * 1000.0,
        driver=max(result["cpu"] / result["seconds"] for result in results),
        p50=max(result["p50"] for result in results),
        p99=max(result["p99"] for result in results),
    )


def bare(load: Load) -> Figures:
    """
    Let the bare site take webhooks.
    """
    with running(*module("bare_site")) as site:
        return measure(site, int(site.line()), load)


def ours(
    directory: Path, remote: str, load: Load, port: int = 0, **changes: Any
) -> Figures:
    """
    Let a daemon take webhooks, and kill it.

    :param directory: made, unless it is there, with a store or without.
    :param port: where they go, if not to its usual one.
    :param changes: what its configuration has besides.

    :raises SystemExit: unless those that were answered 200, and only those,
        are in its store.
    """
    store = directory / "mica.db"
    before = stored(store) if store.exists() else 0
    with daemon(directory, remote, **changes) as (child, usual):
        figures = measure(child, port or usual, load)
        child.kill()
    kept = stored(store) - before
    if kept != figures.answered:
        raise SystemExit(f"{figures.answered} were answered 200, and {kept} are kept")
    return figures


def stored(store: Path) -> int:
    """
    Count the events in a store.
    """
    database = sqlite3.connect(store)
    (count,) = database.execute("SELECT count(*) FROM event").fetchone()
    database.close()
    return int(count)


@frozen
class Series:
    """
    The rounds of one server: alternating with the other's.
    """

    name: str
    free: list[Figures] = field(factory=list)
    steady: list[Figures] = field(factory=list)

    @property
    def rates(self) -> list[float]:
        """Webhooks per second, of each round."""
        return [figures.rate for figures in self.free]

    @property
    def rate(self) -> float:
        """Webhooks per second."""
        return median(self.rates)

    @property
    def p50(self) -> float:
        """Of latency at the steady rate, in milliseconds."""
        return median(figures.p50 for figures in self.steady) * 1e3

    @property
    def p99(self) -> float:
        """Of latency at the steady rate, in milliseconds."""
        return median(figures.p99 for figures in self.steady) * 1e3

    def row(self) -> list[str]:
        """Say it all in cells."""
        rates = self.rates
        return [
            self.name,
            f"{self.rate:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(figures.server for figures in self.free):.2f} s",
            f"{median(figures.driver for figures in self.free):.0%}",
            f"{self.p50:.1f} ms",
            f"{self.p99:.1f} ms",
        ]


_HEAD = [
    "",
    "webhooks/s",
    "rounds",
    "CPU per 1,000",
    "driver's CPU",
    f"p50 at {STEADY}/s",
    f"p99 at {STEADY}/s",
]


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(
        __doc__, arguments, seconds=SECONDS, rounds=ROUNDS, connections=CONNECTIONS
    )
    free = Load(connections=given.connections, seconds=given.seconds)
    steady = evolve(free, rate=STEADY)
    site, own = Series("bare site"), Series("daemon")
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"accept: {given.connections} connections, an LLM that never answers")
        print(machine(directory), flush=True)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        remote = f"http://127.0.0.1:{stand_in.line()}"
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            for one in alternating(number, (site, own)):
                if one is site:
                    site.free.append(bare(free))
                else:
                    where = directory / f"{number}"
                    own.free.append(ours(where, remote, free))
            site.steady.append(bare(steady))
            own.steady.append(ours(directory / f"{number}-steady", remote, steady))
        two = bare(evolve(free, drivers=2)) if given.connections > 1 else None
    notes = []
    if two is not None:
        notes.append(f"The bare site with two drivers: {two.rate:,.0f} webhooks/s.")
    ratio = paired(own.rates, site.rates)
    report = Report(
        name="accept",
        rows=[_HEAD, site.row(), own.row()],
        notes=notes,
        line=f"{own.rate:.0f} webhooks/s kept, bare site {site.rate:.0f}/s,"
        f" ratio {ratio:.3f}; at {STEADY}/s"
        f" p50 {own.p50:.1f} ms, p99 {own.p99:.1f} ms"
        f" (bare site {site.p50:.1f} and {site.p99:.1f})",
        goals=[
            Goal(
                what="webhooks kept, of the bare site's", got=ratio, must=0.55, aim=0.75
            ),
            Goal(
                what=f"p50 at {STEADY}/s",
                got=own.p50,
                must=None,
                aim=1.5,
                shown="{:.1f} ms",
            ),
            Goal(
                what=f"p99 at {STEADY}/s",
                got=own.p99,
                must=8.0,
                aim=5.0,
                shown="{:.1f} ms",
            ),
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
