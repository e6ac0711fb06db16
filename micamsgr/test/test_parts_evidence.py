"""
Tests for :mod:`micamsgr.conversation.parts`: what follows from a look-up.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import (
    Absent,
    Evidence,
    Found,
    InDoubt,
    LookedUp,
    NoEvidence,
    Seen,
)
from micamsgr.conversation.parts import (
    Part,
    adopt,
    after_echo,
    after_look_up,
    after_outcome,
    alike,
    intend,
    not_seen,
)
from micamsgr.conversation.policy import Delivery, Unresolved
from micamsgr.conversation.states import PartState
from micamsgr.test.test_parts import MID, PART, SENDING, UNKNOWN, moment
from micamsgr.testing import NOW

#: When it is first looked up.
NOW_LOOKED = moment(130.0)


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

    def test_not_held_for_ever(self) -> None:
        """
        What is held is given up after a day, also if the person goes on to
        write; or they would never be answered again.
        """
        forbidden = NoEvidence("no permission", lasting=True)
        for hours, state in ((23.9, PartState.UNKNOWN), (24.1, PartState.DEAD)):
            after = self.after(
                UNKNOWN, forbidden, hours * 3600.0, unresolved=Unresolved.HOLD
            )
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
        However long look-ups fail for reasons that may pass, the doubt goes
        on, and they are made ever more seldom, up to five minutes apart.
        """
        busy = NoEvidence("busy", lasting=False)
        for seconds, rest in ((130.0, 10.0), (1100.0, 100.0), (80_000.0, 300.0)):
            after = self.after(UNKNOWN, busy, seconds)
            self.assertIs(after.state, PartState.UNKNOWN)
            self.assertEqual(after.rest, Tick(seconds + rest, "boot"))

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

    def found(self, text: str, at: int, now: Moment = NOW_LOOKED) -> bool:
        """
        Say whether a message that was seen may be the part in doubt.
        """
        return alike(UNKNOWN, [Seen(MID, at, text)], now) == [MID]

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

    def test_oldest_first(self) -> None:
        """
        Of several messages the oldest comes first, so that a part does not
        take for itself what is another's, said later in the same words.
        """
        seen = [Seen(Mid(f"m_{ms}"), NOW + 100_000 + ms, "hello") for ms in (9, 0, 4)]
        self.assertEqual(alike(UNKNOWN, seen, NOW_LOOKED), ["m_0", "m_4", "m_9"])

    def test_first_attempt(self) -> None:
        """
        A message of an earlier attempt is it.
        """
        again = intend(evolve(UNKNOWN, state=PartState.COMPOSED), moment(200.0))
        seen = [Seen(MID, NOW + 100_000, "hello")]
        self.assertEqual(alike(again, seen, moment(230.0)), [MID])

    def test_corrected(self) -> None:
        """
        However wrong the clock was at the attempt: once Meta's is known, a
        message counts as old only if it is older than the attempt.
        """
        for wrong in (-3_600_000, 3_600_000):
            now = evolve(NOW_LOOKED, wall=NOW_LOOKED.wall + wrong)
            self.assertTrue(self.found("hello", NOW + wrong + 95_000, now))
        # This one was ahead; had it been behind, it would be believed more.
        before = evolve(NOW_LOOKED, wall=NOW_LOOKED.wall - 3_600_000)
        self.assertFalse(self.found("hello", NOW - 3_600_000 + 94_999, before))

    def test_rebooted(self) -> None:
        """
        After a reboot only the wall clock of then tells how old the attempt
        is, and it is believed less.
        """
        now = moment(40.0, "next boot", started=5.0)
        for part in (UNKNOWN, adopt(UNKNOWN, now)):
            for at, found in ((NOW - 20_000, [MID]), (NOW - 20_001, [])):
                self.assertEqual(alike(part, [Seen(MID, at, "hello")], now), found)


class NotSeenTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.parts.not_seen`.
    """

    def conclude(self, back_to: int | None) -> Evidence:
        """
        Conclude from a look-up that reaches so far back.
        """
        return not_seen(UNKNOWN, LookedUp((), back_to), NOW_LOOKED)

    def test_whole(self) -> None:
        """
        What a whole conversation doesn't show is not there.
        """
        self.assertEqual(self.conclude(None), Absent())

    def test_page(self) -> None:
        """
        Where only the newest messages are shown, that holds if they reach
        back beyond the first attempt; otherwise they are no evidence, and
        none will come.
        """
        self.assertEqual(self.conclude(NOW + 95_000), Absent())
        evidence = self.conclude(NOW + 95_001)
        assert isinstance(evidence, NoEvidence)
        self.assertTrue(evidence.lasting)
