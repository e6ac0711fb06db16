"""
Tests for :mod:`micamsgr.control.delays`.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.control.delays import explained
from micamsgr.test.test_store_record import moment

NOW = moment()
STOPPED = (40.0, "code 190")


class ExplainedTests(SynchronousTestCase):
    """
    Tests for why something waits.
    """

    def why(
        self,
        state: str,
        rest: float = 0.0,
        stopped: tuple[float, str] | None = None,
        known: bool = True,
    ) -> tuple[Any, Any]:
        at = NOW.plus(rest)
        row = {"id": "x", "state": state, "rest": at.seconds, "boot": at.boot}
        said = explained(row, NOW, stopped, known)
        self.assertEqual(set(said), {"id", "state", "next", "waits"})
        return said["next"], said["waits"]

    def test_why(self) -> None:
        """
        What rests, what is held up with its whole Page, what is in doubt and
        what nobody serves are told apart, with the seconds that are left.
        """
        for asked, wanted in (
            (("composed", 12.0), (12.0, "it failed, and rests")),
            (("ready", 12.0), (12.0, "it failed, and rests")),
            (("composed", 12.0, STOPPED), (40.0, "nothing is sent: code 190")),
            (("composed", 50.0, STOPPED), (50.0, "nothing is sent: code 190")),
            (("composed",), (None, None)),
            (("sending", 0.0, STOPPED), (None, None)),
            (("closed", 12.0, STOPPED), (None, None)),
        ):
            self.assertEqual(self.why(*asked), wanted, asked)
        after, why = self.why("unknown", 12.0, STOPPED)
        self.assertIsNone(after)
        self.assertIn("whether it arrived", why)
        after, why = self.why("unknown", known=False)
        self.assertIn("not in the configuration", why)

    def test_before(self) -> None:
        """
        What rested before the machine was started again does not any more.
        """
        row = {"state": "composed", "rest": 1e9, "boot": "another"}
        self.assertIsNone(explained(row, NOW, None, True)["next"])
        row = {"state": "composed", "rest": None, "boot": None}
        self.assertIsNone(explained(row, NOW, None, True)["next"])
