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


def parsed(text: str) -> RawConfigParser:
    """
    Read a unit.
    """
    unit = RawConfigParser(strict=False, comment_prefixes="#")
    # systemd tells keys apart by case.
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read_string(text)
    return unit


class UnitTests(SynchronousTestCase):
    """
    Tests for ``etc/micamessenger.service``.
    """

    def setUp(self) -> None:
        self.text = self.read("etc/micamessenger.service")
        self.unit = parsed(self.text)

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
        It runs as the user whom the installation makes, and to whom the
        instructions give the key of the certificate.
        """
        user = self.unit["Service"]["User"]
        self.assertEqual(self.unit["Service"]["Group"], user)
        self.assertIn(f"USER_NAME={user}\n", self.read("etc/install.sh"))
        operating = self.read("docs/operating.md")
        given = {*re.findall(r"install\b.*? -[go] (\S+)", operating)} - {"root"}
        self.assertEqual(given, {user})

    def test_command(self) -> None:
        """
        It starts what the installation puts there, by the README's command.
        """
        program, *words = self.unit["Service"]["ExecStart"].split()
        prefix = program.removesuffix("/.venv/bin/twistd")
        script = self.read("etc/install.sh")
        self.assertIn(f"PREFIX:-{prefix}}}\n", script)
        self.assertIn(f"CONFIG={words[-1]}\n", script)
        typed = " ".join([".venv/bin/twistd", *words[:-1], "mica.yaml"])
        self.assertIn(typed, self.read("README.md"))
        self.assertIn(words[-1], self.read("docs/operating.md"))

    def test_socket(self) -> None:
        """
        The instructions name the socket as its unit does.
        """
        name = parsed(self.read("etc/micamessenger.socket"))["Socket"]
        endpoint = f"systemd:domain=INET:name={name['FileDescriptorName']}"
        for document in ("docs/operating.md", "README.md", "etc/micamessenger.socket"):
            self.assertIn(endpoint, self.read(document))

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
        systemd has nothing to say against it, nor against its socket.
        """
        program = self.unit["Service"]["ExecStart"].split()[0]
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        units = []
        for name in ("micamessenger.service", "micamessenger.socket"):
            units.append(directory / name)
            text = self.read(f"etc/{name}")
            units[-1].write_text(text.replace(program, sys.executable))
        done = self.analyze("verify", "--man=no", *map(str, units))
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_exposure(self) -> None:
        """
        It is among the best-hardened services, by systemd's own judgment.
        """
        unit = str(REPOSITORY / "etc" / "micamessenger.service")
        done = self.analyze("security", "--offline=true", "--no-pager", unit)
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        if found is None:
            raise SkipTest(f"needs systemd 250: {done.stderr}")
        self.assertLessEqual(float(found[1]), 1.3)

    def analyze(self, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Ask systemd-analyze.
        """
        analyzer = shutil.which("systemd-analyze")
        if analyzer is None:
            raise SkipTest("needs systemd-analyze")
        return subprocess.run(
            [analyzer, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
