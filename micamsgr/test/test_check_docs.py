"""
Tests for ``docs/checking.md``.
"""

from __future__ import annotations

import re
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

import micamsgr
from micamsgr.check.troubles import QUESTIONS, TROUBLES

CHECK = Path(micamsgr.__file__).parent / "check"
PAGE = CHECK.parent.parent / "docs" / "checking.md"


def table() -> str:
    """
    Write the table of what can be wrong, in the order of the questions.
    """
    order = list(QUESTIONS)
    rows = sorted(TROUBLES.items(), key=lambda it: order.index(it[0].partition(".")[0]))
    lines = ["| name | | what is so | what it means | what to do |", "|" + "---|" * 5]
    lines += [
        f"| `{name}` | {it.verdict.value} | {it.when} | {it.means} | {it.todo} |"
        for name, it in rows
    ]
    return "\n".join(lines) + "\n"


class PageTests(SynchronousTestCase):
    """
    Tests for the page about what is asked.
    """

    def setUp(self) -> None:
        if not PAGE.is_file():
            raise SkipTest("needs a checkout")
        self.text = PAGE.read_text("utf-8")

    def test_troubles(self) -> None:
        """
        The page has all that can be wrong, in the program's own words.
        """
        self.assertIn(f"\n\n{table()}\n", self.text)

    def test_questions(self) -> None:
        """
        The page has every question.
        """
        for name, words in QUESTIONS.items():
            self.assertIn(f"| `{name}` | {words} |\n", self.text)

    def test_lines(self) -> None:
        """
        Each line that the page tells to look at is one that there is.
        """
        issues = self.text.partition("common issues")[2]
        named = set(re.findall(r"`([a-z_]+)`", issues))
        self.assertGreater(len(named), 10)
        self.assertLessEqual(named, set(QUESTIONS))

    def test_shown(self) -> None:
        """
        All that can be wrong is made wrong by some test.
        """
        tests = [Path(__file__).parent, PAGE.parent.parent / "tests"]
        written = "".join(
            path.read_text("utf-8")
            for top in tests
            for path in top.glob("*check*.py")
            if path.name != Path(__file__).name
        )
        for name in TROUBLES:
            kind = name.partition(".")[2]
            if kind not in ("unasked", "unanswered", "fault"):
                shared = f'f"{{question}}.{kind}"' in written
                self.assertTrue(f'"{name}"' in written or shared, name)
