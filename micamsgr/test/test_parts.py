"""
Tests for :mod:`micamsgr.conversation.parts`.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.parts import (
    Absent,
    Do,
    Evidence,
    Found,
    InDoubt,
    Kind,
    NeverSent,
    NoEvidence,
    NotSent,
    Part,
    Seen,
    Sent,
    adopt,
    after_echo,
    after_look_up,
    after_outcome,
    alike,
    attempt_named,
    expire,
    intend,
    may_write,
    next_step,
)
from micamsgr.conversation.policy import Delivery, Unresolved
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
        self.assertEqual(attempt_named(again.metadata), ("01J", 2))

    def test_first(self) -> None:
        """
        When the first attempt was intended stays known, since its message may
        still be found.
        """
        again = intend(evolve(SENDING, state=PartState.COMPOSED), moment(200.0))
        self.assertEqual(again.first_intended, NOW + 100_000)
        self.assertEqual(again.intended, Tick(200.0, "boot"))

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


class AttemptNamedTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.attempt_named`.
    """

    def test_others(self) -> None:
        """
        What others, or a later version, put in metadata names no part of
        ours.
        """
        for metadata in (None, "", "mica", "mica:2:01J:1", "mica:1:01J", "a:1:b:c"):
            self.assertIsNone(attempt_named(metadata), metadata)


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
        with each attempt up to five minutes.
        """
        part, rests = PART, []
        for _ in range(12):
            part = intend(part, moment(100.0))
            part = after_outcome(part, NotSent(detail=""), moment(100.0), 0.5)
            assert part.rest is not None
            rests.append(part.rest.seconds - 100.0)
        doubled = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
        self.assertEqual(rests, [*doubled, *[150.0] * 4])


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
        What has ended stays as it is.
        """
        for state in (
            PartState.SENT,
            PartState.REFUSED,
            PartState.EXPIRED,
            PartState.DEAD,
        ):
            part = evolve(PART, state=state)
            self.assertEqual(after_echo(part, MID), part)


class AfterLookUpTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.after_look_up`.
    """

    def after(
        self, part: Part, evidence: Evidence, now: float = 130.0, **policy: Unresolved
    ) -> Part:
        """
        Conclude from *evidence*.
        """
        delivery = Delivery(**policy)  # type: ignore[arg-type]
        return after_look_up(part, evidence, moment(now), delivery)

    def test_found(self) -> None:
        """
        What is found was sent.
        """
        after = self.after(UNKNOWN, Found(MID))
        self.assertEqual((after.state, after.mid), (PartState.SENT, MID))

    def test_absent_once(self) -> None:
        """
        What one look-up does not find stays in doubt.
        """
        after = self.after(UNKNOWN, Absent())
        self.assertEqual(after.state, PartState.UNKNOWN)
        self.assertEqual(after.looked, Tick(130.0, "boot"))

    def test_absent_twice(self) -> None:
        """
        What two do not find is sent again.
        """
        after = self.after(self.after(UNKNOWN, Absent()), Absent(), 140.0)
        self.assertEqual(after.state, PartState.COMPOSED)
        self.assertEqual((after.absent, after.looked), (1, None))

    def test_absent_thrice(self) -> None:
        """
        After three attempts that were proved absent the part is given up.
        """
        part = evolve(UNKNOWN, absent=2, looked=Tick(130.0, "boot"))
        after = self.after(part, Absent(), 140.0)
        self.assertEqual(after.state, PartState.DEAD)
        self.assertEqual((after.absent, after.reason), (3, "unresolved"))

    def test_failed(self) -> None:
        """
        A look-up that failed is made again after the lag; what was seen
        before still counts.
        """
        looked = self.after(UNKNOWN, Absent())
        after = self.after(looked, NoEvidence("busy", lasting=False), 140.0)
        self.assertEqual(after.state, PartState.UNKNOWN)
        self.assertEqual(after.looked, looked.looked)
        self.assertEqual(after.rest, Tick(150.0, "boot"))

    def test_unresolved(self) -> None:
        """
        Where no evidence can be had the operator's wish decides.
        """
        forbidden = NoEvidence("no permission", lasting=True)
        for policy, state in (
            (Unresolved.RESEND, PartState.COMPOSED),
            (Unresolved.HOLD, PartState.UNKNOWN),
            (Unresolved.DROP, PartState.DEAD),
        ):
            after = self.after(UNKNOWN, forbidden, unresolved=policy)
            self.assertEqual(after.state, state)

    def test_resent_once(self) -> None:
        """
        Nothing is sent again without evidence for a second time.
        """
        forbidden = NoEvidence("no permission", lasting=True)
        first = self.after(UNKNOWN, forbidden)
        self.assertTrue(first.resent)
        again = intend(first, moment(140.0))
        again = after_outcome(again, InDoubt(""), moment(150.0), 1.0)
        self.assertEqual(self.after(again, forbidden).state, PartState.DEAD)

    def test_long(self) -> None:
        """
        After an hour beyond the quarantine evidence counts as not to be
        had.
        """
        busy = NoEvidence("busy", lasting=False)
        self.assertEqual(self.after(UNKNOWN, busy, 3730.0).state, PartState.UNKNOWN)
        self.assertEqual(self.after(UNKNOWN, busy, 3730.1).state, PartState.COMPOSED)

    def test_settled(self) -> None:
        """
        A look-up of what has been settled meanwhile changes nothing.
        """
        for part in (PART, SENDING, after_echo(UNKNOWN, MID)):
            self.assertEqual(self.after(part, Absent()), part)


class AlikeTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.alike`.
    """

    def found(self, text: str, at: int) -> bool:
        """
        Say whether a message that was seen may be the part in doubt.
        """
        return alike(UNKNOWN, [Seen(MID, at, text)]) == [MID]

    def test_words(self) -> None:
        """
        A message with the same words may be it, however they are spaced;
        another may not.
        """
        for text in ("hello", " hello\n"):
            self.assertTrue(self.found(text, NOW + 100_000), text)
        for text in ("", "hello there", "Hello"):
            self.assertFalse(self.found(text, NOW + 100_000), text)

    def test_older(self) -> None:
        """
        A message from before the first attempt is not it, as far as clocks
        agree.
        """
        self.assertTrue(self.found("hello", NOW + 95_000))
        self.assertFalse(self.found("hello", NOW + 94_999))

    def test_first_attempt(self) -> None:
        """
        A message of an earlier attempt is it.
        """
        again = intend(evolve(UNKNOWN, state=PartState.COMPOSED), moment(200.0))
        seen = [Seen(MID, NOW + 100_000, "hello")]
        self.assertEqual(alike(again, seen), [MID])


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
