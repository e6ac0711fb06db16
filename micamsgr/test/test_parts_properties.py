"""
What holds for the life of any part.
"""

from __future__ import annotations

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import (
    Absent,
    Evidence,
    Found,
    InDoubt,
    NeverSent,
    NoEvidence,
    NotSent,
    Outcome,
    Sent,
)
from micamsgr.conversation.parts import (
    GUARD,
    Do,
    Kind,
    Part,
    adopt,
    after_echo,
    after_look_up,
    after_outcome,
    intend,
    may_write,
    next_step,
    part_named,
)
from micamsgr.conversation.policy import Delivery, Unresolved
from micamsgr.conversation.states import NEXT, PartState
from micamsgr.test.properties import given, st
from micamsgr.testing import NOW

MID = Mid("m_1")

_PART = Part(id="p", turn=1, kind=Kind.ANSWER, number=1, text="hello")
_SECONDS = st.floats(0.0, 100.0)
_OUTCOMES: st.SearchStrategy[Outcome | None] = st.sampled_from(
    [
        None,
        Sent(MID),
        NeverSent("person", "551"),
        NotSent(detail="refused"),
        *[InDoubt("timeout")] * 4,
    ]
)
_EVIDENCE: st.SearchStrategy[Evidence] = st.sampled_from(
    [
        Found(MID),
        *[Absent()] * 5,
        NoEvidence("busy", lasting=False),
        NoEvidence("forbidden", lasting=True),
    ]
)
_DELIVERIES = st.builds(
    Delivery,
    quarantine=st.floats(0.0, 60.0),
    lookup_lag=st.floats(0.0, 60.0),
    unresolved=st.sampled_from(Unresolved),
)


@define
class _World:
    """
    A part, what happened to it, and the machine.

    :ivar look_ups: of the attempt that is in doubt: what each told, and when
        it was made in seconds since the boot.
    """

    delivery: Delivery
    part: Part = _PART
    seconds: float = 1000.0
    started: float = 1000.0
    boot: int = 0
    look_ups: list[tuple[Evidence, float]] = field(factory=list)

    def now(self) -> Moment:
        return Moment(
            wall=NOW + int(self.seconds * 1000),
            tick=Tick(self.seconds, f"boot {self.boot}"),
            started=self.started,
        )

    def reboot(self) -> None:
        self.boot += 1
        self.seconds = self.started = 10.0
        self.look_ups.clear()

    def advance(self, outcome: Outcome | None, evidence: Evidence) -> Part:
        """
        Take one step, or wait as long as told.

        :param outcome: ``None`` where the process dies before there is one.

        :return: the part as it was.
        """
        before, now = self.part, self.now()
        do, wait = next_step(before, now, self.delivery)
        if do is Do.WAIT:
            # Added up, the last bit might never be reached.
            self.seconds += wait + 1e-6
        elif do is Do.ADOPT:
            self.part = adopt(before, now)
        elif do is Do.LOOK_UP:
            self.look_ups.append((evidence, self.seconds))
            self.part = after_look_up(before, evidence, now, self.delivery)
        else:
            self.look_ups.clear()
            self.part = intend(before, now)
            if outcome is not None:
                self.part = after_outcome(self.part, outcome, now, 0.5)
        return before


_STEPS = st.lists(
    st.tuples(_SECONDS, _OUTCOMES, _EVIDENCE, st.sampled_from([False] * 9 + [True])),
    min_size=1,
    max_size=40,
)


class PartsPropertiesTests(SynchronousTestCase):
    """
    Tests for what holds whatever happens.
    """

    @given(_DELIVERIES, _STEPS)
    def test_resent(
        self,
        delivery: Delivery,
        steps: list[tuple[float, Outcome | None, Evidence, bool]],
    ) -> None:
        """
        A part in doubt is sent again only after two look-ups that did not
        find it, both after the quarantine and the lag apart; or once, where
        the operator wishes so, without evidence.
        """
        world = _World(delivery)
        for passing, outcome, evidence, rebooting in steps:
            world.seconds += passing
            if rebooting:
                world.reboot()
            before = world.advance(outcome, evidence)
            doubt = before.state is PartState.UNKNOWN
            if not doubt or world.part.state is not PartState.COMPOSED:
                continue
            if world.part.resent and not before.resent:
                self.assertIs(delivery.unresolved, Unresolved.RESEND)
                assert isinstance(evidence, NoEvidence)
                self.assertTrue(evidence.lasting)
                continue
            absent = [at for told, at in world.look_ups if isinstance(told, Absent)]
            self.assertEqual(len(absent), 2)
            assert before.intended is not None
            quarantine = before.intended.seconds + delivery.quarantine
            self.assertGreaterEqual(absent[0], quarantine - 1e-6)
            self.assertGreaterEqual(absent[1] - absent[0], delivery.lookup_lag - 1e-6)

    @given(_DELIVERIES, _STEPS)
    def test_legal(
        self,
        delivery: Delivery,
        steps: list[tuple[float, Outcome | None, Evidence, bool]],
    ) -> None:
        """
        Whatever happens, a part goes from one legal state to the next, never
        forgets an attempt, and is not touched once it has ended.
        """
        world = _World(delivery)
        for passing, outcome, evidence, rebooting in steps:
            if world.part.state not in NEXT:
                return
            world.seconds += passing
            if rebooting:
                world.reboot()
            before = world.advance(outcome, evidence)
            after = world.part
            # A step may take a part through the state in which it is sent.
            through = {PartState.SENDING} & NEXT[before.state]
            legal = {before.state, *NEXT[before.state]}
            legal.update(*(NEXT[state] for state in through))
            self.assertIn(after.state, legal)
            self.assertGreaterEqual(after.attempt, before.attempt)
            self.assertGreaterEqual(after.absent, before.absent)
            self.assertGreaterEqual(after.resent, before.resent)
            self.assertEqual(after.text, before.text)

    @given(
        _DELIVERIES,
        st.sampled_from([None, InDoubt("timeout")]),
        st.sampled_from([Absent(), NoEvidence("busy", lasting=False)])
        | st.just(NoEvidence("forbidden", lasting=True)),
    )
    def test_ends(
        self, delivery: Delivery, outcome: Outcome | None, evidence: Evidence
    ) -> None:
        """
        However often sends are in doubt, a part comes to its end within
        hours if look-ups find nothing or are forbidden, unless it is to be
        held then; as long as they merely fail, it never does.
        """
        world = _World(delivery)
        while world.part.state in NEXT and world.seconds < 4 * 4000.0:
            world.advance(outcome, evidence)
        held = delivery.unresolved is Unresolved.HOLD
        if isinstance(evidence, NoEvidence) and (held or not evidence.lasting):
            self.assertIs(world.part.state, PartState.UNKNOWN)
        else:
            self.assertIs(world.part.state, PartState.DEAD)
        self.assertLessEqual(world.part.attempt, 3)

    @given(_DELIVERIES, _STEPS)
    def test_wait(
        self,
        delivery: Delivery,
        steps: list[tuple[float, Outcome | None, Evidence, bool]],
    ) -> None:
        """
        Where a part has to wait it is said for how long, and after that there
        is something to do.
        """
        world = _World(delivery)
        for passing, outcome, evidence, _ in steps:
            world.seconds += passing
            if world.part.state not in NEXT:
                return
            do, wait = next_step(world.part, world.now(), delivery)
            if do is Do.WAIT:
                self.assertGreater(wait, 0.0)
                world.seconds += wait + 1e-6
                do, _ = next_step(world.part, world.now(), delivery)
                self.assertIsNot(do, Do.WAIT)
            else:
                self.assertEqual(wait, 0.0)
            world.advance(outcome, evidence)

    @given(_DELIVERIES, _STEPS)
    def test_echo(
        self,
        delivery: Delivery,
        steps: list[tuple[float, Outcome | None, Evidence, bool]],
    ) -> None:
        """
        An echo settles a part at any time, and for good.
        """
        world = _World(delivery)
        for passing, outcome, evidence, _ in steps:
            world.seconds += passing
            if world.part.state in NEXT:
                sent = after_echo(world.part, MID)
                self.assertIs(sent.state, PartState.SENT)
                later = after_look_up(sent, evidence, world.now(), delivery)
                self.assertEqual(later, sent)
                world.advance(outcome, evidence)

    @given(_SECONDS)
    def test_guard(self, passing: float) -> None:
        """
        A request is written within the guard's time after its intent, and so
        is over before the quarantine ends.
        """
        world = _World(Delivery())
        part = intend(world.part, world.now())
        world.seconds += passing
        self.assertEqual(may_write(part, world.now()), passing <= GUARD)
        if may_write(part, world.now()):
            latest = passing + world.delivery.deadline
            self.assertLess(latest, world.delivery.quarantine)

    @given(st.text())
    def test_metadata(self, metadata: str) -> None:
        """
        Whatever an echo's metadata is, it can be read; what it names is ours
        only if it is spelled as we do.
        """
        named = part_named(metadata)
        if named is not None:
            attempt = metadata.rpartition(":")[2]
            self.assertEqual(metadata, f"mica:1:{named}:{int(attempt)}")
