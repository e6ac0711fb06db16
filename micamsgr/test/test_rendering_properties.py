"""
What holds for the messages that any answer becomes.
"""

from __future__ import annotations

from itertools import pairwise

import regex
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.rendering import split, utf16_length
from micamsgr.test.properties import given, st

_PIECES = st.sampled_from(
    [
        *"ab.。!\"'\u00a0\t()ж来\u0301\u200d\ufe0f\u0600\u0915\u094d\u1100\u1161",
        *" \n\U0001f1e9\U0001f1ea\U0001f468\U0001f3fd\U0001e8d0",
        *("\r\n", "\n\n", "1. ", "https://a.example/b", "www.a.example", "word"),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=60).map("".join) | st.text(max_size=60)
_LIMITS = st.integers(2, 40)


def cuts(text: str, parts: tuple[str, ...]) -> list[int]:
    """
    Find where in *text* each part but the last ends.
    """
    places, place = [], 0
    for part in parts:
        place = text.index(part, place) + len(part)
        places.append(place)
    return places[:-1]


class SplitProperties(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.rendering.split`.
    """

    @given(_TEXTS, _LIMITS)
    def test_whole(self, text: str, limit: int) -> None:
        """
        The messages hold the text, less some white space.
        """
        parts = split(text, limit)
        self.assertEqual("".join("".join(parts).split()), "".join(text.split()))
        rest = text
        for part in parts:
            rest = rest.lstrip()
            self.assertTrue(rest.startswith(part))
            rest = rest[len(part) :]
        self.assertEqual(rest.strip(), "")

    @given(_TEXTS, _LIMITS)
    def test_parts(self, text: str, limit: int) -> None:
        """
        Each message has text, no white space around it, and fits.
        """
        for part in split(text, limit):
            self.assertTrue(part)
            self.assertEqual(part, part.strip())
            self.assertLessEqual(utf16_length(part), limit)

    @given(_TEXTS, _LIMITS)
    def test_graphemes(self, text: str, limit: int) -> None:
        """
        No grapheme cluster that fits in a message is divided, but for its
        white space.
        """
        parts = split(text, limit)
        places = cuts(text, parts)
        for match in regex.finditer(r"\X", text):
            fits = utf16_length(match[0]) <= limit
            if fits and not any(map(str.isspace, match[0])):
                inside = [at for at in places if match.start() < at < match.end()]
                self.assertEqual(inside, [])

    @given(
        st.lists(
            st.sampled_from(
                ["word", "end.", "来来", "http://a.example/b", "\U0001f600"]
            ),
            min_size=1,
        ),
        st.sampled_from([" ", "\n", "  ", "\n\n"]),
        st.integers(18, 60),
    )
    def test_words(self, words: list[str], space: str, limit: int) -> None:
        """
        No word that fits is divided, and each message but the last is half
        full, or the next word would not have fit.
        """
        parts = split(space.join(words), limit)
        self.assertEqual([word for part in parts for word in part.split()], words)
        for part, following in pairwise(parts):
            full = utf16_length(part + space + following.split()[0]) > limit
            self.assertTrue(full or utf16_length(part) >= limit / 2)

    @given(st.text("ab来", max_size=40), st.text("cd。", max_size=40))
    def test_urls(self, before: str, after: str) -> None:
        """
        No link that fits is divided, whatever stands before and behind it.
        """
        url = "https://x.example/y"
        parts = split(f"{before}{url}。{after}", 25)
        self.assertEqual(len([part for part in parts if url in part]), 1)

    @given(_TEXTS, st.integers(4, 40), st.integers(1, 5))
    def test_most(self, text: str, limit: int, most: int) -> None:
        """
        There are no more messages than there may be, each fits, and they hold
        the text, or else its beginning and an ellipsis.
        """
        parts = split(text, limit, most)
        self.assertLessEqual(len(parts), most)
        for part in parts:
            self.assertEqual(part, part.strip())
            self.assertLessEqual(utf16_length(part), limit)
        said, wanted = "".join("".join(parts).split()), "".join(text.split())
        if said != wanted:
            self.assertEqual(len(parts), most)
            self.assertTrue(parts[-1].endswith(" …"))
            self.assertTrue(wanted.startswith(said[:-1]))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "word", "end.", "来"]),
                st.sampled_from([" ", "\n", "\n\n"]),
            ),
            min_size=20,
        ),
        st.integers(60, 80),
        st.integers(1, 5),
    )
    def test_never_cut(
        self, words: list[tuple[str, str]], limit: int, most: int
    ) -> None:
        """
        Nothing is lost of a text that fills nine tenths of the messages that
        there may be.
        """
        text = ""
        for word, space in words * 8:
            longer = text + space + word if text else word
            if utf16_length(longer) > most * limit * 0.9:
                break
            text = longer
        parts = split(text, limit, most)
        self.assertEqual("".join("".join(parts).split()), "".join(text.split()))

    @given(_TEXTS, _LIMITS)
    def test_again(self, text: str, limit: int) -> None:
        """
        A message that was split off fits, and is not split again.
        """
        for part in split(text, limit):
            self.assertEqual(split(part, limit), (part,))
