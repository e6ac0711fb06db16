"""
Tests for :mod:`micamsgr.assistant.breaker`: what is decided.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import count, cycle

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.breaker import (
    Closed,
    Open,
    after_call,
    gives_way,
    most_at_once,
)
from micamsgr.assistant.health import Health, Recent, noted
from micamsgr.test.properties import given, st

WELL, ILL, AWAY, LOCKED = Health.WELL, Health.ILL, Health.AWAY, Health.LOCKED
DENIED = Health.DENIED

ALICE, BOB, CAROL, DAVE = "alice", "bob", "carol", "dave"


def after(*calls: tuple[Health, float], of: tuple[str, ...] = ()) -> Recent:
    """
    Note calls, each with its end in seconds.

    :param of: who makes them, in turn; else each another one.
    """
    recent = Recent()
    askers: Iterator[Hashable] = cycle(of) if of else count()
    for (health, now), asker in zip(calls, askers, strict=False):
        recent = noted(recent, health, asker, now)
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

    def test_witnesses(self) -> None:
        """
        However often calls of one or two people fail, it may be their words;
        if those of a third fail as well, it is not.
        """
        row = [(ILL, 1.0)] * 30
        self.assertFalse(after(*row, of=(ALICE,)).bad)
        self.assertFalse(after(*row, of=(ALICE, BOB)).bad)
        self.assertTrue(after(*row[:5], of=(ALICE, ALICE, ALICE, BOB, CAROL)).bad)
        mixed = [(ILL, 1.0), (WELL, 1.0)]
        self.assertFalse(after(*mixed * 30, of=(ALICE, CAROL, BOB, CAROL)).bad)
        three = (ALICE, CAROL, BOB, CAROL, CAROL, CAROL)
        self.assertTrue(after(*mixed * 30, of=three).bad)

    def test_witnesses_of_a_row(self) -> None:
        """
        Those whose calls failed before one succeeded tell nothing of the row
        after it.
        """
        others = [(ILL, 0.0)] * 2
        row = [(ILL, 99.0)] * 9
        of = (ALICE, BOB, ALICE, *(CAROL,) * 9)
        self.assertFalse(after(*others, (WELL, 99.0), *row, of=of).bad)

    def test_witnesses_of_long_ago(self) -> None:
        """
        Nor do those whose calls failed long before tell of the last half a
        minute.
        """
        mixed = [(ILL, 99.0), (WELL, 99.0)]
        others = [(ILL, 0.0)] * 2
        of = (ALICE, BOB, *(CAROL,) * 60)
        self.assertFalse(after(*others, *mixed * 30, of=of).bad)
        self.assertTrue(after(*[(ILL, 98.0)] * 2, *mixed * 30, of=of).bad)

    def test_away(self) -> None:
        """
        Nobody's words have connections refused, so those of one person tell as
        much as those of many.
        """
        self.assertFalse(after(*[(AWAY, 1.0)] * 4, of=(ALICE,)).bad)
        self.assertTrue(after(*[(AWAY, 1.0)] * 5, of=(ALICE,)).bad)
        mixed = [(AWAY, 1.0), (WELL, 1.0)]
        self.assertTrue(after(*mixed * 10, of=(ALICE,)).bad)
        both = [(ILL, 1.0)] * 4
        self.assertFalse(after(*both, (AWAY, 1.0), of=(ALICE,)).bad)
        self.assertTrue(after(*both, *[(AWAY, 1.0)] * 2, of=(ALICE,)).bad)

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
        recent = after(*[(ILL, 1.0)] * 1000)
        self.assertEqual(len(recent.witnesses), 3)
        self.assertEqual([len(s.witnesses) for s in recent.seconds], [3])


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
            after_call(state, ILL, None, ALICE, 100.0, 0.0),
            Open(until=105.0, rest=5.0, last=ALICE),
        )
        self.assertEqual(
            after_call(state, AWAY, None, ALICE, 100.0, 0.0),
            Open(until=105.0, rest=5.0),
        )
        self.assertIsInstance(after_call(state, WELL, None, ALICE, 100.0, 0.0), Closed)

    def test_doubles(self) -> None:
        """
        Each time that the one that tries fails it is left alone for twice as
        long, up to a minute; less up to a quarter, by lot.
        """
        state: Closed | Open = Open(until=0.0, rest=5.0)
        rests = []
        for _ in range(6):
            state = after_call(state, ILL, None, ALICE, 0.0, 0.0)
            assert isinstance(state, Open)
            rests.append(state.until)
        self.assertEqual(rests, [10.0, 20.0, 40.0, 60.0, 60.0, 60.0])
        self.assertEqual(
            after_call(state, AWAY, None, ALICE, 0.0, 1.0), Open(until=45.0, rest=60.0)
        )

    def test_named(self) -> None:
        """
        It is left alone for at least as long as it asked for, up to a quarter
        of an hour.
        """
        for named, until in ((30.0, 30.0), (86400.0, 900.0), (1.0, 10.0)):
            state = after_call(Open(until=0.0, rest=5.0), ILL, named, BOB, 0.0, 0.0)
            self.assertEqual(state, Open(until=until, rest=10.0, last=BOB))

    def test_locked(self) -> None:
        """
        One that takes no call is left alone at once, for about a minute.
        """
        for state in (Closed(), Closed(most=8), Open(until=0.0, rest=5.0)):
            opened = after_call(state, LOCKED, None, ALICE, 0.0, 1.0)
            self.assertEqual(opened, Open(until=45.0, rest=60.0, last=ALICE))

    def denied(self, *calls: tuple[Health, str]) -> Closed | Open:
        """
        Conclude from *calls*, each of what came of it and of whom.
        """
        state: Closed | Open = Closed()
        for health, asker in calls:
            state = after_call(state, health, None, asker, 0.0, 1.0)
        return state

    def locked(self, state: Closed | Open) -> tuple[float, float, object]:
        """
        Tell until when what takes no call is left alone, and after whom.
        """
        assert isinstance(state, Open)
        self.assertEqual(set(state.denied), {ALICE, BOB, CAROL})
        return state.until, state.rest, state.last

    def test_denied(self) -> None:
        """
        One that denies calls takes none if they are of three people, whatever
        else failed between them; then it is left alone for about a minute.
        """
        alice, bob, carol = (DENIED, ALICE), (DENIED, BOB), (DENIED, CAROL)
        for calls in (
            (alice, bob, carol),
            (alice, alice, bob, alice, carol),
            (alice, (ILL, BOB), bob, carol),
        ):
            self.assertEqual(self.locked(self.denied(*calls)), (45.0, 60.0, CAROL))
        self.assertIsInstance(self.denied(*[alice, bob] * 50), Closed)
        self.assertIsInstance(self.denied(alice, bob, (ILL, CAROL)), Closed)

    def test_denied_meanwhile(self) -> None:
        """
        A call that is taken shows that our key is, so that whose were denied
        before it do not count.
        """
        alice, bob, carol = (DENIED, ALICE), (DENIED, BOB), (DENIED, CAROL)
        well = (WELL, ALICE)
        self.assertIsInstance(self.denied(alice, bob, well, carol), Closed)
        self.assertIsInstance(self.denied(alice, bob, well, carol, bob), Closed)
        self.assertIsInstance(self.denied(alice, bob, carol, well), Closed)
        again = self.denied(alice, bob, carol, well, alice, bob)
        self.assertIsInstance(again, Closed)

    def test_distrusted(self) -> None:
        """
        Whoever is denied what others are not tells nothing of a lock for an
        hour: three people whose words are blocked again and again hold up
        nobody.
        """
        blocked = [(DENIED, it) for it in (ALICE, BOB, CAROL)]
        state = self.denied(*blocked, (WELL, DAVE), *blocked * 5)
        self.assertIsInstance(state, Closed)
        for at, left_alone in ((3599.0, Closed), (3601.0, Open)):
            later = state
            for health, asker in blocked:
                later = after_call(later, health, None, asker, at, 1.0)
            self.assertIsInstance(later, left_alone)
        # But for whoever was not denied since.
        state = self.denied(
            *blocked, (WELL, DAVE), (WELL, ALICE), (WELL, BOB), (WELL, CAROL), *blocked
        )
        self.assertIsInstance(state, Open)

    def test_denied_give_way(self) -> None:
        """
        Who was denied lets others try first, as whoever failed last does.
        """
        state = self.denied(*[(DENIED, it) for it in (ALICE, BOB, CAROL)])
        assert isinstance(state, Open)
        for asker, until in ((ALICE, 50.0), (CAROL, 50.0), (DAVE, None)):
            self.assertEqual(gives_way(state, asker, True, 46.0), until)

    def test_distrusted_give_way(self) -> None:
        """
        So does, for an hour, whoever was denied what others were not.
        """
        blocked = [(DENIED, it) for it in (ALICE, BOB, CAROL)]
        state = self.denied(*blocked, (WELL, DAVE))
        for asker in ("erin", "frank", "grace", "heidi", "ivan"):
            state = after_call(state, AWAY, None, asker, 0.0, 1.0)
        assert isinstance(state, Open)
        later = state.until
        for asker, until in ((ALICE, later + 5.0), (CAROL, later + 5.0), (DAVE, None)):
            self.assertEqual(gives_way(state, asker, True, later), until)

    def test_denied_while_left_alone(self) -> None:
        """
        Those whose calls were denied before it was left alone, or as they
        tried it since, count as well.
        """
        before = Recent(denied=(ALICE,))
        opened: Closed | Open = Open(until=0.0, rest=5.0, recent=before)
        rests = []
        for health, asker in ((ILL, ALICE), (DENIED, BOB), (AWAY, BOB)):
            opened = after_call(opened, health, None, asker, 0.0, 0.0)
            assert isinstance(opened, Open)
            rests.append((opened.rest, opened.last))
        self.assertEqual(rests, [(10.0, ALICE), (20.0, BOB), (40.0, None)])
        opened = after_call(opened, DENIED, None, CAROL, 0.0, 0.0)
        self.assertEqual(self.locked(opened), (60.0, 60.0, CAROL))

    def test_recovers(self) -> None:
        """
        After a success there may be two calls at the same time, and with each
        success twice as many; a failure among them changes nothing.
        """
        state: Closed | Open = Open(until=0.0, rest=20.0)
        most = []
        for health in (WELL, WELL, ILL, WELL, WELL, WELL, WELL, WELL, WELL):
            state = after_call(state, health, None, ALICE, 0.0, 0.0)
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
        for asker in range(5):
            state = after_call(state, ILL, None, asker, 0.0, 0.0)
        self.assertEqual(state, Open(until=40.0, rest=40.0, last=4))

    def test_gives_way(self) -> None:
        """
        Whoever failed last lets others try, if others want to, for five
        seconds; then anybody may.
        """
        opened = Open(until=10.0, rest=5.0, last=ALICE)
        self.assertEqual(gives_way(opened, ALICE, True, 14.9), 15.0)
        self.assertIsNone(gives_way(opened, ALICE, True, 15.0))
        self.assertIsNone(gives_way(opened, ALICE, False, 10.0))
        self.assertIsNone(gives_way(opened, BOB, True, 10.0))
        self.assertIsNone(gives_way(Closed(), ALICE, True, 10.0))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(Health),
                st.one_of(st.none(), st.floats(0.0, 1e6)),
                st.integers(1, 4),
                st.floats(0.0, 100.0),
                st.floats(0.0, 1.0),
            ),
            max_size=60,
        )
    )
    def test_bounds(
        self, calls: list[tuple[Health, float | None, int, float, float]]
    ) -> None:
        """
        Whatever comes of the calls, an endpoint is never left alone for longer
        than a quarter of an hour, and is asked by at least one after that.
        """
        state: Closed | Open = Closed()
        now = 0.0
        for health, named, asker, passed, jitter in calls:
            now += passed
            state = after_call(state, health, named, asker, now, jitter)
            if isinstance(state, Open):
                self.assertTrue(3.7 < state.until - now < 900.1)
                self.assertEqual(most_at_once(state, now), 0)
                now = state.until
            most = most_at_once(state, now)
            self.assertTrue(most is None or most >= 1)
