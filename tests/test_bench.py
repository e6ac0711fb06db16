"""
Tests for the benchmarks: that the daemon is not much slower than what is documented,
how rounds are compared, and how the page of figures is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from bench import accept, page, pipeline
from bench.__main__ import MAINS, main
from bench.children import ROOT, configure, module, running
from bench.report import Goal, Report, alternating, finish, paired

PAGE = ROOT / "docs" / "performance.md"
SECONDS = 1.5

# What of the documented ratio is too little.
LEAST = 0.5


class SpeedTests(SynchronousTestCase):
    """
    Tests for how fast the daemon is, of what is documented: only what is half as
    fast is noticed, as machines are busy.
    """

    def check(self, name: str, measure: Callable[[Path], float]) -> None:
        """
        Measure a ratio, and once more where it is too low.
        """
        least = LEAST * page.documented(PAGE.read_text("utf-8"), name)
        ratios: list[float] = []
        while len(ratios) < 2 and max(ratios, default=0.0) < least:
            with TemporaryDirectory(prefix="bench-") as scratch:
                ratios.append(measure(Path(scratch)))
        self.assertGreaterEqual(max(ratios), least, f"{name}: {ratios}")

    def test_accept(self) -> None:
        """
        Webhooks are kept, of those that a bare site takes, about as fast as the
        page of figures says.
        """

        def measure(directory: Path) -> float:
            load = accept.Load(seconds=SECONDS)
            with running(*module("stand_in", "--hang")) as stand_in:
                remote = f"http://127.0.0.1:{stand_in.line()}"
                own = accept.ours(directory / "daemon", remote, load)
            return own.rate / accept.bare(load).rate

        self.check("accept", measure)

    def test_pipeline(self) -> None:
        """
        People are answered, of what bare calls do, about as fast as the page of
        figures says.
        """

        def measure(directory: Path) -> float:
            load = pipeline.Load(seconds=SECONDS)
            changes = {"delivery": {"rate": 0}}
            with running(*module("stand_in")) as stand_in:
                remote = f"http://127.0.0.1:{stand_in.line()}"
                where = directory / "daemon"
                own = pipeline.ours(where, stand_in, remote, load, **changes)
            with running(*module("stand_in")) as stand_in:
                remote = f"http://127.0.0.1:{stand_in.line()}"
                config = configure(directory / "bare", remote, **changes)
                calls = pipeline.bare(config, stand_in, load)
            return own.rate / calls.rate

        self.check("pipeline", measure)


class RoundTests(SynchronousTestCase):
    """
    Tests for how rounds are compared.
    """

    def test_paired(self) -> None:
        """
        A ratio is the median of the ratios of the rounds, whatever the machine's
        speed was in each.
        """
        self.assertEqual(paired([5.0, 80.0, 6.0], [10.0, 100.0, 20.0]), 0.5)

    def test_rounds_missing(self) -> None:
        """
        What was not measured in the same rounds is not compared.
        """
        self.assertRaises(ValueError, paired, [1.0, 2.0], [1.0])

    def test_alternating(self) -> None:
        """
        What is first in one round is last in the next.
        """
        orders = [alternating(number, ["a", "b", "c"]) for number in range(3)]
        self.assertEqual([order[0] for order in orders], ["a", "c", "a"])
        self.assertEqual([order[-1] for order in orders], ["c", "a", "c"])


FAST = Report(
    name="accept",
    rows=[["", "a|b"], ["daemon", "12"]],
    notes=["One.", "Two."],
    line="12 kept, ratio 0.600; at 5/s ratio 9.000",
    goals=[Goal(what="kept", got=0.6, must=0.5, aim=0.7)],
)
SLOW = evolve(
    FAST,
    name="idle",
    line="too much",
    goals=[Goal(what="memory", got=90.0, must=80.0, aim=60.0, shown="{:.0f} MB")],
)
EMPTY = """# Figures

Between `<!-- accept -->` and `<!-- /accept -->` nobody writes.

<!-- summary -->
<!-- /summary -->
<!-- machine -->
of old
<!-- /machine -->

## First

<!-- accept -->
<!-- /accept -->

## Last

<!-- idle -->
old figures

<!-- /idle -->

The end.
"""


class PageTests(SynchronousTestCase):
    """
    Tests for the page of figures.
    """

    def test_replaced(self) -> None:
        """
        What is between the comments is replaced, and nothing else.
        """
        new = page.replaced(EMPTY, "idle", "\nnew\n\nfigures\n")
        self.assertEqual(page.between(new, "idle"), "new\n\nfigures")
        expected = EMPTY.replace("old figures\n\n", "\nnew\n\nfigures\n\n")
        self.assertEqual(new, expected)
        self.assertEqual(page.replaced(new, "idle", "new\n\nfigures"), new)

    def test_missing(self) -> None:
        """
        Whoever removed one of the comments, or has it twice, is told which.
        """
        for wrong, marker in (
            (EMPTY.replace("\n<!-- idle -->", ""), "<!-- idle -->, and 0"),
            (EMPTY.replace("<!-- /idle -->", ""), "<!-- /idle -->, and 0"),
            (f"{EMPTY}\n<!-- idle -->\n", "<!-- idle -->, and 2"),
        ):
            error = self.assertRaises(page.PageError, page.between, wrong, "idle")
            self.assertIn(marker, str(error))
            with self.assertRaises(page.PageError):
                page.check(wrong, ["accept", "idle"])

    def test_turned_around(self) -> None:
        """
        The comments are in their order.
        """
        with self.assertRaisesRegex(page.PageError, "is before"):
            page.replaced("<!-- /it -->\n<!-- it -->", "it", "")

    def test_block(self) -> None:
        """
        A benchmark's block has its table, its notes, its line, its picture and when
        it was measured, and the ratio can be read in it.
        """
        block = page.block(FAST, "today", "it.svg")
        for part in (
            "|  | a\\|b |\n| --- | --: |\n| daemon | 12 |\n",
            "(it.svg)",
            "One. Two.",
            f"`accept: {FAST.line}`",
            "Measured today.",
        ):
            self.assertIn(part, block)
        self.assertNotIn("![", page.block(FAST, "today"))
        self.assertEqual(
            page.documented(page.replaced(EMPTY, "accept", block), "accept"), 0.6
        )

    def test_no_ratio(self) -> None:
        """
        Where no ratio is documented, there is no number for it.
        """
        with self.assertRaisesRegex(page.PageError, "accept"):
            page.documented(EMPTY, "accept")

    def test_summary(self) -> None:
        """
        What is expected is listed in the benchmarks' order, what is missed is bold,
        and of what was not run the lines of before stay.
        """
        order = ["accept", "idle"]
        old = page.summary("", [SLOW], order)
        both = [
            "| measure | got | must | aim |",
            "| --- | --: | --: | --: |",
            "| accept: kept | 0.60 | 0.50 | 0.70 |",
            "| idle: memory | **90 MB** | 80 MB | 60 MB |",
        ]
        self.assertEqual(page.summary(old, [FAST], order).splitlines(), both)
        again = page.summary("\n".join(both), [FAST, SLOW], order)
        self.assertEqual(again.splitlines(), both)

    def test_ours(self) -> None:
        """
        The project's page has a block for each benchmark, and says what the tests
        above compare with.
        """
        text = PAGE.read_text("utf-8")
        page.check(text, MAINS)
        for name in ("accept", "pipeline"):
            self.assertGreater(page.documented(text, name), 0.0)


class MainTests(SynchronousTestCase):
    """
    Tests for running them all.
    """

    def setUp(self) -> None:
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.docs = Path(scratch.name)
        self.path = self.docs / "performance.md"
        self.path.write_text(EMPTY)
        self.told: dict[str, Sequence[str]] = {}

    def run_all(self, *arguments: str) -> str:
        """
        Run one that reaches its goals, one that fails and one that misses them.

        :return: why it ended with a status other than 0.
        """

        def found(report: Report) -> Callable[[Sequence[str]], Report]:
            def benchmark(arguments: Sequence[str]) -> Report:
                self.told[report.name] = arguments
                return report

            return benchmark

        def failing(arguments: Sequence[str]) -> Report:
            raise SystemExit("py-spy is not installed")

        mains = {"accept": found(FAST), "flame": failing, "idle": found(SLOW)}
        with redirect_stdout(StringIO()), self.assertRaises(SystemExit) as caught:
            main(["--docs", str(self.docs), *arguments], mains)
        return str(caught.exception)

    def test_written(self) -> None:
        """
        All are run and written, before it is said which were too slow and which
        could not be run.
        """
        self.path.write_text(f"{EMPTY}\n<!-- flame -->\n<!-- /flame -->\n")
        why = self.run_all("--seconds", "2", "--rounds", "1")
        self.assertIn("flame: py-spy is not installed", why)
        self.assertIn("idle: memory 90 MB, and it must be 80 MB", why)
        self.assertNotIn("accept", why)
        text = self.path.read_text()
        self.assertEqual(page.documented(text, "accept"), 0.6)
        self.assertIn("too much", page.between(text, "idle"))
        self.assertNotIn("old figures", text)
        self.assertIn("Python 3", page.between(text, "machine"))
        self.assertEqual(page.between(text, "summary").count("\n"), 3)
        self.assertEqual(page.between(text, "flame"), "")
        self.assertEqual(self.told["idle"], ["--seconds", "2.0", "--rounds", "1"])

    def test_only(self) -> None:
        """
        Only those are run that are named, and nothing else is written.
        """
        self.run_all("--only", "idle")
        self.assertEqual(list(self.told), ["idle"])
        self.assertEqual(page.between(self.path.read_text(), "accept"), "")

    def test_looked_at_first(self) -> None:
        """
        Where the page has no room for what would be found, nothing is run.
        """
        why = self.run_all()
        self.assertIn("<!-- flame -->", why)
        self.assertEqual(self.told, {})
        self.assertEqual(self.path.read_text(), EMPTY)

    def test_finish(self) -> None:
        """
        A benchmark that is run alone has a status, too.
        """
        finish(FAST)
        self.assertRaises(SystemExit, finish, FAST, SLOW)
