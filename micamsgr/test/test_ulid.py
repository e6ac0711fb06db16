"""
Tests for :mod:`micamsgr.conversation.ulid`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.ulid import ulid


class UlidTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.ulid.ulid`.
    """

    def test_time(self) -> None:
        """
        The first ten characters tell the time, as in the specification's own
        example.
        """
        self.assertEqual(ulid(1469918176385, bytes(10)), "01ARYZ6S41" + "0" * 16)

    def test_entropy(self) -> None:
        """
        The last sixteen characters are the random bytes, the highest bit
        first.
        """
        self.assertEqual(ulid(0, b"\xff" * 10), "0" * 10 + "Z" * 16)
        self.assertEqual(ulid(0, bytes(9) + b"\x21"), "0" * 24 + "11")

    def test_latest(self) -> None:
        """
        The last moment that can be told is told with 26 characters.
        """
        last = ulid((1 << 48) - 1, b"\xff" * 10)
        self.assertEqual(last, "7" + "Z" * 25)

    def test_order(self) -> None:
        """
        A later one sorts behind an earlier one, whatever their random bytes.
        """
        for earlier in (0, 31, 1023, 1_795_362_617_999):
            first, second = ulid(earlier, b"\xff" * 10), ulid(earlier + 1, bytes(10))
            self.assertLess(first, second)
