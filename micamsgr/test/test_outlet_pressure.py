"""
Tests for :mod:`micamsgr.conversation.outlet`: limits that are near.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.pacing import Pressure
from micamsgr.test.test_outlet import LIMIT, ONE, SENT, TWO, OutletTestCase
from micamsgr.testing import BOT

TENTH = Pressure(source="messenger", share=0.1, detail="85 %")
REACHED = Pressure(source="messenger", share=0.01, rest=300.0, detail="95 %")
FAR = Pressure(source="messenger", detail="10 %")


class PressureTests(OutletTestCase):
    """
    Tests for :meth:`micamsgr.conversation.outlet.Outlet.press`.
    """

    def sent(self, seconds: int) -> int:
        """
        Send as much as may be sent in so many seconds.
        """
        count = 0
        for _ in range(seconds * 100):
            self.ticks += 0.01
            count += self.outlet.take(ONE)
        return count

    def test_slower(self) -> None:
        """
        Where a limit is near, a share of the rate is used.
        """
        self.outlet.press(TENTH)
        self.sent(10)
        self.assertEqual(self.sent(10), 30)
        self.outlet.press(Pressure(source="messenger", share=0.5))
        self.sent(1)
        self.assertEqual(self.sent(2), 30)

    def test_no_rate(self) -> None:
        """
        So it is where the operator has set none, as if it were forty.
        """
        self.outlet = Outlet(BOT, lambda: self.ticks, 0.0, 15.0, self.reopen)
        self.outlet.press(TENTH)
        self.sent(10)
        self.assertEqual(self.sent(10), 40)
        self.outlet.press(FAR)
        self.assertEqual(self.sent(1), 100)

    def test_relieved(self) -> None:
        """
        Once it is far again everything is as ever.
        """
        self.outlet.press(TENTH)
        self.outlet.press(FAR)
        self.sent(2)
        self.assertEqual(self.sent(1), 30)

    def test_forgotten(self) -> None:
        """
        Where nothing more is told of it for five minutes, it is taken for
        far.
        """
        self.outlet.press(TENTH)
        self.ticks += 300.0
        self.sent(2)
        self.assertEqual(self.sent(1), 30)

    def test_several(self) -> None:
        """
        Of several limits the nearest counts, and what is told of one changes
        nothing about another.
        """
        self.outlet.press(TENTH)
        self.outlet.press(Pressure(source="app", share=0.5))
        self.outlet.press(Pressure(source="page"))
        self.sent(10)
        self.assertEqual(self.sent(10), 30)

    def test_reached(self) -> None:
        """
        Where it is reached nothing is sent for as long as is named, in no
        conversation; and then little, until it is told that it is far.
        """
        self.outlet.press(REACHED)
        self.assertEqual(self.paused(), [300.0] * 3)
        self.assertFalse(self.outlet.open)
        self.assertEqual(self.sent(299), 0)
        self.ticks += 2.0
        self.assertTrue(self.outlet.open)
        self.assertTrue(self.outlet.take(ONE))
        self.assertFalse(self.outlet.take(ONE))
        self.assertEqual(self.sent(11), 3)

    def test_long(self) -> None:
        """
        That holds for hours, if hours are named.
        """
        self.outlet.press(Pressure(source="messenger", share=0.01, rest=7200.0))
        self.ticks += 7199.0
        self.assertEqual(self.paused(), [1.0] * 3)

    def test_sooner(self) -> None:
        """
        If it is far before that, as another call has shown, all are told that
        they may send.
        """
        self.outlet.press(REACHED)
        self.ticks += 10.0
        self.outlet.press(FAR)
        self.assertEqual(self.reopened, 1)
        self.assertEqual(self.paused(), [0.0] * 3)

    def test_places(self) -> None:
        """
        Who would have to wait for long is paused meanwhile, and then sends in
        the order in which it asked.
        """
        self.outlet.press(TENTH)
        waits = [self.outlet.reserve(conversation) for conversation in range(13)]
        self.assertEqual(waits[:3], [0.0] * 3)
        self.assertTrue(all(wait is not None for wait in waits[:9]))
        self.assertEqual(waits[9:], [None] * 4)
        paused = [self.outlet.paused(conversation) for conversation in range(9, 13)]
        for number, wait in enumerate(paused, 7):
            self.assertAlmostEqual(wait, number / 3.0)
        self.ticks += paused[0]
        self.assertEqual(self.outlet.paused(9), 0.0)
        self.assertEqual(self.outlet.reserve(9), 0.0)
        self.assertGreater(self.outlet.paused(10), 0.0)

    def test_places_relieved(self) -> None:
        """
        When the limit is far, who waits need not wait any longer.
        """
        self.outlet.press(TENTH)
        for conversation in range(100):
            self.outlet.reserve(conversation)
        self.outlet.press(FAR)
        self.assertEqual(self.reopened, 1)
        self.assertEqual(self.outlet.paused(99), 0.0)
        self.ticks += 1.0
        self.assertEqual(self.outlet.reserve(99), 0.0)

    def test_places_reached(self) -> None:
        """
        When it is reached, who waited does not come with all the others when
        that is over.
        """
        self.outlet.press(TENTH)
        for conversation in range(100):
            self.outlet.reserve(conversation)
        self.outlet.press(REACHED)
        self.ticks += 300.0
        waits = [self.outlet.reserve(conversation) for conversation in range(100)]
        self.assertEqual(waits.count(0.0), 1)

    def test_places_forgotten(self) -> None:
        """
        Of who waited and did not come, nothing is kept for long.
        """
        self.outlet.press(TENTH)
        for conversation in range(50):
            self.outlet.reserve(conversation)
        for _ in range(40):
            self.ticks += 10.0
            self.outlet.press(TENTH)
            for conversation in range(1000, 1030):
                self.outlet.reserve(conversation)
        self.assertEqual(
            [n for n in self.outlet._places if n < 50],
            [],
        )

    def test_pause(self) -> None:
        """
        A pause of the Page is as it would be without.
        """
        self.outlet.press(TENTH)
        self.attempt(LIMIT)
        self.assertEqual(self.outlet.paused(TWO), 30.0)
        self.ticks += 30.0
        self.attempt(SENT, TWO)
        self.assertEqual(self.reopened, 1)

    def test_logged(self) -> None:
        """
        When nothing is sent any more that is a warning, once; that it is
        slower, and as fast as ever, is information.
        """
        with capturedLogs() as events:
            for pressure in (FAR, TENTH, TENTH, REACHED, REACHED, FAR, FAR):
                self.outlet.press(pressure)
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.info, LogLevel.warn, LogLevel.info])
        self.assertEqual([e["detail"] for e in events], ["85 %", "95 %", "10 %"])
        self.assertEqual({event["bot"] for event in events}, {BOT})
