"""
How an answer becomes text messages of the length that Messenger takes.

Nothing here waits.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate

import regex
from attrs import frozen

LIMIT = 2000

# White space, or a stop of a language that is written without.
_BREAK = re.compile(
    r"""(?P<end> [.!?…] ["'”’»)\]]* )? (?P<gap> \s+ )
    | (?P<stop> [。！？] ["'”’」』）]* ) (?P<rest> \s* )""",
    re.VERBOSE,
)
_URL = re.compile(r"""(?:https?://|www\.)[^\s<>"。！？]+""", re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_CLUSTER = regex.compile(r"\X")


class _Level(IntEnum):
    """Where text may be cut, the best place first."""

    PARAGRAPH = 0
    LINE = 1
    SENTENCE = 2
    WORD = 3


@frozen
class _Break:
    """
    A place to cut: one part ends at *end*, the next begins at *resume*.
    """

    level: _Level
    end: int
    resume: int


def utf16_length(text: str) -> int:
    """
    Count the UTF-16 code units of *text*, as Messenger may count characters.

    Source: docs/messenger-platform.md, section 4.2.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int = LIMIT) -> tuple[str, ...]:
    """
    Divide *text* into parts that can be sent one after another.

    Nothing but white space at the cuts is lost: without white space, the
    joined parts equal *text*.  No part is empty, or begins or ends with white
    space, so blank text has no parts, and text that fits is one part.

    A part is cut at the end of a paragraph, else of a line, of a sentence, of
    a word, each where it leaves the part at least half full.  A word, a URL or
    a grapheme cluster is divided only where it alone exceeds the limit.  Takes
    time in proportion to the length of *text*.

    :param limit: most UTF-16 code units of a part; at least 2.

    Source: docs/messenger-platform.md, section 4.2.
    """
    text = text.strip()
    if not text:
        return ()
    if utf16_length(text) <= limit:
        return (text,)
    return tuple(_parts(text, limit))


def _parts(text: str, limit: int) -> Iterator[str]:
    units = list(accumulate((1 + (c > "\uffff") for c in text), initial=0))
    breaks = _breaks(text)
    ends = [place.end for place in breaks]
    urls = [match.span() for match in _URL.finditer(text)]
    start = 0
    while units[-1] - units[start] > limit:
        half = bisect_left(units, units[start] + limit / 2)
        full = bisect_right(units, units[start] + limit) - 1
        # The breaks that leave the part half full are [near:far].
        near, far = bisect_left(ends, half), bisect_right(ends, full)
        if near < far:
            end = min(breaks[near:far], key=lambda b: (b.level, -b.end)).end
        else:
            end = _within_word(text, start, full, limit, urls)
            if near:
                word_end = ends[near] if near < len(ends) else len(text)
                if units[word_end] - units[breaks[near - 1].resume] <= limit:
                    end = ends[near - 1]
        yield text[start:end].rstrip()
        start = _after_space(text, end)
    yield text[start:]


def _breaks(text: str) -> Sequence[_Break]:
    """
    Find where text may be cut, in order.
    """
    found = []
    for match in _BREAK.finditer(text):
        gap = match["gap"] or match["rest"] or ""
        lines = gap.count("\n")
        if lines:
            level = _Level.PARAGRAPH if lines > 1 else _Level.LINE
        else:
            level = _Level.SENTENCE if match["end"] or match["stop"] else _Level.WORD
        if _parted(text, match.end()):
            found.append(_Break(level, match.end() - len(gap), match.end()))
    return found


def _parted(text: str, place: int) -> bool:
    """
    Whether white space or a stop that ends at *place* is apart from what
    follows: a combining mark would belong to it.
    """
    pair = text[place - 1 : place + 1]
    return len(pair) < 2 or len(_CLUSTER.findall(pair)) == 2


def _within_word(
    text: str, start: int, full: int, limit: int, urls: Sequence[tuple[int, int]]
) -> int:
    """
    Find the last place to cut where there is no break.

    :param full: where the part is full.
    :param urls: their spans, in order.
    """
    end = _cluster_start(text, start, full)
    url = bisect_left(urls, (end, end)) - 1
    if url >= 0 and end < urls[url][1]:
        before = _cluster_start(text, start, urls[url][0])
        if before > start:
            end = before
    cluster = _CLUSTER.match(text[end : end + limit + 1])
    assert cluster is not None
    return full if utf16_length(cluster[0]) > limit else end


def _cluster_start(text: str, start: int, place: int) -> int:
    """
    Find where the grapheme cluster begins that the character at *place*
    belongs to.

    :param start: where a cluster is known to begin.
    """
    begun = 0
    # No rule of UAX #29 looks further ahead than one character.
    for match in _CLUSTER.finditer(text[start : place + 1]):
        begun = match.start()
    return start + begun


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None
    return match.end()
