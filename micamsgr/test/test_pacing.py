"""
Tests for :mod:`micamsgr.conversation.pacing`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.pacing import TokenBucket


class TokenBucketTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.conversation.pacing.TokenBucket`.
    """

    def taken(self, bucket: TokenBucket, now: float) -> int:
        """
        Take as many tokens as there are.
        """
        return next(count for count in range(1000) if not bucket.take(now))

    def test_burst(self) -> None:
        """
        A second's worth may go at once, and no more.
        """
        self.assertEqual(self.taken(TokenBucket(30.0), 5.0), 30)

    def test_rate(self) -> None:
        """
        After that one goes whenever its share of a second has passed.
        """
        bucket = TokenBucket(4.0)
        self.taken(bucket, 0.0)
        self.assertEqual([bucket.take(t / 8.0) for t in range(1, 7)], [0, 1] * 3)

    def test_no_hoard(self) -> None:
        """
        However long nothing goes, no more than a second's worth is saved.
        """
        bucket = TokenBucket(30.0)
        self.taken(bucket, 0.0)
        self.assertEqual(self.taken(bucket, 3600.0), 30)

    def test_slow(self) -> None:
        """
        Below one per second there is still one to begin with.
        """
        bucket = TokenBucket(0.1)
        self.assertEqual(self.taken(bucket, 0.0), 1)
        self.assertFalse(bucket.take(9.9))
        self.assertTrue(bucket.take(10.0))

    def test_reserve(self) -> None:
        """
        Reservations are served in order, each at its own time.
        """
        bucket = TokenBucket(2.0)
        waits = [bucket.reserve(10.0) for _ in range(5)]
        self.assertEqual(waits, [0.0, 0.0, 0.5, 1.0, 1.5])
        self.assertEqual(bucket.reserve(11.0), 1.0)

    def test_reserved(self) -> None:
        """
        Nobody overtakes those who have a reservation.
        """
        bucket = TokenBucket(2.0)
        for _ in range(4):
            bucket.reserve(0.0)
        self.assertFalse(bucket.take(1.0))
        self.assertTrue(bucket.take(1.5))

    def test_no_limit(self) -> None:
        """
        A rate of 0 lets everything through.
        """
        bucket = TokenBucket(0.0)
        self.assertTrue(all(bucket.take(0.0) for _ in range(100)))
        self.assertEqual({bucket.reserve(0.0) for _ in range(100)}, {0.0})

    def test_clock_back(self) -> None:
        """
        A clock that goes back, which it does not, would give nothing away.
        """
        bucket = TokenBucket(1.0)
        self.assertTrue(bucket.take(100.0))
        self.assertFalse(bucket.take(50.0))
        self.assertTrue(bucket.take(51.0))

    def test_slower(self) -> None:
        """
        From when the rate is changed it is the new one, what was saved is no
        more than it allows, and nobody waits on credit any more.
        """
        bucket = TokenBucket(30.0)
        bucket.change(4.0, 0.0)
        self.assertEqual(self.taken(bucket, 0.0), 4)
        for _ in range(100):
            bucket.reserve(0.0)
        bucket.change(30.0, 0.0)
        self.assertEqual(self.taken(bucket, 0.1), 3)
