"""
Whether the daemon keeps its promises while everything goes wrong: real
processes, killed and stopped under load, against stand-ins that follow a plan
of faults drawn from a seed.  Ends with a line of figures and what the oracle
complains about, if anything; and with status 1 in that case.

What is run: kills (the default), points, doubts, denied, outage,
unreachable, mixed, token or sigterm.  With ``--broken NAME``, a build that breaks
the protocol in that way, as tests/broken.py says: now the oracle must complain.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from bench.report import machine
from tests import outages, scenarios
from tests.broken import BUILDS
from tests.chaos import Verdict, World, world
from tests.points import points
from tests.stops import POINTS, plan

_MOST_SHOWN = 10


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__)
    parser.add_argument("run", nargs="?", default="kills", choices=list(_RUNS))
    parser.add_argument("--seed", type=int, default=Random().getrandbits(32))
    parser.add_argument("--broken", action="append", default=[], choices=list(BUILDS))
    parser.add_argument("--directory", type=Path, help="the disk to run on")
    number = parser.add_argument
    number(
        "--messages",
        type=int,
        help="in all, by all people; by default 10,000, doubts 5,000",
    )
    number("--people", type=int, default=200)
    number("--kills", type=int, default=50, help="at least; kills")
    number("--times", type=int, default=20, help="each; points, sigterm")
    number("--spoiled", type=int, default=1000, help="ambiguous sends; doubts, denied")
    number("--lost", type=float, default=0.0, help="share of echoes; doubts")
    number("--unresolved", default="resend", choices=["resend", "hold", "drop"])
    number(
        "--seconds",
        type=float,
        help="outage, unreachable, token, by default 120; points: the most, by"
        " default as long as it takes",
    )
    number("--pause", type=float, default=5.0, help="the most before each message")
    number("--hang", type=float, default=0.002, help="share of LLM calls; sigterm")
    number("--only", default="", help="points whose names begin so, or lists of them")
    given = parser.parse_args(arguments)
    if given.messages is None:
        given.messages = 5000 if given.run == "doubts" else 10_000
    if given.seconds is None and given.run != "points":
        given.seconds = 120.0
    if given.run == "denied":
        # Each writes once.
        given.people = max(given.people, given.spoiled)
    return given


async def _kills(here: World, given: argparse.Namespace) -> Verdict:
    return await scenarios.kills(
        here,
        people=given.people,
        each=given.messages // given.people,
        least=given.kills,
        pause=given.pause,
    )


async def _points(here: World, given: argparse.Namespace) -> Verdict:
    wanted = tuple(given.only.split(",")) if given.only else ("",)
    named = [point for point in POINTS if point.startswith(wanted)]
    return await points(here, plan(named, given.times), seconds=given.seconds)


async def _sigterm(here: World, given: argparse.Namespace) -> Verdict:
    each = given.messages // given.people
    return await scenarios.stops(
        here,
        people=given.people,
        each=each,
        times=given.times,
        pause=given.pause,
        hang=given.hang,
    )


async def _doubts(here: World, given: argparse.Namespace) -> Verdict:
    return await scenarios.doubts(
        here,
        people=given.people,
        each=given.messages // given.people,
        spoiled=given.spoiled,
        parts=given.messages,
        lost=given.lost,
    )


async def _denied(here: World, given: argparse.Namespace) -> Verdict:
    return await scenarios.denied(
        here, policy=given.unresolved, people=given.people, spoiled=given.spoiled
    )


async def _outage(here: World, given: argparse.Namespace) -> Verdict:
    return await outages.outage(here, people=given.people, seconds=given.seconds)


async def _unreachable(here: World, given: argparse.Namespace) -> Verdict:
    return await outages.unreachable(here, people=given.people, seconds=given.seconds)


async def _mixed(here: World, given: argparse.Namespace) -> Verdict:
    each = given.messages // given.people
    return await outages.mixed(here, people=given.people, each=each)


async def _token(here: World, given: argparse.Namespace) -> Verdict:
    most = 10 + int(given.seconds / 5.0)
    return await outages.token(
        here, people=given.people, seconds=given.seconds, most=most
    )


_RUNS: dict[str, Callable[[World, argparse.Namespace], Awaitable[Verdict]]] = {
    "kills": _kills,
    "points": _points,
    "doubts": _doubts,
    "denied": _denied,
    "outage": _outage,
    "unreachable": _unreachable,
    "mixed": _mixed,
    "token": _token,
    "sigterm": _sigterm,
}


async def _main(arguments: Sequence[str]) -> None:
    given = _options(arguments)
    with TemporaryDirectory(prefix="chaos-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(machine(directory))
        again = [] if "--seed" in arguments else ["--seed", str(given.seed)]
        words = shlex.join([*arguments, *again])
        print(f"seed {given.seed}: python -m bench.chaos {words}", flush=True)
        async with world(directory, given.seed, broken=given.broken) as here:
            verdict = await _RUNS[given.run](here, given)
    print(f"chaos {given.run} {' '.join(given.broken)}: {verdict}".replace(" :", ":"))
    for why in verdict.complaints[:_MOST_SHOWN]:
        print(f"  {why[:500]}")
    if verdict.complaints:
        raise SystemExit(1)


def main(reactor: Any) -> Deferred[None]:
    """
    Run, and print.
    """
    return Deferred.fromCoroutine(_main(sys.argv[1:]))


if __name__ == "__main__":
    react(main)
