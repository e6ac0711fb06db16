"""
Tests for :mod:`micamsgr.clock`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.clock import Clocks, boot_id
from micamsgr.conversation.moment import Tick

# Thu, 01 Jan 2026 00:00:00 GMT
NEW_YEAR = 1767225600


class ClocksTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.clock.Clocks`.
    """

    def setUp(self) -> None:
        self.wall, self.ticks = float(NEW_YEAR), 100.0
        self.clocks = Clocks("boot", lambda: self.wall, lambda: self.ticks)

    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.wall += seconds
        self.ticks += seconds

    def offset(self) -> float:
        """
        Tell how far the clock that is told is from the machine's, in seconds.
        """
        return self.clocks.now().wall / 1000.0 - self.wall

    def test_now(self) -> None:
        """
        A moment has both clocks, the boot, and when the process started.
        """
        self.wait(2.5)
        now = self.clocks.now()
        self.assertEqual(now.wall, NEW_YEAR * 1000 + 2500)
        self.assertEqual(now.tick, Tick(102.5, "boot"))
        self.assertEqual(now.started, 100.0)

    def test_correct(self) -> None:
        """
        A wall clock that is wrong is corrected by Meta's, and the monotonic
        clock is left alone.
        """
        self.wall -= 3600.0
        self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
        self.assertEqual(self.clocks.now().wall, NEW_YEAR * 1000)
        self.assertEqual(self.clocks.now().tick.seconds, 100.0)

    def test_tolerance(self) -> None:
        """
        A difference that whole seconds and a journey explain is none.
        """
        self.wall += 1.9
        self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
        self.assertEqual(self.offset(), 0.0)

    def test_mended(self) -> None:
        """
        Once the wall clock is right again, it is believed again.
        """
        self.wall -= 3600.0
        self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
        self.wall += 3600.0
        self.wait(60.0)
        self.clocks.correct("Thu, 01 Jan 2026 00:01:00 GMT")
        self.assertEqual(self.offset(), 0.0)

    def test_seldom(self) -> None:
        """
        Between two corrections a minute passes.
        """
        self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
        self.wait(59.0)
        self.clocks.correct("Thu, 01 Jan 2026 01:00:00 GMT")
        self.assertEqual(self.offset(), 0.0)
        self.wait(1.0)
        self.clocks.correct("Thu, 01 Jan 2026 01:01:00 GMT")
        self.assertEqual(self.offset(), 3600.0)

    def test_unreadable(self) -> None:
        """
        A date that is missing or can't be read changes nothing, and keeps
        nobody from reading the next one.
        """
        for date in (None, "", "soon", "Thu, 99 Jan 2026 00:00:00 GMT", "0 0 0 0"):
            self.clocks.correct(date)
        self.assertEqual(self.offset(), 0.0)
        self.clocks.correct("Thu, 01 Jan 2026 01:00:00 GMT")
        self.assertEqual(self.offset(), 3600.0)


class BootIdTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.clock.boot_id`.
    """

    def test_stays(self) -> None:
        """
        The boot has a name, the same as long as it lasts.
        """
        self.assertEqual(len(boot_id()), 36)
        self.assertEqual(boot_id(), boot_id())
