"""
Tests for :mod:`micamsgr.assistant.breaker`: who may call, and what is told.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count
from random import Random

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.breaker import Breaker, Entered
from micamsgr.assistant.health import Health
from micamsgr.test.test_breaker import (
    ALICE,
    AWAY,
    BOB,
    CAROL,
    DENIED,
    ILL,
    LOCKED,
    WELL,
)


class BreakerTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.assistant.breaker.Breaker`.
    """

    def setUp(self) -> None:
        self.now = 1000.0
        self.jitter = 0.0
        self.breaker = Breaker(
            "llm.example", "big", lambda: self.now, lambda: self.jitter
        )
        self.others = count()

    def enter(self, asker: Hashable = None) -> Entered:
        """
        Begin a call that is allowed, of somebody or of yet another one.
        """
        entered = self.breaker.enter(next(self.others) if asker is None else asker)
        assert entered is not None
        return entered

    def turned_away(self, asker: Hashable = ALICE) -> float:
        """
        See to it that a call is not allowed.

        :return: in how many seconds to come back.
        """
        self.assertIsNone(self.breaker.enter(asker))
        wait = self.breaker.wait(asker)
        assert wait is not None
        return wait

    def call(
        self, health: Health | None, times: int = 1, asker: Hashable = None
    ) -> None:
        """
        Make calls, one after the other.
        """
        for _ in range(times):
            self.breaker.leave(self.enter(asker), health, None, "HTTP 500")

    def test_wanted(self) -> None:
        """
        Whoever has mended an endpoint learns at once whether that helped, by
        whichever call comes first; the others wait for that one.
        """
        self.call(LOCKED, asker=ALICE)
        self.turned_away(ALICE)
        self.turned_away(BOB)
        self.breaker.try_again()
        entered = self.enter(ALICE)
        self.turned_away(BOB)
        self.breaker.leave(entered, WELL)
        self.enter(BOB)

    def test_not_left_alone(self) -> None:
        """
        Nothing comes of it where the endpoint is asked anyway.
        """
        self.breaker.try_again()
        self.assertIsNone(self.breaker.left_alone)

    def test_well(self) -> None:
        """
        As long as it answers, any number may ask at the same time.
        """
        for _ in range(1000):
            self.enter()
        self.assertIsNone(self.breaker.wait(ALICE))

    def test_left_alone(self) -> None:
        """
        Five failures in a row, and nobody asks for five seconds.
        """
        self.call(ILL, 5)
        self.assertEqual(self.turned_away(), 5.0)
        self.now += 4.9
        self.turned_away()

    def test_one_person(self) -> None:
        """
        However often one person's words make it fail, others are answered, and
        so is that person if the next words are better.
        """
        with capturedLogs() as events:
            self.call(ILL, 100, ALICE)
            self.call(WELL, 1, BOB)
            self.call(ILL, 100, ALICE)
            self.call(DENIED, 100, ALICE)
            self.enter(BOB)
            self.call(WELL, 1, ALICE)
        self.assertEqual(events, [])

    def test_recovering(self) -> None:
        """
        Nor can one person's words keep it from being well again.
        """
        self.call(ILL, 5)
        self.now += 5.0
        self.call(WELL)
        self.call(ILL, 20, ALICE)
        self.call(WELL, 7)
        for _ in range(1000):
            self.enter()

    def test_failed_last(self) -> None:
        """
        Whose call failed last does not try before the others who were turned
        away, so that one person's words can't keep it closed to all; but if
        they do not come back, not five seconds later.
        """
        self.call(ILL, 4)
        self.call(ILL, 1, ALICE)
        self.assertEqual(self.turned_away(BOB), 5.0)
        self.now += 5.0
        self.assertEqual(self.turned_away(ALICE), 5.0)
        # That did not put anybody else off.
        self.assertEqual(self.turned_away(ALICE), 5.0)
        trying = self.enter(BOB)
        self.breaker.leave(trying, ILL)
        self.assertEqual(self.turned_away(ALICE), 10.0)
        self.now += 10.0
        self.assertEqual(self.turned_away(BOB), 5.0)
        self.now += 5.0
        self.enter(BOB)

    def test_locked_last(self) -> None:
        """
        Nor does whoever found it locked, should that have been for their words
        after all.
        """
        for health in (LOCKED, DENIED):
            self.call(DENIED, 2)
            self.call(health, 1, ALICE)
            self.assertEqual(self.turned_away(BOB), 60.0)
            self.now += 60.0
            self.assertEqual(self.turned_away(ALICE), 5.0)
            self.call(WELL, 1, BOB)
            self.call(WELL, 1, ALICE)

    def test_failed_last_alone(self) -> None:
        """
        Where nobody else waits, or does any more, it is the same person who
        tries.
        """
        self.call(ILL, 4)
        self.call(ILL, 1, ALICE)
        self.assertEqual(self.turned_away(ALICE), 5.0)
        self.now += 5.0
        self.call(ILL, 1, ALICE)
        self.assertEqual(self.turned_away(BOB), 10.0)
        self.now += 10.0
        self.call(ILL, 1, BOB)
        self.now += 20.0
        self.call(WELL, 1, BOB)

    def test_away_last(self) -> None:
        """
        Whoever could not connect may be the one who tries.
        """
        self.call(AWAY, 5, ALICE)
        self.turned_away(BOB)
        self.now += 5.0
        self.call(WELL, 1, ALICE)

    def test_one_tries(self) -> None:
        """
        Then one tries, and the others wait for what comes of it.
        """
        self.call(ILL, 5)
        self.now += 5.0
        trying = self.enter()
        self.assertEqual(self.turned_away(), 1.0)
        self.breaker.leave(trying, WELL)
        self.enter()
        self.enter()
        self.assertEqual(self.turned_away(), 1.0)

    def test_fails_again(self) -> None:
        """
        If that fails too, nobody asks for ten seconds.
        """
        self.call(ILL, 5)
        self.now += 5.0
        self.call(ILL)
        self.assertEqual(self.turned_away(), 10.0)

    def test_canceled(self) -> None:
        """
        If nobody waits any more for the one that tries, another one tries.
        """
        self.call(ILL, 5)
        self.now += 5.0
        self.call(None)
        self.call(WELL)

    def test_under_way(self) -> None:
        """
        What was under way when it was left alone neither prolongs that nor
        ends it, nor does what was canceled tell anything.
        """
        before = [self.enter() for _ in range(10)]
        self.call(None, 10)
        self.call(ILL, 5)
        for entered, health in zip(before, [ILL] * 5 + [WELL] * 5, strict=True):
            self.breaker.leave(entered, health)
        self.assertEqual(self.turned_away(), 5.0)
        self.now += 5.0
        trying = self.enter()
        self.turned_away()
        self.breaker.leave(trying, WELL)
        self.enter()

    def test_spread(self) -> None:
        """
        Of thousands that are turned away no more than fifty come back in any
        one second, in the order in which they were turned away, and none
        later than five minutes after the endpoint is asked again.
        """
        random = Random(1)
        breaker = Breaker("h", "m", lambda: self.now, random.random)
        for asker in range(5):
            entered = breaker.enter(asker)
            assert entered is not None
            breaker.leave(entered, ILL)
        waits = [breaker.wait(ALICE) or 0.0 for _ in range(7000)]
        self.assertEqual(waits, sorted(waits))
        self.assertGreaterEqual(waits[0], 3.75)
        counts: dict[int, int] = {}
        for wait in waits:
            counts[int(wait)] = counts.get(int(wait), 0) + 1
        self.assertLessEqual(max(counts.values()), 50)
        later = [breaker.wait(ALICE) or 0.0 for _ in range(3000)]
        self.assertLessEqual(max(later), 305.0 + 0.1)
        self.assertLess(min(later), 60.0)

    def test_told_once(self) -> None:
        """
        That somebody must act is an error, told once with what to do, however
        often it is tried in vain; when that has helped, that is told as well.
        """
        with capturedLogs() as events:
            for _ in range(3):
                entered = self.enter()
                self.breaker.leave(entered, LOCKED, None, "HTTP 401, check the key")
                self.now += 60.0
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.error, LogLevel.debug, LogLevel.debug])
        self.assertEqual(
            (events[0]["host"], events[0]["model"], events[0]["detail"]),
            ("llm.example", "big", "HTTP 401, check the key"),
        )
        with capturedLogs() as events:
            self.call(WELL)
            self.breaker.leave(self.enter(), LOCKED, None, "HTTP 402")
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.info, LogLevel.error])

    def test_denied_told(self) -> None:
        """
        So is that calls of three people were denied, also where it failed
        otherwise before, and was left alone for that.
        """
        with capturedLogs() as events:
            for asker in (ALICE, BOB, CAROL, ALICE, BOB):
                entered = self.enter(asker)
                self.breaker.leave(entered, DENIED, None, "HTTP 403, check the key")
                self.now += 65.0
            self.call(WELL)
            self.call(WELL, 7)
        error, info, debug = LogLevel.error, LogLevel.info, LogLevel.debug
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [error, debug, debug, info])
        self.assertEqual(events[0]["detail"], "HTTP 403, check the key")
        with capturedLogs() as events:
            self.call(ILL, 5)
            # Others than those who were denied what somebody else was not.
            for asker in ("x", "y", "z", "x"):
                self.now += 65.0
                self.call(DENIED, 1, asker)
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.warn, debug, debug, error, debug])

    def test_outage_told(self) -> None:
        """
        That it is left alone is a warning, with why and for how long; that it
        goes on like that is not, but if it fails while it recovers it is.
        """
        with capturedLogs() as events:
            self.call(ILL, 5)
        [event] = events
        self.assertIs(event["log_level"], LogLevel.warn)
        self.assertEqual((event["seconds"], event["detail"]), (5.0, "HTTP 500"))
        with capturedLogs() as events:
            for health in (ILL, AWAY, WELL):
                self.now += 60.0
                self.call(health)
            self.call(ILL, 5)
        levels = [event["log_level"] for event in events]
        debug, info, warn = LogLevel.debug, LogLevel.info, LogLevel.warn
        self.assertEqual(levels, [debug, debug, info, warn])


class ShutTests(SynchronousTestCase):
    """
    Tests for whether an endpoint is left alone now.
    """

    def test_shut(self) -> None:
        """
        It is while nobody may ask it, and while one only tries; not where one
        might and nobody does, lest it be taken for ill for ever.
        """
        now = [0.0]
        breaker = Breaker("llm.example", "big", lambda: now[0], lambda: 0.0)
        self.assertFalse(breaker.shut)
        entered = breaker.enter(ALICE)
        assert entered is not None
        breaker.leave(entered, LOCKED)
        self.assertTrue(breaker.shut)
        now[0] = 59.9
        self.assertTrue(breaker.shut)
        now[0] = 60.0
        self.assertFalse(breaker.shut)
        trying = breaker.enter(ALICE)
        assert trying is not None
        self.assertTrue(breaker.shut)
        breaker.leave(trying, WELL)
        self.assertFalse(breaker.shut)
