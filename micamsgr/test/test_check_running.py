"""
Tests for :mod:`micamsgr.check.running`.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.check.findings import Verdict
from micamsgr.check.running import Standing, judge_running, standing
from micamsgr.control.client import NotOurs, NotRunning
from micamsgr.errors import Declined

FILE = "/etc/mica.yaml"
SAID = {
    "file": FILE,
    "in_force": False,
    "changes": ["bots changed: mica", "changed: retention"],
    "at_next_start": ["log.format"],
    "refused": "",
}


class RunningTests(SynchronousTestCase):
    """
    Tests for what is told of the daemon that runs.
    """

    def names(self, said: Standing | Declined) -> list[str]:
        """
        Name what is wrong, with an empty name for where nothing is.
        """
        found = judge_running("mica.yaml", FILE, said)
        self.assertEqual({it.about for it in found} - {"mica.yaml"}, set())
        return [it.name for it in found]

    def test_unread(self) -> None:
        """
        A daemon that goes by an older file is found out, by the names of what
        would change.
        """
        found = judge_running("mica.yaml", FILE, standing(SAID))
        self.assertEqual(
            [(it.name, it.verdict, it.line) for it in found],
            [
                (
                    "configuration.not_in_force",
                    Verdict.FAILED,
                    "bots changed: mica; changed: retention",
                ),
                (
                    "configuration.later",
                    Verdict.WARNING,
                    "changed since the start: log.format",
                ),
            ],
        )
        self.assertIn("micamessenger reload", found[0].todo)
        self.assertIn("restart", found[1].todo)

    def test_refused(self) -> None:
        """
        A file that the daemon can't use is told with its reasons.
        """
        refused = {**SAID, "changes": [], "refused": "a: no such\nb: 2"}
        (found,) = judge_running("mica.yaml", FILE, standing(refused))
        self.assertEqual(found.name, "configuration.refused")
        self.assertEqual(found.line, "a: no such; b: 2")

    def test_read(self) -> None:
        """
        Of a daemon that has read it all is well.
        """
        self.assertEqual(self.names(Standing(file=FILE)), [""])

    def test_none(self) -> None:
        """
        Where no daemon runs, nothing is said.
        """
        self.assertEqual(self.names(NotRunning("nobody takes commands")), [])

    def test_elsewhere(self) -> None:
        """
        Whoever edits another file than the daemon reads is told which it reads.
        """
        other = standing({**SAID, "file": "/srv/other.yaml"})
        (found,) = judge_running("mica.yaml", FILE, other)
        self.assertEqual(found.verdict, Verdict.OK)
        self.assertIn("reads /srv/other.yaml: nothing of this one", found.line)
        none = standing({**SAID, "file": None})
        self.assertEqual(self.names(none), [""])

    def test_unasked(self) -> None:
        """
        Who may not ask is no reason for alarm; a daemon that does not say is.
        """
        self.assertEqual(self.names(NotOurs("only root may")), [""])
        strangers = Declined("it is user 7's")
        self.assertEqual(self.names(strangers), ["configuration.untold"])
        older = Declined("the daemon knows no command 'configuration'")
        self.assertEqual(self.names(older), ["configuration.untold"])

    def test_nonsense(self) -> None:
        """
        An answer that can't be read is as good as none.
        """
        wrong: list[dict[str, Any]] = [{}, {**SAID, "changes": None}]
        for said in wrong:
            self.assertRaises(Declined, standing, said)
