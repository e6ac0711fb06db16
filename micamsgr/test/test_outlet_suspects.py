"""
Tests for :mod:`micamsgr.conversation.outlet`: trouble that may be that of one
conversation.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent
from micamsgr.test.test_outlet import (
    LIMIT,
    ONE,
    SENT,
    THREE,
    TOKEN,
    TWO,
    OutletTestCase,
)
from micamsgr.testing import BOT


class SuspectTests(OutletTestCase):
    """
    Tests for trouble that looks like the Page's, and may be that of one
    conversation.
    """

    def blame(self, *culprits: int) -> None:
        """
        Let sending fail in these conversations, one after the other, and then
        get through in another one.
        """
        for culprit in culprits:
            self.attempt(LIMIT, culprit)
            self.ticks += self.outlet.paused(THREE)
        self.attempt(SENT, THREE)

    def test_another_first(self) -> None:
        """
        After a pause, those that did not fail may try fifteen seconds before
        the one that did; it tries where nobody else has.
        """
        self.attempt(LIMIT, ONE)
        self.assertEqual(self.paused(), [45.0, 30.0, 30.0])
        self.ticks += 45.0
        self.assertEqual(self.paused(), [0.0, 0.0, 0.0])
        self.attempt(SENT, ONE)
        self.assertEqual(self.reopened, 1)
        self.assertEqual(self.paused(), [0.0, 0.0, 0.0])

    def test_while_another_tries(self) -> None:
        """
        While another tries, the one that failed does not.
        """
        self.attempt(LIMIT, ONE)
        self.ticks += 30.0
        self.attempt(InDoubt("timeout"), TWO)
        self.assertEqual(self.paused(), [14.0, 14.0, 14.0])

    def test_not_for_ever(self) -> None:
        """
        However long others try in vain, the one that failed tries at the time
        that it was given when it did.
        """
        self.attempt(LIMIT, ONE)
        for waiting in (45.0, 14.0):
            self.assertEqual(self.outlet.paused(ONE), waiting)
            self.ticks += self.outlet.paused(TWO)
            self.attempt(InDoubt("timeout"), TWO)
        self.assertEqual(self.paused(), [0.0, 14.0, 14.0])
        self.attempt(SENT, ONE)
        self.assertEqual(self.reopened, 1)
        self.assertEqual(self.paused(), [0.0, 0.0, 0.0])

    def test_longer(self) -> None:
        """
        Where something that was in flight tells of a longer pause, the one that
        failed first tries after others, too.
        """
        self.attempt(LIMIT, ONE)
        long = NotSent(detail="code 4", rest=300.0, pause=True)
        self.outlet.note(TWO, long, 1000.0)
        self.assertEqual(self.paused(), [315.0, 300.0, 300.0])

    def test_set_aside(self) -> None:
        """
        When another gets through, the Page is open again, and only the one
        that failed rests for the named time.
        """
        self.blame(ONE)
        self.assertTrue(self.outlet.open)
        self.assertEqual(self.paused(), [30.0, 0.0, 0.0])
        self.assertFalse(self.outlet.take(ONE))
        self.assertTrue(self.outlet.take(TWO))
        self.ticks += 30.0
        self.assertTrue(self.outlet.take(ONE))

    def test_not_the_page(self) -> None:
        """
        The one that was set aside and fails again does not concern the Page;
        it rests twice as long each time, up to a quarter of an hour.
        """
        self.blame(ONE)
        rests = []
        for _ in range(6):
            self.ticks += self.outlet.paused(ONE)
            self.attempt(LIMIT, ONE)
            rests.append(self.outlet.paused(ONE))
            self.assertEqual(self.outlet.paused(TWO), 0.0)
        self.assertEqual(rests, [60.0, 120.0, 240.0, 480.0, 900.0, 900.0])

    def test_well_again(self) -> None:
        """
        Once the one that was set aside gets through, or is refused for good,
        it is like all others: its next failure is the Page's.
        """
        for outcome in (SENT, NeverSent("person", "551")):
            self.setUp()
            self.blame(ONE)
            self.ticks += 30.0
            self.attempt(outcome, ONE)
            self.attempt(LIMIT, ONE)
            self.assertEqual(self.paused(), [45.0, 30.0, 30.0])

    def test_others_too(self) -> None:
        """
        When the other one fails in the same way, all rest twice as long.
        """
        self.attempt(LIMIT, ONE)
        self.ticks += 30.0
        self.attempt(LIMIT, TWO)
        self.assertEqual(self.paused(), [75.0, 75.0, 60.0])

    def test_two(self) -> None:
        """
        Where sending fails in two conversations, it is a third that tries, and
        both of them that are set aside.
        """
        self.blame(ONE, TWO)
        self.assertEqual(self.paused(), [30.0, 30.0, 0.0])

    def test_in_turn(self) -> None:
        """
        Where sending failed in all that wait, the one that tries next time is
        not the one that tried this time.
        """
        self.attempt(LIMIT, ONE)
        self.ticks += 30.0
        self.attempt(LIMIT, TWO)
        self.ticks += 75.0
        self.attempt(LIMIT, ONE)
        self.assertEqual(self.paused(), [135.0, 120.0, 120.0])

    def test_page_trouble(self) -> None:
        """
        While one is set aside and rests, trouble of the Page pauses it as well.
        """
        self.blame(ONE)
        self.attempt(NotSent(detail="code 4", pause=True), TWO)
        self.assertEqual(self.paused(), [29.0, 20.0, 5.0])

    def test_tries_for_the_page(self) -> None:
        """
        If it is the one that was set aside that tries after a pause of the
        Page, and fails, all rest twice as long.
        """
        self.blame(ONE)
        self.attempt(LIMIT, TWO)
        self.ticks += 30.0
        self.attempt(LIMIT, ONE)
        self.assertEqual(self.outlet.paused(THREE), 60.0)

    def test_remembered(self) -> None:
        """
        One that was set aside remains so when that happens to another, too.
        """
        self.blame(ONE)
        self.blame(TWO)
        self.ticks += 30.0
        self.attempt(LIMIT, ONE)
        self.assertEqual(self.paused(), [60.0, 0.0, 0.0])

    def test_in_flight(self) -> None:
        """
        What was in flight when the pause began sets nobody aside, and makes
        nobody wait for others.
        """
        self.attempt(LIMIT, ONE)
        self.outlet.note(TWO, LIMIT, 1000.0)
        self.outlet.note(THREE, SENT, 1000.0)
        self.assertFalse(self.outlet.open)
        self.assertEqual(self.paused(), [45.0, 30.0, 30.0])

    def test_forgotten(self) -> None:
        """
        One that was set aside, and did not send any more, is not known for
        longer than half an hour.
        """
        self.blame(ONE)
        self.ticks += 1800.0
        self.blame(TWO)
        self.attempt(LIMIT, ONE)
        self.assertFalse(self.outlet.open)

    def test_logged(self) -> None:
        """
        That a conversation is set aside is logged with the time and the
        reason: as an error if somebody must act, otherwise as a warning.
        """
        for outcome, level in ((TOKEN, LogLevel.error), (LIMIT, LogLevel.warn)):
            self.setUp()
            self.attempt(outcome, ONE)
            self.ticks += 60.0
            with capturedLogs() as events:
                self.attempt(SENT, TWO)
            event = events[-1]
            self.assertIs(event["log_level"], level)
            self.assertEqual((event["bot"], event["conversation"]), (BOT, ONE))
            self.assertEqual(event["rest"], outcome.rest)
            self.assertEqual(event["detail"], outcome.detail)
