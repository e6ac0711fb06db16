"""
Tests for ``micamessenger``.
"""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.cli import main
from micamsgr.test.test_config import FILLED
from micamsgr.test.test_forgetting import WORDS, ForgetCase
from micamsgr.testing import ALICE


class CommandCase(SynchronousTestCase):
    """
    A command line, and what comes of it.
    """

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """
        :return: the exit status, and what is printed and complained.
        """
        out, errors = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", errors)
        try:
            status = main(arguments)
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        return status, out.getvalue(), errors.getvalue()


class LineTests(CommandCase):
    """
    Tests for what can be typed.
    """

    def test_help(self) -> None:
        """
        Each command says what it does, and the status is 0.
        """
        for arguments, word in ((["--help"], "forget"), (["forget", "--help"], "PSID")):
            status, said, complaint = self.run_command(*arguments)
            self.assertEqual((status, complaint), (0, ""))
            self.assertIn(word, said)
        self.assertIn("Exit status", self.run_command("--help")[1])

    def test_wrong(self) -> None:
        """
        A command line that is wrong has status 2, and a line that says so.
        """
        for arguments in (
            [],
            ["forget"],
            ["forget", ""],
            ["forget", "%"],
            ["remember", "1"],
            ["forget", "1", "--x"],
        ):
            status, said, complaint = self.run_command(*arguments)
            self.assertEqual((status, said), (2, ""))
            self.assertIn("usage: micamessenger", complaint)

    def test_no_configuration(self) -> None:
        """
        What is wrong with the configuration is told, with status 1.
        """
        status, said, complaint = self.run_command("forget", "1", "-c", "/nowhere.yaml")
        self.assertEqual((status, said), (1, ""))
        self.assertIn("/nowhere.yaml", complaint)


class ForgetTests(ForgetCase, CommandCase):
    """
    Tests for ``micamessenger forget``.
    """

    def setUp(self) -> None:
        super().setUp()
        self.say()
        self.close()
        self.config = Path(self.mktemp())
        self.config.write_text(f"{FILLED}store: 'sqlite:{self.path}'\n")

    def test_done(self) -> None:
        """
        It erases from the store that the configuration names, and says so.
        """
        command = ("forget", ALICE, "--config", str(self.config))
        status, said, complaint = self.run_command(*command)
        self.assertEqual((status, complaint), (0, ""))
        self.assertIn("forgotten: 1 conversations", said)
        self.assertGone(WORDS, ALICE)

    def test_json(self) -> None:
        """
        With --json programs read what came of it, or why nothing did; who it
        was about is not said.
        """
        command = ("forget", ALICE, "--config", str(self.config), "--json")
        status, said, complaint = self.run_command(*command)
        self.assertEqual((status, complaint), (0, ""))
        told = json.loads(said)
        self.assertEqual(list(told), ["conversations", "emptied", "known", "rows"])
        self.assertEqual((told["conversations"], told["emptied"]), (1, True))
        self.assertGreater(told["rows"], 0)
        self.assertNotIn(ALICE, said)
        for more, why in (
            (("--bot", "mick"), "is named mick"),
            (("--page", "1"), "knows nobody"),
        ):
            status, said, complaint = self.run_command(*command, *more)
            self.assertEqual((status, complaint), (1, ""))
            self.assertEqual(list(json.loads(said)), ["error"])
            self.assertIn(why, said)

    def test_filters(self) -> None:
        """
        It knows the bots' names, and keeps to what it is told.
        """
        command = ("forget", ALICE, "--config", str(self.config))
        status, _, complaint = self.run_command(*command, "--bot", "mick")
        self.assertEqual(status, 1)
        self.assertIn("is named mick: mica", complaint)
        self.assertEqual(self.run_command(*command, "--page", "1")[0], 1)
        self.assertIn(WORDS.encode(), self.bytes())
