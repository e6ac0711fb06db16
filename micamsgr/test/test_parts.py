"""
Tests for :mod:`micamsgr.conversation.parts`.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import (
    Absent,
    InDoubt,
    NeverSent,
    NoEvidence,
    NotSent,
    Sent,
)
from micamsgr.conversation.parts import (
    Do,
    Kind,
    Part,
    adopt,
    after_echo,
    after_look_up,
    after_outcome,
    expire,
    intend,
    may_write,
    next_step,
    part_named,
    past_settling,
    sought_long,
    withdraw,
)
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.states import PartState
from micamsgr.testing import NOW

DELIVERY = Delivery()
PART = Part(id="01J", turn=1, kind=Kind.ANSWER, number=1, text="hello")
MID = Mid("m_1")


def moment(seconds: float, boot: str = "boot", started: float = 0.0) -> Moment:
    """
    Make the moment so many seconds after the machine was turned on.
    """
    wall = NOW + int(seconds * 1000)
    return Moment(wall=wall, tick=Tick(seconds, boot), started=started)


#: An attempt that was intended in second 100, and has been in doubt since 110.
SENDING = intend(PART, moment(100.0))
UNKNOWN = after_outcome(SENDING, InDoubt("timeout"), moment(110.0), 1.0)


class NextStepTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.next_step`.
    """

    def do(self, part: Part, now: Moment) -> tuple[Do, float]:
        """
        Decide what to do with *part*.
        """
        return next_step(part, now, DELIVERY)

    def test_composed(self) -> None:
        """
        A part that is there is to be sent.
        """
        self.assertEqual(self.do(PART, moment(0.0)), (Do.SEND, 0.0))

    def test_resting(self) -> None:
        """
        One that rests is to be sent once it has rested, and not before.
        """
        resting = evolve(PART, rest=Tick(50.0, "boot"))
        self.assertEqual(self.do(resting, moment(49.0)), (Do.WAIT, 1.0))
        self.assertEqual(self.do(resting, moment(50.0)), (Do.SEND, 0.0))

    def test_resting_reboot(self) -> None:
        """
        After a reboot nothing rests.
        """
        resting = evolve(PART, rest=Tick(50.0, "boot"))
        self.assertEqual(self.do(resting, moment(1.0, "next boot")), (Do.SEND, 0.0))

    def test_sending(self) -> None:
        """
        One that is being sent, though no attempt of this process is in
        flight, was left so by a process that died.
        """
        self.assertEqual(self.do(SENDING, moment(100.0)), (Do.ADOPT, 0.0))

    def test_quarantine(self) -> None:
        """
        One in doubt is looked up when its quarantine, counted from the
        intent, is over.
        """
        self.assertEqual(self.do(UNKNOWN, moment(110.0)), (Do.WAIT, 20.0))
        self.assertEqual(self.do(UNKNOWN, moment(130.0)), (Do.LOOK_UP, 0.0))

    def test_lag(self) -> None:
        """
        The second look-up follows the first one after the lag.
        """
        looked = after_look_up(UNKNOWN, Absent(), moment(131.0), DELIVERY)
        self.assertEqual(self.do(looked, moment(132.0)), (Do.WAIT, 9.0))
        self.assertEqual(self.do(looked, moment(141.0)), (Do.LOOK_UP, 0.0))

    def test_doubt_reboot(self) -> None:
        """
        After a reboot one in doubt is first to be adopted.
        """
        self.assertEqual(self.do(UNKNOWN, moment(5.0, "next boot")), (Do.ADOPT, 0.0))


class AdoptTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.adopt`.
    """

    def test_same_boot(self) -> None:
        """
        Where only the process died the quarantine goes on.
        """
        adopted = adopt(SENDING, moment(105.0, started=104.0))
        self.assertEqual(adopted.state, PartState.UNKNOWN)
        self.assertEqual(
            next_step(adopted, moment(105.0, started=104.0), DELIVERY), (Do.WAIT, 25.0)
        )

    def test_reboot(self) -> None:
        """
        After a reboot the quarantine is counted from the start of this
        process, and there are two look-ups to come.
        """
        looked = after_look_up(UNKNOWN, Absent(), moment(131.0), DELIVERY)
        now = moment(7.0, "next boot", started=5.0)
        adopted = adopt(looked, now)
        self.assertEqual(adopted.intended, Tick(5.0, "next boot"))
        self.assertIsNone(adopted.first_intended)
        self.assertIsNone(adopted.looked)
        self.assertEqual(next_step(adopted, now, DELIVERY), (Do.WAIT, 28.0))


class IntendTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.intend` and
    :func:`~micamsgr.conversation.parts.may_write`.
    """

    def test_attempts(self) -> None:
        """
        Each attempt has the next number, and its metadata names part and
        attempt.
        """
        self.assertEqual(SENDING.metadata, "mica:1:01J:1")
        again = intend(evolve(SENDING, state=PartState.COMPOSED), moment(200.0))
        self.assertEqual(again.metadata, "mica:1:01J:2")
        self.assertEqual(part_named(again.metadata), "01J")

    def test_first(self) -> None:
        """
        When the first attempt was intended stays known, since its message may
        still be found.
        """
        again = intend(evolve(SENDING, state=PartState.COMPOSED), moment(200.0))
        self.assertEqual(again.first_intended, Tick(100.0, "boot"))
        self.assertEqual(again.first_wall, NOW + 100_000)
        self.assertEqual(again.intended, Tick(200.0, "boot"))

    def test_first_reboot(self) -> None:
        """
        After a reboot, and for good, only Meta's clock can tell when the
        first attempt was intended.
        """
        composed = evolve(SENDING, state=PartState.COMPOSED)
        again = intend(composed, moment(5.0, "next boot"))
        for seconds in (5.0, 6.0):
            self.assertIsNone(again.first_intended)
            self.assertEqual(again.first_wall, NOW + 100_000)
            composed = evolve(again, state=PartState.COMPOSED)
            again = intend(composed, moment(seconds, "next boot"))

    def test_afresh(self) -> None:
        """
        An attempt begins without a rest, and with no look-up made of it.
        """
        tick = Tick(130.0, "boot")
        waited = evolve(UNKNOWN, state=PartState.COMPOSED, looked=tick, rest=tick)
        again = intend(waited, moment(200.0))
        self.assertEqual((again.looked, again.rest), (None, None))

    def test_guard(self) -> None:
        """
        The request may be written within two seconds of the intent.
        """
        self.assertTrue(may_write(SENDING, moment(102.0)))
        self.assertFalse(may_write(SENDING, moment(102.1)))
        self.assertFalse(may_write(PART, moment(102.0)))


class PartNamedTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.part_named`.
    """

    def test_others(self) -> None:
        """
        What others, or a later version, put in metadata names no part of
        ours.
        """
        for metadata in (None, "", "mica", "mica:2:01J:1", "mica:1:01J", "a:1:b:c"):
            self.assertIsNone(part_named(metadata), metadata)


class AfterOutcomeTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.after_outcome`.
    """

    def test_sent(self) -> None:
        """
        What the Graph API took is sent.
        """
        after = after_outcome(SENDING, Sent(MID), moment(101.0), 1.0)
        self.assertEqual((after.state, after.mid), (PartState.SENT, MID))

    def test_refused(self) -> None:
        """
        What it refused for good has ended, with a reason.
        """
        after = after_outcome(SENDING, NeverSent("person", "551"), moment(101.0), 1.0)
        self.assertEqual((after.state, after.reason), (PartState.REFUSED, "person"))

    def test_doubt(self) -> None:
        """
        Where nobody knows, it is in doubt.
        """
        self.assertEqual(UNKNOWN.state, PartState.UNKNOWN)

    def test_named(self) -> None:
        """
        What surely was not sent is sent again after the time that was named.
        """
        after = after_outcome(SENDING, NotSent(detail="", rest=7.0), moment(101.0), 0.5)
        self.assertEqual(after.state, PartState.COMPOSED)
        self.assertEqual(after.rest, Tick(108.0, "boot"))

    def test_paused(self) -> None:
        """
        Where the trouble is the Page's, the Page rests and not the part.
        """
        outcome = NotSent(detail="", rest=60.0, pause=True)
        after = after_outcome(SENDING, outcome, moment(101.0), 0.5)
        self.assertEqual(next_step(after, moment(101.0), DELIVERY), (Do.SEND, 0.0))

    def test_back_off(self) -> None:
        """
        Where no time was named, it rests for a share of a bound that doubles
        with each attempt up to five minutes; where nobody was reached, up to
        15 seconds, so that it is sent soon after somebody can be.
        """
        doubled = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
        for outcome, wanted in (
            (NotSent(detail=""), [*doubled, *[150.0] * 4]),
            (NotSent(detail="", away=True), [*doubled[:3], *[7.5] * 9]),
        ):
            part, rests = PART, []
            for _ in range(12):
                part = intend(part, moment(100.0))
                part = after_outcome(part, outcome, moment(100.0), 0.5)
                assert part.rest is not None
                rests.append(part.rest.seconds - 100.0)
            self.assertEqual(rests, wanted)


class AfterEchoTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.after_echo`.
    """

    def test_open(self) -> None:
        """
        A part whose echo came was sent, whatever was thought of it.
        """
        for part in (PART, SENDING, UNKNOWN):
            after = after_echo(part, MID)
            self.assertEqual((after.state, after.mid), (PartState.SENT, MID))

    def test_ended(self) -> None:
        """
        What has ended stays as it is, but that its echo came.
        """
        for state in (
            PartState.SENT,
            PartState.REFUSED,
            PartState.EXPIRED,
            PartState.DEAD,
        ):
            part = evolve(PART, state=state)
            self.assertEqual(after_echo(part, MID), evolve(part, echo=MID))

    def test_first(self) -> None:
        """
        What the first echo called it stays known, to be compared with others.
        """
        after = after_echo(after_echo(SENDING, MID), Mid("m_2"))
        self.assertEqual((after.mid, after.echo), (MID, MID))


class ExpireTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.expire`.
    """

    def test_composed(self) -> None:
        """
        What was not sent can be withdrawn.
        """
        after = expire(PART, "human")
        self.assertEqual((after.state, after.reason), (PartState.EXPIRED, "human"))

    def test_others(self) -> None:
        """
        What may have been sent can't.
        """
        for part in (SENDING, UNKNOWN):
            with self.assertRaises(ValueError):
                expire(part, "human")


class WithdrawTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.withdraw`.
    """

    def test_composed(self) -> None:
        """
        What was not sent is taken back.
        """
        after = withdraw(PART)
        self.assertEqual((after.state, after.reason), (PartState.EXPIRED, "human"))

    def test_others(self) -> None:
        """
        What may have been sent stays so, and is not to be sent again, whatever
        becomes of it.
        """
        for part in (SENDING, UNKNOWN):
            after = withdraw(part)
            self.assertEqual(after, evolve(part, withdrawn=True))
        now = moment(130.0)
        settled = after_outcome(withdraw(SENDING), NotSent(detail=""), now, 0.0)
        absent = evolve(withdraw(UNKNOWN), looked=now.tick)
        absent = after_look_up(absent, Absent(), now, DELIVERY)
        for after in (settled, absent):
            self.assertIs(after.state, PartState.COMPOSED)
            self.assertTrue(after.withdrawn)


class SoughtTests(SynchronousTestCase):
    """
    Tests for when evidence counts as not to be had.
    """

    def test_downtime(self) -> None:
        """
        After an hour in which look-ups failed it does; but hours in which no
        process ran are no such time, nor is one in which it is not known what
        time it is for Meta: then a resend could say it twice.
        """
        self.assertFalse(sought_long(UNKNOWN, moment(3729.0), DELIVERY))
        late = moment(3731.0)
        self.assertTrue(sought_long(UNKNOWN, late, DELIVERY))
        self.assertFalse(sought_long(UNKNOWN, evolve(late, sure=False), DELIVERY))
        restarted = moment(90_000.0, started=89_990.0)
        self.assertFalse(sought_long(UNKNOWN, restarted, DELIVERY))

    def test_past_settling(self) -> None:
        """
        What can't be sent again is not looked for longer than an hour in all,
        however often the daemon was started anew; but each time it has a moment,
        and at least one look, however many others are looked for first.
        """
        late = moment(90_000.0, started=89_870.0)
        failed = evolve(UNKNOWN, rest=Tick(89_900.0, "boot"))
        self.assertFalse(sought_long(failed, late, DELIVERY))
        self.assertTrue(past_settling(failed, late, DELIVERY))
        self.assertFalse(past_settling(failed, evolve(late, sure=False), DELIVERY))
        for early in (moment(90_000.0, started=89_890.0), moment(3729.0)):
            self.assertFalse(past_settling(failed, early, DELIVERY))
        for earlier in (None, Tick(89_860.0, "boot")):
            before = evolve(UNKNOWN, rest=earlier)
            self.assertFalse(past_settling(before, late, DELIVERY))

    def test_pace(self) -> None:
        """
        A process that has just started looks soon again, however long ago the
        attempt was.
        """
        for started, most in ((0.0, 300.0), (89_990.0, 10.0)):
            now = moment(90_000.0, started=started)
            after = after_look_up(UNKNOWN, NoEvidence("busy", False), now, DELIVERY)
            self.assertEqual(after.rest, now.plus(most))
