"""
What holds for the text that any Markdown becomes, and for its messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.markdown import plain
from micamsgr.messenger.rendering import split, utf16_length
from micamsgr.test.properties import given, st

LETTERS = ["word", "Ünïcode", "שלום", "مرحبا", "漢字", "किताब", "snake_case", "don't"]
# None of it is markup, wherever in a line it stands but at its beginning.
WORDS = [
    *("end.", "漢字、", "\U0001f600", "€5.90", "10%", "+49", "AT&T", "(so)", "“so”"),
    *("(3+2)*5", "[1]*2", "20%*5", "5'*3", "4!*2", "{x}*y", "(a)*(b)", "7€*2"),
    *("<3", ":-)", "a/b", "1984", "2*3*4", "C:\\path_a", "#1", "@a_b_c", "[1]", "10*"),
    *("a[0](1)", "https://a.example/_b_?c=*d*", "info_a_@a.example", ">", "*", "~9"),
    *(")", "]", "%", "'", "!", "__init__"),
]
# Added to the words of an answer.
_ADDED = re.compile(r"[•│–]|———|\d+[.]")

# A piece of an answer: Markdown, and the words in it.
Piece = tuple[str, list[str]]


def _joined(glue: str) -> Callable[[Sequence[Piece]], Piece]:
    def join(pieces: Sequence[Piece]) -> Piece:
        words = [word for _, words in pieces for word in words]
        return glue.join(markdown for markdown, _ in pieces), words

    return join


def _within(before: str, after: str = "", again: str = "") -> Callable[[Piece], Piece]:
    """
    Put marks around a piece, and *again* before each further line of it.
    """

    def put(piece: Piece) -> Piece:
        return before + piece[0].replace("\n", "\n" + again) + after, piece[1]

    return put


def _link(piece: Piece) -> Piece:
    url = "https://b.example/c_d_*e*f"
    return f"[{piece[0]}]({url})", [*piece[1], url]


def _struck(piece: Piece) -> Piece:
    text = f"({piece[0]})"
    return f"~~{piece[0]}~~", text.split()


def _table(rows: Sequence[Piece]) -> Piece:
    markdown, words = _joined("\n")(rows)
    return f"| Name | Value |\n|---|---|\n{markdown}", ["Name", "Value", *words]


def _word(word: str) -> Piece:
    return word, [word]


def _some(pieces: Any, most: int = 4) -> Any:
    return st.lists(pieces, min_size=1, max_size=most)


_letters = _some(st.sampled_from(LETTERS).map(_word)).map(_joined(" "))
_inline = (
    st.sampled_from(WORDS + LETTERS).map(_word)
    | _letters.map(_within("**", "**"))
    | _letters.map(_within("*", "*"))
    | _letters.map(_within("_", "_"))
    | _letters.map(_within("***", "***"))
    | _letters.map(_within("<br><b>", "</b>"))
    | _letters.map(_struck)
    | _letters.map(_link)
    | _letters.map(_within("**", "**")).map(_link).map(_within("!"))
)
_line = _some(_inline).map(_joined(" ")).map(lambda p: ("So " + p[0], ["So", *p[1]]))
_cell = _line.map(_within("| ", " "))
_block = st.recursive(
    _some(_line).map(_joined("\n"))
    | _line.map(_within("## "))
    | _some(st.tuples(_cell, _cell).map(_joined(""))).map(_table)
    | st.just(("---", [])),
    lambda blocks: (
        _some(blocks.map(_within("- ", again="  "))).map(_joined("\n"))
        | _some(blocks.map(_within("7. ", again="   "))).map(_joined("\n"))
        | blocks.map(_within("> ", again="> "))
        | _some(blocks).map(_joined("\n\n"))
    ),
    max_leaves=8,
)
_answers = _some(_block, 5).map(_joined("\n\n"))

_soup = st.lists(
    st.sampled_from(
        [
            *"ab1ж漢ש*_`~#>-+.:|!()[]{}%€<>&;\\$\"' \t\n\r\0\u2028\ufdd0\ud800",
            *("**", "__", "```", "\n\n", "\n- ", "\n1. ", "\n> ", "\n  ", "](", "---"),
            *("|-|-|\n", "|a|b|\n", "<br>", "</p>", "&amp;", "&#x202e;", "https://"),
        ]
    ),
    max_size=80,
).map("".join) | st.text(max_size=80)


def read(text: str) -> list[str]:
    """
    List the words of an answer as a person sees them.
    """
    seen = (word.rstrip(":,") for word in text.split() if not _ADDED.fullmatch(word))
    return [word for word in seen if word]


class PlainProperties(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.markdown.plain` with
    :func:`micamsgr.messenger.rendering.split` behind it.
    """

    @given(_answers)
    def test_words(self, answer: Piece) -> None:
        """
        No word of an answer is lost, changed or put elsewhere, and no markup
        is left.
        """
        self.assertEqual(read(plain(answer[0])), answer[1])

    @given(_answers, st.integers(60, 300))
    def test_messages(self, answer: Piece, limit: int) -> None:
        """
        The messages together have all words of an answer, in their order.
        """
        parts = split(plain(answer[0]), limit)
        self.assertEqual([word for part in parts for word in read(part)], answer[1])

    @given(_answers)
    def test_again(self, answer: Piece) -> None:
        """
        Plain text of an answer without code, escaped characters and entities
        is not changed any more.
        """
        once = plain(answer[0])
        self.assertEqual(plain(once), once)

    @given(_some(st.sampled_from(WORDS + LETTERS)), st.sampled_from(" \n\t"))
    def test_no_markup(self, words: list[str], space: str) -> None:
        """
        Text without markup comes back as it is, with all its white space.
        """
        text = "So " + f"{space} So  ".join(words) + " \n\n  end"
        self.assertEqual(plain(text), text)

    @given(_soup)
    def test_anything(self, text: str) -> None:
        """
        Whatever the LLM writes can be sent, unless it is blank.
        """
        parts = split(plain(text))
        self.assertEqual(bool(parts), bool(text.strip()))
        for part in parts:
            self.assertTrue(part.strip())
            self.assertLessEqual(utf16_length(part), 2000)

    @given(_soup)
    def test_letters(self, text: str) -> None:
        """
        Where there are no links, code, tables, tags and entities, each letter
        is kept, in its place.
        """
        text = re.sub(r"[`~|<&\[]|\w:", "", text)
        letters = "".join(filter(str.isalpha, text))
        self.assertEqual("".join(filter(str.isalpha, plain(text))), letters)
