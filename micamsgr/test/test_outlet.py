"""
Tests for :mod:`micamsgr.conversation.outlet`.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.parts import InDoubt, NeverSent, NotSent, Outcome, Sent
from micamsgr.testing import BOT

LIMIT = NotSent(detail="code 613", rest=30.0, pause=True)
TOKEN = NotSent(detail="code 190", rest=60.0, pause=True, alarm=True)


class OutletTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.conversation.outlet.Outlet`.
    """

    def setUp(self) -> None:
        self.ticks = 1000.0
        self.reopened = 0
        self.outlet = Outlet(BOT, lambda: self.ticks, 30.0, 15.0, self.reopen)

    def reopen(self) -> None:
        """
        Count that a pause is over.
        """
        self.reopened += 1

    def attempt(self, outcome: Outcome) -> None:
        """
        Take leave to send, and learn what came of it a second later.
        """
        self.outlet.reserve()
        begun = self.ticks
        self.ticks += 1.0
        self.outlet.note(outcome, begun)

    def test_open(self) -> None:
        """
        As long as nothing is wrong, messages go out at once, thirty in a
        second.
        """
        self.assertEqual(self.outlet.paused(), 0.0)
        taken = [self.outlet.take() for _ in range(40)]
        self.assertEqual(taken, [True] * 30 + [False] * 10)

    def test_reserve(self) -> None:
        """
        What is beyond the rate waits for its turn.
        """
        waits = [self.outlet.reserve() for _ in range(33)]
        self.assertEqual(waits[:30], [0.0] * 30)
        for index, wait in enumerate(waits[30:], 1):
            self.assertAlmostEqual(wait, index / 30.0)

    def test_pause(self) -> None:
        """
        While the Graph API refuses the Page as such, nothing is sent for as
        long as it says.
        """
        self.attempt(LIMIT)
        self.assertEqual(self.outlet.paused(), 30.0)
        self.ticks += 29.0
        self.assertEqual(self.outlet.paused(), 1.0)
        self.assertFalse(self.outlet.take())

    def test_unnamed(self) -> None:
        """
        Where it names no time, a pause lasts five seconds.
        """
        self.attempt(NotSent(detail="code 4", pause=True))
        self.assertEqual(self.outlet.paused(), 5.0)

    def test_person(self) -> None:
        """
        Trouble with one message does not keep others from being sent.
        """
        for outcome in (
            NotSent(detail="busy", rest=60.0),
            NeverSent("person", "551"),
            InDoubt("500"),
        ):
            self.attempt(outcome)
        self.assertEqual(self.outlet.paused(), 0.0)
        self.assertTrue(self.outlet.take())

    def test_one_tries(self) -> None:
        """
        After a pause one message tries, and until that is settled the others
        wait.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.assertEqual(self.outlet.paused(), 0.0)
        self.assertEqual(self.outlet.reserve(), 0.0)
        self.assertEqual(self.outlet.paused(), 15.0)
        self.assertFalse(self.outlet.take())

    def test_got_through(self) -> None:
        """
        When the one that tries gets through, or is refused for its own sake,
        the others follow.
        """
        for outcome in (Sent(Mid("m")), NeverSent("person", "551")):
            self.attempt(LIMIT)
            self.ticks += 30.0
            before = self.reopened
            self.attempt(outcome)
            self.assertEqual(self.reopened, before + 1)
            self.assertTrue(self.outlet.take())

    def test_doubtful_trial(self) -> None:
        """
        When nobody knows what became of the one that tried, another one tries
        after it.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.attempt(InDoubt("timeout"))
        self.assertEqual(self.outlet.paused(), 14.0)
        self.ticks += 14.0
        self.attempt(Sent(Mid("m")))
        self.assertEqual(self.reopened, 1)

    def test_late_trial(self) -> None:
        """
        The one that tried first still opens the way if its outcome comes when
        another is trying already.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.outlet.reserve()
        first = self.ticks
        self.ticks += 15.0
        self.outlet.reserve()
        self.outlet.note(Sent(Mid("m")), first)
        self.assertEqual(self.reopened, 1)

    def test_longer(self) -> None:
        """
        Each time the one that tries fails, the pause is twice as long, up to
        a quarter of an hour.
        """
        pauses = []
        for _ in range(7):
            self.attempt(LIMIT)
            pauses.append(self.outlet.paused())
            self.ticks += pauses[-1]
        self.assertEqual(pauses, [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0])

    def test_longer_named(self) -> None:
        """
        A longer time that the Graph API names is kept to.
        """
        self.attempt(NotSent(detail="code 80006", rest=7200.0, pause=True))
        self.assertEqual(self.outlet.paused(), 7200.0)

    def test_shorter_again(self) -> None:
        """
        A pause after messages got through is as short as the first one.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.attempt(Sent(Mid("m")))
        self.attempt(LIMIT)
        self.assertEqual(self.outlet.paused(), 30.0)

    def test_together(self) -> None:
        """
        Messages that were in flight together, and are refused together, make
        one pause and not a longer one each.
        """
        for _ in range(20):
            self.outlet.note(LIMIT, 1000.0)
        self.assertEqual(self.outlet.paused(), 30.0)
        self.ticks += 10.0
        self.outlet.note(LIMIT, 1000.0)
        self.assertEqual(self.outlet.paused(), 30.0)

    def test_before(self) -> None:
        """
        A message that got through, but was in flight when the pause began,
        does not end it.
        """
        self.outlet.note(LIMIT, 1000.0)
        self.ticks += 1.0
        self.outlet.note(Sent(Mid("m")), 1000.0)
        self.assertEqual(self.outlet.paused(), 29.0)
        self.assertEqual(self.reopened, 0)

    def test_logged(self) -> None:
        """
        A pause is logged with the bot, the time and the reason: as an error
        if somebody must act, otherwise as a warning.
        """
        for outcome, level in ((TOKEN, LogLevel.error), (LIMIT, LogLevel.warn)):
            self.setUp()
            with capturedLogs() as events:
                self.attempt(outcome)
            [event] = events
            self.assertIs(event["log_level"], level)
            self.assertEqual(event["bot"], BOT)
            self.assertEqual(event["rest"], outcome.rest)
            self.assertEqual(event["detail"], outcome.detail)
