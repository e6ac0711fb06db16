"""
Tests for :mod:`micamsgr.assistant.breaker`.
"""

from __future__ import annotations

from random import Random

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.breaker import (
    Breaker,
    Closed,
    Health,
    Open,
    Recent,
    after_call,
    most_at_once,
    noted,
)
from micamsgr.test.properties import given, st

WELL, ILL, LOCKED = Health.WELL, Health.ILL, Health.LOCKED


def after(*calls: tuple[Health, float]) -> Recent:
    """
    Note calls, each with its end in seconds.
    """
    recent = Recent()
    for health, now in calls:
        recent = noted(recent, health is ILL, now)
    return recent


class RecentTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.assistant.breaker.Recent`.
    """

    def test_row(self) -> None:
        """
        Five failures in a row are too many, however far apart; one success
        between them begins a new row.
        """
        self.assertFalse(after(*[(ILL, n * 1000.0) for n in range(4)]).bad)
        self.assertTrue(after(*[(ILL, n * 1000.0) for n in range(5)]).bad)
        self.assertFalse(after(*[(ILL, 0.0)] * 4, (WELL, 0.0), *[(ILL, 0.0)] * 4).bad)

    def test_half(self) -> None:
        """
        Half of twenty calls in half a minute are too many; fewer calls tell
        nothing.
        """
        mixed = [(ILL, 1.0), (WELL, 1.0)]
        self.assertFalse(after(*mixed * 9).bad)
        self.assertTrue(after(*mixed * 10).bad)
        self.assertFalse(after(*mixed * 9, (WELL, 2.0), (WELL, 2.0)).bad)

    def test_long_ago(self) -> None:
        """
        What happened more than half a minute ago does not count.
        """
        mixed = [(ILL, 1.0), (WELL, 1.0)]
        self.assertTrue(after(*mixed * 9, (WELL, 31.0), (ILL, 31.0)).bad)
        self.assertFalse(after(*mixed * 9, (WELL, 32.0), (ILL, 32.0)).bad)

    def test_small(self) -> None:
        """
        However many calls there are, little is kept of them.
        """
        recent = after(*[(WELL, n / 50.0) for n in range(5000)])
        self.assertLessEqual(len(recent.seconds), 31)


class AfterCallTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.assistant.breaker.after_call`.
    """

    def test_opens(self) -> None:
        """
        An endpoint that has failed too often is left alone for five seconds.
        """
        state = Closed(recent=after(*[(ILL, 0.0)] * 4))
        self.assertEqual(
            after_call(state, ILL, None, 100.0, 0.0), Open(until=105.0, rest=5.0)
        )
        self.assertIsInstance(after_call(state, WELL, None, 100.0, 0.0), Closed)

    def test_doubles(self) -> None:
        """
        Each time that the one that tries fails it is left alone for twice as
        long, up to a minute; less up to a quarter, by lot.
        """
        state: Closed | Open = Open(until=0.0, rest=5.0)
        rests = []
        for _ in range(6):
            state = after_call(state, ILL, None, 0.0, 0.0)
            assert isinstance(state, Open)
            rests.append(state.until)
        self.assertEqual(rests, [10.0, 20.0, 40.0, 60.0, 60.0, 60.0])
        self.assertEqual(
            after_call(state, ILL, None, 0.0, 1.0), Open(until=45.0, rest=60.0)
        )

    def test_named(self) -> None:
        """
        It is left alone for at least as long as it asked for, up to a quarter
        of an hour.
        """
        for named, until in ((30.0, 30.0), (86400.0, 900.0), (1.0, 10.0)):
            state = after_call(Open(until=0.0, rest=5.0), ILL, named, 0.0, 0.0)
            self.assertEqual(state, Open(until=until, rest=10.0))

    def test_locked(self) -> None:
        """
        One that takes no call is left alone at once, for about a minute.
        """
        for state in (Closed(), Closed(most=8), Open(until=0.0, rest=5.0)):
            opened = after_call(state, LOCKED, None, 0.0, 1.0)
            self.assertEqual(opened, Open(until=45.0, rest=60.0))

    def test_recovers(self) -> None:
        """
        After a success there may be two calls at the same time, and with each
        success twice as many; a failure among them changes nothing.
        """
        state: Closed | Open = Open(until=0.0, rest=20.0)
        most = []
        for health in (WELL, WELL, ILL, WELL, WELL, WELL, WELL, WELL, WELL):
            state = after_call(state, health, None, 0.0, 0.0)
            most.append(most_at_once(state, 0.0))
        self.assertEqual(most, [2, 4, 4, 8, 16, 32, 64, 128, None])
        assert isinstance(state, Closed)
        self.assertEqual(state.rest, 0.0)

    def test_relapse(self) -> None:
        """
        An endpoint that fails while it recovers is left alone for twice as
        long as before.
        """
        state: Closed | Open = Closed(most=4, rest=20.0)
        for _ in range(5):
            state = after_call(state, ILL, None, 0.0, 0.0)
        self.assertEqual(state, Open(until=40.0, rest=40.0))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(Health),
                st.one_of(st.none(), st.floats(0.0, 1e6)),
                st.floats(0.0, 100.0),
                st.floats(0.0, 1.0),
            ),
            max_size=60,
        )
    )
    def test_bounds(
        self, calls: list[tuple[Health, float | None, float, float]]
    ) -> None:
        """
        Whatever comes of the calls, an endpoint is never left alone for longer
        than a quarter of an hour, and is asked by at least one after that.
        """
        state: Closed | Open = Closed()
        now = 0.0
        for health, named, passed, jitter in calls:
            now += passed
            state = after_call(state, health, named, now, jitter)
            if isinstance(state, Open):
                self.assertTrue(3.7 < state.until - now < 900.1)
                self.assertEqual(most_at_once(state, now), 0)
                now = state.until
            most = most_at_once(state, now)
            self.assertTrue(most is None or most >= 1)


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

    def enter(self) -> int:
        """
        Begin a call that is allowed.
        """
        entered = self.breaker.enter()
        assert entered is not None
        return entered

    def call(self, health: Health | None, times: int = 1) -> None:
        """
        Make calls, one after the other.
        """
        for _ in range(times):
            self.breaker.leave(self.enter(), health, None, "HTTP 500")

    def test_well(self) -> None:
        """
        As long as it answers, any number may ask at the same time.
        """
        for _ in range(1000):
            self.enter()
        self.assertIsNone(self.breaker.wait())

    def test_left_alone(self) -> None:
        """
        Five failures in a row, and nobody asks for five seconds.
        """
        self.call(ILL, 5)
        self.assertIsNone(self.breaker.enter())
        self.assertEqual(self.breaker.wait(), 5.0)
        self.now += 4.9
        self.assertIsNone(self.breaker.enter())

    def test_one_tries(self) -> None:
        """
        Then one tries, and the others wait for what comes of it.
        """
        self.call(ILL, 5)
        self.now += 5.0
        trying = self.enter()
        self.assertIsNone(self.breaker.enter())
        self.assertEqual(self.breaker.wait(), 1.0)
        self.breaker.leave(trying, WELL)
        self.enter()
        self.enter()
        self.assertIsNone(self.breaker.enter())
        self.assertEqual(self.breaker.wait(), 1.0)

    def test_fails_again(self) -> None:
        """
        If that fails too, nobody asks for ten seconds.
        """
        self.call(ILL, 5)
        self.now += 5.0
        self.call(ILL)
        self.assertIsNone(self.breaker.enter())
        self.assertEqual(self.breaker.wait(), 10.0)

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
        self.assertIsNone(self.breaker.enter())
        self.assertEqual(self.breaker.wait(), 5.0)
        self.now += 5.0
        trying = self.enter()
        self.assertIsNone(self.breaker.enter())
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
        for _ in range(5):
            entered = breaker.enter()
            assert entered is not None
            breaker.leave(entered, ILL)
        waits = [breaker.wait() or 0.0 for _ in range(7000)]
        self.assertEqual(waits, sorted(waits))
        self.assertGreaterEqual(waits[0], 3.75)
        counts: dict[int, int] = {}
        for wait in waits:
            counts[int(wait)] = counts.get(int(wait), 0) + 1
        self.assertLessEqual(max(counts.values()), 50)
        later = [breaker.wait() or 0.0 for _ in range(3000)]
        self.assertLessEqual(max(later), 305.0 + 0.1)
        self.assertLess(min(later), 60.0)

    def test_told_once(self) -> None:
        """
        That somebody must act is an error, told once with what to do; when
        that has helped, that is told as well.
        """
        with capturedLogs() as events:
            for _ in range(3):
                entered = self.enter()
                self.breaker.leave(entered, LOCKED, None, "HTTP 401, check the key")
                self.now += 60.0
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.error, LogLevel.warn, LogLevel.warn])
        self.assertEqual(
            (events[0]["host"], events[0]["model"], events[0]["detail"]),
            ("llm.example", "big", "HTTP 401, check the key"),
        )
        with capturedLogs() as events:
            self.call(WELL)
            self.breaker.leave(self.enter(), LOCKED, None, "HTTP 402")
        levels = [event["log_level"] for event in events]
        self.assertEqual(levels, [LogLevel.info, LogLevel.error])

    def test_outage_told(self) -> None:
        """
        That it is left alone is a warning, with why and for how long.
        """
        with capturedLogs() as events:
            self.call(ILL, 5)
        [event] = events
        self.assertIs(event["log_level"], LogLevel.warn)
        self.assertEqual((event["seconds"], event["detail"]), (5.0, "HTTP 500"))


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
        entered = breaker.enter()
        assert entered is not None
        breaker.leave(entered, LOCKED)
        self.assertTrue(breaker.shut)
        now[0] = 59.9
        self.assertTrue(breaker.shut)
        now[0] = 60.0
        self.assertFalse(breaker.shut)
        trying = breaker.enter()
        assert trying is not None
        self.assertTrue(breaker.shut)
        breaker.leave(trying, WELL)
        self.assertFalse(breaker.shut)
