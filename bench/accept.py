"""
How many webhooks per second the daemon keeps, while the LLM never answers.

Beside it, with the same load: a bare site that keeps nothing.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import field, frozen

from bench.children import WARM_UP, Child, daemon, measured, module, running
from bench.report import machine, options, progress, table

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
    :ivar p50: of latency, in seconds.
    """

    answered: int
    rate: float
    server: float
    driver: float
    p50: float
    p99: float


def _measure(
    server: Child, port: int, seconds: float, *, rate: int = 0, drivers: int = 1
) -> Figures:
    most = int((WARM_UP + seconds) * (rate or _MOST)) // drivers
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                running(
                    *module("driver", port),
                    *("--connections", CONNECTIONS // drivers),
                    *("--seconds", seconds, "--rate", rate / drivers),
                    *("--first", number * most, "--most", most),
                )
            )
            for number in range(drivers)
        ]
        for child in children:
            child.line()
        for child in children:
            child.tell("go")
        results, (cpu,) = measured(children, [server], seconds)
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


def _bare(seconds: float, rate: int = 0, drivers: int = 1) -> Figures:
    with running(*module("bare_site")) as site:
        port = int(site.line())
        return _measure(site, port, seconds, rate=rate, drivers=drivers)


def _daemon(directory: Path, remote: str, seconds: float, rate: int = 0) -> Figures:
    with daemon(directory, remote) as (child, port):
        figures = _measure(child, port, seconds, rate=rate)
        child.kill()
    kept = _kept(directory / "mica.db")
    if kept != figures.answered:
        raise SystemExit(f"{figures.answered} were answered 200, and {kept} are kept")
    return figures


def _kept(store: Path) -> int:
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
    def rate(self) -> float:
        """Webhooks per second."""
        return median(figures.rate for figures in self.free)

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
        rates = [figures.rate for figures in self.free]
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


def main(arguments: Sequence[str]) -> None:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=5.0, rounds=3)
    bare, ours = Series("bare site"), Series("daemon")
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"accept: {CONNECTIONS} connections, an LLM that never answers")
        print(machine(directory), flush=True)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        remote = f"http://127.0.0.1:{stand_in.line()}"
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            bare.free.append(_bare(given.seconds))
            ours.free.append(_daemon(directory / f"{number}", remote, given.seconds))
            bare.steady.append(_bare(given.seconds, STEADY))
            ours.steady.append(
                _daemon(directory / f"{number}-steady", remote, given.seconds, STEADY)
            )
        two = _bare(given.seconds, drivers=2)
    print()
    print(table([_HEAD, bare.row(), ours.row()]))
    print(f"\nbare site with two drivers instead of one: {two.rate:,.0f} webhooks/s")
    print(
        f"accept: {ours.rate:.0f} webhooks/s kept, bare site {bare.rate:.0f}/s,"
        f" ratio {ours.rate / bare.rate:.3f}; at {STEADY}/s"
        f" p50 {ours.p50:.1f} ms, p99 {ours.p99:.1f} ms"
        f" (bare site {bare.p50:.1f} and {bare.p99:.1f})"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
