"""
Tests that the unit for systemd works, and agrees with what is written of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

REPOSITORY = Path(__file__).parents[2]


class UnitTests(SynchronousTestCase):
    """
    Tests for ``etc/micamessenger.service``.
    """

    def setUp(self) -> None:
        self.text = self.read("etc/micamessenger.service")
        self.unit = RawConfigParser(strict=False, comment_prefixes="#")
        # systemd tells keys apart by case.
        self.unit.optionxform = str  # type: ignore[method-assign, assignment]
        self.unit.read_string(self.text)

    def read(self, name: str) -> str:
        """Read a file of the repository, which an installed package lacks."""
        path = REPOSITORY / name
        if not path.exists():
            raise SkipTest(f"needs {name}")
        return path.read_text(encoding="utf-8")

    def test_never_gives_up(self) -> None:
        """
        However often a start fails, it is tried again, and not in a hurry: a
        certificate may be renewed, a clock set, a port freed.
        """
        self.assertEqual(self.unit["Unit"]["StartLimitIntervalSec"], "0")
        self.assertEqual(self.unit["Service"]["Restart"], "always")
        self.assertIn(int(self.unit["Service"]["RestartSec"]), range(3, 11))

    def test_patience(self) -> None:
        """
        Nobody kills it before it could finish what is in flight.
        """
        self.assertGreater(int(self.unit["Service"]["TimeoutStopSec"]), 15)

    def test_user(self) -> None:
        """
        It runs as the user whom its instructions make, and to whom those of
        the certificate give the key.
        """
        user = self.unit["Service"]["User"]
        self.assertEqual(self.unit["Service"]["Group"], user)
        self.assertIn(f"adduser --system --group {user}\n", self.text)
        operating = self.read("docs/operating.md")
        given = {*re.findall(r"install\b.*? -[go] (\S+)", self.text + operating)}
        self.assertEqual(given, {user})

    def test_command(self) -> None:
        """
        It starts what its instructions install, by the README's command.
        """
        program, *words = self.unit["Service"]["ExecStart"].split()
        checkout = program.removesuffix("/.venv/bin/twistd")
        self.assertIn(f"make -C {checkout} venv\n", self.text)
        self.assertIn(f" {checkout}/etc/micamessenger.service\n", self.text)
        self.assertIn(f" mica.yaml {words[-1]}\n", self.text)
        typed = " ".join([".venv/bin/twistd", *words[:-1], "mica.yaml"])
        self.assertIn(typed, self.read("README.md"))
        self.assertIn(words[-1], self.read("docs/operating.md"))

    def test_directory(self) -> None:
        """
        It keeps its store where README and docs say.
        """
        directory = f"/var/lib/{self.unit['Service']['StateDirectory']}"
        self.assertIn(f"`{directory}`", self.read("README.md"))
        self.assertIn(f"`{directory}/mica.db`", self.read("docs/operating.md"))

    def test_documentation(self) -> None:
        """
        README and unit say where there is more to know.
        """
        self.assertIn("(docs/operating.md)", self.read("README.md"))
        self.assertTrue(
            self.unit["Unit"]["Documentation"].endswith("/docs/operating.md")
        )

    def test_verified(self) -> None:
        """
        systemd has nothing to say against it.
        """
        verifier = shutil.which("systemd-analyze")
        if verifier is None:
            raise SkipTest("needs systemd-analyze")
        directory = Path(self.mktemp())
        directory.mkdir()
        copy = directory / "micamessenger.service"
        program = self.unit["Service"]["ExecStart"].split()[0]
        copy.write_text(self.text.replace(program, sys.executable))
        done = subprocess.run(
            [verifier, "verify", "--man=no", str(copy.absolute())],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
