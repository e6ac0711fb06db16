"""
Tests for how an answer becomes messages.
"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.rendering import MOST, split, utf16_length

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


class UTF16LengthTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.rendering.utf16_length`.
    """

    def test_planes(self) -> None:
        """
        A character beyond the first 65,536 counts twice.
        """
        self.assertEqual(utf16_length("aж\uffff"), 3)
        self.assertEqual(utf16_length("\U00010000\U0001f600"), 4)
        self.assertEqual(utf16_length(""), 0)

    def test_half(self) -> None:
        """
        Half of a character counts once.
        """
        self.assertEqual(utf16_length("\ud800"), 1)


class SplitTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.rendering.split`.
    """

    def whole(self, text: str, parts: tuple[str, ...], limit: int = 2000) -> None:
        """
        Check what holds for the parts of any text.
        """
        self.assertEqual("".join("".join(parts).split()), "".join(text.split()))
        for part in parts:
            self.assertEqual(part, part.strip())
            self.assertTrue(part)
            self.assertLessEqual(utf16_length(part), limit)

    def test_fits(self) -> None:
        """
        Text that fits is one message, and loses only the white space around
        it.
        """
        self.assertEqual(split("  Hello.\n\n  Alice \n"), ("Hello.\n\n  Alice",))
        self.assertEqual(split("x" * 2000), ("x" * 2000,))
        self.assertEqual(split("\U0001f600" * 1000), ("\U0001f600" * 1000,))

    def test_blank(self) -> None:
        """
        Blank text is no message.
        """
        self.assertEqual(split(""), ())
        self.assertEqual(split(" \n\t"), ())

    def test_one_too_long(self) -> None:
        """
        The 2001st unit goes into a second message.
        """
        self.assertEqual(split("x" * 2001), ("x" * 2000, "x"))
        self.assertEqual(
            split("\U0001f600" * 1001), ("\U0001f600" * 1000, "\U0001f600")
        )

    def test_one_line(self) -> None:
        """
        A long answer without newlines arrives whole.
        """
        text = ("The museum is open. " * 300)[:4500]
        parts = split(text)
        self.assertEqual(" ".join(parts), text.strip())
        self.whole(text, parts)
        self.assertEqual(len(parts), 3)

    def test_one_word(self) -> None:
        """
        A long answer without white space arrives whole.
        """
        text = "".join(chr(0x4E00 + number) for number in range(4500))
        parts = split(text)
        self.assertEqual("".join(parts), text)
        self.assertEqual([len(part) for part in parts], [2000, 2000, 500])

    def test_paragraph(self) -> None:
        """
        A message ends with a paragraph rather than with a later line.
        """
        self.assertEqual(
            split("aa bb.\n \ncc.\ndd ee ff", 12), ("aa bb.", "cc.\ndd ee ff")
        )

    def test_line(self) -> None:
        """
        A message ends with a line rather than with a later sentence.
        """
        self.assertEqual(split("aa bb\ncc. dd ee", 10), ("aa bb", "cc. dd ee"))

    def test_sentence(self) -> None:
        """
        A message ends with a sentence rather than with a later word.
        """
        for stop in (".", "!", "?", "…", '."', "?!)"):
            self.assertEqual(
                split(f"aa bb{stop} cc dd ee", 12), (f"aa bb{stop}", "cc dd ee")
            )

    def test_sentence_without_space(self) -> None:
        """
        A message ends with a sentence, also in a language that puts no spaces
        between them.
        """
        self.assertEqual(
            split("来てください。「いいよ。」明日です", 14),
            ("来てください。「いいよ。」", "明日です"),
        )

    def test_item(self) -> None:
        """
        The number of a list's item stays with the item.
        """
        self.assertEqual(split("aaaaa bb\n1. cc dd", 12), ("aaaaa bb", "1. cc dd"))

    def test_word(self) -> None:
        """
        A message ends with a word, the last that fits.
        """
        self.assertEqual(split("aa bb cc dd", 8), ("aa bb cc", "dd"))
        self.assertEqual(split("aa bb cc dd", 7), ("aa bb", "cc dd"))

    def test_well_filled(self) -> None:
        """
        A paragraph that would leave a message less than half full does not
        end it.
        """
        self.assertEqual(split("aa\n\nbb cc dd ee ff", 12), ("aa\n\nbb cc dd", "ee ff"))

    def test_long_word(self) -> None:
        """
        A word that fits in a message of its own is not divided; one that does
        not begins in the room that is left.
        """
        self.assertEqual(split("aa bbbbbbbbbb", 10), ("aa", "bbbbbbbbbb"))
        self.assertEqual(split("aa bbbbbbbbbbb", 10), ("aa bbbbbbb", "bbbb"))

    def test_url(self) -> None:
        """
        A link is not divided, also where the text around it has no spaces.
        """
        self.assertEqual(
            split("请看这里https://a.example/bcd。再见再见再见", 24),
            ("请看这里", "https://a.example/bcd。", "再见再见再见"),
        )
        self.assertEqual(
            split("aaaaaaaaaa(www.example.com/bcdef)", 22),
            ("aaaaaaaaaa(", "www.example.com/bcdef)"),
        )

    def test_long_url(self) -> None:
        """
        A link that no message can hold is divided, beginning with a message
        of its own.
        """
        self.assertEqual(
            split("aa https://a.example", 10), ("aa", "https://a.", "example")
        )
        self.assertEqual(split("https://a.example", 10), ("https://a.", "example"))

    def test_grapheme(self) -> None:
        """
        What a person sees as one character is not divided.
        """
        for one in (
            FAMILY,
            "e\u0301\u0302\u0303",
            "\U0001f1e9\U0001f1ea",
            "\u1100\u1161\u11a8",
        ):
            length = utf16_length(one)
            self.assertEqual(split(one * 5, 2 * length + 1), (one * 2, one * 2, one))

    def test_marked_space(self) -> None:
        """
        A space that carries a mark is not a place to divide.
        """
        self.assertEqual(split("aa bb \u0301cc dd", 8), ("aa", "bb \u0301cc", "dd"))

    def test_marked_stop(self) -> None:
        """
        A full stop stays with the mark that it carries.
        """
        self.assertEqual(
            split("来来来。\ufe00来来来来", 6), ("来来来。\ufe00来", "来来来")
        )

    def test_joined_url(self) -> None:
        """
        Where a link's last character can't be parted from what follows, the
        link is what is divided.
        """
        self.assertEqual(
            split("https://a.example/\u0600。bcd", 19),
            ("https://a.example/", "\u0600。bcd"),
        )

    def test_endless_space(self) -> None:
        """
        A space with more marks than a message holds leaves no message that
        ends with it.
        """
        self.assertEqual(
            split("a " + "\u0301" * 4, 2), ("a", "\u0301" * 2, "\u0301" * 2)
        )

    def test_endless_grapheme(self) -> None:
        """
        A character with more marks than a message holds is divided, but never
        within one of the marks.
        """
        text = "a" + "\U0001e8d0" * 10
        parts = split(text, 8)
        self.assertEqual("".join(parts), text)
        self.assertEqual([utf16_length(part) for part in parts], [7, 8, 6])

    def test_space_within_a_word(self) -> None:
        """
        White space that bears a mark is part of its word, and that word begins
        a message of its own only where it fits in one.
        """
        self.assertEqual(
            split("aa b \u0301cccccc dd", 10), ("aa", "b \u0301cccccc", "dd")
        )
        self.assertEqual(
            split("aaaa bbbbbb \u0301cccc dd", 10), ("aaaa bbbbb", "b \u0301cccc dd")
        )

    def test_most(self) -> None:
        """
        Where five messages would end where a paragraph does, and there may be
        three, all is said in three that are fuller.
        """
        text = "\n\n".join([" ".join(["word"] * 11)] * 5)
        self.assertEqual([len(part) for part in split(text, 100, 5)], [54] * 5)
        parts = split(text, 100, 3)
        self.assertEqual(len(parts), 3)
        self.whole(text, parts, 100)

    def test_more(self) -> None:
        """
        Of what is too much even so, the last message ends after a sentence,
        with an ellipsis.
        """
        parts = split("So it is. " * 40, 100, 3)
        self.assertEqual(
            parts,
            (
                "So it is. " * 9 + "So it is.",
                "So it is. " * 9 + "So it is.",
                "So it is. " * 9 + "…",
            ),
        )

    def test_more_of_a_word(self) -> None:
        """
        What is all one word is said to the last character, or else ends with an
        ellipsis within it.
        """
        self.assertEqual(split("x" * 300, 100, 3), ("x" * 100,) * 3)
        self.assertEqual(
            split("x" * 301, 100, 3), ("x" * 100, "x" * 100, "x" * 98 + " …")
        )
        parts = split("\U0001f600" * 10_001, most=MOST)
        self.assertEqual([utf16_length(part) for part in parts], [2000] * 10)
        self.assertEqual(parts[-1], "\U0001f600" * 999 + " …")

    def test_hostile(self) -> None:
        """
        No text, however odd, takes more time than its length accounts for.
        """
        began = time.process_time()
        for pattern in (
            "a", "a ", "\u0301", "\U0001f1e9", "\U0001f468\u200d", "\u0915\u094d",
            '."', ". ", "。", "https://a ", "https://", "www.", "\n a", "\u0600",
            " \u0301", "\u1100", "x" * 999 + " https://" + "y" * 1900 + " ",
            " " * 30_000 + "x", "." + '"' * 9000,
        ):  # fmt: skip
            text = (pattern * (100_000 // len(pattern) + 1))[:100_000]
            self.whole(text, split(text))
            self.assertLessEqual(len(split(text, most=MOST)), MOST)
        # About 2 s of the processor; quadratic time would be many minutes.
        self.assertLess(time.process_time() - began, 30.0)
