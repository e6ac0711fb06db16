"""
Tests for what is made of bodies that nobody would send.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import RejectedRequest
from micamsgr.messenger.notifications import check_signature, parse_notification

from .mutations import Mutations, Posted, samples

SECRET = b"3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
NOW = 1_795_012_345_678


def answered(posted: Posted) -> int:
    """
    Say what a body is answered, as far as its reading goes.
    """
    try:
        check_signature(SECRET, posted.body, posted.signature)
        parse_notification(posted.body, NOW)
    except RejectedRequest as error:
        return error.status
    return 200


class MutationsTests(SynchronousTestCase):
    """
    Tests for mutated bodies.
    """

    def test_samples(self) -> None:
        """
        What the bodies are made of is read as it is.
        """
        found = samples()
        self.assertGreater(len(found), 150)

    def test_answers(self) -> None:
        """
        Whatever is signed is answered 200, unless it is not JSON within the
        limits; whatever isn't, 403. Nothing else comes out of it.
        """
        made = Mutations(Random(0), SECRET, samples())
        statuses: Counter[int] = Counter()
        for number in range(3000):
            posted = made.next()
            statuses[posted.status] += 1
            self.assertEqual(answered(posted), posted.status, number)
        for status in (200, 400, 403):
            self.assertGreater(statuses[status], 300, statuses)

    def test_seed(self) -> None:
        """
        One seed makes the same bodies each time.
        """
        bodies = [
            [made.next() for _ in range(50)]
            for made in (Mutations(Random(7), SECRET, samples()) for _ in range(2))
        ]
        self.assertEqual(*bodies)
