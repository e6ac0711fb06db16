"""
Tests for :mod:`micamsgr.clock`.
"""

from __future__ import annotations

from email.utils import formatdate

from twisted.logger import LogLevel, capturedLogs
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
        self.start(0.0)

    def start(self, wrong: float) -> None:
        """
        Start on a machine whose clock is wrong by so many seconds.
        """
        self.wall, self.ticks = NEW_YEAR + wrong, 100.0
        self.clocks = Clocks("boot", lambda: self.wall, lambda: self.ticks)

    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.wall += seconds
        self.ticks += seconds

    def hear(self, offset: float = 0.0) -> None:
        """
        Let an answer say what time it is, wrong by *offset* seconds; then wait
        a second.
        """
        at = NEW_YEAR + self.ticks - 100.0 + offset
        self.clocks.correct(formatdate(at, usegmt=True))
        self.wait(1.0)

    def offset(self) -> float:
        """
        Tell how far the clock that is told is from the right one, in seconds.
        """
        return self.clocks.now().wall / 1000.0 - NEW_YEAR - (self.ticks - 100.0)

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
        self.start(-3600.0)
        self.hear()
        self.hear()
        self.assertEqual(self.offset(), 0.0)
        self.assertEqual(self.clocks.now().tick.seconds, 102.0)

    def test_one_wrong(self) -> None:
        """
        One answer that says something else than the others changes nothing;
        nor do two that don't agree.
        """
        for sure, wrong in ((True, 3 * 86400.0), (False, -3 * 86400.0)):
            self.start(0.0)
            if sure:
                self.hear()
            self.hear(wrong)
            self.assertEqual((self.offset(), self.clocks.now().sure), (0.0, sure))
            self.hear(wrong / 2)
            self.assertEqual((self.offset(), self.clocks.now().sure), (0.0, sure))
            self.hear()
            self.assertEqual((self.offset(), self.clocks.now().sure), (0.0, True))

    def test_tolerance(self) -> None:
        """
        A difference that whole seconds and a journey explain is none.
        """
        for difference in (1.75, -1.75):
            self.start(difference)
            self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
            self.assertEqual(self.offset(), difference)

    def test_ahead(self) -> None:
        """
        How far this machine's clock is from Meta's is known once that was
        heard of, also where somebody sets it later.
        """
        self.start(-3600.0)
        self.assertIsNone(self.clocks.ahead)
        self.hear()
        self.assertIsNone(self.clocks.ahead)
        self.hear()
        self.assertEqual(self.clocks.ahead, -3600.0)
        self.wall += 3600.0
        self.assertEqual(self.clocks.ahead, 0.0)
        self.start(0.0)
        self.clocks.correct(None)
        self.assertIsNone(self.clocks.ahead)

    def test_set(self) -> None:
        """
        Whoever sets the wall clock while the program runs changes nothing.
        """
        self.wall += 3600.0
        self.assertEqual(self.offset(), 0.0)

    def test_set_later(self) -> None:
        """
        So it is once Meta's clock is known, and time goes on from there.
        """
        self.start(-3600.0)
        self.hear()
        self.hear()
        self.wall += 3600.0
        self.wait(90.0)
        self.assertEqual(self.offset(), 0.0)

    def test_sure(self) -> None:
        """
        Until the first answer nobody knows what time it is for Meta; from then
        on what is known must do, also where the answer doesn't say.
        """
        for date in ("Thu, 01 Jan 2026 00:00:00 GMT", None, "soon"):
            self.start(0.0)
            self.assertFalse(self.clocks.now().sure)
            self.clocks.correct(date)
            self.assertTrue(self.clocks.now().sure)

    def test_same(self) -> None:
        """
        What Meta's clock showed counts when it is first heard: heard again it
        is old.
        """
        self.clocks.correct("Thu, 01 Jan 2026 00:00:30 GMT")
        self.wait(5.0)
        self.clocks.correct("Thu, 01 Jan 2026 00:00:30 GMT")
        self.assertEqual(self.offset(), 30.0)

    def test_alarm(self) -> None:
        """
        That the machine's clock is wrong by more than a minute is told, once.
        """
        for wrong, told in ((-60.0, []), (-61.0, [61.0]), (61.0, [-61.0])):
            self.start(wrong)
            with capturedLogs() as events:
                self.clocks.correct("Thu, 01 Jan 2026 00:00:00 GMT")
                self.wait(1.0)
                self.clocks.correct("Thu, 01 Jan 2026 00:00:01 GMT")
            self.assertEqual([event["seconds"] for event in events], told)
            levels = {event["log_level"] for event in events}
            self.assertLessEqual(levels, {LogLevel.warn})

    def test_again(self) -> None:
        """
        Meta's clock is believed each time it differs.
        """
        self.hear(3600.0)
        self.hear(3600.0)
        self.assertEqual(self.offset(), 3600.0)
        self.hear()
        self.hear()
        self.assertEqual(self.offset(), 0.0)

    def test_unreadable(self) -> None:
        """
        A date that is missing or can't be read changes nothing, and keeps
        nobody from reading the next one.
        """
        for date in (None, "", "soon", "Thu, 99 Jan 2026 00:00:00 GMT", "0 0 0 0"):
            self.clocks.correct(date)
        self.assertEqual(self.offset(), 0.0)
        self.hear(30.0)
        self.assertEqual(self.offset(), 30.0)


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
