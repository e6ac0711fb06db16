"""
How many messages per second the daemon answers, from the webhook to the last
commit, while the LLM and the Graph API answer at once.

Beside it: the same calls of the LLM and the Graph API without a daemon.  The ratios
are the medians of those of the rounds; each round measures both, in turns one or
the other first.
"""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attrs import asdict, field, frozen

from bench.children import (
    WARM_UP,
    Child,
    configure,
    daemon,
    measured,
    module,
    running,
)
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

PEOPLE = 50


@frozen(kw_only=True)
class Load:
    """
    Who writes in one round.

    :ivar people: at a time; where there is a *rate*, connections.
    :ivar seconds: what is measured.
    :ivar warm_up: seconds before that.
    :ivar rate: messages per second, whether or not others wait; 0: whoever has
        an answer makes room for somebody new.
    :ivar first: the number of the first message.
    :ivar among: so many people write in turn; 0: each one once.
    """

    people: int = PEOPLE
    seconds: float
    warm_up: float = WARM_UP
    rate: float = 0.0
    first: int = 0
    among: int = 0


@frozen(kw_only=True)
class Figures:
    """
    What came of one round.

    :ivar rate: messages answered per second.
    :ivar caller: seconds of processor time per 1,000 messages of the process
        that calls; NaN where none was answered while it was measured.
    :ivar stand_in: the same of the process that it calls.
    :ivar peak: the most memory that the process had that calls, in KiB.
    :ivar p50: from writing to the answer, in seconds; like what follows, 0 of
        bare calls.
    :ivar p99: the same.
    :ivar all: messages that were answered, warm-up included.
    :ivar last: from the first message to the last answer, in seconds.
    :ivar actions: signs that people were given, such as that the bot types.
    :ivar thought: what the LLM took, in seconds, in the median.
    """

    rate: float
    caller: float
    stand_in: float
    peak: int
    all: int = 0
    p50: float = 0.0
    p99: float = 0.0
    last: float = 0.0
    actions: int = 0
    thought: float = 0.0


def _measure(
    speaker: Child, caller: Child, stand_in: Child, load: Load
) -> tuple[Figures, dict[str, Any]]:
    watched = [caller, stand_in]
    (result,), used = measured([speaker], watched, load.seconds, load.warm_up)
    thousands = result["answered"] / 1000.0 or math.nan
    if not result["answered"] and not load.rate:
        raise SystemExit(f"nobody was answered while it was measured: {result}")
    # Bare calls tell less.
    names = {"all", "p50", "p99", "last", "actions", "thought"} & set(result)
    figures = Figures(
        rate=result["answered"] / result["seconds"],
        caller=used[0] / thousands,
        stand_in=used[1] / thousands,
        peak=caller.peak(),
        **{name: result[name] for name in names},
    )
    return figures, result


def ours(
    directory: Path, stand_in: Child, remote: str, load: Load, **changes: Any
) -> Figures:
    """
    Let people write to a daemon.

    :param directory: made, unless it is there, with a store or without.
    :param remote: the stand-in's URL.
    :param changes: what its configuration has besides.

    :raises SystemExit: unless every message was answered once, and the store
        knows it.
    """
    store = directory / "mica.db"
    before = _settled(store) if store.exists() else (0, 0)
    with daemon(directory, remote, **changes) as (child, port):
        stand_in.tell(json.dumps({"port": port, **asdict(load)}))
        figures, result = _measure(stand_in, child, stand_in, load)
        child.stop()
    done, sent = (now - then for now, then in zip(_settled(store), before, strict=True))
    if result["unanswered"] or result["unexpected"]:
        raise SystemExit(f"not everybody was answered once: {result}")
    if not done == sent == result["all"]:
        raise SystemExit(f"{done} done and {sent} sent in the store: {result}")
    return figures


def _settled(store: Path) -> tuple[int, int]:
    """
    Count the events and the parts of answers that nothing is left to do for.
    """
    database = sqlite3.connect(store)
    (done,) = database.execute(
        "SELECT count(*) FROM event WHERE state = 'done'"
    ).fetchone()
    (sent,) = database.execute(
        "SELECT count(*) FROM part WHERE state = 'sent'"
    ).fetchone()
    database.close()
    return int(done), int(sent)


def bare(config: Path, stand_in: Child, load: Load) -> Figures:
    """
    Make the same calls without a daemon.

    :param config: says which.
    """
    arguments = (
        *module("bare_calls", config, "--people", load.people),
        *("--seconds", load.seconds, "--warm-up", load.warm_up),
    )
    with running(*arguments) as caller:
        return _measure(caller, caller, stand_in, load)[0]


@frozen
class Series:
    """
    The rounds of one way to answer, alternating with the other's.
    """

    name: str
    rounds: list[Figures] = field(factory=list)

    @property
    def rates(self) -> list[float]:
        """Messages per second, of each round."""
        return [figures.rate for figures in self.rounds]

    @property
    def callers(self) -> list[float]:
        """Seconds of processor time per 1,000 messages, of each round."""
        return [figures.caller for figures in self.rounds]

    def row(self) -> list[str]:
        """Say it all in cells."""
        rates = self.rates
        stand_in = median(figures.stand_in for figures in self.rounds)
        return [
            self.name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(self.callers):.2f} s",
            f"{stand_in:.2f} s",
        ]


_HEAD = ["", "messages/s", "rounds", "CPU per 1,000", "stand-in's CPU per 1,000"]


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=SECONDS, rounds=ROUNDS, people=PEOPLE)
    load = Load(people=given.people, seconds=given.seconds)
    calls, own = Series("bare calls"), Series("daemon")
    changes = {"delivery": {"rate": 0}}
    with TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(f"pipeline: {given.people} people at a time, remote ends at 0 latency")
        print(machine(directory), flush=True)
        for number in range(given.rounds):
            progress(f"round {number + 1} of {given.rounds}")
            for one in alternating(number, (calls, own)):
                # Each has a stand-in that nobody has called before.
                with running(*module("stand_in")) as stand_in:
                    remote = f"http://127.0.0.1:{stand_in.line()}"
                    where = directory / f"{number}-{one.name}"
                    one.rounds.append(
                        bare(configure(where, remote, **changes), stand_in, load)
                        if one is calls
                        else ours(where, stand_in, remote, load, **changes)
                    )
    p50 = median(figures.p50 for figures in own.rounds) * 1e3
    p99 = median(figures.p99 for figures in own.rounds) * 1e3
    ratio = paired(own.rates, calls.rates)
    cpu = paired(own.callers, calls.callers)
    rate, taken = median(own.rates), median(own.callers)
    report = Report(
        name="pipeline",
        rows=[_HEAD, calls.row(), own.row()],
        notes=[
            f"From writing to the answer, with {given.people} people at a time:"
            f" p50 {p50:.0f} ms, p99 {p99:.0f} ms."
        ],
        line=f"{rate:.0f} messages/s, bare calls {median(calls.rates):.0f}/s,"
        f" ratio {ratio:.3f}; CPU {taken:.2f} s per 1,000,"
        f" bare calls {median(calls.callers):.2f} s, ratio {cpu:.2f}",
        goals=[
            Goal(
                what="messages answered, of the bare calls'",
                got=ratio,
                must=0.6,
                aim=0.75,
            ),
            Goal(what="CPU, of the bare calls'", got=cpu, must=1.8, aim=1.4),
        ],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
