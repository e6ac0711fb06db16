"""
Tests for :mod:`micamsgr.conversation.outlet`: while the configuration changes.
"""

from __future__ import annotations

from twisted.logger import capturedLogs

from micamsgr.conversation.outcomes import InDoubt, NotSent
from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.pacing import Pressure
from micamsgr.testing import BOT

from .test_outlet import ONE, SENT, THREE, TOKEN, TWO, OutletTestCase


class ReplaceTests(OutletTestCase):
    """
    Tests for an outlet that takes the place of another.
    """

    def test_resumed(self) -> None:
        """
        Whoever read that nothing is sent reads that it goes on, once, though a
        new token has made it another outlet.
        """
        for outcome, lines in ((TOKEN, 1), (SENT, 0)):
            self.setUp()
            self.attempt(outcome)
            before = self.outlet
            self.outlet = Outlet(BOT, lambda: self.ticks, 30.0, 15.0, self.reopen)
            self.outlet.replace(before)
            self.assertTrue(self.outlet.open)
            with capturedLogs() as events:
                self.attempt(InDoubt("timeout"))
                self.attempt(SENT)
                self.attempt(SENT)
            told = [event["event"] for event in events]
            self.assertEqual(told, ["sending.resumed"] * lines)

    def test_refused_too(self) -> None:
        """
        Nobody reads that sending goes on while the new token is refused, too,
        nor twice once it does.
        """
        self.attempt(TOKEN)
        before = self.outlet
        self.outlet = Outlet(BOT, lambda: self.ticks, 30.0, 15.0, self.reopen)
        self.outlet.replace(before)
        with capturedLogs() as events:
            self.outlet.reserve(ONE)
            under_way = self.ticks
            self.attempt(TOKEN, TWO)
            self.outlet.note(ONE, SENT, under_way)
            self.ticks += self.outlet.paused(ONE)
            self.attempt(SENT, ONE)
        told = [event["event"] for event in events]
        self.assertEqual(
            told, ["sending.paused", "sending.resumed", "sending.set_aside"]
        )


class TryAgainTests(OutletTestCase):
    """
    Tests for what an operator wants to be tried.
    """

    def test_at_once(self) -> None:
        """
        Who mended what the Page was refused for sees at once whether it helped,
        by the one that was refused; the others wait for that one.
        """
        self.attempt(TOKEN, ONE)
        self.outlet.try_again(ONE)
        self.assertEqual(self.outlet.paused(ONE), 0.0)
        self.assertEqual(self.outlet.reserve(ONE), 0.0)
        self.assertEqual(self.outlet.paused(TWO), 15.0)
        self.attempt(SENT, ONE)
        self.assertEqual(self.paused(), [0.0, 0.0, 0.0])

    def test_in_vain(self) -> None:
        """
        If it did not help, the next pause is as long as it would have been.
        """
        self.attempt(TOKEN, ONE)
        self.outlet.try_again(ONE)
        self.attempt(TOKEN, ONE)
        self.assertEqual(self.outlet.paused(TWO), 120.0)

    def test_own(self) -> None:
        """
        A conversation that has a pause of its own has none then.
        """
        self.attempt(TOKEN, ONE)
        self.ticks += 60.0
        self.attempt(SENT, TWO)
        self.assertGreater(self.outlet.paused(ONE), 0.0)
        self.outlet.try_again(ONE)
        self.assertEqual(self.outlet.paused(ONE), 0.0)

    def test_limit(self) -> None:
        """
        A limit of Meta's that was reached is kept.
        """
        self.outlet.press(Pressure(source="app", share=0.0, rest=60.0, detail="97 %"))
        self.outlet.try_again(ONE)
        self.assertEqual(self.outlet.paused(ONE), 60.0)


class ChangeTests(OutletTestCase):
    """
    Tests for an outlet that is to send at another rate.
    """

    def test_paused(self) -> None:
        """
        Another rate gives no leave to try what was just refused.
        """
        self.attempt(TOKEN)
        before = self.paused()
        self.outlet.change(5.0, 20.0)
        self.assertEqual(self.paused(), before)
        self.assertTrue(self.outlet.alarmed)

    def test_limit(self) -> None:
        """
        A limit of Meta's that was reached is kept all the same.
        """
        self.outlet.press(Pressure(source="613", rest=30.0))
        self.outlet.change(5.0, 15.0)
        self.assertEqual(self.outlet.paused(ONE), 30.0)
        self.assertFalse(self.outlet.take(ONE))

    def test_rate(self) -> None:
        """
        From then on that rate holds, also for who waits for a place.
        """
        self.outlet.change(1.0, 15.0)
        waits = [self.outlet.reserve(each) for each in range(6)]
        self.assertEqual(waits, [0.0, 1.0, 2.0, None, None, None])
        self.assertGreater(self.outlet.paused(5), 2.0)
        self.outlet.change(100.0, 15.0)
        self.assertEqual(self.outlet.paused(5), 0.0)
        self.assertEqual(self.reopened, 2)

    def test_slowed(self) -> None:
        """
        What slows the Page down slows the new rate down.
        """
        self.outlet.press(Pressure(source="usage", share=0.5))
        self.outlet.change(2.0, 15.0)
        waits = [self.outlet.reserve(each) for each in (ONE, TWO, THREE)]
        self.assertEqual(waits, [0.0, 1.0, 2.0])

    def test_trial(self) -> None:
        """
        Who tries after a pause is waited for as long as an attempt may take
        now.
        """
        self.attempt(NotSent(detail="a limit", pause=True, rest=10.0))
        self.outlet.change(30.0, 40.0)
        self.ticks += self.outlet.paused(TWO)
        self.outlet.reserve(TWO)
        self.assertEqual(self.outlet.paused(THREE), 40.0)

    def test_same(self) -> None:
        """
        A change of something else wakes nobody.
        """
        self.outlet.change(30.0, 15.0)
        self.assertEqual(self.reopened, 0)
