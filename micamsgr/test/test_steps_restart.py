"""
Tests for :mod:`micamsgr.conversation.steps`: what was in flight when the process
died.
"""

from __future__ import annotations

from micamsgr.conversation.states import PartState
from micamsgr.test.test_steps_doubt import DOUBT, PROOF, DoubtTestCase
from micamsgr.testing import ALICE


class RestartTests(DoubtTestCase):
    """
    Tests for a process that died while a send was in flight.
    """

    def test_killed(self) -> None:
        """
        What was in flight is in doubt; the quarantine goes on from when the
        attempt began.
        """
        self.wait(10.0)
        self.kill()
        self.assertEqual(self.states(), [(PartState.UNKNOWN, None)])
        self.wait(PROOF - 10.25)
        self.assertEqual(self.sending(), [])
        self.wait(0.25)
        self.assertEqual(self.metadata(), ["2"])

    def test_killed_arrived(self) -> None:
        """
        If it had arrived, it is not said again.
        """
        self.messenger.arrive()
        self.kill()
        self.wait(120.0)
        self.assertEqual(self.messenger.texts(), ["hello"])
        self.assertEqual(self.states(), [(PartState.SENT, None)])

    def test_killed_between(self) -> None:
        """
        The second of two look-ups may be another process's.
        """
        self.messenger.settle(DOUBT)
        self.wait(35.0)
        self.assertEqual(self.messenger.looked_up, [ALICE])
        self.kill()
        self.wait(5.0)
        self.assertEqual(self.messenger.looked_up, [ALICE])
        self.assertEqual(self.metadata(), ["2"])

    def test_rebooted(self) -> None:
        """
        After a reboot nobody knows how much time has passed: quarantine and
        look-ups begin anew.
        """
        self.messenger.settle(DOUBT)
        self.wait(35.0)
        self.boot("second boot", seconds=5.0)
        self.wait(29.75)
        self.assertEqual(self.messenger.looked_up, [])
        self.wait(PROOF - 29.75)
        self.assertEqual(self.messenger.looked_up, [ALICE, ALICE])
        self.assertEqual(self.metadata(), ["2"])
