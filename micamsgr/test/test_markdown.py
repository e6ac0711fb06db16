"""
Tests for how Markdown becomes text for a phone.

The answers in ``answers/`` are of the kinds that LLMs give, each with the text
that a person would like to read instead.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.markdown import plain
from micamsgr.messenger.rendering import split, utf16_length

ANSWERS = Path(__file__).parent / "answers"


class CorpusTests(SynchronousTestCase):
    """
    Tests with whole answers.
    """

    longMessage = True
    maxDiff = None

    def test_answers(self) -> None:
        """
        Each answer reads as a person on a phone would like it.
        """
        answers = sorted(ANSWERS.glob("*.md"))
        self.assertGreaterEqual(len(answers), 25)
        for answer in answers:
            text = answer.read_text("utf-8").rstrip("\n")
            wanted = answer.with_suffix(".txt").read_text("utf-8").rstrip("\n")
            self.assertEqual(plain(text), wanted, answer.name)

    def test_again(self) -> None:
        """
        What has become plain text stays as it is; but for code, escaped
        characters and entities, which may stand for markup.
        """
        for wanted in sorted(ANSWERS.glob("*.txt")):
            if wanted.stem not in ("code-python", "log-lines", "escaped", "html"):
                text = wanted.read_text("utf-8").rstrip("\n")
                self.assertEqual(plain(text), text, wanted.name)


class PlainTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.markdown.plain`.
    """

    def test_emphasis(self) -> None:
        """
        Marks of emphasis are dropped, wherever words have no spaces between
        them, too.
        """
        self.assertEqual(plain("***a* b** _c_ __D__ **N**ew"), "a b c D New")
        self.assertEqual(plain("**注意：**请看*“这里”*。"), "注意：请看“这里”。")

    def test_emphasized_address(self) -> None:
        """
        An address loses the marks around it, and no character of its own.
        """
        self.assertEqual(
            plain("**https://a.example/b_c_d*e*f**, *x_y@a.example*"),
            "https://a.example/b_c_d*e*f, x_y@a.example",
        )

    def test_headings(self) -> None:
        """
        A heading has a blank line before it, and none behind it.
        """
        self.assertEqual(
            plain("# A\n## B\n\ntext\n### C ###\n\n\n- d"), "A\n\nB\ntext\n\nC\n• d"
        )

    def test_rule(self) -> None:
        """
        A rule becomes a line of dashes; before a heading, which stands apart
        anyway, it is dropped.
        """
        self.assertEqual(plain("a\n\n***\n\nb\n\n---\n\n# C"), "a\n\n———\n\nb\n\nC")

    def test_underlined(self) -> None:
        """
        A line below a text is not dropped as if it made the text a heading.
        """
        self.assertEqual(plain("*a*\n---\nb\n==="), "a\n———\nb\n===")

    def test_indented(self) -> None:
        """
        Text that is merely indented is not taken for code.
        """
        self.assertEqual(plain("a\n\n    **b**"), "a\n\nb")

    def test_bullets(self) -> None:
        """
        Items have bullets, are indented as deep as they are nested, and are
        as close together as they were.
        """
        self.assertEqual(
            plain("* a\n    * b\n        * c\n\n* d\n  e\n\n  f"),
            "• a\n  • b\n    • c\n\n• d\n  e\n\n  f",
        )

    def test_after_item(self) -> None:
        """
        A line behind an item that is not indented does not belong to it.
        """
        self.assertEqual(plain("- a\n**b**\n- c"), "• a\nb\n• c")

    def test_numbers(self) -> None:
        """
        Items keep their numbers; where all have the same, they are counted.
        """
        self.assertEqual(plain("3. *a*\n7. b\n7. c"), "3. a\n7. b\n7. c")
        self.assertEqual(plain("1) *a*\n1) b\n1) c"), "1) a\n2) b\n3) c")

    def test_in_item(self) -> None:
        """
        Also markup that begins behind an item's number is found.
        """
        self.assertEqual(plain("1. # a"), "1. a")
        self.assertEqual(plain("1) - a"), "1) • a")

    def test_empty_item(self) -> None:
        """
        A number that stands alone on its line is kept.
        """
        self.assertEqual(plain("*The answer:*\n\n42."), "The answer:\n\n42.")

    def test_tasks(self) -> None:
        """
        Tasks have boxes, ticked where they are done.
        """
        self.assertEqual(
            plain("- [ ] a\n- [x] b\n  c\n\n1. [X] d"), "☐ a\n☑ b\n  c\n\n1. ☑ d"
        )

    def test_code(self) -> None:
        """
        Code keeps each character, and is set off by blank lines.
        """
        self.assertEqual(
            plain("So:\n```c\nif (*a)\n\t**b;\n\n  `c`\n```\nand ``d`_e_``"),
            "So:\n\nif (*a)\n\t**b;\n\n  `c`\n\nand d`_e_",
        )

    def test_unclosed_code(self) -> None:
        """
        Code whose end is missing, as where an answer was cut short, is kept.
        """
        self.assertEqual(plain("```py\n*a = f()\n …"), "*a = f()\n …")

    def test_words_behind_backticks(self) -> None:
        """
        What stands where the language of code should is kept unless it is
        a single word.
        """
        self.assertEqual(plain("``` see below\na\n```"), "see below\na")

    def test_two_columns(self) -> None:
        """
        A table of two columns becomes a line for each row.
        """
        self.assertEqual(
            plain("x\n|**A:**|B|\n|-|-|\n|c|*d*<br>e|\n|f||\ny|"),
            "x\n\nA: B\nc: d, e\nf: –\ny: –",
        )

    def test_no_headings(self) -> None:
        """
        A table of two columns without headings is only its rows.
        """
        self.assertEqual(plain("x\n| | |\n|-|-|\n|a|b|"), "x\n\na: b")

    def test_more_columns(self) -> None:
        """
        A table of more columns becomes a block for each row.
        """
        self.assertEqual(
            plain("||A|B|\n|-|-|-|\n|c|d|e|\n|f|g||"), "c\nA: d\nB: e\n\nf\nA: g\nB: –"
        )

    def test_one_column(self) -> None:
        """
        A table of one column becomes its lines.
        """
        self.assertEqual(plain("|A|\n|-|\n|b|\n|c|"), "A\nb\nc")

    def test_headings_only(self) -> None:
        """
        A table without rows is its headings.
        """
        self.assertEqual(plain("|A|B|\n|-|-|"), "A | B")

    def test_spare_cells(self) -> None:
        """
        Cells beyond the last column are kept.
        """
        self.assertEqual(
            plain("> |A|B|\n> |-|-|\n> |c|d|e|f|"), "│ A: B\n│ c: d | e | f"
        )

    def test_large_table(self) -> None:
        """
        A table whose headings would be repeated too often becomes plain rows.
        """
        rows = "|a|b||\n" * 500
        self.assertEqual(
            plain("|Aaa|Bbb|Ccc|\n|-|-|-|\n" + rows),
            "Aaa | Bbb | Ccc" + "\na | b" * 500,
        )

    def test_below_table(self) -> None:
        """
        A line right below a table is no row of it.
        """
        self.assertEqual(
            plain("|A|B|C|\n|-|-|-|\n|d|e|f|\nIncluding *VAT*.\n|g|h|"),
            "A: d\nB: e\nC: f\n\nIncluding VAT.\n|g|h|",
        )

    def test_gaps(self) -> None:
        """
        A table whose rows lack most of their cells, and would have to be
        filled with a great many, is left as it is.
        """
        text = "|a" * 100 + "|\n" + "|-" * 100 + "|\n" + "|\n" * 9798
        # To tell the difference would take long.
        self.assertTrue(plain(text) == text)
        self.assertEqual(plain("|A|B|\n|-|-|\n|c|\n|d|"), "A: B\nc: –\nd: –")

    def test_struck(self) -> None:
        """
        What is crossed out, such as an old price, stands in brackets.
        """
        self.assertEqual(plain("~~129,00 €~~ **99 €**"), "(129,00 €) 99 €")

    def test_quote(self) -> None:
        """
        A quote has a bar before each paragraph.
        """
        self.assertEqual(
            plain("a\n> b\n>\n> > c\n>\n> - d\n\ne"), "a\n│ b\n│\n│ │ c\n│\n│ • d\n\ne"
        )

    def test_tags(self) -> None:
        """
        HTML tags that have to do with nothing but looks are dropped, and
        break lines where they should.
        """
        self.assertEqual(
            plain('<p class="a">b</p>\n<BR/>c<br>\nd<ul><li>e</li></ul><foo>'),
            "b\n\nc\nd\n\n• e\n<foo>",
        )
        self.assertEqual(plain("H<sub>2</sub>O, 10<sup>6</sup>"), "H2O, 10^6")

    def test_entities(self) -> None:
        """
        HTML entities become the characters that they stand for.
        """
        self.assertEqual(plain("&lt;a&gt;&nbsp;&amp;&#39;b&#x27;"), "<a> &'b'")

    def test_unwanted(self) -> None:
        """
        No entity turns the direction in which text is written, be it in an
        address, or is a control character.
        """
        self.assertEqual(plain("a&#x202e;b&rlm;c&#x61c;d"), "abcd")
        for link in (
            "[o](https://a.example/&#x202e;moc)",
            "![o](https://a.example/&#x200f;moc)",
        ):
            self.assertEqual(plain(link), "o: https://a.example/moc")

    def test_escaped(self) -> None:
        """
        Characters that were escaped lose the backslash, and mark nothing.
        """
        self.assertEqual(plain("\\*a\\* \\# \\$5 1\\. \\`b\\`"), "*a* # $5 1. `b`")

    def test_line_ends(self) -> None:
        """
        Lines end where they did, with whatever kind of newline.
        """
        self.assertEqual(
            plain("*a*\r\nb  \rc\\\nd\n\n  e\n   f"), "a\nb\nc\nd\n\ne\n   f"
        )

    def test_never_blank(self) -> None:
        """
        Markup of nothing, or of nothing that can be seen, comes back as it is, since
        no message can be blank.
        """
        for text in ("[](#a)", "#", "<br>", "```\n```", "&nbsp;", "||\n|-|"):
            self.assertEqual(plain(text), text)
        for text in ("&#8203;", "&shy;&zwj;", "**&#x2800;**", "&rlm;"):
            self.assertEqual(plain(text), text)

    def test_too_deep(self) -> None:
        """
        What is nested deeper than anybody could read comes back as it is.
        """
        for text in ("> " * 30 + "**a**", "- " * 30 + "**a**"):
            self.assertEqual(plain(text), text)

    def test_no_stack(self) -> None:
        """
        Text that can't be parsed comes back as it is.
        """

        def deeper(left: int) -> str:
            return plain("**a**") if left == 0 else deeper(left - 1)

        depth, frame = 0, sys._getframe()
        while frame.f_back is not None:
            depth, frame = depth + 1, frame.f_back
        self.assertEqual(deeper(sys.getrecursionlimit() - depth - 12), "**a**")

    def test_no_character(self) -> None:
        """
        Text with code points that are no characters comes back as it is.
        """
        self.assertEqual(plain("**a** \ufdd0"), "**a** \ufdd0")

    def test_hostile(self) -> None:
        """
        No text, however odd, takes more time than its length accounts for, or
        becomes much longer.
        """
        began = time.process_time()
        for pattern in (
            "*", "_", "**a ", "*a", "*_", "a***b", "中**（", "[", "[a](", "[a](b",
            "![", "![a](", "[[a](b)", "*[", "`", "`a``b", "<", "<b ", '<b a="', "<!--",
            "&", "\\", "\\(", "\\[", "> ", ">", "- ", "1. ", "> - ", "\n- ", "| ",
            "a|b\n", "#", "\n", "  ", "~~~\n", "```\n", "https://", "www.*", "@a",
            "a@", "__a__(", "](", "\ta\n", "<br>", "<li>", "- a\n", "$a", "b:\\a",
            "~~", "~~a ",
        ):  # fmt: skip
            text = (pattern * (20_000 // len(pattern) + 1))[:20_000]
            self.assertLess(len(plain(text)), 50_000)
        for text in (
            "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + "a\n" * 6000,
            "|" + "a" * 6000 + "|b|c|\n|-|-|-|\n" + "|a|b|c|\n" * 1500,
            "![" * 3000 + "a" + "](b.cc)" * 2000,
            "[" * 10_000 + "]" * 10_000,
            "*a " * 4000 + "a* " * 2600,
            ("> " * 19 + "a\n") * 500,
            "|a" * 10 + "|\n" + "|-" * 10 + "|\n" + "|\n" * 9000,
            ("|a" * 10 + "|\n" + "|-" * 10 + "|\n" + "|\n" * 20 + "\n") * 230,
            "a|b\n-|-\n# |\n" * 1600,
            ("- " * 9 + "a\n") * 1000,
        ):
            self.assertLess(len(plain(text)), 50_000)
        # About 6 s of the processor; quadratic time would be many minutes.
        self.assertLess(time.process_time() - began, 60.0)


class ChainTests(SynchronousTestCase):
    """
    Tests for an answer's way from Markdown to messages.
    """

    def test_long_answer(self) -> None:
        """
        A long answer is divided where it reads best, and what is left of the
        markup counts for its length.
        """
        paragraph = "**Words** " * 99 + "*end*."
        parts = split(plain("\n\n".join([paragraph] * 7)))
        self.assertEqual([part.count("end.") for part in parts], [3, 3, 1])
        for part in parts:
            self.assertTrue(part.endswith("end."))
            self.assertLessEqual(utf16_length(part), 2000)
