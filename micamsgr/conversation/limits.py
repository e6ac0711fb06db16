"""
What people may use: whether there is room for one more call of the LLM, and
until when there is none.

Minutes and days are those of UTC, whole ones.  What a call may cost is set
aside before it is made, as far as so much is left, and what it did cost is
settled after it; what a process that died had set aside counts as spent.  So
a limit on tokens is passed by what the calls under way cost more than was
left, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from attrs import frozen

from .policy import Limits

MINUTE, DAY = 60_000, 86_400_000


class Limit(Enum):
    """
    A limit, by its key below ``limits``.
    """

    TURNS_PER_MINUTE = "person.turns_per_minute"
    TURNS_PER_DAY = "person.turns_per_day"
    TOKENS_PER_DAY = "person.tokens_per_day"
    BOT_TOKENS_PER_DAY = "bot.tokens_per_day"


@frozen(kw_only=True)
class Usage:
    """
    What was used so far: by one person in this minute and this day, and in
    this day by all who write to the bot.

    :ivar tokens: those that are set aside are among them.
    """

    minute_turns: int = 0
    turns: int = 0
    tokens: int = 0
    bot_tokens: int = 0


def reached(limits: Limits, usage: Usage, turns: int) -> Limit | None:
    """
    Name the limit, if any, that leaves no room for more.

    :param turns: 1 for a turn that begins, 0 for another call in it.
    """
    for limit, most, used in (
        (Limit.TURNS_PER_MINUTE, limits.person_turns_per_minute, usage.minute_turns),
        (Limit.TURNS_PER_DAY, limits.person_turns_per_day, usage.turns),
    ):
        if turns and most and used >= most:
            return limit
    for limit, most, used in _tokens(limits, usage):
        if most and used >= most:
            return limit
    return None


def set_aside(limits: Limits, usage: Usage, cost: int) -> int:
    """
    Say how many tokens to set aside for a call that may cost so many: no more
    than are left, so that a small limit allows at least one call.
    """
    left = [most - used for _, most, used in _tokens(limits, usage) if most]
    return min([cost, *left])


def _tokens(limits: Limits, usage: Usage) -> Iterator[tuple[Limit, int, int]]:
    yield Limit.TOKENS_PER_DAY, limits.person_tokens_per_day, usage.tokens
    yield Limit.BOT_TOKENS_PER_DAY, limits.bot_tokens_per_day, usage.bot_tokens


def over_until(limit: Limit, now: int) -> int:
    """
    Say when the time ends for which a limit holds, which was reached now.

    :param now: milliseconds; so is the result.
    """
    length = MINUTE if limit is Limit.TURNS_PER_MINUTE else DAY
    return (now // length + 1) * length
