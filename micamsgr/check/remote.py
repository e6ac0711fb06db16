"""
How well the Graph API is reached, and what its clock says.

Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from statistics import median

from micamsgr.messenger.told import Told

from .findings import Finding, fine
from .troubles import trouble

_SLOW = 1.5  # seconds

# Seconds by which a clock may be off.  The header Date has whole ones.
_OFF, _WRONG = 5.0, 60.0


def judge_graph(bot: str, told: Sequence[Told]) -> Finding:
    """
    Say how fast calls are answered, and how many are not.

    :param told: what came of them; at least one.
    """
    failed = [each for each in told if not each.spoken]
    count = f"{len(failed)} of {len(told)} calls failed"
    if all(each.answer is None for each in told):
        return trouble("graph.unreachable", bot, f"{count}: {failed[0].why}")
    if 2 * len(failed) >= len(told):
        return trouble("graph.failing", bot, f"{count}: {failed[0].why}")
    if failed:
        return trouble("graph.flaky", bot, f"{count}: {failed[0].why}")
    middle = median(each.seconds for each in told)
    line = f"{len(told)} calls of {len(told)} answered, in {middle:.2f} s each"
    if middle > _SLOW:
        return trouble("graph.slow", bot, line)
    return fine("graph", bot, line)


def judge_clock(about: str, told: Sequence[Told]) -> Finding:
    """
    Compare this machine's clock with the Graph API's.
    """
    found = [off for off in map(_ahead, told) if off is not None]
    if not found:
        return trouble("clock.unknown", about, "no answer with a Date has come")
    off = min(found, key=abs)
    size = abs(off)
    line = f"it is {size:.0f} s {'ahead of' if off > 0 else 'behind'} Meta's"
    if size > _WRONG:
        return trouble("clock.wrong", about, line)
    if size > _OFF:
        return trouble("clock.off", about, line)
    return fine("clock", about, "it agrees with Meta's, to a few seconds")


def _ahead(told: Told) -> float | None:
    """By how many seconds our clock is ahead."""
    # Not from whatever stands between us and Meta.
    if told.answer is None or not told.document:
        return None
    dates = told.answer.headers.getRawHeaders(b"date")
    if not dates:
        return None
    try:
        theirs = parsedate_to_datetime(dates[-1].decode("ascii", "replace"))
        seconds = theirs.timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    # A Date of whole seconds is half a second behind, on average.
    return told.at - seconds - 0.5
