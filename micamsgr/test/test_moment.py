"""
Tests for :mod:`micamsgr.conversation.moment`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.moment import Moment, Tick
from micamsgr.testing import NOW

EARLIER = Moment(wall=NOW, tick=Tick(100.0, "boot"), started=90.0)
LATER = Moment(wall=NOW, tick=Tick(130.0, "boot"), started=90.0)
REBOOTED = Moment(wall=NOW, tick=Tick(7.0, "next boot"), started=5.0)


class MomentTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.conversation.moment.Moment`.
    """

    def test_since(self) -> None:
        """
        What passed is counted on the monotonic clock.
        """
        self.assertEqual(LATER.since(EARLIER.tick), 30.0)

    def test_since_reboot(self) -> None:
        """
        After a reboot only the age of the process has surely passed.
        """
        self.assertEqual(REBOOTED.since(EARLIER.tick), 2.0)

    def test_until(self) -> None:
        """
        What is left is never less than nothing.
        """
        self.assertEqual(EARLIER.until(LATER.tick), 30.0)
        self.assertEqual(LATER.until(EARLIER.tick), 0.0)
        self.assertEqual(LATER.until(None), 0.0)

    def test_until_reboot(self) -> None:
        """
        After a reboot nothing is left of any wait.
        """
        self.assertEqual(REBOOTED.until(LATER.tick), 0.0)

    def test_plus(self) -> None:
        """
        A point to come is of this boot.
        """
        self.assertEqual(EARLIER.plus(30.0), LATER.tick)
