"""
How fast and how late with so many at once: webhooks kept over 1 to 200
connections, and messages answered of 1 to 200 people, as in ``bench/accept.py``
and ``bench/pipeline.py``, beside what is measured there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from bench import accept, pipeline
from bench.children import module, running
from bench.plot import Panel, svg
from bench.report import Report, finish, machine, options, progress

#: So many at once.
MANY = (1, 2, 5, 10, 20, 50, 100, 200)

# Of these there are many: each is shorter than elsewhere.
_WARM_UP = 2.0


@frozen(kw_only=True)
class Point:
    """
    What came of so many at once: the latencies in milliseconds, of the daemon.
    """

    many: int
    site: float
    accepted: float
    accept_p50: float
    accept_p99: float
    calls: float
    answered: float
    answer_p50: float
    answer_p99: float

    def row(self) -> list[str]:
        """Say it all in cells."""
        return [
            f"{self.many}",
            f"{self.site:,.0f}",
            f"{self.accepted:,.0f}",
            f"{self.accept_p50:.1f} ms",
            f"{self.accept_p99:.1f} ms",
            f"{self.calls:,.0f}",
            f"{self.answered:,.0f}",
            f"{self.answer_p50:.1f} ms",
            f"{self.answer_p99:.1f} ms",
        ]


_HEAD = [
    "at once",
    "bare site, webhooks/s",
    "daemon",
    "p50",
    "p99",
    "bare calls, messages/s",
    "daemon",
    "p50",
    "p99",
]


def measure(directory: Path, silent: str, many: int, seconds: float) -> Point:
    """
    Measure all of it once, with so many at once.

    :param silent: the URL of an LLM that never answers.
    """
    taking = accept.Load(connections=many, seconds=seconds, warm_up=_WARM_UP)
    writing = pipeline.Load(people=many, seconds=seconds, warm_up=_WARM_UP)
    site = accept.bare(taking)
    taken = accept.ours(directory / f"{many}-accept", silent, taking)
    where = directory / f"{many}"
    with running(*module("stand_in")) as stand_in:
        remote = f"http://127.0.0.1:{stand_in.line()}"
        told = pipeline.ours(where, stand_in, remote, writing, delivery={"rate": 0})
        calls = pipeline.bare(where / "mica.yaml", stand_in, writing)
    return Point(
        many=many,
        site=site.rate,
        accepted=taken.rate,
        accept_p50=taken.p50 * 1e3,
        accept_p99=taken.p99 * 1e3,
        calls=calls.rate,
        answered=told.rate,
        answer_p50=told.p50 * 1e3,
        answer_p99=told.p99 * 1e3,
    )


def picture(points: Sequence[Point]) -> str:
    """
    Draw all of it.
    """
    percentiles = ("p50", "p99")
    panels = [
        Panel(
            "webhooks kept per second",
            [it.accepted for it in points],
            [it.site for it in points],
            ("daemon", "bare site"),
        ),
        Panel(
            "from a webhook to its acknowledgement, ms",
            [it.accept_p50 for it in points],
            [it.accept_p99 for it in points],
            percentiles,
        ),
        Panel(
            "messages answered per second",
            [it.answered for it in points],
            [it.calls for it in points],
            ("daemon", "bare calls"),
        ),
        Panel(
            "from writing to the answer, ms",
            [it.answer_p50 for it in points],
            [it.answer_p99 for it in points],
            percentiles,
        ),
    ]
    marks = [(float(number), f"{it.many}") for number, it in enumerate(points)]
    title = "So many connections, or people, at once"
    return svg(title, [at for at, _ in marks], panels, marks)


def main(arguments: Sequence[str]) -> Report:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=3.0, plot=True, most=max(MANY))
    points: list[Point] = []
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print("curves: 1 to 200 at once")
        print(machine(directory), flush=True)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        silent = f"http://127.0.0.1:{stand_in.line()}"
        for many in MANY:
            if many <= given.most:
                progress(f"{many} at once")
                points.append(measure(directory, silent, many, given.seconds))
    if given.plot:
        given.plot.write_text(picture(points), encoding="utf-8")
    taken = max(points, key=lambda it: it.accepted)
    told = max(points, key=lambda it: it.answered)
    report = Report(
        name="curves",
        rows=[_HEAD, *(it.row() for it in points)],
        line=f"most webhooks/s {taken.accepted:.0f}, over {taken.many} connections,"
        f" ratio {taken.accepted / taken.site:.3f}; most messages/s"
        f" {told.answered:.0f}, of {told.many} people, ratio"
        f" {told.answered / told.calls:.3f}",
        goals=[],
    )
    report.show()
    return report


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
