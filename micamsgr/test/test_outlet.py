"""
Tests for :mod:`micamsgr.conversation.outlet`.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent, Outcome, Sent
from micamsgr.conversation.outlet import Outlet, Pause, next_pause
from micamsgr.conversation.pacing import Pressure
from micamsgr.testing import BOT

LIMIT = NotSent(detail="code 613", rest=30.0, pause=True)
AWAY = NotSent(detail="refused", away=True)
TOKEN = NotSent(detail="code 190", rest=60.0, pause=True, alarm=True)
SENT = Sent(Mid("m"))

# Conversations.
ONE, TWO, THREE = 1, 2, 3


class NextPauseTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.outlet.next_pause`.
    """

    def next(self, rest: float | None, last: Pause | None, away: bool = False) -> Pause:
        outcome = NotSent(detail="", rest=rest, away=away)
        return next_pause(outcome, last, 100.0)

    def test_named(self) -> None:
        """
        A pause lasts as long as the Graph API says.
        """
        self.assertEqual(self.next(30.0, None), Pause(30.0, 130.0))

    def test_unnamed(self) -> None:
        """
        Where it names no time, or next to none, a pause lasts five seconds.
        """
        self.assertEqual(self.next(None, None), Pause(5.0, 105.0))
        self.assertEqual(self.next(0.5, None), Pause(5.0, 105.0))

    def test_again(self) -> None:
        """
        Each pause is twice as long as the last one, or as long as it is named
        if that is longer.
        """
        last = Pause(60.0, 100.0)
        self.assertEqual(self.next(30.0, last), Pause(120.0, 220.0))
        self.assertEqual(self.next(300.0, last), Pause(300.0, 400.0))

    def test_longest(self) -> None:
        """
        No pause is longer than a quarter of an hour, whatever is named.
        """
        last = Pause(600.0, 100.0)
        for named in (30.0, 86400.0):
            self.assertEqual(self.next(named, last), Pause(900.0, 1000.0))

    def test_away(self) -> None:
        """
        Nor longer than 15 seconds where nobody was reached.
        """
        self.assertEqual(self.next(None, None, away=True), Pause(5.0, 105.0))
        last = Pause(10.0, 100.0)
        self.assertEqual(self.next(None, last, away=True), Pause(15.0, 115.0))


class StoppedTests(SynchronousTestCase):
    """
    Tests for what an operator is told of a pause.
    """

    def test_stopped(self) -> None:
        """
        While nothing is sent, for how long and why is told; not while it is,
        nor once whoever comes may try.
        """
        now = [100.0]
        outlet = Outlet(BOT, lambda: now[0], 0.0, 10.0, lambda: None)
        self.assertIsNone(outlet.stopped)
        outlet.note(ONE, LIMIT, 100.0)
        self.assertEqual(outlet.stopped, (30.0, "code 613"))
        now[0] = 140.0
        self.assertIsNone(outlet.stopped)
        outlet.reserve(TWO)
        self.assertEqual(outlet.stopped, (10.0, "code 613"))
        outlet.note(TWO, SENT, 140.0)
        self.assertIsNone(outlet.stopped)
        outlet.press(
            Pressure(source="app", share=0.0, rest=60.0, detail="usage of 97 %")
        )
        self.assertEqual(outlet.stopped, (60.0, "usage of 97 %"))
        now[0] = 200.0
        self.assertIsNone(outlet.stopped)

    def test_refused(self) -> None:
        """
        A token that was refused is taken for bad until a message gets through,
        even if there is none to try.
        """
        now = [100.0]
        outlet = Outlet(BOT, lambda: now[0], 0.0, 10.0, lambda: None)
        outlet.note(ONE, TOKEN, 100.0)
        now[0] = 5000.0
        assert outlet.stopped is not None
        self.assertEqual(outlet.stopped[0], 0.0)


class OutletTestCase(SynchronousTestCase):
    """
    An outlet, with a clock at hand.
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

    def attempt(self, outcome: Outcome, conversation: int = ONE) -> None:
        """
        Take leave to send, and learn what came of it a second later.
        """
        self.outlet.reserve(conversation)
        begun = self.ticks
        self.ticks += 1.0
        self.outlet.note(conversation, outcome, begun)

    def paused(self) -> list[float]:
        """
        Tell for how long each of three conversations is paused.
        """
        return [self.outlet.paused(each) for each in (ONE, TWO, THREE)]


class OutletTests(OutletTestCase):
    """
    Tests for :class:`micamsgr.conversation.outlet.Outlet`: the Page as such.
    """

    def test_open(self) -> None:
        """
        As long as nothing is wrong, messages go out at once, thirty in a
        second.
        """
        self.assertEqual(self.outlet.paused(TWO), 0.0)
        taken = [self.outlet.take(TWO) for _ in range(40)]
        self.assertEqual(taken, [True] * 30 + [False] * 10)

    def test_reserve(self) -> None:
        """
        What is beyond the rate waits for its turn.
        """
        waits = [self.outlet.reserve(TWO) for _ in range(33)]
        self.assertEqual(waits[:30], [0.0] * 30)
        for index, wait in enumerate(waits[30:], 1):
            self.assertAlmostEqual(wait, index / 30.0)

    def test_pause(self) -> None:
        """
        While the Graph API refuses the Page as such, nothing is sent for as
        long as it says.
        """
        self.attempt(LIMIT)
        self.assertEqual(self.outlet.paused(TWO), 30.0)
        self.ticks += 29.0
        self.assertEqual(self.outlet.paused(TWO), 1.0)
        self.assertFalse(self.outlet.take(TWO))

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
            self.assertTrue(self.outlet.take(TWO))

    def test_one_tries(self) -> None:
        """
        After a pause one message tries, and until that is settled the others
        wait.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.assertEqual(self.outlet.paused(TWO), 0.0)
        self.assertEqual(self.outlet.reserve(TWO), 0.0)
        self.assertEqual(self.outlet.paused(TWO), 15.0)
        self.assertFalse(self.outlet.take(TWO))

    def test_got_through(self) -> None:
        """
        When the one that tries gets through, or is refused for its own sake,
        the others follow.
        """
        for outcome in (SENT, NeverSent("person", "551")):
            self.setUp()
            self.attempt(LIMIT)
            self.ticks += 30.0
            self.attempt(outcome, TWO)
            self.assertEqual(self.reopened, 1)
            self.assertTrue(self.outlet.take(TWO))

    def test_doubtful_trial(self) -> None:
        """
        When nobody knows what became of the one that tried, another one tries
        after it.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.attempt(InDoubt("timeout"))
        self.assertEqual(self.outlet.paused(TWO), 14.0)
        self.ticks += 14.0
        self.attempt(SENT)
        self.assertEqual(self.reopened, 1)

    def test_late_trial(self) -> None:
        """
        The one that tried first still opens the way if its outcome comes when
        another is trying already.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.outlet.reserve(TWO)
        first = self.ticks
        self.ticks += 15.0
        self.outlet.reserve(TWO)
        self.outlet.note(TWO, SENT, first)
        self.assertEqual(self.reopened, 1)

    def test_before_the_trial(self) -> None:
        """
        Nor does it while another tries, or after that one failed.
        """
        self.attempt(LIMIT, ONE)
        self.ticks += 30.0
        self.outlet.reserve(TWO)
        self.outlet.note(THREE, SENT, self.ticks - 1.0)
        self.assertFalse(self.outlet.open)
        self.outlet.note(TWO, LIMIT, self.ticks)
        self.outlet.note(THREE, SENT, self.ticks)
        self.assertFalse(self.outlet.open)

    def test_once(self) -> None:
        """
        A pause is over once; what gets through afterwards is nothing special.
        """
        self.attempt(LIMIT, ONE)
        self.ticks += 30.0
        self.attempt(SENT, TWO)
        self.attempt(SENT, TWO)
        self.assertEqual(self.reopened, 1)

    def test_longest(self) -> None:
        """
        Also where the Graph API names a day, a message tries after a quarter
        of an hour, as another does after each quarter of an hour that follows.
        """
        day = NotSent(detail="code 80006", rest=86400.0, pause=True)
        self.attempt(day, ONE)
        self.assertEqual(self.outlet.paused(TWO), 900.0)
        self.outlet.note(THREE, day, 1000.0)
        self.assertEqual(self.outlet.paused(TWO), 900.0)
        self.ticks += 900.0
        self.attempt(day, TWO)
        self.assertEqual(self.outlet.paused(THREE), 900.0)

    def test_shorter_again(self) -> None:
        """
        A pause after messages got through is as short as the first one.
        """
        self.attempt(LIMIT)
        self.ticks += 30.0
        self.attempt(SENT)
        self.attempt(LIMIT)
        self.assertEqual(self.outlet.paused(TWO), 30.0)

    def test_together(self) -> None:
        """
        Messages that were in flight together, and are refused together, make
        one pause and not a longer one each.
        """
        for _ in range(20):
            self.outlet.note(ONE, LIMIT, 1000.0)
        self.assertEqual(self.outlet.paused(TWO), 30.0)
        self.ticks += 10.0
        self.outlet.note(ONE, LIMIT, 1000.0)
        self.assertEqual(self.outlet.paused(TWO), 30.0)

    def test_before(self) -> None:
        """
        A message that got through, but was in flight when the pause began,
        does not end it.
        """
        self.outlet.note(ONE, LIMIT, 1000.0)
        self.ticks += 1.0
        self.outlet.note(TWO, SENT, 1000.0)
        self.assertEqual(self.outlet.paused(TWO), 29.0)
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


class AwayTests(OutletTestCase):
    """
    Tests for a Graph API that can't be reached.
    """

    def test_mishap(self) -> None:
        """
        A connection that could not be made, or two, stop nobody; nor do more
        while others get through.
        """
        unsure = InDoubt("timeout")
        outcomes: list[Outcome] = [AWAY, AWAY, SENT, AWAY, unsure, AWAY, AWAY]
        for outcome in outcomes:
            self.attempt(outcome)
            self.assertTrue(self.outlet.open)

    def test_away(self) -> None:
        """
        Three in a row, whoever tried, stop all; one tries at least each 15
        seconds, and once it gets through all may at once.
        """
        for conversation in (ONE, TWO, THREE):
            self.attempt(AWAY, conversation)
        self.assertEqual(self.paused(), [5.0] * 3)
        self.assertFalse(self.outlet.alarmed)
        for rest in (10.0, 15.0, 15.0):
            self.ticks += self.outlet.paused(ONE)
            self.attempt(AWAY)
            self.assertEqual(self.paused(), [rest] * 3)
        self.ticks += 15.0
        self.attempt(SENT)
        self.assertEqual(self.reopened, 1)
        self.assertEqual(self.paused(), [0.0] * 3)

    def test_together(self) -> None:
        """
        Those that were on their way together make one pause, and are told of
        once.
        """
        with capturedLogs() as events:
            for _ in range(20):
                self.outlet.note(ONE, AWAY, self.ticks)
        self.assertEqual(self.paused(), [5.0] * 3)
        self.assertEqual(len(events), 1)

    def test_told(self) -> None:
        """
        That the Graph API is not reached is told apart from all that it
        refuses.
        """
        for _ in range(3):
            self.attempt(AWAY)
        self.assertTrue(self.outlet.away)
        self.ticks += self.outlet.paused(TWO)
        self.attempt(TOKEN, TWO)
        self.assertFalse(self.outlet.away)
        self.ticks += 60.0
        self.attempt(SENT, THREE)
        self.assertFalse(self.outlet.away)

    def test_refused_before(self) -> None:
        """
        A Page that was refused before nobody was reached is refused still.
        """
        self.attempt(TOKEN)
        self.ticks += 100.0
        self.attempt(AWAY, TWO)
        self.assertTrue(self.outlet.alarmed)
        self.assertEqual(self.outlet.stopped, (15.0, TOKEN.detail))


class AlarmTests(OutletTestCase):
    """
    Tests for whether somebody must act.
    """

    def test_token(self) -> None:
        """
        Where the Graph API refuses the Page as such somebody must, until a
        message gets through.
        """
        self.assertFalse(self.outlet.alarmed)
        self.attempt(TOKEN)
        self.assertTrue(self.outlet.alarmed)
        self.ticks += 1000.0
        self.assertTrue(self.outlet.alarmed)
        self.attempt(SENT)
        self.assertFalse(self.outlet.alarmed)

    def test_limit(self) -> None:
        """
        Where a limit is reached nobody must.
        """
        self.attempt(LIMIT)
        self.assertFalse(self.outlet.open)
        self.assertFalse(self.outlet.alarmed)

    def test_both(self) -> None:
        """
        What was under way as a pause for a limit began may tell of the token,
        and after it the last word counts.
        """
        begun = self.ticks
        self.attempt(LIMIT)
        self.outlet.note(TWO, TOKEN, begun)
        self.assertTrue(self.outlet.alarmed)
        self.ticks += 1000.0
        self.attempt(LIMIT, THREE)
        self.assertFalse(self.outlet.alarmed)
