"""
Tests for :mod:`micamsgr.messenger.patience`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.messenger.patience import Patience


class PatienceTests(SynchronousTestCase):
    """
    Tests for :class:`Patience`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.patience = Patience(self.clock, 3.0)

    def test_in_time(self) -> None:
        """
        What comes about in time is told, and what fails, too.
        """
        works: list[Deferred[int]] = [Deferred(), Deferred()]
        kept, failed = map(self.patience.wait, works)
        self.clock.advance(2.9)
        works[0].callback(1)
        works[1].errback(KeyError())
        self.assertEqual(self.successResultOf(kept), 1)
        self.failureResultOf(failed, KeyError)
        self.clock.advance(3.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """
        Each is waited for just as long, whenever it began; what comes about
        later is no news.
        """
        first: Deferred[int] = Deferred()
        waits = [self.patience.wait(first)]
        for after in (1.0, 1.5):
            self.clock.advance(after)
            waits.append(self.patience.wait(Deferred()))
        self.clock.advance(0.4)
        self.assertNoResult(waits[0])
        for late, then in zip(waits, (0.1, 1.0, 1.5), strict=True):
            self.assertNoResult(late)
            self.clock.advance(then)
            error = self.failureResultOf(late, StoreUnavailable).value
            self.assertEqual(error.detail, "the commit takes too long")
        first.callback(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_behind(self) -> None:
        """
        One that has come about does not keep those behind it from being due.
        """
        first: Deferred[int] = Deferred()
        self.patience.wait(first)
        self.clock.advance(1.0)
        second: Deferred[int] = self.patience.wait(Deferred())
        first.callback(1)
        self.clock.advance(2.9)
        self.assertNoResult(second)
        self.clock.advance(0.1)
        self.failureResultOf(second, StoreUnavailable)
