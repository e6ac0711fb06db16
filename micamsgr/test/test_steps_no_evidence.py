"""
Tests for :mod:`micamsgr.conversation.steps`: what is in doubt, where look-ups fail.
"""

from __future__ import annotations

from micamsgr.conversation.outcomes import LookedUp
from micamsgr.conversation.policy import Delivery, Unresolved
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused, Unavailable
from micamsgr.test.test_steps_doubt import DOUBT, DoubtTestCase
from micamsgr.testing import BOB


class NoEvidenceTests(DoubtTestCase):
    """
    Tests for when look-ups fail.
    """

    def forbid(self, unresolved: Unresolved) -> None:
        """
        Let the attempt be in doubt, and look-ups be forbidden.
        """
        self.options["delivery"] = Delivery(unresolved=unresolved)
        self.kill()
        self.messenger.look_ups = [Refused("no permission")] * 1000

    def test_resend(self) -> None:
        """
        Where look-ups are forbidden, a part is sent again once, without
        proof, unless the operator wishes otherwise.
        """
        self.forbid(Unresolved.RESEND)
        self.wait(30.0)
        self.assertEqual(self.metadata(), [])
        self.wait(10.0)
        self.assertEqual(self.metadata(), ["2"])
        self.messenger.settle(DOUBT)
        self.wait(120.0)
        self.assertEqual(self.sending(), [])
        self.assertEqual(self.states(), [(PartState.DEAD, "unresolved")])

    def test_hold(self) -> None:
        """
        Or it is held until the window closes, and an echo may still settle
        it.
        """
        self.forbid(Unresolved.HOLD)
        self.clock.pump([60.0] * 60 * 23)
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.clock.pump([60.0] * 60)
        self.assertEqual(self.states(), [(PartState.DEAD, "unresolved")])
        self.assertEqual(self.messenger.texts(), [])

    def test_drop(self) -> None:
        """
        Or it is given up.
        """
        self.forbid(Unresolved.DROP)
        self.wait(40.0)
        self.assertEqual(self.states(), [(PartState.DEAD, "unresolved")])
        self.assertEqual(self.sending(), [])

    def test_once(self) -> None:
        """
        That a look-up is refused once proves nothing: what the next one shows
        counts, however many are refused between others that fail.
        """
        for unresolved in (Unresolved.RESEND, Unresolved.DROP):
            self.setUp()
            self.forbid(unresolved)
            refused, busy = Refused("no permission"), Unavailable("busy")
            self.messenger.look_ups = [refused, busy, refused, busy, refused]
            self.wait(30.0 + 4 * 10.0)
            self.assertEqual(len(self.messenger.looked_up), 5)
            self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
            self.assertEqual(self.sending(), [])

    def test_for_now(self) -> None:
        """
        A look-up that can't be had now is made again later, and nothing is
        sent in the meantime.
        """
        self.messenger.look_ups = [Unavailable("busy")] * 5
        self.messenger.settle(DOUBT)
        self.wait(30.0 + 5 * 10.0)
        self.assertEqual(len(self.messenger.looked_up), 6)
        self.assertEqual(self.sending(), [])
        self.wait(10.0)
        self.assertEqual(self.metadata(), ["2"])

    def test_for_long(self) -> None:
        """
        After an hour without a look-up, although messages get through, the
        evidence counts as not to be had.
        """
        self.messenger.look_ups = [Unavailable("busy")] * 1000
        self.messenger.settle(DOUBT)
        self.wait(3000.0)
        self.say(psid=BOB)
        self.assistant.answer()
        self.messenger.settle()
        self.wait(630.0)
        self.assertEqual(self.sending(), [])
        self.wait(300.0)
        self.assertEqual(self.metadata(), ["2"])

    def test_outage(self) -> None:
        """
        As long as no message gets through either, the doubt goes on: until the
        window closes, if need be.
        """
        self.messenger.look_ups = [Unavailable("no network")] * 1000
        self.messenger.settle(DOUBT)
        self.clock.pump([60.0] * 60 * 23)
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.clock.pump([60.0] * 60)
        self.assertEqual(self.states(), [(PartState.DEAD, "unresolved")])
        self.assertEqual(self.sending(), [])

    def test_much_said(self) -> None:
        """
        Where so much was said meanwhile that a look-up shows only what came
        later, no evidence will come any more.
        """
        later = self.clocks.now().wall + 1000
        self.messenger.look_ups = [LookedUp((), back_to=later)]
        self.messenger.settle(DOUBT)
        self.wait(30.0)
        self.assertEqual(self.metadata(), ["2"])
