"""
Tests for :mod:`micamsgr.conversation.planner`.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Conversation
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import InDoubt
from micamsgr.conversation.parts import Kind, Part, after_outcome, intend
from micamsgr.conversation.planner import (
    WINDOW,
    Begin,
    Change,
    Fail,
    Generate,
    Lapse,
    LookUp,
    Rest,
    Send,
    Situation,
    Step,
    Turn,
    Wait,
    after_failure,
    next_step,
)
from micamsgr.conversation.policy import Delivery, Manners
from micamsgr.conversation.states import PartState, TurnState
from micamsgr.testing import ALICE, BOT, NOW, PAGE

HOUR = 3600.0


def moment(seconds: float, boot: str = "boot") -> Moment:
    """
    Make the moment so many seconds after the person wrote.
    """
    wall = NOW + int(seconds * 1000)
    return Moment(wall=wall, tick=Tick(seconds, boot), started=0.0)


def part(number: int = 1, kind: Kind = Kind.ANSWER, **more: Any) -> Part:
    """
    Make a part of a turn's answer.
    """
    return Part(id=f"p{number}", turn=1, kind=kind, number=number, text="hello", **more)


def in_doubt(number: int = 1, kind: Kind = Kind.ANSWER) -> Part:
    """
    Make a part that was intended at 0 seconds and is in doubt.
    """
    sending = intend(part(number, kind), moment(0.0))
    return after_outcome(sending, InDoubt("timeout"), moment(1.0), 1.0)


class PlannerTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.planner.next_step`.
    """

    # Seconds from a message until its answer is late: later than anything
    # here, but for what is about that.
    late = 1e9

    def step(
        self,
        *parts: Part,
        turn: TurnState | None = None,
        pending: bool = False,
        waiting: int = NOW,
        now: Moment = moment(10.0),  # noqa: B008
        paused: float = 0.0,
        queued: float = 0.0,
        **more: Any,
    ) -> Step:
        """
        Decide what to do; *more* is about the turn.
        """
        if parts and parts[-1].kind is Kind.ANSWER:
            turn = TurnState.COMPOSED
        self.turn = None if turn is None else Turn(id=1, state=turn, began=NOW, **more)
        situation = Situation(
            id=1,
            conversation=Conversation(BOT, PAGE, ALICE),
            heard=NOW,
            turn=self.turn,
            parts=parts,
            waiting=waiting if pending else None,
        )
        manners = Manners(apology_after=self.late)
        return next_step(situation, now, Delivery(), manners, paused, queued)

    def test_nothing(self) -> None:
        """
        Where nothing is open there is nothing to do.
        """
        self.assertEqual(self.step(), Rest())

    def test_begin(self) -> None:
        """
        Events that wait are answered.
        """
        self.assertEqual(self.step(pending=True), Begin())

    def test_one_turn(self) -> None:
        """
        Events that come while a turn is open wait for the next one.
        """
        step = self.step(turn=TurnState.READY, pending=True)
        self.assertEqual(step, Generate(self.turn))  # type: ignore[arg-type]
        self.assertEqual(self.step(part(), pending=True), Send(part()))

    def test_left_generating(self) -> None:
        """
        A turn for which the assistant was being asked when a process died is
        asked for again.
        """
        step = self.step(turn=TurnState.GENERATING)
        self.assertIsInstance(step, Generate)

    def test_parked(self) -> None:
        """
        A turn that rests is asked for again once it has rested.
        """
        rest = Tick(12.0, "boot")
        step = self.step(turn=TurnState.READY, tries=1, rest=rest)
        self.assertEqual(step, Wait(2.0))
        step = self.step(turn=TurnState.READY, tries=1, rest=rest, now=moment(12.0))
        self.assertIsInstance(step, Generate)

    def test_patience(self) -> None:
        """
        A turn that was asked for in vain for so long has failed, in the midst
        of a rest if need be.
        """
        rest = Tick(2000.0, "boot")
        step = self.step(turn=TurnState.READY, tries=3, rest=rest, now=moment(890.0))
        self.assertEqual(step, Wait(10.0))
        step = self.step(turn=TurnState.READY, tries=3, rest=rest, now=moment(900.0))
        self.assertEqual(step, Fail(self.turn, "patience"))  # type: ignore[arg-type]

    def test_asked_at_least_once(self) -> None:
        """
        A turn that nobody could ask for, as while the daemon did not run, is
        asked for however late it is.
        """
        step = self.step(turn=TurnState.READY, now=moment(10 * HOUR))
        self.assertIsInstance(step, Generate)

    def test_in_order(self) -> None:
        """
        The first part that is open is the one to be sent.
        """
        self.assertEqual(self.step(part(1), part(2)), Send(part(1)))

    def test_behind_doubt(self) -> None:
        """
        What is behind a part in doubt waits for what comes of that.
        """
        self.assertEqual(self.step(in_doubt(1), part(2), pending=True), Wait(20.0))
        step = self.step(in_doubt(1), part(2), now=moment(30.0))
        self.assertEqual(step, LookUp(in_doubt(1)))

    def test_notice_in_doubt(self) -> None:
        """
        A notice in doubt holds nothing up, not even if it could be looked up.
        """
        notice = in_doubt(1, Kind.NOTICE)
        for now in (moment(10.0), moment(30.0)):
            self.assertEqual(self.step(notice, pending=True, now=now), Begin())
            self.assertEqual(self.step(notice, part(2), now=now), Send(part(2)))
        self.assertEqual(self.step(notice, now=moment(30.0)), LookUp(notice))

    def test_notice_first(self) -> None:
        """
        A notice that was not sent yet goes before what was said after it.
        """
        notice = part(1, Kind.NOTICE)
        self.assertEqual(self.step(notice, pending=True), Send(notice))

    def test_notice_resting(self) -> None:
        """
        A notice that surely was not sent keeps its place while it rests.
        """
        notice = part(1, Kind.NOTICE, rest=Tick(15.0, "boot"))
        self.assertEqual(self.step(notice, pending=True), Wait(5.0))

    def test_queued(self) -> None:
        """
        While others are looked up, what does not depend on the look-up goes
        on.
        """
        notice, now = in_doubt(1, Kind.NOTICE), moment(30.0)
        rest = Tick(33.0, "boot")
        step = self.step(notice, turn=TurnState.READY, rest=rest, now=now, queued=9.0)
        self.assertEqual(step, Wait(3.0))
        self.assertEqual(self.step(notice, now=now, queued=9.0), Wait(9.0))
        self.assertEqual(self.step(notice, pending=True, now=now, queued=9.0), Begin())

    def test_adopt(self) -> None:
        """
        A part that a dead process was sending is first of all in doubt.
        """
        sending = intend(part(), moment(0.0))
        step = self.step(sending)
        assert isinstance(step, Change)
        self.assertEqual(step.part, sending)
        self.assertEqual(step.after.state, PartState.UNKNOWN)

    def test_paused(self) -> None:
        """
        While nothing may be sent for the Page, nothing is sent and no answer
        is paid for; what is in doubt is looked up all the same.
        """
        self.assertEqual(self.step(part(), paused=7.0), Wait(7.0))
        self.assertEqual(self.step(pending=True, paused=7.0), Wait(7.0))
        self.assertEqual(self.step(turn=TurnState.READY, paused=7.0), Wait(7.0))
        step = self.step(in_doubt(), paused=7.0, now=moment(30.0))
        self.assertIsInstance(step, LookUp)

    def test_withdrawn(self) -> None:
        """
        What a human has answered instead is looked up if it is in doubt, and
        not sent again if it proves absent.
        """
        doubtful = evolve(in_doubt(), withdrawn=True)
        step = self.step(doubtful, now=moment(30.0))
        self.assertEqual(step, LookUp(doubtful))
        step = self.step(part(withdrawn=True))
        assert isinstance(step, Change)
        self.assertEqual(step.after.state, PartState.EXPIRED)
        self.assertEqual(step.after.reason, "human")

    def test_withdrawn_resting(self) -> None:
        """
        It doesn't first wait for a time at which it might be sent.
        """
        rest = Tick(2000.0, "boot")
        step = self.step(part(withdrawn=True, rest=rest), paused=7.0)
        self.assertIsInstance(step, Change)

    def test_window_unsure(self) -> None:
        """
        As long as nobody knows what time it is for Meta, the window counts as
        open.
        """
        now = evolve(moment(48 * HOUR), sure=False)
        self.assertEqual(self.step(part(), now=now), Send(part()))
        self.assertEqual(self.step(pending=True, now=now), Begin())
        step = self.step(in_doubt(), now=now)
        self.assertEqual(step, LookUp(in_doubt()))

    def test_window_parts(self) -> None:
        """
        When the window has closed, what was not sent is withdrawn.
        """
        step = self.step(part(), now=moment(24 * HOUR))
        assert isinstance(step, Change)
        self.assertEqual(step.after.state, PartState.EXPIRED)
        self.assertEqual(step.after.reason, "window")

    def test_window_turn(self) -> None:
        """
        When the window has closed, what wants an answer is given up.
        """
        now = moment(24 * HOUR)
        self.assertEqual(self.step(pending=True, now=now), Lapse("window"))
        for state in (TurnState.READY, TurnState.GENERATING):
            self.assertEqual(self.step(turn=state, now=now), Lapse("window"))

    def test_window_margin(self) -> None:
        """
        The last ten minutes of the 24 hours are left alone.
        """
        edge = WINDOW / 1000.0
        self.assertEqual(edge, 23 * HOUR + 3000.0)
        self.assertEqual(self.step(pending=True, now=moment(edge)), Begin())
        step = self.step(pending=True, now=moment(edge + 1.0))
        self.assertEqual(step, Lapse("window"))

    def test_window_doubt(self) -> None:
        """
        When the window has closed, what is in doubt is still looked up, and
        given up when that was tried for an hour, and in vain.
        """
        late = evolve(in_doubt(), intended=Tick(24 * HOUR, "boot"))
        step = self.step(late, now=moment(24 * HOUR + 30.0))
        self.assertEqual(step, LookUp(late))
        step = self.step(late, now=moment(25 * HOUR + 30.1))
        self.assertEqual(step, LookUp(late))
        failed = evolve(late, rest=Tick(25 * HOUR, "boot"))
        step = self.step(failed, now=moment(25 * HOUR + 30.1))
        assert isinstance(step, Change)
        self.assertEqual(step.after.state, PartState.DEAD)


class AfterFailureTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.planner.after_failure`.
    """

    def test_bound(self) -> None:
        """
        The bound of a rest doubles from a second to a minute.
        """
        rests = [after_failure(tries, None, 1.0) for tries in (1, 2, 3, 6, 7, 8, 9999)]
        self.assertEqual(rests, [1.0, 2.0, 4.0, 32.0, 60.0, 60.0, 60.0])

    def test_jitter(self) -> None:
        """
        The rest is a random share of its bound.
        """
        self.assertEqual(after_failure(6, None, 0.0), 0.0)
        self.assertEqual(after_failure(6, None, 0.25), 8.0)

    def test_retry_after(self) -> None:
        """
        It is never shorter than the LLM asked for.
        """
        self.assertEqual(after_failure(1, 20.0, 1.0), 20.0)
        self.assertEqual(after_failure(7, 20.0, 1.0), 60.0)
