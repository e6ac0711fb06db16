"""
Tests for :mod:`micamsgr.store.gaps`.
"""

from __future__ import annotations

from micamsgr.conversation.missed import Gap
from micamsgr.testing import BOT, said

from .test_store_record import RecordCase, moment


class GapTests(RecordCase):
    """
    Tests for what may have been missed, and since when.
    """

    def interrupted(self, since: int | None = None, after: int = 0) -> Gap:
        """
        Something may have been missed.
        """
        return self.now(self.store.interrupted(BOT, moment(after), since))

    def test_repaired(self) -> None:
        """
        When all was read nothing is missed any more.
        """
        self.now(self.store.repaired(BOT, self.interrupted(200)))
        self.assertEqual(self.interrupted(300), Gap(since=300))

    def test_longer(self) -> None:
        """
        What was read does not make up for what may have been missed before,
        as came up while it was read.
        """
        gap = self.interrupted(200)
        self.interrupted(100)
        self.now(self.store.repaired(BOT, gap))
        self.assertEqual(self.interrupted(300).since, 100)
