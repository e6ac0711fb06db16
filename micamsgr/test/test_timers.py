"""
Tests for :mod:`micamsgr.timers`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from micamsgr.timers import SharedTimers

DELAYS = (0.3, 15.0, 60.0)


def history(seed: int, make: Callable[[Clock], Any]) -> list[tuple[float, int]]:
    """
    Let much be set, some of it canceled, and tell what was called, and when.
    """
    clock, chance = Clock(), random.Random(seed)
    timers = make(clock)
    called: list[tuple[float, int]] = []
    calls: list[Any] = []

    def call(number: int) -> None:
        called.append((clock.seconds(), number))
        if number % 3 == 0:
            timers.callLater(DELAYS[number % 2], call, -number - 1)

    for number in range(1, 200):
        what = chance.random()
        if what < 0.5:
            calls.append(timers.callLater(chance.choice(DELAYS), call, number))
        elif what < 0.8:
            # In quarters, which floats hold exactly.
            clock.advance(chance.randrange(20) / 4.0)
        elif calls:
            it = calls.pop(chance.randrange(len(calls)))
            if it.active():
                it.cancel()
    clock.advance(1000.0)
    return called


class TimersTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.timers.SharedTimers`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = SharedTimers(self.clock)
        self.called: list[str] = []

    def test_interface(self) -> None:
        """
        It can be a clock to whoever needs one.
        """
        verifyObject(IReactorTime, self.timers)

    def test_like_the_clock(self) -> None:
        """
        What is called, and when, is what a clock alone would call.
        """
        for seed in range(50):
            ours, theirs = history(seed, SharedTimers), history(seed, lambda it: it)
            self.assertEqual(sorted(ours), sorted(theirs), f"seed {seed}")
            self.assertGreater(len(ours), 20)

    def test_one_timer(self) -> None:
        """
        A thousand deadlines are one timer, and none once all of them are met.
        """
        calls = [self.timers.callLater(9.0, self.called.append, "") for _ in range(999)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(5.0)
        for call in calls:
            call.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.timers.getDelayedCalls(), [])

    def test_first_canceled(self) -> None:
        """
        That the first one is canceled makes the second neither sooner nor later.
        """
        first = self.timers.callLater(9.0, self.called.append, "first")
        self.clock.advance(1.0)
        self.timers.callLater(9.0, self.called.append, "second")
        first.cancel()
        self.clock.advance(8.99)
        self.assertEqual(self.called, [])
        self.clock.advance(0.01)
        self.assertEqual(self.called, ["second"])

    def test_last_canceled(self) -> None:
        """
        Nor is anything left once the last one is canceled after others were called.
        """
        self.timers.callLater(9.0, self.called.append, "first")
        self.clock.advance(1.0)
        second = self.timers.callLater(9.0, self.called.append, "second")
        self.clock.advance(8.0)
        second.cancel()
        self.assertEqual(self.called, ["first"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_any_delays(self) -> None:
        """
        However many delays were asked for, none is remembered.
        """
        for number in range(100):
            call = self.timers.callLater(float(number + 1), self.called.append, "")
            if number % 2:
                call.cancel()
        self.clock.advance(1000.0)
        self.assertEqual(self.timers._rings, {})

    def test_nothing_kept(self) -> None:
        """
        What was canceled is not kept until its time.
        """
        self.timers.callLater(60.0, self.called.append, "")
        call = self.timers.callLater(60.0, self.called.append, "")
        call.cancel()
        self.assertIsNone(call.called)

    def test_over(self) -> None:
        """
        What is over can't be canceled, as with any other timer.
        """
        call = self.timers.callLater(1.0, self.called.append, "")
        canceled = self.timers.callLater(1.0, self.called.append, "")
        canceled.cancel()
        self.clock.advance(1.0)
        self.assertFalse(call.active() or canceled.active())
        self.assertRaises(AlreadyCalled, call.cancel)
        self.assertRaises(AlreadyCancelled, canceled.cancel)

    def test_one_fails(self) -> None:
        """
        What one of them raises keeps no other from being called.
        """
        self.timers.callLater(1.0, lambda: 1 / 0)
        self.timers.callLater(1.0, self.called.append, "other")
        self.assertRaises(ZeroDivisionError, self.clock.advance, 1.0)
        self.clock.advance(0.0)
        self.assertEqual(self.called, ["other"])
