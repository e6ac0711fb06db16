"""
Tests for :mod:`micamsgr.conversation.limits`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.limits import (
    DAY,
    MINUTE,
    Limit,
    Usage,
    over_until,
    reached,
    set_aside,
)
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
        What is not used up is allowed.
        """
        usage = Usage(minute_turns=1, turns=4, tokens=99, bot_tokens=999)
        self.assertIsNone(reached(LIMITS, usage, 1))

    def test_each(self) -> None:
        """
        Each limit is told by its name.
        """
        for usage, limit in (
            (Usage(minute_turns=2), Limit.TURNS_PER_MINUTE),
            (Usage(turns=5), Limit.TURNS_PER_DAY),
            (Usage(tokens=100), Limit.TOKENS_PER_DAY),
            (Usage(bot_tokens=1000), Limit.BOT_TOKENS_PER_DAY),
        ):
            self.assertIs(reached(LIMITS, usage, 1), limit)

    def test_same_turn(self) -> None:
        """
        Another call in a turn costs tokens, and is no further turn.
        """
        usage = Usage(minute_turns=2, turns=5)
        self.assertIsNone(reached(LIMITS, usage, 0))
        spent = Usage(tokens=100)
        self.assertIs(reached(LIMITS, spent, 0), Limit.TOKENS_PER_DAY)

    def test_lifted(self) -> None:
        """
        Zero lifts a limit.
        """
        much = 10**12
        usage = Usage(minute_turns=much, turns=much, tokens=much, bot_tokens=much)
        self.assertIsNone(reached(NONE, usage, 1))
        self.assertEqual(set_aside(NONE, usage, much), much)


class SetAsideTests(SynchronousTestCase):
    """
    Tests for :func:`set_aside`.
    """

    def test_all(self) -> None:
        """
        What a call may cost is set aside, where so much is left.
        """
        usage = Usage(tokens=90, bot_tokens=900)
        self.assertEqual(set_aside(LIMITS, usage, 10), 10)

    def test_left(self) -> None:
        """
        Otherwise what is left is, of the person's or of everybody's.
        """
        self.assertEqual(set_aside(LIMITS, Usage(tokens=90), 5000), 10)
        self.assertEqual(set_aside(LIMITS, Usage(bot_tokens=995), 5000), 5)


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
