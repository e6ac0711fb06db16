"""
What holds for any conversation's next step.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Conversation
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import (
    WINDOW,
    Begin,
    Change,
    Generate,
    LookUp,
    Rest,
    Send,
    Situation,
    Turn,
    Wait,
    after_failure,
    next_step,
)
from micamsgr.conversation.policy import Delivery, Manners
from micamsgr.conversation.states import (
    NEXT,
    OPEN_PARTS,
    PartState,
    TurnState,
)
from micamsgr.test.properties import given, st
from micamsgr.testing import ALICE, BOT, NOW, PAGE

_TICKS = st.builds(Tick, st.floats(0.0, 2000.0), st.sampled_from(["boot", "before"]))
_NOWS = st.builds(
    lambda seconds, day: Moment(
        wall=NOW + int(seconds * 1000) + day * 24 * 3600 * 1000,
        tick=Tick(seconds, "boot"),
        started=500.0,
    ),
    st.floats(1000.0, 2000.0),
    st.sampled_from([0, 0, 0, 1]),
)


def _parts(kind: Kind, turn: int) -> st.SearchStrategy[list[Part]]:
    def one(
        number: int,
        state: PartState,
        withdrawn: bool,
        resting: Tick | None,
        *ticks: Tick,
    ) -> Part:
        part = Part(
            id="p",
            turn=turn,
            kind=kind,
            number=number,
            text="hello",
            withdrawn=withdrawn,
        )
        if state is PartState.COMPOSED:
            return evolve(part, rest=resting)
        return evolve(
            part,
            state=state,
            attempt=1,
            intended=ticks[0],
            first_intended=ticks[0],
            first_wall=NOW,
            looked=ticks[1] if state is PartState.UNKNOWN else None,
            rest=resting if state is PartState.UNKNOWN else None,
        )

    first = st.builds(
        one,
        st.just(1),
        st.sampled_from(OPEN_PARTS),
        st.booleans(),
        st.none() | _TICKS,
        _TICKS,
        st.none() | _TICKS,
    )
    later = [
        Part(id="q", turn=turn, kind=kind, number=number, text="and") for number in (2,)
    ]
    return st.one_of(
        st.just([]), first.map(lambda part: [part]), first.map(lambda p: [p, *later])
    )


def _situation(
    notices: list[Part], answers: list[Part], turn: Turn | None, pending: bool
) -> Situation:
    if answers:
        turn = Turn(id=2, state=TurnState.COMPOSED, began=NOW)
    return Situation(
        id=1,
        conversation=Conversation(BOT, PAGE, ALICE),
        heard=NOW,
        turn=turn,
        parts=(*notices[:1], *answers),
        waiting=NOW if pending else None,
    )


_TURNS = st.builds(
    Turn,
    id=st.just(2),
    state=st.sampled_from([TurnState.READY, TurnState.GENERATING]),
    began=st.integers(NOW - 1_000_000, NOW),
    tries=st.integers(0, 5),
    rest=st.none() | _TICKS,
)
#: Those that the store can hold: answers are open in a turn that is composed,
#: and of them only the first one was ever touched.
_SITUATIONS = st.builds(
    _situation,
    _parts(Kind.NOTICE, 1),
    _parts(Kind.ANSWER, 2),
    st.none() | _TURNS,
    st.booleans(),
)
_PAUSES = st.sampled_from([0.0, 0.0, 7.0])


class PlannerPropertiesTests(SynchronousTestCase):
    """
    Tests for what holds in every situation.
    """

    @given(_SITUATIONS, _NOWS, _PAUSES, _PAUSES)
    def test_never_stuck(
        self, situation: Situation, now: Moment, paused: float, queued: float
    ) -> None:
        """
        As long as something is open there is something to do, at once or
        after a wait that is known; and otherwise there is nothing.
        """
        open_ = situation.turn or situation.parts or situation.waiting
        for _ in range(5):
            step = next_step(
                situation, now, Delivery(), Manners(), paused=paused, queued=queued
            )
            if not isinstance(step, Wait):
                break
            self.assertGreater(step.seconds, 0.0)
            self.assertLess(step.seconds, 2000.0)
            passed = step.seconds + 1e-6
            paused, queued = max(0.0, paused - passed), max(0.0, queued - passed)
            now = evolve(
                now, wall=now.wall + int(passed * 1000) + 1, tick=now.plus(passed)
            )
        self.assertNotIsInstance(step, Wait)
        self.assertEqual(isinstance(step, Rest), not open_)

    @given(_SITUATIONS, _NOWS, _PAUSES, _PAUSES)
    def test_sends(
        self, situation: Situation, now: Moment, paused: float, queued: float
    ) -> None:
        """
        Only a part that was neither sent nor withdrawn is sent, in its order,
        in the window, and not while the Page is paused.
        """
        step = next_step(situation, now, Delivery(), Manners(), paused, queued)
        if not isinstance(step, Send):
            return
        self.assertIs(step.part.state, PartState.COMPOSED)
        self.assertFalse(step.part.withdrawn)
        self.assertEqual(now.until(step.part.rest), 0.0)
        self.assertEqual(paused, 0.0)
        self.assertLessEqual(now.wall - situation.heard, WINDOW)
        before = situation.parts[: situation.parts.index(step.part)]
        for part in before:
            self.assertIs(part.kind, Kind.NOTICE)
            self.assertIs(part.state, PartState.UNKNOWN)

    @given(_SITUATIONS, _NOWS, _PAUSES, _PAUSES)
    def test_asks(
        self, situation: Situation, now: Moment, paused: float, queued: float
    ) -> None:
        """
        The assistant is asked only when no answer is open, for the turn that
        is open if there is one.
        """
        step = next_step(situation, now, Delivery(), Manners(), paused, queued)
        if isinstance(step, (Begin, Generate)):
            kinds = {part.kind for part in situation.parts}
            self.assertLessEqual(kinds, {Kind.NOTICE})
            self.assertEqual(situation.turn is None, isinstance(step, Begin))
            self.assertEqual(paused, 0.0)

    @given(_SITUATIONS, _NOWS, _PAUSES, _PAUSES)
    def test_changes(
        self, situation: Situation, now: Moment, paused: float, queued: float
    ) -> None:
        """
        A change that is to be written down is legal, and what is looked up is
        in doubt.
        """
        step = next_step(situation, now, Delivery(), Manners(), paused, queued)
        if isinstance(step, Change):
            self.assertIn(step.part, situation.parts)
            self.assertNotEqual(step.after, step.part)
            legal = {step.part.state, *NEXT[step.part.state]}
            self.assertIn(step.after.state, legal)
        elif isinstance(step, LookUp):
            self.assertIs(step.part.state, PartState.UNKNOWN)
            self.assertEqual(queued, 0.0)

    @given(st.integers(1, 10**9), st.none() | st.floats(0.0, 1e6), st.floats(0.0, 1.0))
    def test_after_failure(
        self, tries: int, retry_after: float | None, jitter: float
    ) -> None:
        """
        Any number of failures leads to a rest of a minute at most, or of what
        was asked for.
        """
        rest = after_failure(tries, retry_after, jitter)
        self.assertGreaterEqual(rest, retry_after or 0.0)
        self.assertLessEqual(rest, max(60.0, retry_after or 0.0))
