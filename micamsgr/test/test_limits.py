"""
Tests for :mod:`micamsgr.conversation.limits`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.limits import DAY, MINUTE, Limit, Usage, over_until, reached
from micamsgr.conversation.policy import Limits
from micamsgr.testing import NOW

LIMITS = Limits(
    person_turns_per_minute=2,
    person_turns_per_day=5,
    person_tokens_per_day=100,
    bot_tokens_per_day=1000,
)
NONE = Limits(
    person_turns_per_minute=0,
    person_turns_per_day=0,
    person_tokens_per_day=0,
    bot_tokens_per_day=0,
)


class ReachedTests(SynchronousTestCase):
    """
    Tests for :func:`reached`.
    """

    def test_room(self) -> None:
        """
        What just fits is allowed.
        """
        usage = Usage(minute_turns=1, turns=4, tokens=90, bot_tokens=990)
        self.assertIsNone(reached(LIMITS, usage, 1, 10))

    def test_each(self) -> None:
        """
        Each limit is told by its name.
        """
        for usage, limit in (
            (Usage(minute_turns=2), Limit.TURNS_PER_MINUTE),
            (Usage(turns=5), Limit.TURNS_PER_DAY),
            (Usage(tokens=91), Limit.TOKENS_PER_DAY),
            (Usage(bot_tokens=991), Limit.BOT_TOKENS_PER_DAY),
        ):
            self.assertIs(reached(LIMITS, usage, 1, 10), limit)

    def test_same_turn(self) -> None:
        """
        Another call in a turn costs tokens, and is no further turn.
        """
        usage = Usage(minute_turns=2, turns=5, tokens=90)
        self.assertIsNone(reached(LIMITS, usage, 0, 10))
        self.assertIs(reached(LIMITS, usage, 0, 11), Limit.TOKENS_PER_DAY)

    def test_lifted(self) -> None:
        """
        Zero lifts a limit.
        """
        much = 10**12
        usage = Usage(minute_turns=much, turns=much, tokens=much, bot_tokens=much)
        self.assertIsNone(reached(NONE, usage, 1, much))


class OverUntilTests(SynchronousTestCase):
    """
    Tests for :func:`over_until`.
    """

    def test_times(self) -> None:
        """
        A minute's limit holds until that minute is over, and a day's until
        midnight, UTC.
        """
        for limit in Limit:
            until = over_until(limit, NOW)
            length = MINUTE if limit is Limit.TURNS_PER_MINUTE else DAY
            self.assertEqual(until % length, 0)
            self.assertTrue(NOW < until <= NOW + length)
            self.assertEqual(over_until(limit, until), until + length)
