"""
Tests for :mod:`micamsgr.store.gaps`.
"""

from __future__ import annotations

from micamsgr.conversation.missed import Gap
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE, said

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

    def test_before(self) -> None:
        """
        What came later than is asked for is not the last event, whether the
        event itself is still kept or only its conversation.
        """
        database = self.store.database.connection
        self.record(said("before", ALICE))
        for only in (False, True):
            self.record(said("after", BOB, at=NOW + 10_000), after=20_000)
            if only:
                database.execute("DELETE FROM event")
            for before, since in ((1, NOW), (20_000, NOW), (20_001, NOW + 10_000)):
                database.execute("DELETE FROM progress")
                gap = self.now(
                    self.store.interrupted(BOT, moment(30_000), before=NOW + before)
                )
                self.assertEqual(gap, Gap(since=since, page=PAGE), (only, before))

    def test_told(self) -> None:
        """
        Where Meta was found to lack something, something may have been missed
        since it was last found not to; each time once.
        """

        def told(at: int | None) -> Gap | None:
            return self.now(self.store.told(BOT, moment(30_000), at))

        self.record(said(at=NOW + 10_000), after=20_000)
        self.assertEqual([told(NOW), told(NOW + 100), told(None)], [None] * 3)
        for _ in range(2):
            self.now(self.store.lacked(BOT, moment(30_000)))
        self.assertEqual(told(NOW + 500), Gap(since=NOW + 100))
        # Whoever asked may not have heard of it.
        self.assertEqual(told(None), Gap(since=NOW + 100))
        self.assertEqual(self.interrupted(after=30_000).since, NOW + 100)
        self.now(self.store.repaired(BOT, Gap(since=NOW + 100)))
        self.assertEqual(told(None), None)
        self.now(self.store.lacked(BOT, moment(30_000)))
        self.assertEqual(told(None), Gap(since=NOW + 500))

    def test_never_told(self) -> None:
        """
        Where it was never found to tell of all, something may have been missed
        since the last event.
        """
        self.record(said(at=NOW + 10_000), after=20_000)
        self.now(self.store.lacked(BOT, moment(30_000)))
        gap = self.now(self.store.told(BOT, moment(30_000), NOW))
        self.assertEqual(gap, Gap(since=NOW + 10_000, page=PAGE))

    def test_page(self) -> None:
        """
        The last event tells whose Page it is, also where something may have
        been missed since longer.
        """
        self.interrupted(100)
        self.record(said())
        self.assertEqual(self.interrupted(), Gap(since=100, page=PAGE))

    def test_longer(self) -> None:
        """
        What was read does not make up for what may have been missed before,
        as came up while it was read.
        """
        gap = self.interrupted(200)
        self.interrupted(100)
        self.now(self.store.repaired(BOT, gap))
        self.assertEqual(self.interrupted(300).since, 100)
