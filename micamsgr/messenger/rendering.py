"""
How an answer becomes text messages of the length that Messenger takes.

Nothing here waits.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import accumulate

import regex

LIMIT = 2000

#: The most messages that one answer becomes.
MOST = 10

# What the last of them ends with where there would be more.
_MORE = " …"

# The share of a part that is full at least, if there is a break to cut it at:
# where there may be many parts, and where there may not.
_HALF, _NEARLY = 0.5, 0.9

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


def utf16_length(text: str) -> int:
    """
    Count the UTF-16 code units of *text*, as Messenger may count characters.

    Source: docs/messenger-platform.md, section 4.2.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int = LIMIT, most: int | None = None) -> tuple[str, ...]:
    """
    Divide *text* into parts that can be sent one after another.

    Nothing but white space at the cuts is lost: without white space, the
    joined parts equal *text*.  No part is empty, or begins or ends with white
    space, so blank text has no parts, and text that fits is one part.

    A part is cut at the end of a paragraph, else of a line, of a sentence, of
    a word, each where it leaves the part at least half full.  A word, a URL or
    a grapheme cluster is divided only where it alone exceeds the limit.  Takes
    time in proportion to the length of *text*.

    What would be more than *most* parts is cut where that leaves each of them
    nine tenths full.  Only if that is too much as well is the end of *text*
    lost: the last part is cut as any other is, and ends with an ellipsis.

    :param limit: most UTF-16 code units of a part; at least 2, and with *most*
        at least 4.
    :param most: most parts; ``None``: as many as it takes.

    Source: docs/messenger-platform.md, section 4.2.
    """
    text = text.strip()
    if not text:
        return ()
    if utf16_length(text) <= limit:
        return (text,)
    spans = list(_spans(text, limit, _HALF))
    if most is None or len(spans) <= most:
        return _cut(text, spans)
    spans = list(_spans(text, limit, _NEARLY))
    if len(spans) <= most:
        return _cut(text, spans)
    rest = text[spans[most - 1][0] :]
    last = next(_spans(rest, limit - utf16_length(_MORE), _HALF))
    return (*_cut(text, spans[: most - 1]), *(p + _MORE for p in _cut(rest, [last])))


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(text[start:end].rstrip() for start, end in spans)


def _spans(text: str, limit: int, full_at_least: float) -> Iterator[tuple[int, int]]:
    """
    Find where the parts begin and end.

    :param full_at_least: the share of a part that a break is to leave.
    """
    units: Sequence[int] = range(len(text) + 1)
    if max(text) > "\uffff":
        units = list(accumulate((1 + (c > "\uffff") for c in text), initial=0))
    breaks = list(_BREAK.finditer(text))
    ends = [_end(place) for place in breaks]
    urls = [match.span() for match in _URL.finditer(text)]
    start = 0
    while units[-1] - units[start] > limit:
        enough = bisect_left(units, units[start] + limit * full_at_least)
        full = bisect_right(units, units[start] + limit) - 1
        # The breaks that leave the part full enough are [near:far].
        near, far = bisect_left(ends, enough), bisect_right(ends, full)
        there = sorted(breaks[near:far], key=lambda b: (_level(b), -_end(b)))
        best = next((b for b in there if _parted(text, b.end())), None)
        if best is None:
            best = _before_word(text, units, limit, start, breaks, near, far)
        if best is None:
            end = _within_word(text, start, full, limit, urls)
        else:
            end = _end(best)
        yield start, end
        start = _after_space(text, end)
    yield start, len(text)


def _end(place: re.Match[str]) -> int:
    """Where a part ends that is cut at *place*; the next begins at its end."""
    assert place.lastgroup is not None
    return place.start(place.lastgroup)


def _level(place: re.Match[str]) -> _Level:
    lines = place.string.count("\n", _end(place), place.end())
    if lines:
        return _Level.PARAGRAPH if lines > 1 else _Level.LINE
    return _Level.SENTENCE if place["end"] or place["stop"] else _Level.WORD


def _parted(text: str, place: int) -> bool:
    """
    Whether white space or a stop that ends at *place* is apart from what
    follows: a combining mark would belong to it.
    """
    pair = text[place - 1 : place + 1]
    return len(pair) < 2 or len(_CLUSTER.findall(pair)) == 2


def _before_word(
    text: str,
    units: Sequence[int],
    limit: int,
    start: int,
    breaks: Sequence[re.Match[str]],
    near: int,
    far: int,
) -> re.Match[str] | None:
    """
    Find the break before a word that does not fit in what is left of a part,
    if it does in a part of its own.

    :param start: where the part begins.
    :param near: the number of breaks before its end that come too soon.
    :param far: the number of those before its end.
    """
    while near and breaks[near - 1].end() > start:
        if _parted(text, breaks[near - 1].end()):
            break
        near -= 1
    else:
        return None
    before = breaks[near - 1]
    most = units[before.end()] + limit
    for number in range(far, len(breaks)):
        if units[_end(breaks[number])] > most:
            return None
        if _parted(text, breaks[number].end()):
            return before
    return before if units[-1] <= most else None


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
