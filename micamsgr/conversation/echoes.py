"""
Which part an echo is of that does not name it, as some come back bare.
"""

from __future__ import annotations

from collections.abc import Iterable

from .moment import Moment, Tick
from .parts import Part, same_words
from .states import OPEN_PARTS

# For so many seconds after its intent an attempt may still land; more than
# delivery.quarantine supposes, as nothing is sent for it here.
_LANDS = 60.0

# How far Meta's clock and our idea of it may be apart, in seconds.
_SLACK = 5.0


def whose(parts: Iterable[Part], text: str, at: int, now: Moment) -> Part | None:
    """
    Find the part that was most likely said with an echo that has its words: the
    one that was attempted last before it.

    Of parts that are closed only one that may still have been under way: later
    the same words are a human's, who may have read them in the queue.

    :param parts: of the echo's conversation, none of which is known to have been
        sent as another message.
    :param at: when the echo says it was said, in milliseconds by Meta's clock.
    """
    said = now.tick.seconds - (now.wall - at) / 1000.0
    found: tuple[bool, float] = (False, 0.0)
    likeliest: Part | None = None
    for part in parts:
        if part.intended is None or not same_words(part.text, text):
            continue
        begun = _seconds(part.intended, now)
        first = _seconds(part.first_intended or part.intended, now)
        before = begun <= said + _SLACK
        if part.state not in OPEN_PARTS and not (
            first - _SLACK <= said <= begun + _LANDS
        ):
            continue
        if likeliest is None or (before, begun) > found:
            found, likeliest = (before, begun), part
    return likeliest


def _seconds(tick: Tick, now: Moment) -> float:
    # Before a restart of the machine was before all else.
    return tick.seconds if tick.boot == now.tick.boot else float("-inf")
